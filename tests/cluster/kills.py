"""Processes and nodes killed with SIGKILL under load: nothing acknowledged is lost, nothing is there twice."""
import itertools
import signal

from harness import (Failed, check, longest_gap, now_us, put, put_until_done, status, tool, wait_for, wait_leader, wait_up)


def kill_process(node, name):
    """Kills one process of a node and returns when the node is whole again."""
    victim = node.processes()[name]
    check(tool.send_signal(victim, signal.SIGKILL), "%s of %s was gone before" % (name, node.name))
    if name == "supervisor":
        wait_for("the end of %s" % node.name, 10, lambda: not node.processes())
        node.start()
    else:
        wait_for("another %s on %s" % (name, node.name), 15,
                 lambda: node.is_up() and node.processes().get(name, victim) != victim)


def test_each_process_and_each_node_killed_in_turn(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=150)
    house.follow(cluster.nodes)
    load.wait_progress()
    kills = 0
    for _ in range(house.times(1, 4)):
        for node, name in itertools.product(cluster.nodes, tool.CHILDREN + ("supervisor",)):
            kill_process(node, name)
            load.wait_progress()
            kills += 1
        for node in cluster.nodes:
            node.kill()
            load.wait_progress()
            node.start()
            wait_leader(cluster.nodes)
    house.say("%d processes and %d nodes killed" % (kills, 3 * house.times(1, 4)))
    house.judge(cluster, load.stop(), least=100)


def test_all_three_nodes_killed_at_once(house):
    cluster = house.cluster()
    for _ in range(house.times(2, 10)):
        load = house.load(cluster.nodes, rate=200)
        load.wait_progress(bytes_more=20000)
        for node in cluster.nodes:
            tool.send_signal(node.processes()["supervisor"], signal.SIGKILL)
        for node in cluster.nodes:
            node.kill()
        cluster.up()
        load.wait_progress(seconds=40)
        load.stop()
    house.judge(cluster, [line for load in house.loads for line in load.history()], least=100)


def test_the_gap_after_the_leaders_node_is_killed(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=250)
    load.wait_progress()
    windows = []
    for _ in range(house.times(3, 20)):
        leader = wait_leader(cluster.nodes)
        load.wait_progress(bytes_more=50000)
        begin = now_us()
        leader.kill()
        survivors = [node for node in cluster.nodes if node is not leader]
        wait_leader(survivors)
        load.wait_progress(bytes_more=50000)
        windows.append((begin - 100000, now_us()))
        leader.start()
        wait_leader(cluster.nodes)
    history = load.stop()
    gaps = sorted(longest_gap(history, begin, end) for begin, end in windows)
    house.say("gap in ms: median %.0f, longest %.0f, all %s" % (
        gaps[len(gaps) // 2], gaps[-1], " ".join("%.0f" % gap for gap in gaps)))
    worst_ms, median_ms = house.times((5000, 5000), (2000, 500))
    check(gaps[-1] < worst_ms and gaps[len(gaps) // 2] < median_ms, "a gap of %.0f ms" % gaps[-1])
    house.judge(cluster, history, least=100)


def test_two_of_three_always_find_a_leader(house):
    cluster = house.cluster()
    put_until_done(cluster.nodes[0].places()["api"], "first")
    cluster.down()
    limit_s = 10 * 1.0  # ten election timeouts of at most one second
    pairs = list(itertools.islice(itertools.cycle(itertools.combinations(cluster.nodes, 2)), house.times(3, 20)))
    for pair in pairs:
        for node in pair:
            node.launch()
        for node in pair:
            wait_up(node)
        wait_leader(pair, limit_s)
        put_until_done(pair[0].places()["api"], "more")
        cluster.down()
    house.say("%d starts" % len(pairs))


def test_no_majority_no_acknowledgement(house):
    cluster = house.cluster()
    survivor = cluster.nodes[0]
    for node in cluster.nodes[1:]:
        node.kill()
    wait_for("the leader to step down", 10, lambda: (status(survivor) or {}).get("role") != "leader")
    answer = put(survivor.places()["api"], "alone", seconds=8)
    if answer is not None and answer["verb"] == "put_done":
        raise Failed("one of three nodes acknowledged a write")
    for node in cluster.nodes[1:]:
        node.start()
    wait_leader(cluster.nodes)
    put_until_done(survivor.places()["api"], "together")
