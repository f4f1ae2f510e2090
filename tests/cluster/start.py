"""One node: how it starts, what it refuses, how it ends."""
import os
import re
import signal
import socket
import subprocess

from harness import (Skipped, ask_until, ask, check, log_of, put_until_done, read_json, status, tool, wait_for,
                     wait_up)

CHANGEAGENTD = os.path.join(tool.BIN, "changeagentd")


def run_to_end(argv, seconds=20):
    done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def test_a_node_without_configuration(house):
    for port in (7600, 7601, 7602):
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Skipped("port %d is taken" % port) from error
        finally:
            probe.close()
    data = os.path.join(house.dir, "data")
    with open(os.path.join(house.dir, "log.txt"), "w") as log:
        house.run([CHANGEAGENTD, "--data", data], stdout=log, stderr=log)
    wait_for("a leader", 20, lambda: (ask("tcp://127.0.0.1:7600", "status", 1) or {}).get("role") == "leader")
    check(put_until_done("tcp://127.0.0.1:7600", "hello")["id"] == 1, "the first write has another id")
    pids = read_json(os.path.join(data, "run", "pids.json"))
    house.processes[-1].send_signal(signal.SIGTERM)
    check(house.processes[-1].wait(timeout=20) == 0, "it did not end with code 0")
    check(not any(tool.lives(process) for process in pids["pids"].values()), "a child is left")


def test_what_is_written_is_there_after_a_restart(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    api = node.places()["api"]
    first = put_until_done(api, "one")
    wait_for("the change to be applied", 5, lambda: (status(node) or {}).get("last_id") == first["id"])
    chain = status(node)["chain"]
    for stop in (node.stop, node.kill):
        stop()
        node.start()
        wait_for("a leader", 15, lambda: (status(node) or {}).get("role") == "leader")
        found = ask_until(api, "get", "get_is", id=first["id"])
        check(bytes(found["change"]["data"]) == b"one", "another change at the id")
        check(status(node)["chain"] == chain, "another chain after the restart")


def test_a_killed_supervisor_leaves_nothing_behind(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    for paused in (None, "storage"):
        victims = node.processes()
        check(len(victims) == 5, "%d processes" % len(victims))
        if paused:
            tool.send_signal(victims[paused], signal.SIGSTOP)
        tool.send_signal(victims["supervisor"], signal.SIGKILL)
        wait_for("the end of all", 5, lambda: not any(map(tool.lives, victims.values())))
        node.start()
        wait_up(node)


def test_a_second_supervisor_is_refused_and_told_who_is_there(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    holder = node.processes()["supervisor"]["pid"]
    code, text = run_to_end([CHANGEAGENTD, "--config", node.config, "--lock-wait-ms", "200"])
    check(code == 111, "code %d" % code)
    check("E_LOCKED" in text and "holder_pid=%d" % holder in text, text)
    check(status(node)["role"] == "leader", "the first one was disturbed")


def test_a_killed_child_is_back_at_once(house):
    cluster = house.cluster(1, extra={"supervisor": {"healthy_ms": 1}})
    node = cluster.nodes[0]
    for name in tool.CHILDREN:
        victim = node.processes()[name]
        tool.send_signal(victim, signal.SIGKILL)
        wait_for("another %s" % name, 2, lambda: node.processes().get(name, victim) != victim, every=0.005)
        wait_up(node)
    wait_for("a leader", 15, lambda: (status(node) or {}).get("role") == "leader")
    put_until_done(node.places()["api"], "after")


def test_who_dies_again_and_again_takes_the_node_down(house):
    cluster = house.cluster(1, extra={"supervisor": {"budget": 2, "healthy_ms": 1}})
    node = cluster.nodes[0]
    supervisor = node.processes()["supervisor"]
    for _ in range(3):
        wait_up(node)
        victim = node.processes()["discovery"]
        tool.send_signal(victim, signal.SIGKILL)
        wait_for("its end", 5, lambda: node.processes().get("discovery") != victim)
    wait_for("the end of the node", 15, lambda: not tool.lives(supervisor))
    check("event=node_down because_of=discovery code=111" in log_of(node), "the log does not say why")
    check(not node.processes(), "a child is left")


MISTAKES = {
    # name: (content, words the complaint must hold)
    "unknown section": ("nodes\n    name = a\n", ["nodes"]),
    "unknown key": ("consensus\n    hartbeat_ms = 100\n", ["consensus/hartbeat_ms"]),
    "not a number": ("consensus\n    heartbeat_ms = soon\n", ["consensus/heartbeat_ms", "soon"]),
    "out of range": ("supervisor\n    budget = 1000\n", ["supervisor/budget", "1000"]),
    "not yes or no": ("api\n    plain = maybe\n", ["api/plain", "maybe"]),
    "no endpoint": ("api\n    listen = localhost\n", ["api/listen", "localhost"]),
    "no log level": ("node\n    log_level = loud\n", ["node/log_level", "loud"]),
    "bytes of nobody": ("\x01\x02\xff\x00garbage", []),
    "a member without a key": ('consensus\n    member = "tcp://127.0.0.1:1"\n', ["member"]),
    "a hint that is none": ('discovery\n    member = "somewhere"\n', ["discovery/member", "somewhere"]),
    "an election faster than the heartbeat": (
        "consensus\n    heartbeat_ms = 1000\n    election_min_ms = 500\n    election_max_ms = 600\n", ["election"]),
}

STARTS_FIRST = ("a hint that is none",)
PLACES = 'consensus\n    listen = "tcp://127.0.0.1:%d"\napi\n    listen = "tcp://127.0.0.1:%d"\n    stream = "tcp://127.0.0.1:%d"\n'


def test_each_mistake_in_the_configuration_is_told(house):
    silent = []
    for name, (content, words) in MISTAKES.items():
        path = os.path.join(house.dir, "wrong.zpl")
        if name in STARTS_FIRST:  # found by a process as it starts, not by the schema
            content += PLACES % tuple(tool.free_ports(3))
        with open(path, "wb") as file:
            file.write(content.encode("latin-1"))
        data = os.path.join(house.dir, re.sub(" ", "_", name))
        code, text = run_to_end([CHANGEAGENTD, "--config", path, "--data", data])
        missing = [word for word in words if word not in text]
        if code != 100 or missing:
            silent.append("%s: code %d, without %s in %r" % (name, code, missing, text[-600:]))
    for flags, word in ((["--config", "/no/such/file"], "/no/such/file"), (["--dta", "x"], "--dta"), (["--data"], "--data")):
        code, text = run_to_end([CHANGEAGENTD] + flags)
        if code != 100 or word not in text:
            silent.append("%s: code %d %r" % (flags, code, text[-600:]))
    check(not silent, "\n".join(silent))


def test_the_key_is_made_once_and_shown(house):
    data = os.path.join(house.dir, "data")
    code, first = run_to_end([CHANGEAGENTD, "--data", data, "--show-key"])
    check(code == 0 and re.fullmatch(r"[0-9a-z]{1,13} [!-~]{40}\n", first), "code %d %r" % (code, first))
    check(run_to_end([CHANGEAGENTD, "--data", data, "--show-key"]) == (0, first), "another key the second time")
    secret = os.path.join(data, "identity", "node.key_secret")
    check(os.stat(secret).st_mode & 0o777 == 0o600, "the secret key may be read by others")
    os.chmod(secret, 0o644)
    code, text = run_to_end([CHANGEAGENTD, "--data", data])
    check(code == 100 and "others may read" in text, "code %d %r" % (code, text))
