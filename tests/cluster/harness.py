"""What the process tests share: a cluster of their own, load with a history, asks by plain ZeroMQ.

A test is a function test_...(house). Whatever it starts is killed by pid when it ends, also when it
fails. Nothing sleeps to hope: every wait is for an event, with a deadline.
"""
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import msgpack
import zmq

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LOAD = os.path.join(ROOT, os.environ.get("LOAD", "build/plain/tests/cluster/load"))


def load_module(name, path):
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


tool = load_module("cluster_tool", os.path.join(ROOT, "scripts", "cluster"))
history_check = load_module("history_check", os.path.join(ROOT, "tests", "history", "check.py"))
wait_for, Failed = tool.wait_for, tool.Failed


class Skipped(Exception):
    """This machine cannot run the test, and why."""


def check(condition, text):
    if not condition:
        raise Failed(text)


# ---- asks, by plain ZeroMQ ------------------------------------------------------------------

context = zmq.Context()


def ask(endpoint, verb, seconds=2.0, **fields):
    """One ask, one answer as a dict; None if there was none in time."""
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    try:
        socket.connect(endpoint)
        socket.send(msgpack.packb(dict(fields, verb=verb, req=1), use_bin_type=True))
        if not socket.poll(int(seconds * 1000)):
            return None
        return msgpack.unpackb(socket.recv(), raw=False)
    finally:
        socket.close()


def ask_until(endpoint, verb, wanted, **fields):
    """Asks again while the answer is one that says so; the answer wanted, or Failed."""
    seen = []

    def good():
        answer = ask(endpoint, verb, 5, **fields)
        seen.append(answer)
        check(answer is None or answer["verb"] == wanted or answer.get("retryable"), "%s: %r" % (verb, answer))
        return answer if answer is not None and answer["verb"] == wanted else None
    try:
        return wait_for(wanted, 20, good, every=0.05)
    except Failed as failed:
        raise Failed("%s; the last answer: %r" % (failed, seen[-1])) from failed


STATUS_EMPTY = {"node": "", "role": "", "leader": "", "term": 0, "last_id": 0, "chain": ""}


def status(node, seconds=2.0):
    answer = ask(node.places()["api"], "status", seconds)
    if answer is None or answer.get("verb") != "status_is":
        return None
    return dict(STATUS_EMPTY, **answer)  # what is 0 or empty need not be sent


def dump(node, since=0):
    """Everything a node holds, as rows for the checker; with `since`, what is behind it."""
    rows = []
    while True:
        page = ask_until(node.places()["api"], "list", "list_is", since=since, limit=10000, bytes=4 << 20)
        for change in page["changes"]:
            rows.append({"id": change["id"], "data": bytes(change.get("data", b"")).decode(),
                         "hash": bytes(change["hash"]).hex(), "ts": change.get("ts", 0)})
        if page["at_end"] or not page["changes"]:
            return rows
        since = rows[-1]["id"]


def put(endpoint, text, seconds=10.0):
    """One write by hand, without any library; the answer, None if there was none in time."""
    hello = ask(endpoint, "hello", seconds)
    check(hello is not None, "no hello from %s" % endpoint)
    body = msgpack.packb({"changes": [{"type": 1, "data": text.encode()}]}, use_bin_type=True)
    return ask(endpoint, "put", seconds, txid=os.urandom(16), born=hello["born"], attempt=1, body=body)


def put_map(endpoint, body, seconds=10.0, **more):
    """One put of a map, as msgpack; `more` says what kind it is, if it is not one of changes. The answer."""
    born = ask_until(endpoint, "hello", "hello_is")["born"]
    return ask(endpoint, "put", seconds, born=born, body=msgpack.packb(body, use_bin_type=True),
               **dict({"txid": os.urandom(16), "attempt": 1}, **more))


def run_tool(node, *words):
    """The command line, at this node; its exit code, what it said, and on stderr."""
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), *words, "--endpoints", node.places()["api"]],
                          capture_output=True, text=True, check=False, timeout=40)
    return done.returncode, done.stdout, done.stderr


def put_until_done(endpoint, text, seconds=20):
    """A write that has to succeed: asked again (as another one) while the answer may be retried."""
    seen = []

    def good():
        answer = put(endpoint, text)
        seen.append(answer)
        check(answer is None or answer["verb"] == "put_done" or answer.get("retryable"), "put: %r" % answer)
        return answer if answer is not None and answer["verb"] == "put_done" else None
    try:
        return wait_for("a write", seconds, good, every=0.05)
    except Failed as failed:
        raise Failed("%s; the last answer: %r" % (failed, seen[-1:])) from failed


