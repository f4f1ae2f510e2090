"""A server that lacks much: it gets the leader's snapshot, whatever dies on the way."""
import os

from harness import Failed, check, log_of, status, wait_for, wait_leader

# Small enough for a test: whoever lacks 300 entries, and most of the log, gets a snapshot.
SOON = {"consensus": {"catchup_entries": 300, "catchup_rate": 20}, "supervisor": {"budget": 63}}


def counter(node, process, name):
    return ((status(node) or {}).get("processes") or {}).get(process, {}).get(name, 0)


def fill(house, nodes, megabytes, clients=4):
    """Writes so much, of 8 KB changes; the history of it."""
    load = house.load(nodes, clients=clients, count=megabytes * 125 // clients, size=8000)
    return load.wait(600)


def left_behind(house, megabytes, settings=SOON):
    """A cluster whose third node was down while much was written; the others hold little of it in memory."""
    cluster = house.cluster(extra=settings)
    victim = [node for node in cluster.nodes if node is not wait_leader(cluster.nodes)][-1]
    others = [node for node in cluster.nodes if node is not victim]
    history = fill(house, cluster.nodes, 1)
    victim.kill()
    history += fill(house, others, megabytes)
    for node in others:
        node.kill()
        node.start()
    wait_leader(others)
    return cluster, victim, others, history


def wait_installed(node, seconds=60, times=1):
    try:
        wait_for("the snapshot on %s" % node.name, seconds,
                 lambda: log_of(node).count("event=snapshot_installed") >= times, every=0.02)
    except Failed as failed:
        raise Failed("%s: %s" % (failed, (status(node) or {}).get("waits_for"))) from failed


def wait_level(nodes, seconds=60):
    def level():
        states = [status(node) for node in nodes]
        return None not in states and len({(state["last_id"], state["chain"]) for state in states}) == 1
    wait_for("all nodes to be level", seconds, level, every=0.05)


def test_who_lacks_most_of_the_log_gets_a_snapshot(house):
    cluster, victim, others, history = left_behind(house, 10)
    victim.start()
    wait_installed(victim)
    wait_level(cluster.nodes)
    check(os.path.isdir(os.path.join(victim.data, "generation-00000001")), "no new generation")
    check(not os.path.exists(os.path.join(victim.data, "state.db")), "the old generation is still there")
    check(sum(counter(node, "consensus", "catchups") for node in others) == 1, "more than one snapshot")
    victim.kill()  # its next start is one like any other
    victim.start()
    history += fill(house, cluster.nodes, 1)
    house.judge(cluster, history, least=1000)
