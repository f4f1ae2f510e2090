"""A cluster that goes on from a backup, or from one node that was left: a new history, and what the old one may not do."""
import os
import shutil
import subprocess

import msgpack

from catchup import backup
from harness import (Follower, ask, ask_until, check, dump, log_of, put, put_until_done, status, tool, wait_for,
                     wait_leader)
from joining import CHANGEAGENT, CHANGEAGENTD, empty_cluster, make_node, members, wait_voters

STORAGE = os.path.join(tool.BIN, "changeagent-storage")


def run(argv, seconds=60, words=None):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds, input=words)
    return done.returncode, done.stdout + done.stderr


def launch(house, node, *more):
    """Starts a node with more flags than its file has; `node.kill()` ends it."""
    with open(node.log, "ab") as log:
        process = house.run([CHANGEAGENTD, "--config", node.config] + list(more), stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log)

    def up():
        check(process.poll() is None, "it ended with code %s: %s" % (process.returncode, log_of(node)[-1500:]))
        return node.is_up()
    wait_for("node %s" % node.name, 30, up)


def wait_history(node):
    """Until what it says is of the new history: none of the old one is ever shown."""
    wait_leader([node])
    return wait_for("its history", 10, lambda: (status(node) or {}).get("history"), every=0.01)


def restored(house, cluster, directory, name="r1"):
    node = make_node(cluster, name)
    launch(house, node, "--restore", directory)
    wait_history(node)
    return node


def cursor_of(node, since):
    return ask_until(node.places()["api"], "list", "list_is", since=since, limit=1)["next"]


def check_history(answer, old, new, fork):
    """E_HISTORY with all that a client needs to go on."""
    check(answer["verb"] == "failed" and answer["error"] == "E_HISTORY" and not answer["retryable"], "%r" % answer)
    check(answer["parent"] == old["history"] and answer["history"] == new["history"], "%r" % answer)
    check(answer["fork_id"] == fork and "fork_id" in answer["remedy"], "%r" % answer)


def test_a_backup_starts_a_new_history_that_others_join(house):
    cluster = house.cluster(1)
    first = cluster.nodes[0]
    api = first.places()["api"]
    ask_until(api, "status", "status_is")
    txid, body = os.urandom(16), msgpack.packb({"changes": [{"type": 1, "data": b"once"}]}, use_bin_type=True)
    for letter in "abcdefghijklmnopqrstuvwxyz":  # more than goes in one message to who joins
        put_until_done(api, letter * 150000)
    born = ask(api, "hello")["born"]
    once = ask(api, "put", 10, txid=txid, born=born, attempt=1, body=body)
    check(once["verb"] == "put_done", "%r" % once)
    directory = os.path.join(house.dir, "backup")
    code, words = backup(first, directory)
    check(code == 0, words)
    put_until_done(api, "not in the backup")
    last = once["id"]
    old, rows, cursor = status(first), dump(first), cursor_of(first, 1)

    node = restored(house, cluster, directory)
    new, there = status(node), node.places()["api"]
    check(new["cluster"] == old["cluster"] and new["history"] != old["history"], "%r %r" % (old, new))
    check(dump(node) == rows[:last] and len(rows) == last + 1, "ids, times, hashes or data are others")
    again = ask(there, "put", 10, txid=txid, born=born, attempt=2, body=body)
    check(again["verb"] == "put_done" and again["id"] == once["id"], "it was written twice: %r" % again)
    check(status(node)["last_id"] == last, "it was written twice")
    check_history(ask(there, "list", cursor=cursor), old, new, last)
    check(put_until_done(there, "of now")["id"] == last + 1, "ids do not go on")

    join = [make_node(cluster, name, join=node) for name in ("r2", "r3")]
    for other in join:
        other.start()
    three = [node] + join
    wait_voters(node, three)
    wait_for("all of it everywhere", 20, lambda: len({(s["last_id"], s["chain"], s["history"]) for s in
                                                      (status(one) or {"last_id": 0, "chain": 0, "history": 0}
                                                       for one in three)}) == 1)
    for one in join:
        check_history(ask_until(one.places()["api"], "list", "failed", cursor=cursor), old, new, last)
    check(members(node)[0]["peer"] and len(members(node)) == 3, "%r" % members(node))

    node.kill()  # the same command, with the node as it is now
    launch(house, node, "--restore", directory)
    wait_leader(three)
    check("event=restored_before" in log_of(node) and status(node)["history"] == new["history"], "it was begun anew")
    node.kill()
    other = os.path.join(house.dir, "other")
    code, words = backup(join[0], other)
    check(code == 0, words)
    code, words = run([CHANGEAGENTD, "--config", node.config, "--restore", other])
    check(code == 100 and "restore_refused" in words and "another backup" in words, "%d %s" % (code, words[-800:]))

    # the node of before comes back, and asks to be let in
    first.kill()
    code, words = run([CHANGEAGENTD, "--config", first.config, "--join", join[0].places()["api"]], 60)
    check(code == 100 and "E_HISTORY" in words and old["history"] in words and new["history"] in words and
          "clear its data directory" in words, "%d %s" % (code, words[-1500:]))
    check(len(members(join[0])) == 3, "it was let in")


