"""Leadership handed over: by SIGTERM, by the verb, by drain, and by a restart of every node in turn."""
import os
import signal
import subprocess
import threading
import time

from harness import (Failed, ask, check, leader_of, log_of, longest_gap, now_us, put_until_done, status, tool, wait_for,
                     wait_leader)

CHANGEAGENT = os.path.join(tool.BIN, "changeagent")


def command(nodes, *words, seconds=30):
    """The command line, asked at these nodes: exit code and everything it said."""
    done = subprocess.run([CHANGEAGENT, *words, "--endpoints", ",".join(node.places()["api"] for node in nodes)],
                          capture_output=True, timeout=seconds, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def all_ready(nodes):
    wait_for("all nodes to be ready", 20, lambda: all((status(node) or {}).get("ready") for node in nodes))


def must_be_fine(history):
    """The library retries; what it still calls failed is a failed write."""
    failed = [write for write in history if write["code"] != "ok"]
    check(not failed, "%d of %d writes failed: %r" % (len(failed), len(history), failed[:3]))


def median(values):
    return sorted(values)[len(values) // 2]


def test_sigterm_of_the_leader_hands_over_without_a_failed_write(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=250)
    house.follow(cluster.nodes)
    load.wait_progress()
    windows, took, terms = [], [], []
    for _ in range(house.times(2, 20)):
        leader = wait_leader(cluster.nodes)
        all_ready(cluster.nodes)
        terms.append(status(leader)["term"])
        load.wait_progress(bytes_more=20000)
        begin, seen = now_us(), len(log_of(leader))
        leader.stop()
        survivors = [node for node in cluster.nodes if node is not leader]
        check(status(wait_leader(survivors))["term"] == terms[-1] + 1, "more than one election")
        load.wait_progress(bytes_more=20000)
        windows.append((begin - 100000, now_us()))
        said = log_of(leader)[seen:]
        check("event=handed_over" in said, "it ended without a hand-over")
        took.append(int(said.split("event=handed_over", 1)[1].split("took_ms=", 1)[1].split()[0]))
        leader.start()
    history = load.stop()
    gaps = [longest_gap(history, begin, end) for begin, end in windows]
    house.say("hand-over in ms: median %d, longest %d; gap between acknowledgements in ms: median %.0f, longest %.0f" % (
        median(took), max(took), median(gaps), max(gaps)))
    must_be_fine(history)
    check(median(took) <= 250, "a hand-over takes %d ms" % median(took))  # an election takes 500 and more
    house.judge(cluster, history, least=100)


def test_the_lead_goes_where_it_is_told(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=100)
    load.wait_progress()
    for target in cluster.nodes + [cluster.nodes[0]]:  # the last time it leads already
        term = status(wait_leader(cluster.nodes))["term"]
        moves = wait_leader(cluster.nodes) is not target
        code, text = command(cluster.nodes, "leader", "transfer", target.name)
        check(code == 0 and status(target)["node"] in text, "code %d: %s" % (code, text))
        check(leader_of([target]) is target, "%s does not lead" % target.name)
        check(wait_leader(cluster.nodes) is target, "another one leads")
        check(status(target)["term"] == term + moves, "more elections than hand-overs")
    before = wait_leader(cluster.nodes)
    code, text = command(cluster.nodes, "leader", "transfer")
    check(code == 0 and wait_leader(cluster.nodes) is not before, "code %d: %s" % (code, text))
    for word in ("nobody", "no such id", "x" * 40):
        code, text = command(cluster.nodes, "leader", "transfer", word)
        check(code in (1, 2, 3) and ("E_NOT_FOUND" in text or "E_BAD_REQUEST" in text), "code %d: %s" % (code, text))
    history = load.stop()
    must_be_fine(history)
    house.judge(cluster, history, least=50)


def test_a_dead_and_a_paused_target_leave_the_leader_where_it_is(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    term = status(leader)["term"]
    target, other = [node for node in cluster.nodes if node is not leader]
    target_id = status(target)["node"]
    load = house.load([leader, other], rate=100)
    load.wait_progress()
    paused = target.processes()["consensus"]
    tool.send_signal(paused, signal.SIGSTOP)
    try:
        code, text = command([leader], "leader", "transfer", target_id, "--timeout", "1500")
    finally:
        tool.send_signal(paused, signal.SIGCONT)
    check(code == 4 and "E_TIMEOUT" in text, "paused: code %d: %s" % (code, text))
    target.kill()
    code, text = command([leader], "leader", "transfer", target_id, "--timeout", "1500")
    check(code == 4, "dead: code %d: %s" % (code, text))
    check(status(leader)["role"] == "leader" and status(leader)["term"] == term, "the leader was disturbed")
    load.wait_progress()
    target.start()
    wait_leader(cluster.nodes)
    history = load.stop()
    must_be_fine(history)
    house.judge(cluster, history, least=50)


def test_a_drained_node_serves_and_does_not_lead(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=100)
    load.wait_progress()
    first = wait_leader(cluster.nodes)
    code, text = command(cluster.nodes, "node", "drain", first.name)
    check(code == 0 and "drained" in text, "code %d: %s" % (code, text))
    second = wait_leader(cluster.nodes)
    check(second is not first, "it leads on")
    state = status(first)
    check(state["drained"] and not state.get("ready"), "%r" % state)
    served = house.load([first], clients=1, count=20).wait()
    must_be_fine(served)
    check(command([first], "node", "ready")[0] == 1, "a drained node is not ready")
    code, text = command(cluster.nodes, "leader", "transfer", first.name)
    check(code == 1 and "E_DRAINED" in text, "code %d: %s" % (code, text))
    for name in ("consensus", "api"):  # what was said outlives each of them
        victim = first.processes()[name]
        tool.send_signal(victim, signal.SIGKILL)
        wait_for("another %s" % name, 10, lambda: first.is_up() and first.processes().get(name) != victim)
        if name == "consensus":  # by the api, which is killed next: one of the two has to know
            wait_for("consensus to be told again", 10, lambda: log_of(first).count("process=consensus event=drained") == 2)
        wait_for("%s to be drained again" % first.name, 10, lambda: (status(first) or {}).get("drained"))
    second.kill()
    third = next(node for node in cluster.nodes if node not in (first, second))
    # Where only the drained node has all that is committed it must lead, until the other one has it too.
    wait_for("the node that is not drained to lead", 10, lambda: leader_of([first, third]) is third)
    second.start()
    wait_leader(cluster.nodes)
    third.kill()
    second.kill()
    second.start()  # both others were away: whoever leads now, writes go on
    wait_leader([first, second], 30)
    third.start()
    wait_for("the lead to leave the drained node", 20, lambda: leader_of(cluster.nodes) not in (None, first))
    code, text = command(cluster.nodes, "node", "undrain", first.name)
    check(code == 0 and "drained" not in text, "code %d: %s" % (code, text))
    check(command([first], "node", "ready", "--block", "5000")[0] == 0, "not ready after undrain")
    check(command(cluster.nodes, "leader", "transfer", first.name)[0] == 0, "it may lead again")
    house.judge(cluster, load.stop() + served, least=50)


def test_a_drained_node_alone_leads_on(house):
    cluster = house.cluster(1)
    code, text = command(cluster.nodes, "node", "drain")
    check(code == 0 and "drained" in text, "code %d: %s" % (code, text))
    check(status(cluster.nodes[0])["role"] == "leader", "nobody leads")
    put_until_done(cluster.nodes[0].places()["api"], "still written")


def test_garbage_for_an_operators_verb(house):
    node = house.cluster(1).nodes[0]
    api = node.places()["api"]
    for fields in ({}, {"action": ""}, {"action": "explode"}, {"action": "drain", "to": "1"},
                   {"action": "transfer", "to": "?"}, {"action": "transfer", "to": "z" * 13}, {"action": 7}):
        answer = ask(api, "node", 5, **fields)
        check(answer["verb"] == "failed" and answer["error"] == "E_BAD_REQUEST" and answer["detail"],
              "%r: %r" % (fields, answer))
    answer = ask(api, "node", 5, action="transfer")
    check(answer["verb"] == "failed" and answer["error"] == "E_NOT_FOUND", "%r" % answer)
    for words in (("leader",), ("leader", "give"), ("node",), ("node", "drain", "a", "b"), ("node", "fly")):
        check(command([node], *words)[0] == 2, "%r is no command" % (words,))


class Poll(threading.Thread):
    """One long poll; `answer` when it came, after `seconds`."""

    def __init__(self, node, since):
        super().__init__()
        self.node, self.since, self.answer = node, since, None
        self.start()

    def run(self):
        begin = time.monotonic()
        self.answer = ask(self.node.places()["api"], "list", 20, since=self.since, block_ms=15000)
        self.seconds = time.monotonic() - begin


def test_a_long_poll_is_answered_when_its_node_stops(house):
    cluster = house.cluster()
    for node in (wait_leader(cluster.nodes), cluster.nodes[0]):
        last = put_until_done(node.places()["api"], "before")["id"]
        polls = [Poll(node, last) for _ in range(5)]

        def parked():
            counters = (status(node) or {}).get("processes", {}).get("api", {})
            return counters.get("waiting_reads", 0) >= len(polls) + 1  # the status waits too
        try:
            wait_for("the polls to wait", 10, parked)
        finally:
            begin = time.monotonic()
            node.stop()
            took = time.monotonic() - begin
            for poll in polls:
                poll.join()
        answers = [poll.answer for poll in polls]
        check(all(answer is not None and answer["verb"] == "list_is" and not answer["changes"] for answer in answers),
              "a poll got %r" % answers)
        check(max(poll.seconds for poll in polls) < 10, "a poll waited its time out")
        check(took < 5, "the stop took %.1f s" % took)
        node.start()
        wait_leader(cluster.nodes)


def test_a_restart_of_all_nodes_in_turn_fails_no_write(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=200)
    house.follow(cluster.nodes)
    load.wait_progress()
    for _ in range(house.times(1, 5)):
        before = {node.name: node.processes()["supervisor"] for node in cluster.nodes}
        term = status(wait_leader(cluster.nodes))["term"]
        done = subprocess.run([os.path.join(tool.ROOT, "scripts", "cluster"), "restart", cluster.base],
                              capture_output=True, timeout=120, check=False)
        house.say(done.stdout.decode().strip().replace("\n", ", "))
        check(done.returncode == 0, done.stderr.decode())
        for node in cluster.nodes:
            check(node.processes()["supervisor"] != before[node.name], "%s was not restarted" % node.name)
        load.wait_progress()
        terms = status(wait_leader(cluster.nodes))["term"] - term
        if terms != 1:
            raise Failed("%d elections for one hand-over" % terms)
    history = load.stop()
    must_be_fine(history)
    house.judge(cluster, history, least=100)
