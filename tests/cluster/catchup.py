"""A server that lacks much: it gets the leader's snapshot, whatever dies on the way."""
import os
import shutil
import subprocess

from harness import Failed, ask_until, check, dump, log_of, put_until_done, status, tool, wait_for, wait_leader
from kills import kill_process
from retention import check_truncated, configure, put_large


def counter(node, process, name):
    return ((status(node) or {}).get("processes") or {}).get(process, {}).get(name, 0)


def fill(house, nodes, megabytes, clients=4):
    """Writes so much, of 8 KB changes; the history of it."""
    load = house.load(nodes, clients=clients, count=megabytes * 125 // clients, size=8000)
    return load.wait(600)


def left_behind(house, megabytes, settings):
    """A cluster whose third node was down while much was written; the others hold little of it in memory."""
    cluster = house.cluster(extra=settings)
    victim = [node for node in cluster.nodes if node is not wait_leader(cluster.nodes)][-1]
    others = [node for node in cluster.nodes if node is not victim]
    history = fill(house, cluster.nodes, 1)
    victim.kill()
    history += fill(house, others, megabytes)
    for node in others:
        node.kill()
        node.start()
    wait_leader(others)
    return cluster, victim, others, history


def wait_installed(node, seconds=60, times=1):
    try:
        wait_for("the snapshot on %s" % node.name, seconds,
                 lambda: log_of(node).count("event=snapshot_installed") >= times, every=0.02)
    except Failed as failed:
        raise Failed("%s: %s" % (failed, (status(node) or {}).get("waits_for"))) from failed


def wait_level(nodes, seconds=60):
    def level():
        states = [status(node) for node in nodes]
        return None not in states and len({(state["last_id"], state["chain"]) for state in states}) == 1
    wait_for("all nodes to be level", seconds, level, every=0.05)


def written(node):
    """Bytes of a snapshot that its storage has taken in, in this life."""
    return counter(node, "storage", "snapshot_bytes_written")


def wait_written(node, least, seconds=30):
    wait_for("%d bytes of the snapshot on %s" % (least, node.name), seconds, lambda: written(node) >= least, every=0.02)


def test_a_transfer_survives_the_death_of_everybody_in_it(house):
    rate = house.times(3, 20)
    slow = {"consensus": {"catchup_entries": 300, "catchup_rate": rate}, "supervisor": {"budget": 63}}
    cluster, victim, others, history = left_behind(house, house.times(8, 300), slow)
    load = house.load(others, rate=100, size=1000)
    load.wait_progress()
    victim.start()
    wait_written(victim, 1 << 20)
    kill_process(victim, "storage")
    wait_written(victim, 1 << 20)
    check("event=snapshot_resumed" in log_of(victim), "it began anew")
    victim.kill()
    victim.start()
    wait_written(victim, 1 << 20)
    check(log_of(victim).count("event=snapshot_resumed") >= 2, "it began anew after the node's death")
    check("event=snapshot_installed" not in log_of(victim), "the transfer was too fast for this test")
    sender = wait_leader(others)
    sender.kill()  # another leader, another snapshot: none of it may be mixed up
    sender.start()
    wait_installed(victim, 120)
    load.wait_progress()
    house.judge(cluster, history + load.stop(), least=1000)


def test_who_needs_what_was_cut_gets_a_snapshot(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    victim = [node for node in cluster.nodes if node is not leader][0]
    others = [node for node in cluster.nodes if node is not victim]
    api = leader.places()["api"]
    fill(house, cluster.nodes, 1)
    victim.kill()
    put_large(api, 18)  # more than one file, and than what the leader holds in memory
    house.load(others, clients=8, count=150).wait(60)
    done = configure(api, {"retention.min_records": 20, "retention.peer_records": 1000})
    check(done["verb"] == "put_done", "set: %r" % done)
    wait_for("a file to go", 30, lambda: counter(leader, "storage", "segments_cut") > 0, every=0.05)
    victim.start()
    waits = subprocess.run([os.path.join(tool.BIN, "changeagent"), "node", "catchup", "--block", "60000", "--endpoints",
                            victim.places()["api"]], capture_output=True, text=True, check=False, timeout=90)
    check(waits.returncode == 0, "node catchup: %r" % waits)
    wait_installed(victim, 0.1)
    wait_level(cluster.nodes)
    check(os.path.isdir(os.path.join(victim.data, "generation-00000001")), "no new generation")
    check(not os.path.exists(os.path.join(victim.data, "state.db")), "the old generation is still there")
    check(sum(counter(node, "consensus", "catchups") for node in others) == 1, "more than one snapshot")
    victim.kill()  # its next start is one like any other
    victim.start()
    put_until_done(api, "goes on")
    wait_level(cluster.nodes)
    states = [status(node) for node in cluster.nodes]
    check(len({state["first_id"] for state in states}) == 1, "first ids differ")
    first, last = states[0]["first_id"], states[0]["last_id"]
    check_truncated(victim, first)
    for node in cluster.nodes:
        page = ask_until(node.places()["api"], "list", "list_is", since=last - 3, limit=10)
        check(len(page["changes"]) == 3, "%s does not show its newest changes" % node.name)


def backup(node, directory):
    """The exit code, and all that was said."""
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "node", "backup", directory, "--endpoints",
                           node.places()["api"]], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def inspect(directory):
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "verify", directory], capture_output=True,
                          text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def manifest_of(directory):
    with open(os.path.join(directory, "MANIFEST")) as file:
        return dict(line.split(" ", 1) for line in file.read().splitlines()[1:10])


def test_a_backup_is_whole_or_says_what_is_not(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    load = house.load(cluster.nodes, clients=2, size=1000)
    load.wait_progress(bytes_more=50000)
    first, second = os.path.join(house.dir, "b1"), os.path.join(house.dir, "b2")
    code, words = backup(node, first)
    check(code == 0, "backup: %d, %s" % (code, words))
    load.wait_progress()
    history = load.stop()
    code, words = inspect(first)
    check(code == 0 and "whole" in words, "inspect: %d, %s" % (code, words))
    manifest = manifest_of(first)
    last = int(manifest["last-id"])
    rows = dump(node)
    check(last > 0 and rows[last - 1]["hash"] == manifest["change-hash"], "the manifest is of another log")
    code, words = backup(node, first)
    check(code != 0 and "already" in words, "a second backup into it: %d, %s" % (code, words))
    code, words = backup(node, second)  # the snapshot of the first one still lies there
    newest = int(manifest_of(second)["last-id"]) if code == 0 else 0
    check(newest == len(rows), "the second backup ends at %d of %d: %d, %s" % (newest, len(rows), code, words))
    for name, offset in (("state.db", 5000), ("MANIFEST", 40), (sorted(os.listdir(os.path.join(first, "log")))[0], 9000)):
        shutil.rmtree(second, ignore_errors=True)
        shutil.copytree(first, second)
        path = os.path.join(second, name if os.path.exists(os.path.join(second, name)) else "log/" + name)
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))
        code, words = inspect(second)
        check(code == 113 and "damaged" in words, "a flipped bit in %s: %d, %s" % (name, code, words))
    os.remove(os.path.join(second, "MANIFEST"))
    code, words = inspect(second)
    check(code != 0, "without a manifest: %d, %s" % (code, words))
    house.judge(cluster, history, least=50)
