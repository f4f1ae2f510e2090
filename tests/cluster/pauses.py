"""SIGSTOP: who is paused is replaced if it matters, and nobody else is disturbed."""
import os
import signal
import time

from harness import check, percentile, put_until_done, status, tool, wait_for, wait_leader

PAUSE_S = 5


class Paused:
    """Processes stopped for as long as the block lasts."""

    def __init__(self, processes):
        self.processes = processes

    def __enter__(self):
        for process in self.processes:
            check(tool.send_signal(process, signal.SIGSTOP), "it was gone before")
        self.until = time.monotonic() + PAUSE_S
        return self

    def __exit__(self, *unused):
        for process in self.processes:
            tool.send_signal(process, signal.SIGCONT)

    def rest(self):
        """The pause itself is what is tested: it lasts its time."""
        time.sleep(max(0, self.until - time.monotonic()))


def another_leads(house, name):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=150)
    load.wait_progress()
    leader = wait_leader(cluster.nodes)
    others = [node for node in cluster.nodes if node is not leader]
    with Paused([leader.processes()[name]]) as pause:
        wait_for("another leader", PAUSE_S, lambda: any((status(node, 1) or {}).get("role") == "leader" for node in others))
        pause.rest()
    wait_leader(cluster.nodes)
    load.wait_progress()
    house.judge(cluster, load.stop(), least=100)


def test_the_leaders_consensus_paused(house):
    another_leads(house, "consensus")


def test_the_leaders_storage_paused(house):
    another_leads(house, "storage")


def told_of_storage(node):
    """(its counters, how old they are in ms); None: no status came."""
    row = status(node, 2)
    return row and (row["processes"]["storage"], row["processes"]["api"]["storage_age_ms"])


def test_a_paused_storage_is_told_of_as_it_was(house):
    node = house.cluster(count=1).nodes[0]
    wait_leader([node])

    def told_while_paused():
        """It must be asked before it is silent for a second, when its link is given up; a slow machine tries again."""
        wait_for("its counters of now", 10, lambda: (told_of_storage(node) or ({}, 0))[0].get("segments"))
        with Paused([node.processes()["storage"]]):
            told = told_of_storage(node)
        return told and told[0].get("segments") and told[1] >= 300
    wait_for("counters of before the pause", 30, told_while_paused)
    wait_for("those of now", 10, lambda: (lambda told: told and told[0].get("segments") and told[1] < 100)(told_of_storage(node)))


def test_a_dead_storage_counts_nothing(house):
    node = house.cluster(count=1).nodes[0]
    wait_leader([node])
    wait_for("its counters", 10, lambda: (told_of_storage(node) or ({}, 0))[0].get("segments"))
    with Paused([node.processes()["supervisor"]]):  # nobody starts another one
        check(tool.send_signal(node.processes()["storage"], signal.SIGKILL), "it was gone before")
        wait_for("no counters of its life", 10, lambda: (told_of_storage(node) or ({"segments": 1}, 0))[0] == {})
    wait_for("those of the next one", 20, lambda: (told_of_storage(node) or ({}, 0))[0].get("segments"))


def stays(house, names):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    term = status(leader)["term"]
    load = house.load(cluster.nodes, rate=100)
    load.wait_progress()
    others = [node for node in cluster.nodes if node is not leader]
    for node in [leader] + others:  # none may matter
        with Paused([node.processes()[name] for name in names]) as pause:
            load.wait_progress()
            pause.rest()
        if not house.long:
            break
    check(wait_leader(cluster.nodes) is leader, "another node leads")
    check(status(leader)["term"] == term, "there was an election")
    house.judge(cluster, load.stop(), least=100)


def test_api_discovery_and_supervisor_paused_cause_no_election(house):
    stays(house, ("api", "discovery", "supervisor"))


def test_a_slow_heartbeat_does_not_slow_writes(house):
    cluster = house.cluster(extra={"consensus": {
        "heartbeat_ms": 2000, "election_min_ms": 4000, "election_max_ms": 5000}}, start=False)
    cluster.up()
    leader = wait_leader(cluster.nodes, 30)
    follower = next(node for node in cluster.nodes if node is not leader)
    put_until_done(follower.places()["api"], "warm")
    history = house.load([follower], clients=1, count=1000).wait()
    check(all(write["code"] == "ok" for write in history), "a write failed")
    times = [(write["answered"] - write["asked"]) / 1000.0 for write in history]
    house.say("1000 writes through a follower: p50 %.2f ms, p99 %.2f ms" % (
        percentile(times, .5), percentile(times, .99)))
    # A write that waits for the heartbeat takes a second on the mean; a busy machine does not.
    check(percentile(times, .5) < 200, "the median is %.1f ms" % percentile(times, .5))
    check(not house.long or percentile(times, .99) < 50, "p99 is %.1f ms" % percentile(times, .99))


def cpu_ticks(node):
    """Processor time that all processes of a node have used so far."""
    total = 0
    for process in node.processes().values():
        with open("/proc/%d/stat" % process["pid"]) as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total


def shares_of_a_core(nodes, seconds):
    """What each node uses in so long, in percent."""
    before = [cpu_ticks(node) for node in nodes]
    time.sleep(seconds)
    return [100.0 * (cpu_ticks(node) - was) / os.sysconf("SC_CLK_TCK") / seconds for node, was in zip(nodes, before)]


def test_an_idle_cluster_sleeps(house):
    cluster = house.cluster()
    wait_leader(cluster.nodes)
    put_until_done(cluster.nodes[0].places()["api"], "the last one")
    seconds, limit = house.times((2, 3.0), (20, 1.0))  # a short look on a busy machine is a rough one
    # The start and the write have left something to do.
    wait_for("the nodes to come to rest", 10, lambda: max(shares_of_a_core(cluster.nodes, 0.5)) < 3.0)
    shares = shares_of_a_core(cluster.nodes, seconds)
    house.say("percent of a core for each idle node: %s" % " ".join("%.2f" % share for share in shares))
    check(max(shares) < limit, "an idle node uses %.2f %% of a core" % max(shares))
