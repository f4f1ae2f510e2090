"""Linearizable reads: what was acknowledged before is seen on every node, or nothing is answered."""
import json
import os
import signal
import subprocess
import threading
import time

from harness import (ask, ask_until, check, now_us, percentile, put_until_done, status, tool, wait_for,
                     wait_leader)

LINEAR = "linearizable"


class Reader:
    """Asks one node for its head, again and again, and notes when and what it was told."""

    def __init__(self, node, consistency=LINEAR):
        self.node, self.consistency = node, consistency
        self.rows, self.refused = [], {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        endpoint = self.node.places()["api"]
        while not self.stopping.is_set():
            asked = now_us()
            answer = ask(endpoint, "head", 3, consistency=self.consistency)
            if answer is not None and answer["verb"] == "head_is":
                self.rows.append({"node": self.node.name, "asked": asked, "answered": now_us(),
                                  "id": answer.get("id", 0)})
            else:
                name = answer["error"] if answer else "silence"
                self.refused[name] = self.refused.get(name, 0) + 1
                time.sleep(0.01)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.rows


def readers_of(nodes):
    return [Reader(node) for node in nodes]


def finish(house, cluster, load, readers, least):
    """All reads against all writes."""
    rows = [row for reader in readers for row in reader.stop()]
    times = [row["answered"] - row["asked"] for row in rows]
    house.say("%d linearizable reads, p50 %.1f ms, p99 %.1f ms, refused: %s" % (
        len(rows), percentile(times, .5) / 1000, percentile(times, .99) / 1000,
        [reader.refused for reader in readers]))
    check(len(rows) >= least, "only %d reads were answered" % len(rows))
    for reader in readers:
        check(set(reader.refused) <= {"E_NO_QUORUM", "E_NOT_READY", "E_BEHIND", "E_TIMEOUT", "silence"},
              "refused for other reasons: %s" % reader.refused)
    house.judge(cluster, load.stop(), least=100, reads=rows)


def test_a_linearizable_read_sees_what_was_acknowledged(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=150)
    readers = readers_of(cluster.nodes)
    for turn in range(house.times(2, 10)):
        leader = wait_leader(cluster.nodes)
        load.wait_progress(bytes_more=20000)
        if turn % 2 == 0:
            leader.kill()
            wait_leader([node for node in cluster.nodes if node is not leader])
            load.wait_progress(bytes_more=20000)
            leader.start()
        else:
            with_paused_leader(load, leader)
    wait_leader(cluster.nodes)
    load.wait_progress()
    finish(house, cluster, load, readers, least=500)


def with_paused_leader(load, leader):
    """A whole node that stands still for longer than an election, and then goes on as if nothing were."""
    processes = list(leader.processes().values())
    for process in processes:
        check(tool.send_signal(process, signal.SIGSTOP), "it was gone before")
    try:
        load.wait_progress(bytes_more=20000)
    finally:
        for process in processes:
            tool.send_signal(process, signal.SIGCONT)


def check_command(endpoint, last):
    """changeagent count: for programs and for people; what it cannot count by is refused."""
    def run(*words):
        return subprocess.run([os.path.join(tool.BIN, "changeagent"), "count", "--endpoints", endpoint, *words],
                              capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(run("-o", "json", "--since", "10").stdout)
    check(told["count"] == last - 10 and told["exact"] and told["last_id"] == last and told["bytes"] > 0, "%r" % told)
    check(run().stdout.startswith("%d changes, " % last), "count: %r" % run().stdout)
    check(json.loads(run("-o", "json", "--tag", "never").stdout)["count"] == 0, "a tag without a change")
    for words, code in ((("word",), 2), (("--limit", "5"), 2), (("--since", "x"), 2), (("--since", str(last + 1)), 1),
                        (("--tag", ""), 2)):
        begin = time.monotonic()
        done = run(*words)
        check(time.monotonic() - begin < 5, "count %s was refused late" % (words,))
        check(done.returncode == code and done.stderr != "", "count %s: %r" % (words, done))


def check_cli_lag(endpoint, last):
    for lag, code in (("500", 0), ("3600001", 1)):
        done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "head", "--max-lag", lag, "-o", "json", "--endpoints", endpoint],
                              capture_output=True, text=True, check=False, timeout=30)
        check(done.returncode == code and (code or json.loads(done.stdout)["id"] == last), "--max-lag %s: %r" % (lag, done))


