"""Hostile bytes on every socket: refused, told in the log, and the service goes on."""
import itertools
import os
import random
import re
import socket
import struct
import subprocess

import msgpack
import zmq

from harness import Skipped, check, context, log_of, put_until_done, status, wait_for, wait_leader

SEED = 4711
LINK_HELLO = 200


def address_of(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    return host, int(port)


def bodies():
    """Random bytes, cut messages, nests, bombs, lies about lengths."""
    chance = random.Random(SEED)
    whole = msgpack.packb({"verb": "put", "req": 1, "txid": b"0" * 16, "body": b"x" * 100}, use_bin_type=True)
    yield b""
    for size in (1, 2, 5, 50, 1000, 100000):
        yield bytes(chance.randrange(256) for _ in range(size))
    for cut in range(0, len(whole), 7):
        yield whole[:cut]
    yield whole + whole
    for head in (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
                 b"\xc9\xff\xff\xff\xff\x01", b"\xdc\xff\xff", b"\xde\xff\xff"):
        yield head
        yield b"\x81\xa4verb" + head
    for opening in (b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01"):
        yield opening * 10000
        yield opening * 10000 + b"\xc0"
    yield msgpack.packb({"verb": "put", "req": 2**64 - 1, "txid": "text", "body": 5})
    yield msgpack.packb({"verb": "nonsense", "req": 1})
    yield msgpack.packb({"verb": "list", "req": 1, "tags": ["t"] * 100000})
    yield msgpack.packb({"verb": "list", "req": 1, "limit": -1})
    yield msgpack.packb({"verb": "estimate", "req": 1, "no_tags": ["t"] * 100000})
    yield msgpack.packb({"verb": "estimate", "req": 1, "since": -1, "until": "x"})
    yield b"\x82\xa4verb\xa4head\xa4verb\xa4head"
    yield msgpack.packb({"verb": b"\xff\xfe", "req": 1})
    yield msgpack.packb(list(range(300)))
    for number in (1, 3, 14, 22, 28, 32, 40, 44, 48, 56, 60, 62, 64, 66, 71, 76, 80, 91, 93, 94, 95, 200, 201, 255, 256, 70000):
        yield msgpack.packb([number])
        yield msgpack.packb([number] + [b"x"] * 20)
        yield msgpack.packb([number] + [2**63] * 20)


def peer_bodies():
    """What one server would say to another: every number of a peer message, with an inside that is wrong."""
    for number in range(100, 126):
        for head in ([], [1], [1, b"c" * 16, 1, 1, 1, 1, 1], [2**64 - 1] * 7, ["1"] * 7, [1, b"c", b"d", None, True, {}, []]):
            yield msgpack.packb([number] + head, use_bin_type=True)
            yield msgpack.packb([number] + head + [b"\xff" * 300, 2**63, [b""] * 99], use_bin_type=True)


def throw_messages(endpoint, kind, frames_before=(), keys=None):
    """`keys`: own public and secret key, and that of the server."""
    thrower = context.socket(kind)
    thrower.linger = 2000
    if keys is not None:
        thrower.curve_publickey, thrower.curve_secretkey, thrower.curve_serverkey = keys
    thrower.connect(endpoint)
    count = 0
    for body in itertools.chain(bodies(), peer_bodies()):
        thrower.send_multipart(list(frames_before) + [body])
        count += 1
    thrower.send_multipart([b"f"] * 200)  # many frames where one or two are wanted
    thrower.close()
    return count


def throw_bytes(address, family=socket.AF_INET):
    """What speaks no ZMTP at all, and what breaks off or lies in the middle of it."""
    count = 0
    chance = random.Random(SEED)
    greeting = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
    for raw in (b"GET / HTTP/1.1\r\n\r\n", bytes(chance.randrange(256) for _ in range(4096)), greeting[:20], greeting,
                greeting.replace(b"NULL", b"CURV"), b"\xff" + b"\0" * 8 + b"\x7f\x01\x01",
                greeting + b"\x06" + struct.pack(">Q", 2**62), greeting + b"\x04\x05READY" + b"\xff" * 300,
                b"\x01\x00", b""):
        victim = socket.socket(family)
        victim.settimeout(5)
        try:
            victim.connect(address)
            victim.sendall(raw)
            count += 1
        except OSError:
            pass  # being thrown out early is a good answer
        finally:
            victim.close()
    check(count > 5, "only %d connections could be made" % count)


def throw_frames(path):
    """Frames as the processes of a node send them, with nonsense inside."""
    count = 0
    thrower = socket.socket(socket.AF_UNIX)
    thrower.settimeout(5)
    try:
        thrower.connect(path)
        for body in itertools.chain(bodies(), peer_bodies()):
            thrower.sendall(b"chn1" + struct.pack("<I", len(body)) + body)
            count += 1
    finally:
        thrower.close()
    return count


def memory_of(process):
    """Resident memory of a process, in MiB."""
    with open("/proc/%d/status" % process["pid"]) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def told(node, event, more=""):
    return sum(1 for line in log_of(node).splitlines() if " event=%s " % event in line + " " and more in line)


def wait_told(node, event, more="", most=2):
    """It is told, and not in a line each: the log is not filled by strangers."""
    wait_for("%s %s in the log" % (event, more), 15, lambda: told(node, event, more))
    check(told(node, event, more) <= most, "%d lines of %s" % (told(node, event, more), event))


def goes_on(cluster, before):
    """No process died, and a write goes through every node."""
    leader = wait_leader(cluster.nodes)
    for node in cluster.nodes:
        check({name: p["pid"] for name, p in node.processes().items()} == before[node.name], "a process of %s died" % node.name)
        put_until_done(node.places()["api"], "after the garbage")
    return leader


def pids_of(nodes):
    return {node.name: {name: p["pid"] for name, p in node.processes().items()} for node in nodes}


def pids(cluster):
    return pids_of(cluster.nodes)


def test_garbage_on_the_client_ports(house):
    cluster = house.cluster()
    before = pids(cluster)
    node = cluster.nodes[0]
    count = throw_messages(node.places()["api"], zmq.DEALER, [b""])
    count += throw_messages(node.places()["api"], zmq.DEALER)
    throw_bytes(address_of(node.places()["api"]))
    count += throw_messages(node.places()["stream"], zmq.XSUB)
    throw_bytes(address_of(node.places()["stream"]))
    house.say("%d hostile messages" % count)
    wait_told(node, "client_refused")
    check(memory_of(node.processes()["api"]) < 150, "the api holds %d MiB" % memory_of(node.processes()["api"]))
    goes_on(cluster, before)


def test_garbage_on_the_peer_ports(house):
    cluster = house.cluster()
    before = pids(cluster)
    term = status(wait_leader(cluster.nodes))["term"]
    for node in cluster.nodes:
        peer = node.places()["peer"]
        throw_bytes(address_of(peer))
        for key in (None, "stranger") if node is cluster.nodes[0] else (None,):  # a stranger is kept waiting
            thrower = context.socket(zmq.DEALER)
            thrower.linger = 0
            if key:  # a key of its own that no list names
                thrower.curve_publickey, thrower.curve_secretkey = zmq.curve_keypair()
                thrower.curve_serverkey = node.places()["key"].encode()
            watcher = thrower.get_monitor_socket()
            thrower.connect(peer)
            wait_for("the refusal", 10, lambda: refused(watcher))
            thrower.disable_monitor()
            watcher.close()
            thrower.close()
    wait_told(cluster.nodes[0], "connection_refused")
    leader = goes_on(cluster, before)
    check(status(leader)["term"] == term, "the garbage caused an election")


def keys_of(node):
    """The CURVE keys of a node, as its own processes read them."""
    with open(os.path.join(node.data, "identity", "node.key_secret")) as file:
        text = file.read()
    return [re.search(r'%s-key = "(.{40})"' % word, text).group(1).encode() for word in ("public", "secret")]


def test_garbage_of_a_server_that_has_a_key(house):
    """A member gone mad: it may enter, and still nothing that it says is believed."""
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    mad = next(node for node in cluster.nodes if node is not leader)
    rest = [node for node in cluster.nodes if node is not mad]
    mad.kill()
    put_until_done(leader.places()["api"], "before")
    term, before = status(leader)["term"], pids_of(rest)
    count = 0
    for node in rest:
        keys = keys_of(mad) + [node.places()["key"].encode()]
        count += throw_messages(node.places()["peer"], zmq.DEALER, keys=keys)
        wait_told(node, "peer_refused", most=3)
        check(memory_of(node.processes()["consensus"]) < 150, "consensus holds %d MiB" % memory_of(node.processes()["consensus"]))
    house.say("%d hostile messages" % count)
    check(pids_of(rest) == before, "a process died")
    check(status(leader)["term"] == term and status(leader)["role"] == "leader", "the garbage caused an election")
    mad.start()
    wait_leader(cluster.nodes)
    put_until_done(mad.places()["api"], "after the garbage")


def refused(watcher):
    """The handshake failed or the connection ended, and it never succeeded."""
    while watcher.poll(10):
        event = struct.unpack("=H", watcher.recv_multipart()[0][:2])[0]
        check(event != zmq.EVENT_HANDSHAKE_SUCCEEDED, "a stranger was let in")
        if event in (zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED, zmq.EVENT_HANDSHAKE_FAILED_AUTH,
                     zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL):
            return True
    return False


def test_garbage_on_the_inner_sockets(house):
    cluster = house.cluster()
    before = pids(cluster)
    node = cluster.nodes[0]
    run_dir = node.recorded()["run_dir"]
    sockets = sorted(name for name in os.listdir(run_dir) if name.endswith(".ipc"))
    check(len(sockets) >= 2, "only %s in %s" % (sockets, run_dir))
    count = 0
    for name in sockets:
        path = os.path.join(run_dir, name)
        count += throw_frames(path)
        throw_bytes(path, socket.AF_UNIX)
    house.say("%d hostile messages on %s" % (count, " ".join(sockets)))
    goes_on(cluster, before)
    lines = log_of(node).count("event=refused ")
    check(1 <= lines <= len(sockets), "%d lines in the log for %d sockets" % (lines, len(sockets)))


def test_who_speaks_no_zmtp_is_told_once(house):
    cluster = house.cluster(1)
    before, node = pids(cluster), cluster.nodes[0]
    silent = []
    for port in ("api", "stream", "peer"):
        throw_bytes(address_of(node.places()[port]))
        silent.append(socket.create_connection(address_of(node.places()[port]), 5))
    for port in ("asks", "stream", "peers"):
        wait_told(node, "strangers_refused", "port=%s " % port, most=1)
    for one in silent:  # who never says anything is shown out
        one.settimeout(5)
        while one.recv(1000):
            pass
        one.close()
    goes_on(cluster, before)


def ask_head(one, number):
    one.send_multipart([b"", msgpack.packb({"verb": "head", "req": number})])


def answer_of(one, who):
    check(one.poll(5000), "%s is not answered" % who)
    return msgpack.unpackb(one.recv_multipart()[1])["req"]


def test_a_stolen_name_gets_nobodys_answers(house):
    """A routing id is no identity: who takes another one's hears the answers to its own asks, and no other."""
    cluster = house.cluster(1)
    api = cluster.nodes[0].places()["api"]
    owner, thief = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    numbers = range(1, 20)
    try:
        for one, who in ((owner, "the owner"), (thief, "the thief")):  # each is there before they go on
            one.linger = 0
            one.routing_id = b"name"
            one.connect(api)
            ask_head(one, 900)
            check(answer_of(one, who) == 900, "another one's answer")
        for number in numbers:  # asks of both are under way at once
            ask_head(owner, number)
            if number % 3 == 0:
                ask_head(thief, 1000 + number)
        heard = sorted(answer_of(owner, "the owner") for _ in numbers)
        check(heard == list(numbers), "the owner heard %s" % heard)
        heard = sorted(answer_of(thief, "the thief") for number in numbers if number % 3 == 0)
        check(heard == [1000 + number for number in numbers if number % 3 == 0], "the thief heard %s" % heard)
        check(not thief.poll(200), "the thief hears more than it asked for")
        thief.close()  # it goes, and its name with it
        ask_head(owner, 500)
        check(answer_of(owner, "the owner") == 500, "another one's answer")
        check(not owner.poll(0), "the owner hears more than it asked for")
    finally:
        owner.close()
        thief.close()


def test_the_inner_sockets_are_closed_to_other_users(house):
    if os.geteuid() != 0:
        raise Skipped("only root can be somebody else")
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    run_dir = node.recorded()["run_dir"]
    check(os.stat(run_dir).st_mode & 0o777 == 0o700, "the directory of the sockets is open")
    for path in (house.dir, cluster.base, node.dir, node.data, run_dir):
        os.chmod(path, 0o755)  # suppose that somebody opened the way: the sockets look for themselves
    sockets = sorted(name for name in os.listdir(run_dir) if name.endswith(".ipc"))
    for name in sockets:
        path = os.path.join(run_dir, name)
        os.chmod(path, 0o777)
        check(greeted(path, own_user=True), "%s does not speak to its own user" % name)
        check(not greeted(path, own_user=False), "%s lets a stranger in" % name)


def greeted(path, own_user):
    """True if a process of this user, or of nobody, is answered at this socket when it says hello."""
    hello = msgpack.packb([LINK_HELLO, 7, "stranger"])
    frame = b"chn1" + struct.pack("<I", len(hello)) + hello
    code = ("import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(3); s.connect(%r)\n"
            "try:\n s.sendall(%r); print(len(s.recv(10)))\nexcept OSError as error: print(error)" % (path, frame))
    done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, check=False, timeout=20,
                          user=None if own_user else "nobody")
    return done.stdout.strip() == b"10"
