"""Hostile bytes on every socket: refused, told in the log, and the service goes on."""
import os
import random
import socket
import struct

import msgpack
import zmq

from harness import check, context, log_of, put_until_done, status, wait_for, wait_leader

SEED = 4711


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
    yield b"\x82\xa4verb\xa4head\xa4verb\xa4head"
    yield msgpack.packb({"verb": b"\xff\xfe", "req": 1})
    yield msgpack.packb(list(range(300)))
    for number in (1, 3, 40, 44, 60, 62, 64, 66, 80, 200, 201, 255, 256, 70000):
        yield msgpack.packb([number])
        yield msgpack.packb([number] + [b"x"] * 20)
        yield msgpack.packb([number] + [2**63] * 20)


def throw_messages(endpoint, kind, frames_before=()):
    thrower = context.socket(kind)
    thrower.linger = 500
    thrower.connect(endpoint)
    count = 0
    for body in bodies():
        thrower.send_multipart(list(frames_before) + [body])
        count += 1
    thrower.send_multipart([b"f"] * 200)  # many frames where one or two are wanted
    thrower.close()
    return count


def throw_bytes(address, family=socket.AF_INET):
    """What speaks no ZMTP at all, and what breaks off or lies in the middle of it."""
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
        except OSError:
            pass  # being thrown out early is a good answer
        finally:
            victim.close()


def goes_on(cluster, before):
    """No process died, and a write goes through every node."""
    leader = wait_leader(cluster.nodes)
    for node in cluster.nodes:
        check({name: p["pid"] for name, p in node.processes().items()} == before[node.name], "a process of %s died" % node.name)
        put_until_done(node.places()["api"], "after the garbage")
    return leader


def pids(cluster):
    return {node.name: {name: p["pid"] for name, p in node.processes().items()} for node in cluster.nodes}


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
    leader = goes_on(cluster, before)
    check(status(leader)["term"] == term, "the garbage caused an election")


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
        count += throw_messages("ipc://" + path, zmq.DEALER)
        throw_bytes(path, socket.AF_UNIX)
    house.say("%d hostile messages on %s" % (count, " ".join(sockets)))
    goes_on(cluster, before)
    told = log_of(node).count("event=refused")
    check(1 <= told < 100, "%d lines in the log" % told)