def test_every_form_of_read_is_linearizable_at_the_other_nodes(house):
    cluster = house.cluster()
    wait_leader(cluster.nodes)
    local_lags = 0
    for number in range(60):
        writer = cluster.nodes[number % 3]
        done = put_until_done(writer.places()["api"], "text %d" % number)
        for node in cluster.nodes:
            if node is writer:
                continue
            endpoint, text = node.places()["api"], b"text %d" % number
            if number % 4 == 0:
                local_lags += ask_until(endpoint, "head", "head_is").get("id", 0) < done["id"]
                check(ask_until(endpoint, "head", "head_is", consistency=LINEAR)["id"] >= done["id"], "head is old")
            elif number % 4 == 1:
                got = ask_until(endpoint, "get", "get_is", id=done["id"], consistency=LINEAR)
                check(got["change"]["data"] == text, "get: %r" % got)
            elif number % 4 == 2:
                count = ask_until(endpoint, "estimate", "estimate_is", consistency=LINEAR)
                check(count["count"] == done["id"] and count["exact"] and count["at_end"], "estimate: %r" % count)
            else:
                page = ask_until(endpoint, "list", "list_is", since=done["id"] - 1, consistency=LINEAR)
                check([row["data"] for row in page["changes"]] == [text], "list: %r" % page)
    house.say("%d of 30 local reads did not see the write yet" % local_lags)
    endpoint = cluster.nodes[0].places()["api"]
    wrong = ask(endpoint, "head", consistency="sometimes")
    check(wrong["error"] == "E_BAD_REQUEST" and "linearizable" in wrong["detail"], "%r" % wrong)
    wrong = ask(endpoint, "head", consistency=LINEAR, max_lag_ms=5)
    check(wrong["error"] == "E_BAD_REQUEST" and "max_lag_ms" in wrong["detail"], "%r" % wrong)
    check_cli_lag(endpoint, done["id"])
    check_command(endpoint, done["id"])
    begin = time.monotonic()
    ahead = ask(endpoint, "list", since=done["id"] + 1)
    check(ahead["error"] == "E_AHEAD", "%r" % ahead)
    check(time.monotonic() - begin < 1, "a position that nobody can have seen was waited for")


def check_bounded(alone, behind):
    """Cut off, it shows what a majority confirmed a while ago to who may be so late, and nothing to who may not."""
    endpoint = alone.places()["api"]
    late = ask(endpoint, "head", 5, consistency="bounded", max_lag_ms=600000)
    check(late is not None and late["verb"] == "head_is" and 0 < late["id"] < behind, "within its lag: %r" % late)
    answer = ask(endpoint, "head", 5, consistency="bounded", max_lag_ms=1)
    check(answer is not None and answer.get("error") == "E_NO_QUORUM", "later than its lag: %r" % answer)


def test_an_old_leader_cut_off_answers_no_linearizable_read(house):
    cluster, between = house.cluster_apart()
    load = house.load(cluster.nodes, rate=100)
    leader = wait_leader(cluster.nodes)
    load.wait_progress()
    readers = readers_of(cluster.nodes)
    wait_for("a read at the leader", 10, lambda: readers[cluster.nodes.index(leader)].rows)
    rest = [node for node in cluster.nodes if node is not leader]
    between.part([leader.name], [node.name for node in rest])
    cut = now_us()
    new = wait_leader(rest)
    load.wait_progress()
    behind = status(new)["last_id"]
    local = ask_until(leader.places()["api"], "head", "head_is")
    check(local.get("id", 0) < behind, "the old leader knows what it cannot know")
    answer = ask(leader.places()["api"], "head", 5, consistency=LINEAR)
    check(answer is not None and answer["verb"] == "failed" and answer["retryable"], "%r" % answer)
    check(answer["error"] == "E_NO_QUORUM", "%r" % answer)
    check_bounded(leader, behind)
    alone = [row for row in readers[cluster.nodes.index(leader)].rows if row["asked"] > cut]
    check(not alone, "a leader that was cut off answered: %s" % alone[:3])
    check(ask_until(new.places()["api"], "head", "head_is", consistency=LINEAR)["id"] >= behind, "head is old")
    between.heal()
    wait_leader(cluster.nodes)
    check(ask_until(leader.places()["api"], "head", "head_is", consistency=LINEAR)["id"] >= behind, "head is old")
    finish(house, cluster, load, readers, least=50)
