"""Packets that vanish: no connection ends, nobody is told, and the promises hold."""
from harness import check, longest_gap, now_us, status, wait_for, wait_leader

ELECTION_MAX_MS = 1000  # consensus/election_max_ms


def others_of(cluster, *nodes):
    return [node for node in cluster.nodes if node not in nodes]


def names(nodes):
    return [node.name for node in nodes]


def wait_step_down(node):
    wait_for("%s to step down" % node.name, 15, lambda: (status(node) or {}).get("role") != "leader")


def test_a_leader_cut_off_without_a_farewell(house):
    cluster, between = house.cluster_apart()
    load = house.load(cluster.nodes, rate=150)
    house.follow(cluster.nodes)
    gaps = []
    for _ in range(house.times(2, 20)):
        leader = wait_leader(cluster.nodes)
        load.wait_progress(bytes_more=20000)
        rest = others_of(cluster, leader)
        begin = now_us()
        between.part(names([leader]), names(rest))
        wait_leader(rest)
        load.wait_progress(bytes_more=20000)
        gaps.append(longest_gap(load.history(), begin - 100000, now_us()))
        wait_step_down(leader)
        between.heal()
        wait_leader(cluster.nodes)
    house.say("silence to acknowledged writes in ms: %s (two election timeouts: %d)" % (
        " ".join("%.0f" % gap for gap in gaps), 2 * ELECTION_MAX_MS))
    check(not house.long or max(gaps) < 2 * ELECTION_MAX_MS, "a silence of %.0f ms" % max(gaps))
    house.judge(cluster, load.stop(), least=100)


def test_halves_and_one_direction(house):
    cluster, between = house.cluster_apart()
    load = house.load(cluster.nodes, rate=150)
    house.follow(cluster.nodes)
    load.wait_progress()
    leader = wait_leader(cluster.nodes)
    near, far = others_of(cluster, leader)
    between.part(names([leader, near]), names([far]))  # the majority keeps its leader
    load.wait_progress(bytes_more=20000)
    check(wait_leader([leader, near]) is leader, "the majority lost its leader")
    between.heal()
    wait_leader(cluster.nodes)
    load.wait_progress()
    leader = wait_leader(cluster.nodes)
    for node in others_of(cluster, leader):  # the leader hears nobody, all hear the leader
        between.cut(node.name, leader.name)
    wait_step_down(leader)
    wait_leader(others_of(cluster, leader))
    load.wait_progress(bytes_more=20000)
    between.heal()
    leader = wait_leader(cluster.nodes)
    for node in others_of(cluster, leader):  # nobody hears the leader, it hears all
        between.cut(leader.name, node.name)
    wait_leader(others_of(cluster, leader))
    load.wait_progress(bytes_more=20000)
    between.heal()
    wait_leader(cluster.nodes)
    load.wait_progress()
    house.judge(cluster, load.stop(), least=100)


def test_a_bridge_between_two_that_do_not_see_each_other(house):
    cluster, between = house.cluster_apart()
    load = house.load(cluster.nodes, rate=150)
    leader = wait_leader(cluster.nodes)
    load.wait_progress()
    lost, bridge = others_of(cluster, leader)
    between.part(names([leader]), names([lost]))
    load.wait_progress(bytes_more=20000)
    check((status(bridge) or {}).get("role") is not None, "the bridge does not answer")
    between.heal()
    wait_leader(cluster.nodes)
    house.judge(cluster, load.stop(), least=100)
