"""The tools for a node that is stopped: verify and salvage; dumps of both forms, whole and damaged."""
import glob
import json
import os
import shutil
import struct
import subprocess

import msgpack

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
                           (("salvage", "a", "b"), USAGE), (("dump", "-e", "nowhere"), USAGE)):
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


def odd_changes(api):
    """One of each that a form could lose: a key that is gone, a header, data that is no text, an empty key."""
    for words in (("kept", "--key", "k", "--header", 'n=v"w', "--ctype", "text/plain", "--tag", "a", "--tag", "b/c", "--type", "7"),
                  ("", "--key", "k", "--delete"), ("of an empty key", "--key", "")):
        check(run("put", "-e", api, *words)[0] == 0, "put %s" % (words,))
    done = subprocess.run([COMMAND, "put", "-e", api], input=b"no text \xff\x00\x8eCAC", check=False, timeout=60, stdout=subprocess.DEVNULL)
    check(done.returncode == 0, "put of what is no text")


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def changes_of(dump):
    """A binary dump, read as docs/protocol.md has it."""
    at, changes, kinds = 0, [], b""
    while at < len(dump):
        mark, kind, size, body_crc, head_crc = struct.unpack_from("<3scIII", dump, at)
        body = dump[at + 16:at + 16 + size]
        check(mark == b"\x8eCA" and body_crc == crc32c(body) and head_crc == crc32c(dump[at:at + 12]), "the piece at byte %d" % at)
        kinds += kind
        changes += [msgpack.unpackb(body)] if kind == b"C" else []
        at += 16 + size
    check(kinds == b"B" + b"C" * len(changes) + b"E" and struct.unpack("<Q", dump[-8:])[0] == len(changes), "kinds %r" % kinds)
    return changes


