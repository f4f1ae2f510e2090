"""An empty node gets gigabytes while clients write: they hardly notice, it takes no memory, and nothing is sent twice."""
import json
import statistics
import subprocess
import threading

from catchup import counter, wait_level
from harness import ask_until, check, log_of, status, wait_leader
from membership import CLI, add_node, id_of, rows_of, without_failures, words_to_add

PER_S, WINDOW_S, QUIET_WINDOWS, LOOK_S = 1000, 10, 3, 3  # quiet before it, and again behind it
MEMORY_MB = 250  # of one node, all its processes


# ---- load and what it costs -------------------------------------------------------------------


def bench(node, *more):
    argv = [CLI, "bench", "--endpoints", node.places()["api"], "-o", "json", "--warm", "0", *more]
    row = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=120).stdout)
    check(row["errors"] == 0, "%d writes failed" % row["errors"])
    return row


def fill(node, megabytes, size):
    first = (status(node) or {})["last_id"]
    while status(node)["last_id"] - first < megabytes * 1000000 // size:
        bench(node, "--outstanding", "128", "--size", str(size), "--seconds", "1")


def p99_ms(leader):
    """p99 of writes at their pace; fails where one failed, or where the pace was not kept."""
    row = bench(leader, "--outstanding", "64", "--rate", str(PER_S), "--seconds", str(WINDOW_S))
    check(row["acked_per_s"] > 0.9 * PER_S, "only %.0f writes/s" % row["acked_per_s"])
    return row["p99_us"] / 1e3


def pss_mb(node):
    total = 0
    for process in node.processes().values():
        with open("/proc/%d/smaps_rollup" % process["pid"]) as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1024


# ---- what happens meanwhile -------------------------------------------------------------------


class Watch:
    """Looks at sender and receiver: memory, and how far they say they are. Seldom: to count a process' pages keeps a
    processor for milliseconds, and the p99 is measured meanwhile."""

    def __init__(self, leader, empty):
        self.leader, self.empty, self.over = leader, empty, threading.Event()
        self.leader_mb, self.empty_mb, self.sent, self.applied, self.said = [], [], [], [], set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(LOOK_S):
            self.look()

    def look(self):
        self.leader_mb.append(pss_mb(self.leader))
        self.empty_mb.append(pss_mb(self.empty))
        state = status(self.empty) or {}
        self.said.add(state.get("waits_for", ""))
        self.applied.append(state.get("applied_index", 0))
        if counter(self.leader, "consensus", "catchup_size"):
            self.sent.append(counter(self.leader, "consensus", "catchup_taken"))

    def finish(self):
        self.over.set()
        self.thread.join()
        self.look()


def pages(node):
    """All changes of a node, in order."""
    since, at_end = 0, False
    while not at_end:
        page = ask_until(node.places()["api"], "list", "list_is", since=since, limit=10000, bytes=4 << 20)
        yield from page["changes"]
        since, at_end = (page["changes"][-1]["id"] if page["changes"] else since), page["at_end"]


def check_same(leader, node, history):
    """Each change of the one is on the other, with the same bytes, and so is what clients were told is done."""
    told = {write["id"]: write["text"] for write in history if write["code"] == "ok"}
    count = 0
    for count, (one, other) in enumerate(zip(pages(leader), pages(node)), 1):
        check(one["id"] == other["id"] == count and one["hash"] == other["hash"] and one["data"] == other["data"],
              "change %d is another one on the new node" % one["id"])
        text = told.pop(count, None)
        check(text is None or other["data"].rstrip(b".") == text.encode(), "change %d is not what was acknowledged" % count)
    check(count == status(leader)["last_id"] == status(node)["last_id"], "only %d changes can be read" % count)
    check(not told, "%d acknowledged writes are missing" % len(told))
    return count


def judge_p99(house, quiet, busy):
    calm_ms, busy_ms = statistics.median(quiet), statistics.median(busy)
    house.say("p99 of %d writes/s: %.1f ms in quiet (%s), %.1f ms beside it (%s)" % (
        PER_S, calm_ms, " ".join("%.1f" % ms for ms in quiet), busy_ms, " ".join("%.1f" % ms for ms in busy)))
    check(busy_ms <= max(2 * calm_ms, calm_ms + 5), "p99 of %.1f ms, in quiet %.1f" % (busy_ms, calm_ms))


def empty_node_comes(house, size, megabytes):
    """A cluster of three with so much in it, and a fourth node beside writes. Gives the nodes, and what was seen."""
    cluster = house.cluster()
    leader, members = wait_leader(cluster.nodes), list(cluster.nodes)
    fill(leader, megabytes, size)
    load = house.load(members, clients=2, rate=20)
    quiet = [p99_ms(leader) for _ in range(QUIET_WINDOWS)]
    empty, busy = add_node(cluster), []
    watch = Watch(leader, empty)
    adding = house.run([CLI, "member", *words_to_add(empty), "--block", "900000", "--endpoints", leader.places()["api"]],
                       stdout=subprocess.DEVNULL)
    while adding.poll() is None:
        busy.append(p99_ms(leader))
    check(adding.returncode == 0, "member add ended with %d" % adding.returncode)
    watch.finish()
    quiet += [p99_ms(leader) for _ in range(QUIET_WINDOWS)]
    history = load.stop()
    without_failures(history)
    check(rows_of(members)[id_of(empty)]["role"] == "voter", "it is no voter")
    wait_level(cluster.nodes)
    house.say("the most memory: leader %.0f MB, new node %.0f MB; it took %d windows of %d s" % (
        max(watch.leader_mb), max(watch.empty_mb), len(busy), WINDOW_S))
    judge_p99(house, quiet, busy)
    check(max(watch.leader_mb + watch.empty_mb) < MEMORY_MB, "it takes more memory than %d MB" % MEMORY_MB)
    house.say("%d changes are the same on both" % check_same(leader, empty, history))
    return members, empty, watch


def test_an_empty_node_gets_a_large_snapshot_under_load(house):
    house.only_long("a small one under load, in catchup.py")
    members, empty, watch = empty_node_comes(house, 8192, 2150)
    check(sum(counter(node, "consensus", "catchups") for node in members) == 1, "more than one snapshot was sent")
    check(any(text.startswith("the leader's snapshot: ") for text in watch.said), "it said only: %s" % sorted(watch.said))
    check(log_of(empty).count("event=snapshot_installed") == 1, "not one snapshot was installed")
    check(watch.sent == sorted(watch.sent) and len(set(watch.sent)) > 20, "the leader told %s" % watch.sent)
    house.say("it said, among others: %s" % sorted(watch.said)[len(watch.said) // 2])