# ---- load -----------------------------------------------------------------------------------


class Load:
    """Clients that write through the library until told to stop, each with its history."""

    def __init__(self, directory, nodes, clients=4, rate=0, count=0, name="c", size=0):
        self.processes, self.paths = [], []
        apis = [node.places()["api"] for node in nodes]
        for slot in range(clients):
            turn = slot % len(apis)
            path = os.path.join(directory, "history-%s%d.ndjson" % (name, slot))
            argv = [LOAD, "--endpoints", ",".join(apis[turn:] + apis[:turn]), "--client", "%s%d" % (name, slot),
                    "--rate", str(rate), "--count", str(count), "--tag", "t%d" % slot, "--bytes", str(size)]
            with open(path, "w") as out:
                self.processes.append(subprocess.Popen(argv, stdout=out))
            self.paths.append(path)

    def history(self):
        return [line for path in self.paths for line in history_check.read_lines(path)]

    def size(self):
        """How much was answered so far; grows while the cluster works."""
        return sum(os.path.getsize(path) for path in self.paths)

    def wait_progress(self, seconds=20, bytes_more=2000):
        begin = self.size()
        wait_for("answers to the load", seconds, lambda: self.size() >= begin + bytes_more)

    def stop(self, seconds=60):
        """Ends the clients in good order: each finishes the write in hand."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            check(process.wait(timeout=seconds) == 0, "a client ended with code %s" % process.returncode)
        return self.history()

    def wait(self, seconds=120):
        for process in self.processes:
            check(process.wait(timeout=seconds) == 0, "a client ended with code %s" % process.returncode)
        return self.history()

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Follower:
    """One client that follows everything from the first change on, through the project's own command."""

    def __init__(self, directory, nodes, name):
        self.path = os.path.join(directory, "followed-%s.ndjson" % name)
        argv = [os.path.join(tool.BIN, "changeagent"), "follow", "-o", "ndjson", "--since", "0",
                "--endpoints", ",".join(node.places()["api"] for node in nodes)]
        with open(self.path, "w") as out:
            self.process = subprocess.Popen(argv, stdout=out)

    def last_id(self):
        """The id shown last; 0 before the first."""
        with open(self.path, "rb") as file:
            file.seek(max(0, os.path.getsize(self.path) - 200000))
            lines = file.read().split(b"\n")
        return json.loads(lines[-2])["id"] if len(lines) > 1 else 0

    def finish(self, head, seconds=30):
        """Ends it when it was shown the head. Gives what it was shown."""
        check(self.process.poll() is None, "a follower ended with code %s" % self.process.returncode)
        wait_for("a follower at %d to be shown %d" % (self.last_id(), head), seconds,
                 lambda: self.last_id() >= head, every=0.05)
        self.kill()
        return history_check.read_lines(self.path)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


# ---- one test's house -----------------------------------------------------------------------


