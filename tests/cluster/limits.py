"""What a process may use: descriptors, memory, children; strangers who take much, and lives that end often."""
import os
import resource
import signal
import socket
import time

import zmq

from harness import Skipped, check, context, log_of, put_until_done, tool, wait_for, wait_leader, wait_up

CONNECTIONS = 1300


def descriptors(process):
    return len(os.listdir("/proc/%d/fd" % process["pid"]))


def children(process):
    """Pids of the children, those among them that are dead and were not waited for as well."""
    with open("/proc/%d/task/%d/children" % (process["pid"], process["pid"])) as file:
        return file.read().split()


def test_who_dies_often_leaves_nothing_behind(house):
    cluster = house.cluster(1, extra={"supervisor": {"healthy_ms": 1, "budget": 63}})
    node = cluster.nodes[0]
    supervisor = node.processes()["supervisor"]
    wait_leader(cluster.nodes)
    before = {name: descriptors(process) for name, process in node.processes().items()}
    for turn in range(house.times(10, 60)):
        name = tool.CHILDREN[1 + turn % 3]  # storage last: it takes the others along
        victim = node.processes()[name]
        tool.send_signal(victim, signal.SIGKILL)
        wait_for("another %s" % name, 5, lambda: node.is_up() and node.processes().get(name, victim) != victim)
    wait_leader(cluster.nodes)
    put_until_done(node.places()["api"], "after")

    def settled():
        return all(descriptors(process) <= before[name] + 3 for name, process in node.processes().items())
    wait_for("descriptors as before: %s" % before, 10, settled)
    check(len(children(supervisor)) == len(tool.CHILDREN), "children of the supervisor: %s" % children(supervisor))


def files_of(process):
    """How many descriptors a process may have open."""
    with open("/proc/%d/limits" % process["pid"]) as file:
        return int(next(line for line in file if line.startswith("Max open files")).split()[3])


def test_many_silent_connections_starve_nobody(house):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CONNECTIONS + 500:
        raise Skipped("only %d descriptors may be open here" % hard)
    cluster = house.cluster(1, start=False)
    node = cluster.nodes[0]
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # as a login shell has it
        cluster.up()
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for name in tool.CHILDREN:
            check(files_of(node.processes()[name]) == hard, "%s contents itself with %d" % (name, files_of(node.processes()[name])))
        host, port = node.places()["api"][len("tcp://"):].rsplit(":", 1)
        for _ in range(house.times(100, CONNECTIONS)):
            held.append(socket.create_connection((host, int(port)), 5))
        begin = time.monotonic()
        put_until_done(node.places()["api"], "in the crowd", 3)
        house.say("a write beside %d silent connections: %.0f ms" % (len(held), 1000 * (time.monotonic() - begin)))
    finally:
        for silent in held:
            silent.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_message_without_an_end_costs_the_api_its_life_at_most(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    thrower = context.socket(zmq.DEALER)
    thrower.linger = 0
    thrower.sndhwm = 10
    thrower.connect(node.places()["api"])
    frame, before = b"x" * (1 << 20), node.processes()
    try:
        for _ in range(house.times(400, 6000)):  # MiB
            if not thrower.poll(2000, zmq.POLLOUT):
                break  # nobody takes it any more
            thrower.send(frame, zmq.SNDMORE)
            if node.processes().get("api") != before["api"]:
                break
    finally:
        thrower.close()
    wait_up(node)
    wait_leader(cluster.nodes)
    put_until_done(node.places()["api"], "after")
    after = node.processes()
    check({name: after[name] for name in after if name != "api"} == {name: before[name] for name in before if name != "api"},
          "it cost more than the api")
    house.say("the api %s" % ("was started anew" if after["api"] != before["api"] else "lived"))


def test_a_server_without_a_key_is_told_nothing(house):
    """No downgrade: who speaks CURVE to a peer says nothing to one that does not."""
    cluster = house.cluster()
    victim = cluster.nodes[2]
    victim.kill()
    seen = len(log_of(cluster.nodes[0]))
    false = context.socket(zmq.ROUTER)
    false.linger = 0
    watcher = false.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
    try:
        false.bind(victim.places()["peer"])
        for _ in range(4):  # both of the others knock, more than once
            check(watcher.poll(10000), "nobody tried to connect")
            event = int.from_bytes(watcher.recv_multipart()[0][:2], "little")
            check(event == zmq.EVENT_ACCEPTED, "a handshake succeeded")
        check(not false.poll(200), "it was told something")
    finally:
        false.disable_monitor()
        watcher.close()
        false.close()
    check("peer_connected endpoint=%s" % victim.places()["peer"] not in log_of(cluster.nodes[0])[seen:], "taken for a peer")
    wait_for("the port", 10, lambda: port_is_free(victim.places()["peer"]))
    victim.start()
    wait_leader(cluster.nodes)


def port_is_free(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, int(port)))
        return True
    except OSError:
        return False
    finally:
        probe.close()
