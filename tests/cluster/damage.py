"""One bit of what is stored is another: found, never shown, mended from the others."""
import os

from harness import ask, check, put_until_done, status, wait_for, wait_leader
from retention import put_large


def sealed_files(node):
    log = os.path.join(node.dir, "data", "log")
    return sorted(os.path.join(log, name[:-len(".index")]) for name in os.listdir(log) if name.endswith(".db.index"))


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


def wait_mended(node, path, seconds=30):
    wait_for("%s of %s to be mended" % (os.path.basename(path), node.name), seconds,
             lambda: os.path.exists(path + ".damaged") and
             status(node)["processes"]["storage"].get("segments_mended", 0) > 0, every=0.1)


def read_all(node):
    """Every change of a node: its id and its bytes; an error ends the test."""
    rows, since = [], 0
    while True:
        page = ask(node.places()["api"], "list", 10, since=since, limit=100, bytes=4 << 20)
        if page["verb"] == "failed":
            return page["error"]
        rows += [(change["id"], bytes(change["data"])) for change in page["changes"]]
        if page["at_end"]:
            return rows
        since = rows[-1][0]


def test_a_damaged_sealed_file_is_mended_from_the_others(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    put_large(leader.places()["api"], 18)
    for node in cluster.nodes:
        wait_for("a sealed file on %s" % node.name, 20, lambda: sealed_files(node), every=0.1)
    good = read_all(leader)
    followers = [node for node in cluster.nodes if node is not leader]
    for node in [leader] + house.times([], followers):
        path = sealed_files(node)[0]
        flip(path, os.path.getsize(path) // 2 + 1234)
        seen = read_all(node)  # while it is damaged: by name, or right
        check(seen in (good, "E_CORRUPT"), "%s showed something else" % node.name)
        wait_mended(node, path)
        check(read_all(node) == good, "%s shows something else than the others" % node.name)
    if not house.long:
        return
    # Where a start must read it: the node keeps its vote, and mends the file while it runs.
    node = followers[0]
    path = sealed_files(node)[0]
    node.kill()
    if os.path.exists(path + ".damaged"):
        os.unlink(path + ".damaged")
    flip(path, 5)
    node.start()
    wait_leader(cluster.nodes)
    wait_mended(node, path)
    check(status(node)["role"] in ("leader", "follower"), "the node lost its vote: %r" % status(node))
    check(read_all(node) == good, "%s shows something else than the others" % node.name)
    put_until_done(node.places()["api"], "afterwards")
