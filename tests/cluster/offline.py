"""The tools for a node that is stopped: verify and salvage, and salvage of a dump that was damaged."""
import glob
import json
import os
import shutil
import struct
import subprocess

from harness import check, put_until_done, tool, wait_for, wait_leader

COMMAND = os.path.join(tool.BIN, "changeagent")
STORAGE_REFUSED, CORRUPT, RETRY, USAGE = 112, 113, 111, 2


def high_water(node):
    """The log index that the node itself has noted as durable; it does so now and then."""
    try:
        with open(os.path.join(node.data, "identity", "high-water"), "rb") as file:
            return struct.unpack_from("<IIQ", file.read())[2]
    except (OSError, struct.error):
        return 0


def run(*argv):
    """Exit code, stdout, stderr."""
    done = subprocess.run((COMMAND,) + argv, capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def filled(house):
    """One node that was stopped well, its dump, and the ids of the dump."""
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    wait_leader(cluster.nodes)
    for number in range(60):
        put_until_done(node.places()["api"], "change %d %s" % (number, "x" * (9000 if number % 20 == 7 else 40)))
    code, dump, _ = run("dump", "--endpoints", node.places()["api"])
    check(code == 0 and dump.count(b"\n") == 60, "the dump has %d lines, code %d" % (dump.count(b"\n"), code))
    return cluster, node, dump


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x20]))


def segment_of(node):
    return sorted(glob.glob(os.path.join(node.data, "log", "*.db")))[0]


def test_a_sound_node_is_verified_and_salvaged(house):
    cluster, node, dump = filled(house)
    code, _, text = run("verify", node.data)
    check(code == RETRY and "stop it first" in text, "verify of a running node: code %d, %s" % (code, text))
    cluster.down()
    code, told, _ = run("verify", node.data)
    check(code == 0 and b"sound: " in told, "verify: code %d, %s" % (code, told.decode()))
    code, salvaged, text = run("salvage", node.data)
    check(code == 0 and salvaged == dump, "salvage: code %d, %s" % (code, text))
    check(run("verify", node.data)[0] == 0, "verify or salvage changed what it read")
    cluster.up()  # and it starts as ever
    for argv, expected in ((("verify",), USAGE), (("verify", house.dir), 100), (("verify", "/no/such/place"), USAGE),
                           (("verify", segment_of(node)), USAGE), (("salvage",), USAGE), (("salvage", "/no/such/place"), USAGE),
                           (("salvage", "a", "b"), USAGE)):
        code = run(*argv)[0]
        check(code == expected, "%s: code %d" % (" ".join(argv), code))


def test_damage_is_named_and_the_rest_given_back(house):
    _, node, dump = filled(house)
    wait_for("the high-water mark", 20, lambda: high_water(node) >= 61)
    node.kill()  # all of it is in the WAL then
    lines, kept = dump.splitlines(True), os.path.join(house.dir, "kept")
    shutil.copytree(node.data, kept, ignore=shutil.ignore_patterns("run"))
    wal = segment_of(node) + "-wal"
    with open(wal, "rb") as file:
        data = file.read()
    at = data.index(b"change 31 ") + 3
    damages = {
        "a bit of the log": lambda: flip(wal, at),
        "the log's WAL is gone": lambda: os.remove(wal),
        "the ballot is gone": lambda: os.remove(os.path.join(node.data, "ballot.db")),
        "a bit of the ballot": lambda: flip(os.path.join(node.data, "ballot.db-wal"), 5000),
        "the log is cut off": lambda: os.truncate(wal, len(data) // 2),
        "the segment is something else": lambda: (os.remove(wal), shutil.copyfile(COMMAND, segment_of(node))),
    }
    for name, damage in damages.items():
        shutil.rmtree(node.data)
        shutil.copytree(kept, node.data)
        damage()
        code, told, _ = run("verify", node.data)
        check(code == CORRUPT and b"damaged: " in told, "%s: verify says code %d, %s" % (name, code, told.decode()[-300:]))
        code, salvaged, text = run("salvage", node.data)
        given = salvaged.splitlines(True)
        check(code in (0, CORRUPT) and all(line in lines for line in given),
              "%s: salvage: code %d, %s" % (name, code, text))
        least = {"the log's WAL is gone": 0, "the log is cut off": 10, "the segment is something else": 0}.get(name, 59)
        check(len(given) >= least, "%s: only %d of 60 changes came back: %s" % (name, len(given), text))
    house.say("%d kinds of damage" % len(damages))


def test_a_damaged_dump_is_salvaged(house):
    _, _, dump = filled(house)
    lines, path = dump.splitlines(True), os.path.join(house.dir, "dump.ndjson")

    def salvage(content):
        with open(path, "wb") as file:
            file.write(content)
        code, out, text = run("salvage", path)
        return code, out.splitlines(True), text

    code, given, text = salvage(dump)
    check(code == 0 and given == lines, "a whole dump: code %d, %s" % (code, text))
    code, given, text = salvage(dump[:-20])
    check(code == CORRUPT and given == lines[:-1], "cut off: code %d, %s" % (code, text))
    code, given, text = salvage(b"".join(lines[:10] + lines[13:]))
    check(code == CORRUPT and given == lines[:10] + lines[13:] and "missing: changes 11 to 13" in text,
          "lines are missing: code %d, %s" % (code, text))
    at = len(b"".join(lines[:20])) + lines[20].index(b"change ")
    code, given, text = salvage(dump[:at] + b"D" + dump[at + 1:])
    check(code == CORRUPT and given == lines[:20] + lines[21:] and "line 21" in text, "one byte: code %d, %s" % (code, text))
    other = dict(json.loads(lines[20]), id=900)
    code, given, text = salvage(b"".join(lines[:20]) + json.dumps(other).encode() + b"\n" + b"".join(lines[21:]))
    check(code == CORRUPT and given == lines[:20] + lines[21:], "another id: code %d, %s" % (code, text))
    code, given, text = salvage(b"\x00\xff garbage \n" * 50 + dump + b"{\"id\":1}\n" + os.urandom(3000))
    check(code == CORRUPT and given == lines, "garbage around it: code %d, %s" % (code, text))
