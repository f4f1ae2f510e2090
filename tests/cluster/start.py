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


MEMBER = '    member = "tcp://127.0.0.1:%d rq:rM>}U?@Lns47E1%%kR.o@n%%FcmmsL/@{H8]yf7"\n'

MISTAKES = {
    # name: (content, words the complaint must hold; ":2:" is a line number)
    "unknown section": ("nodes\n    name = a\n", ["nodes", ":1:"]),
    "unknown key": ("consensus\n    hartbeat_ms = 100\n", ["consensus/hartbeat_ms", ":2:", "known are"]),
    "a key of another section": ("api\n    heartbeat_ms = 100\n", ["api/heartbeat_ms", ":2:", "known are"]),
    "a key outside of any section": ("heartbeat_ms = 100\n", ["heartbeat_ms", ":1:"]),
    "a section with a value": ("consensus = 5\n", ["consensus", ":1:", "takes no value"]),
    "a key with keys below it": ("consensus\n    heartbeat_ms = 100\n        deeper = 1\n", ["consensus/heartbeat_ms", ":2:"]),
    "a key twice": ("consensus\n    heartbeat_ms = 100\n    heartbeat_ms = 200\n", ["consensus/heartbeat_ms", ":3:", "twice"]),
    "a key without a value": ("consensus\n    heartbeat_ms =\n", ["consensus/heartbeat_ms", ":2:", "no value"]),
    "not a number": ("consensus\n    heartbeat_ms = soon\n", ["consensus/heartbeat_ms", "soon", ":2:"]),
    "a number with a unit": ("consensus\n    heartbeat_ms = 100ms\n", ["consensus/heartbeat_ms", "100ms"]),
    "a number below zero": ("consensus\n    heartbeat_ms = -5\n", ["consensus/heartbeat_ms", "-5"]),
    "a number beyond 64 bits": ("consensus\n    heartbeat_ms = 99999999999999999999\n", ["consensus/heartbeat_ms", "from 10 to"]),
    "out of range": ("supervisor\n    budget = 1000\n", ["supervisor/budget", "1000"]),
    "not yes or no": ("api\n    plain = maybe\n", ["api/plain", "maybe"]),
    "no endpoint": ("api\n    listen = localhost\n", ["api/listen", "localhost"]),
    "no port": ('api\n    listen = "tcp://127.0.0.1"\n', ["api/listen", "tcp://ADDRESS:PORT"]),
    "a port that is none": ('api\n    listen = "tcp://127.0.0.1:99999"\n', ["api/listen", "99999", "65535"]),
    "another transport": ('consensus\n    listen = "pgm://127.0.0.1:7602"\n', ["consensus/listen", "pgm"]),
    "no address of this machine": ('consensus\n    listen = "tcp://203.0.113.7:7602"\n', ["203.0.113.7"]),
    "clients from everywhere": (
        'consensus\n    listen = "tcp://127.0.0.1:%d"\napi\n    listen = "tcp://0.0.0.0:%d"\n    stream = "tcp://127.0.0.1:%d"\n',
        ["api/plain"]),
    "no log level": ("node\n    log_level = loud\n", ["node/log_level", "loud"]),
    "a text that is too long": ("node\n    name = %s\n" % ("x" * 5000), ["node/name", "4096"]),
    "indentation by tabs": ("consensus\n\theartbeat_ms = 100\n", ["(2)", "4 spaces"]),
    "indentation by two": ("consensus\n  heartbeat_ms = 100\n", ["(2)", "4 spaces"]),
    "a quote that never ends": ('node\n    name = "abc\n', ["(2)", '"']),
    "bytes of nobody": ("\x01\x02\xff\x00garbage", ["wrong.zpl"]),
    "a file that is too large": ("#" * (2 << 20), ["1 MiB"]),
    "a member without a key": ('consensus\n    member = "tcp://127.0.0.1:1"\n', ["consensus/member", "PUBLICKEY"]),
    "a member twice": ("consensus\n" + MEMBER % 1 + MEMBER % 2, ["consensus/member", "same key"]),
    "too many members": ("consensus\n" + "".join(MEMBER % port for port in range(1, 18)), ["consensus/member", ":18:", "16 times"]),
    "fewer expected than listed": ("consensus\n    expect = 1\n" + MEMBER % 1, ["consensus/expect", "fewer"]),
    "more expected than there may be": ("consensus\n    expect = 10\n", ["consensus/expect", "10"]),
    "a hint that is none": ('discovery\n    member = "somewhere"\n', ["discovery/member", "somewhere"]),
    "an election faster than the heartbeat": (
        "consensus\n    heartbeat_ms = 1000\n    election_min_ms = 500\n    election_max_ms = 600\n", ["consensus/heartbeat_ms", "half"]),
    "election times turned round": ("consensus\n    election_min_ms = 5000\n", ["consensus/election_min_ms", "election_max_ms"]),
}

# Found by a process as it starts, not by the schema: these need ports that are free.
STARTS_FIRST = ("a hint that is none", "no address of this machine", "clients from everywhere")
PLACES = 'consensus\n    listen = "tcp://127.0.0.1:%d"\napi\n    listen = "tcp://127.0.0.1:%d"\n    stream = "tcp://127.0.0.1:%d"\n'


def with_ports(content):
    ports = tuple(tool.free_ports(3))
    if "%d" in content:
        return content % ports
    return content if "consensus" in content else content + PLACES % ports


def complaint(text):
    """What is said, without the line that shows all settings as they are."""
    return "\n".join(line for line in text.splitlines() if "event=started" not in line)


def test_each_mistake_in_the_configuration_is_told(house):
    silent = []
    for name, (content, words) in MISTAKES.items():
        path = os.path.join(house.dir, "wrong.zpl")
        with open(path, "wb") as file:
            file.write((with_ports(content) if name in STARTS_FIRST else content).encode("latin-1"))
        data = os.path.join(house.dir, re.sub(" ", "_", name))
        code, text = run_to_end([CHANGEAGENTD, "--config", path, "--data", data])
        missing = [word for word in words if word not in complaint(text)]
        if code != 100 or missing:
            silent.append("%s: code %d, without %s in %r" % (name, code, missing, text[-600:]))
    file = os.path.join(house.dir, "wrong.zpl")
    for flags, word in (
            (["--config", "/no/such/file"], "/no/such/file"), (["--config", house.dir], "directory"), (["--dta", "x"], "--dta"),
            (["--data"], "--data"), (["stray"], "stray"), (["--data", file], "directory"), (["--data", ""], "directory"),
            (["--data", "/" + "x" * 5000], "--data"), (["--budget", "many"], "--budget"), (["--run-dir", file], "directory")):
        code, text = run_to_end([CHANGEAGENTD] + (["--data", os.path.join(house.dir, "d")] if "--data" not in flags else []) + flags)
        if code != 100 or word not in complaint(text):
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