def test_dumps_of_both_forms_make_the_same_log(house):
    cluster, node, _ = filled(house)
    api, path = node.places()["api"], os.path.join(house.dir, "dump.bin")
    odd_changes(api)
    lines, binary = run("dump", "-e", api)[1], run("dump", "-e", api, "--format", "binary")[1]
    chain = json.loads(lines.splitlines()[-1])["hash"]
    check(run("dump", "-e", api, "--format", "binary", "--file", path)[0] == 0 and read(path) == binary, "to a file it is another one")
    # It goes on with a file of any of these, and with one that ended long ago.
    early = run("dump", "-e", api, "--since", "62", "--format", "binary")[1]
    for size in (0, 3, 16, 20, 21, 300, len(binary) // 2, len(binary) - 24, len(binary) - 1, len(binary)):
        write(path, binary[:size])
        code, _, text = run("dump", "-e", api, "--file", path, *(("--format", "binary") if size == 0 else ()))
        check(code == 0 and read(path) == binary, "cut to %d of %d: code %d, %s" % (size, len(binary), code, text))
    put_until_done(api, "later")
    code, _, text = run("dump", "-e", api, "--file", path)
    later = read(path)
    check(code == 0 and later[:len(binary) - 24] == binary[:-24] and "1 changes, up to id 65" in text, "later: code %d, %s" % (code, text))
    check(later == run("dump", "-e", api, "--format", "binary")[1], "a dump in two steps is another one")
    check([change["id"] for change in changes_of(early)] == [63, 64], "since an id")
    read_back = [(row["id"], row["ts"], row["hash"].hex(), row.get("key"), row.get("tags", [])) for row in changes_of(binary)]
    check(read_back == [(row["id"], row["ts"], row["hash"], row.get("key"), row["tags"]) for row in map(json.loads, lines.splitlines())],
          "the forms tell different things")
    # Both load into the same chain, also in two steps and again; and each gives the same dump.
    for form in ("ndjson", "binary"):
        whole = lines if form == "ndjson" else binary
        other = house.cluster(1)
        wait_leader(other.nodes)
        there = other.nodes[0].places()["api"]
        write(path, whole[:len(whole) // 2])
        code, _, text = run("load", "-e", there, path)
        check(code == 1 and ("E_CORRUPT" in text if form == "binary" else "E_BAD_REQUEST" in text), "half a dump: code %d, %s" % (code, text))
        write(path, whole)
        for _ in range(2):
            code, _, text = run("load", "-e", there, path)
            check(code == 0 and chain in text, "load of %s: code %d, %s" % (form, code, text))
        check(run("dump", "-e", there, "--format", form)[1] == whole, "%s: the dump of what was loaded" % form)
        other.down()
    # A file of another log stays as it was.
    write(path, binary[:-24])
    stranger = house.cluster(1)
    wait_leader(stranger.nodes)
    code, _, text = run("dump", "-e", stranger.nodes[0].places()["api"], "--timeout", "3000", "--file", path)
    check(code != 0 and read(path) == binary[:-24], "of another log: code %d, %s" % (code, text))
    cluster.down()
    code, salvaged, text = run("salvage", node.data, "--format", "binary")
    check(code == 0 and salvaged == later, "salvage of the node: code %d, %s" % (code, text))


def test_a_damaged_binary_dump_is_named_and_salvaged(house):
    cluster, node, _ = filled(house)
    odd_changes(node.places()["api"])
    api, path = node.places()["api"], os.path.join(house.dir, "dump.bin")
    lines, binary = run("dump", "-e", api)[1].splitlines(True), run("dump", "-e", api, "--format", "binary")[1]
    write(path, binary)
    for form, wanted in ((), binary), (("--format", "ndjson"), b"".join(lines)):
        code, given, text = run("salvage", path, *form)
        check(code == 0 and given == wanted, "a whole dump: code %d, %s" % (code, text))
    write(path, b"".join(lines))
    code, given, text = run("salvage", path, "--format", "binary")
    check(code == 0 and given == binary, "lines to binary: code %d, %s" % (code, text))
    for at in (2, 9, 18, 40, 700, len(binary) // 2, len(binary) - 30, len(binary) - 1):
        damaged = binary[:at] + bytes([binary[at] ^ 0x20]) + binary[at + 1:]
        write(path, damaged)
        for words in (("load", "-e", api, path), ("dump", "-e", api, "--file", path)):
            code, _, text = run(*words)
            check(code in (1, 2) and "E_CORRUPT" in text and "salvage" in text, "%s, byte %d: code %d, %s" % (words[0], at, code, text))
        check(read(path) == damaged, "byte %d: dump changed what it refused" % at)
        code, given, text = run("salvage", path, "--format", "ndjson")
        given = given.splitlines(True)
        check(code == CORRUPT and len(given) >= len(lines) - 1 and all(line in lines for line in given),
              "byte %d: salvage: code %d, %d changes, %s" % (at, code, len(given), text))
    for content, words in ((b"\x00\xffgarbage" * 99, ("E_BAD_REQUEST", "neither")), (b"\x8eCAB", ("E_CORRUPT", "cut off")),
                           (binary + b"x", ("E_CORRUPT", "behind the end")), (binary + binary, ("E_CORRUPT", "behind the end")),
                           (binary[20:], ("E_CORRUPT", "begin"))):
        write(path, content)
        code, _, text = run("load", "-e", api, path)
        check(code == 1 and all(word in text for word in words), "%r…: code %d, %s" % (content[:8], code, text))
    for content in b"notes", b"notes\nof mine", b"{\"mine\": 1}", b"{\"id\": 1,\nmine\n{", b"\x8f" + binary[1:], lines[0] + b"what is this?\n{":
        write(path, content)
        code, _, text = run("dump", "-e", api, "--file", path)
        check(code == USAGE and ("of a dump" in text or "no dump" in text), "%r…: code %d, %s" % (content[:8], code, text))
        check(read(path) == content, "%r…: dump changed what it refused" % content[:8])
    for content in b"", lines[0][:1], lines[0][:-1], lines[0], b"".join(lines[:9])[:-1]:
        write(path, content)
        check(run("dump", "-e", api, "--file", path)[0] == 0 and read(path) == b"".join(lines), "lines cut to %d" % len(content))
    write(path, b"".join(lines[:3]))
    for words in (("dump", "-e", api, "--file", path, "--format", "binary"), ("dump", "-e", api, "--format", "xml"),
                  ("salvage", path, "--format", "xml")):
        code, _, text = run(*words)
        check(code == USAGE and "form" in text, "%s: code %d, %s" % (" ".join(words), code, text))
    write(path, b"".join(lines[:9] + lines[10:]))
    code, given, _ = run("salvage", path, "--format", "binary")
    write(path, given)
    code, _, text = run("dump", "-e", api, "--file", path)
    check(code == USAGE and "E_GAP" in text and read(path) == given, "a change is missing: code %d, %s" % (code, text))
    code, _, text = run("load", "-e", api, path)
    check(code == 1 and "E_GAP" in text, "load, a change is missing: code %d, %s" % (code, text))
    write(path, os.urandom(500) + binary[:len(binary) // 2] + os.urandom(40) + binary[len(binary) // 2:])
    code, given, text = run("salvage", path, "--format", "ndjson")
    given = given.splitlines(True)
    check(code == CORRUPT and len(given) >= len(lines) - 1 and all(line in lines for line in given), "garbage around: code %d, %s" % (code, text))
    cluster.down()