def test_what_is_no_backup_is_refused(house):
    cluster = house.cluster(1)
    first = cluster.nodes[0]
    put_until_done(first.places()["api"], "one")
    directory = os.path.join(house.dir, "backup")
    check(backup(first, directory)[0] == 0, "no backup")
    node = make_node(cluster, "r1")

    def refused(argument, code, *words):
        got, said = run([CHANGEAGENTD, "--config", node.config, "--restore", argument])
        check(got == code and all(word in said for word in words), "%s: %d %s" % (argument, got, said[-1200:]))
        check(not os.path.exists(os.path.join(node.data, "ballot.db")), "%s left a node behind" % argument)

    empty = os.path.join(house.dir, "empty")
    os.makedirs(empty)
    refused("", 100, "--restore")
    refused("/nowhere", 100, "restore_refused", "MANIFEST")
    refused(empty, 100, "restore_refused", "never finished")
    refused(first.data, 100, "restore_refused", "MANIFEST")
    half = os.path.join(house.dir, "half")
    shutil.copytree(directory, half)
    segment = os.path.join(half, "log", sorted(os.listdir(os.path.join(half, "log")))[0])
    with open(segment, "r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    refused(half, 113, "restore_refused", "E_CORRUPT", "another backup")
    os.remove(segment)
    refused(half, 113, "restore_refused", "E_CORRUPT")
    for words in (["--restore"], ["--restore", directory, "--init"], ["--restore", directory, "--join", "tcp://127.0.0.1:1"]):
        got, said = run([CHANGEAGENTD, "--config", node.config] + words)
        check(got == 100 and "--restore" in said, "%r: %d %s" % (words, got, said[-800:]))

    first.kill()  # a directory that holds a node
    before = sorted(os.listdir(first.data))
    got, said = run([CHANGEAGENTD, "--config", first.config, "--restore", directory])
    check(got == 100 and "restore_refused" in said and "empty directory" in said, "%d %s" % (got, said[-800:]))
    check(sorted(os.listdir(first.data)) == before, "something was changed")
    launch(house, node, "--restore", directory)  # and after all of these, a whole one
    wait_leader([node])


def force(node, *more, words=None):
    return run([CHANGEAGENT, "node", "force-new-cluster", "--data", node.data] + list(more), words=words)


def clear(node):
    """All but its keys: the file of this cluster lists them."""
    for name in os.listdir(node.data):
        path = os.path.join(node.data, name)
        if name != "identity":
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def lose_two(house):
    """Three nodes with some writes and a follower of the first; then the first is the only one left, stopped."""
    cluster = house.cluster()
    first = cluster.nodes[0]
    load = house.load(cluster.nodes, clients=2, count=50)
    history = load.wait()
    follower = Follower(house.dir, [first], "over-the-end")
    house.followers.append(follower)
    wait_for("all of it", 20, lambda: status(first)["last_id"] == 100 == follower.last_id(), every=0.05)
    check(len(history) == 100, "%d writes" % len(history))
    old, cursor = status(first), cursor_of(first, 50)
    code, words = force(first, "--yes")
    check(code == 111 and "E_LOCKED" in words, "a running node: %d %s" % (code, words))
    for node in cluster.nodes:
        node.kill()
    return cluster, first, follower, old, cursor


def test_one_node_that_is_left_begins_a_new_history_by_force(house):
    cluster, first, follower, old, cursor = lose_two(house)
    second, third = cluster.nodes[1:]
    for argument in (["node", "force-new-cluster"], ["node", "force-new-cluster", "x", "--data", first.data]):
        check(run([CHANGEAGENT] + argument)[0] == 2, "%r is no command" % argument)
    for directory in ("/nowhere", house.dir, "/etc/passwd"):
        code, words = run([CHANGEAGENT, "node", "force-new-cluster", "--data", directory, "--yes"])
        check(code == 100 and "E_NOT_FOUND" in words, "%s: %d %s" % (directory, code, words))
    for answer in ("no\n", "", "y\n", "yes please\n"):
        code, words = force(first, words=answer)
        check(code == 1 and "no new history was begun" in words, "%r: %d %s" % (answer, code, words))
    check(old["history"] in words and "known to be committed" in words, words)
    for node in (second, third):
        check(node.places()["peer"] in words, "it does not name %s: %s" % (node.name, words))
    check(first.places()["peer"] not in words, "it names itself as left out: %s" % words)
    code, words = force(first, words="yes\n")
    check(code == 0 and "has begun" in words, "%d %s" % (code, words))
    again = force(first, "--yes")
    check(again[0] == 0 and "only voter already" in again[1], "%r" % (again,))

    first.start()
    wait_history(first)
    new = status(first)
    check(new["history"] in words and new["history"] != old["history"] and new["cluster"] == old["cluster"], "%r" % new)
    check(new["last_id"] == 100 and new["chain"] == old["chain"], "changes were lost: %r" % new)
    check_history(ask(first.places()["api"], "list", cursor=cursor), old, new, 100)
    check(follower.process.wait(timeout=30) == 1, "the follower goes on over another log")
    check(put_until_done(first.places()["api"], "alone")["id"] == 101, "ids do not go on")

    # the other two are not lost after all: they elect one of themselves, in the history of before
    second.start()
    third.start()
    wait_leader([second, third])
    put_until_done(second.places()["api"], "of before")
    for node, other in ((first, new), (second, old)):
        wait_for("%s to tell of the other history" % node.name, 15,
                 lambda text=node: "event=foreign_history" in log_of(text), every=0.1)
        check(other["history"] in log_of(node), log_of(node)[-1000:])
    check(wait_history(first) == new["history"] and status(first)["last_id"] == 101, "the histories were mixed")
    check([row["data"] for row in dump(first)[100:]] == ["alone"], "the histories were mixed")
    check([row["data"] for row in dump(second)[100:]] == ["of before"], "the histories were mixed")

    first.kill()
    code, words = run([CHANGEAGENT, "verify", first.data])
    check(code == 0 and "sound" in words, "%d %s" % (code, words[-800:]))
    first.start()
    wait_leader([first])

    second.kill()  # one that asks to be let in as it is
    code, words = run([CHANGEAGENTD, "--config", second.config, "--join", first.places()["api"]])
    check(code == 100 and "E_HISTORY" in words and old["history"] in words and new["history"] in words, "%d %s" % (code, words[-1500:]))
    third.kill()
    clear(second)
    launch(house, second, "--join", first.places()["api"])
    wait_voters(first, [first, second])
    wait_for("the new history everywhere", 20, lambda: (status(second) or {}).get("history") == new["history"] and
             status(second)["chain"] == status(first)["chain"], every=0.05)