class House:
    """Directory, clusters, loads and processes of one test."""

    def __init__(self, name, long):
        self.name, self.long = name, long
        self.dir = tempfile.mkdtemp(prefix="ca-%s." % name[:20], dir=os.environ.get("TEST_TMP", "/tmp"))
        self.clusters, self.loads, self.processes, self.mounts = [], [], [], []
        self.followers, self.networks = [], []

    def say(self, text):
        print("     %s" % text, flush=True)

    def only_long(self, instead):
        """What takes long and has another test too is left to the full counts."""
        if not self.long:
            raise Skipped("only with --long; else there is %s" % instead)

    def times(self, quick, full):
        return full if self.long else quick

    def cluster(self, count=3, extra=None, start=True):
        cluster = tool.Cluster(os.path.join(self.dir, "c%d" % len(self.clusters)))
        os.makedirs(cluster.base, exist_ok=True)
        self.clusters.append(cluster)
        cluster.make(count, extra)
        if start:
            cluster.up()
        return cluster

    def cluster_apart(self, count=3):
        """A cluster whose nodes each have a network of their own. Gives it and the network between them."""
        import network  # it needs this file
        between = network.Network(count)
        self.networks.append(between)
        between.open()
        cluster = tool.Cluster(os.path.join(self.dir, "c%d" % len(self.clusters)))
        os.makedirs(cluster.base, exist_ok=True)
        self.clusters.append(cluster)
        cluster.make(count, {"api": {"plain": "yes"}, "supervisor": {"budget": 63}}, between.homes())
        cluster.up()
        return cluster, between

    def load(self, nodes, **more):
        self.loads.append(Load(self.dir, nodes, name="l%dc" % len(self.loads), **more))
        return self.loads[-1]

    def follow(self, nodes):
        """A follower of its own for each node, which may go to the others; judge() asks what they saw."""
        for turn in range(len(nodes)):
            self.followers.append(Follower(self.dir, nodes[turn:] + nodes[:turn], "f%d" % len(self.followers)))

    def run(self, argv, **more):
        process = subprocess.Popen(argv, **more)
        self.processes.append(process)
        return process

    def mount_tmpfs(self, path, size):
        if os.geteuid() != 0:
            raise Skipped("only root mounts a small tmpfs")
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s" % size, "tmpfs", path], check=False,
                              capture_output=True)
        if done.returncode != 0:
            raise Skipped("no tmpfs here: %s" % done.stderr.decode().strip())
        self.mounts.append(path)

    def judge(self, cluster, history, least=1, reads=None):
        """All nodes level, and every promise kept: on each of them, and towards the followers."""
        def level():
            states = [status(node) for node in cluster.nodes]
            return None not in states and len({(s["last_id"], s["chain"]) for s in states}) == 1
        try:
            wait_for("all nodes to be level", 30, level, every=0.05)
        except Failed as failed:
            raise Failed("%s: %s" % (failed, describe(cluster.nodes))) from failed
        nodes = {node.name: dump(node) for node in cluster.nodes}
        head = max(len(rows) for rows in nodes.values())
        followed = {os.path.basename(follower.path): follower.finish(head) for follower in self.followers}
        faults = history_check.check(history, nodes, followed, reads)
        acked = sum(write["code"] == "ok" for write in history)
        self.say("%d writes, %d acknowledged, %d faults" % (len(history), acked, len(faults)))
        if faults:  # for the tool: tests/history/README.md
            for name, rows in nodes.items():
                self.keep("node-%s.ndjson" % name, rows)
            self.keep("reads.ndjson", reads or [])
        check(not faults, "; ".join(faults[:5]))
        check(acked >= least, "only %d writes were acknowledged" % acked)

    def keep(self, name, rows):
        with open(os.path.join(self.dir, name), "w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")

    def close(self, failed):
        for client in self.loads + self.followers:
            client.kill()
        for cluster in self.clusters:
            cluster.kill_all()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for network in self.networks:
            network.close()
        for path in self.mounts:
            subprocess.run(["umount", path], check=False)
        if failed and not os.environ.get("TEST_DROP"):
            print("     everything is kept in %s" % self.dir, flush=True)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


# ---- waiting for a cluster ------------------------------------------------------------------


def leader_of(nodes):
    """The node that all of these call the leader; None while they do not agree."""
    states = [status(node, 1.0) for node in nodes]
    if None in states or len({state["leader"] for state in states}) != 1 or not states[0]["leader"]:
        return None
    for node, state in zip(nodes, states):
        if state["node"] == state["leader"] and state["role"] == "leader":
            return node
    return None


def wait_leader(nodes, seconds=15):
    try:
        return wait_for("a leader", seconds, lambda: leader_of(nodes), every=0.02)
    except Failed as failed:
        raise Failed("%s: %s" % (failed, describe(nodes))) from failed


def describe(nodes):
    """What each node says of itself, for a test that failed."""
    words = ("role", "term", "leader", "waits_for", "commit_index", "applied_index", "last_id")
    states = [(node.name, status(node, 1.0)) for node in nodes]
    return "; ".join("%s %s" % (name, state and {word: state.get(word) for word in words}) for name, state in states)


def wait_up(node, seconds=15):
    wait_for("node %s" % node.name, seconds, node.is_up)


SILENT_S = 3  # several election timeouts


def must_stay(seconds, good, text):
    """That something does not happen has no event to wait for: it holds for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        check(good(), text)
        time.sleep(0.05)


def leads(node):
    return (status(node) or {}).get("role") == "leader"


def log_of(node):
    with open(node.log, errors="replace") as file:
        return file.read()


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def longest_gap(history, begin_us, end_us):
    """Longest time without an acknowledgement within a window, in milliseconds."""
    times = sorted(write["answered"] for write in history
                   if write["code"] == "ok" and begin_us <= write["answered"] <= end_us)
    check(len(times) > 1, "nothing was acknowledged around the kill")
    return max(after - before for before, after in zip(times, times[1:])) / 1000.0


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def read_json(path):
    with open(path) as file:
        return json.load(file)
