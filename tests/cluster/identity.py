"""Who a node is: a clone, a copy, an older copy, a swapped directory, a server of another cluster."""
import os
import re
import shutil
import subprocess

from harness import (SILENT_S, Skipped, check, leads, log_of, must_stay, put_until_done, status, tool, wait_for, wait_leader)
from joining import wait_voters


def copy(source, target):
    """As an operator copies: the content is the same, and everything is a file of its own."""
    subprocess.run(["cp", "-a", source, target], check=True)


def needs_steady_numbers(house):
    kind = subprocess.run(["stat", "-f", "-c", "%T", house.dir], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
    if kind == "overlayfs":
        raise Skipped("%s, where this runs, may give a file another number: a copy is not told there" % kind)


def clone_of(house, cluster, node, settings=None):
    """A second node from a copy of this one's directory, with addresses of its own. It is not started."""
    clone = tool.Node(cluster.base, "%s-clone" % node.name)
    os.makedirs(clone.dir)
    node.stop()
    copy(node.data, clone.data)
    shutil.rmtree(os.path.join(clone.data, "run"), ignore_errors=True)
    node.start()
    place = dict(node.places())
    place.update(zip(("api", "stream", "peer"), ("tcp://127.0.0.1:%d" % port for port in tool.free_ports(3))))
    with open(os.path.join(clone.dir, "places.json"), "w") as file:
        tool.json.dump(place, file)
    cluster.write_config(clone, cluster.members(), settings)
    return clone


def refused(house, node):
    """Starts a node that has to end by itself: its exit code and what it said."""
    process = node.launch()
    house.processes.append(process)
    try:
        code = process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        node.kill()
        code = None
    return code, log_of(node)


def outside(node):
    return (status(node) or {}).get("role") == "outside"


def test_a_clone_of_a_living_node_is_refused_and_names_both(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=100)
    load.wait_progress()
    follower = next(node for node in cluster.nodes if node is not wait_leader(cluster.nodes))
    # The second clone is what a snapshot of its disk would be: nothing in the directory tells it from the original.
    for settings in (None, {"supervisor": {"place": "no"}})[house.times(1, 0):]:
        clone = clone_of(house, cluster, follower, settings)
        leader = wait_leader(cluster.nodes)
        term = status(leader)["term"]
        code, said = refused(house, clone)
        check(code == 100, "the clone ended with code %s: %s" % (code, said[-1500:]))
        line = next((line for line in said.splitlines() if "event=clone " in line), "")
        for word in ("E_CLONE", follower.places()["peer"], clone.places()["peer"], "advice"):
            check(word in line, "%s is not in: %s" % (word, line))
        told = "".join(log_of(node) for node in cluster.nodes)
        check("event=clone_found" in told, "nobody who found it said so")
        check(("directory_copied" in said) == (settings is None), "place: %s" % settings)
        check(wait_leader(cluster.nodes) is leader and status(leader)["term"] == term, "the cluster was disturbed")
        check(follower.is_up(), "the original was ended")
        shutil.rmtree(clone.dir)
    history = load.stop()
    check(all(write["code"] == "ok" for write in history), "a write failed")
    house.judge(cluster, history, least=50)


def stays_outside(cluster, node, third):
    """Two nodes are up, one of them a copy: by number a majority, but nothing may be decided by it."""
    wait_for("%s to say that it is outside" % node.name, 15, lambda: outside(node))
    check("waits_for" in status(node) and "admitted" in status(node)["waits_for"], "%r" % status(node))
    must_stay(SILENT_S, lambda: not any(leads(one) for one in cluster.nodes if one is not third),
              "one leads by the vote of a copy")


def test_a_copied_directory_does_not_vote(house):
    needs_steady_numbers(house)
    cluster = house.cluster()
    put_until_done(cluster.nodes[0].places()["api"], "before")
    copied, third = cluster.nodes[1], cluster.nodes[2]
    cluster.down()
    copy(copied.data, copied.data + ".copy")
    shutil.rmtree(copied.data)
    os.rename(copied.data + ".copy", copied.data)
    for node in cluster.nodes[:2]:
        node.start()
    check("event=directory_copied" in log_of(copied), "the copy is not told")
    stays_outside(cluster, copied, third)
    third.start()
    wait_leader([cluster.nodes[0], third])
    put_until_done(third.places()["api"], "the other two go on")
    check(outside(copied), "it came in by itself")
    copied.stop()  # what an operator does then
    cluster.write_config(copied, cluster.members(), {"node": {"name": copied.name, "data": copied.data,
                                                              "join": third.places()["api"]}})
    copied.start()
    wait_for("it to be admitted again", 20, lambda: (status(copied) or {}).get("role") == "follower", every=0.05)
    wait_voters(cluster.nodes[0], cluster.nodes)  # one majority decides again
    cluster.nodes[0].kill()  # now its vote is needed
    wait_leader([copied, third])
    put_until_done(copied.places()["api"], "the third one may go")


def test_an_older_copy_put_back_does_not_vote(house):
    house.only_long("place_test")
    cluster = house.cluster()
    api = cluster.nodes[0].places()["api"]
    put_until_done(api, "in the copy")
    restored, third = cluster.nodes[1], cluster.nodes[2]
    restored.stop()
    archive = restored.data + ".tar"
    subprocess.run(["tar", "cf", archive, "--exclude=*.ipc", "-C", restored.dir, "data"], check=True)
    restored.start()
    wait_leader(cluster.nodes)
    third.kill()  # what follows is acknowledged by the other two
    for turn in range(20):
        last = put_until_done(api, "after the copy %d" % turn)
    cluster.nodes[0].kill()
    restored.kill()
    subprocess.run(["tar", "xf", archive, "-C", restored.dir], check=True)
    restored.start()
    third.start()
    stays_outside(cluster, restored, cluster.nodes[0])
    cluster.nodes[0].start()
    wait_leader([cluster.nodes[0], third])
    wait_for("the writes to be there", 10, lambda: (status(third) or {}).get("last_id", 0) >= last["id"])


def test_swapped_directories_do_not_vote(house):
    house.only_long("place_test")
    cluster = house.cluster()
    put_until_done(cluster.nodes[0].places()["api"], "before")
    cluster.down()
    one, other = cluster.nodes[:2]
    keep = os.path.join(one.dir, "identity")
    os.rename(os.path.join(one.data, "identity"), keep)
    os.rename(os.path.join(other.data, "identity"), os.path.join(one.data, "identity"))
    os.rename(keep, os.path.join(other.data, "identity"))
    one.start()
    other.start()
    for node in (one, other):
        wait_for("%s to be outside" % node.name, 15, lambda at=node: outside(at))
    cluster.nodes[2].start()
    must_stay(SILENT_S, lambda: not leads(cluster.nodes[2]), "a leader by swapped votes")


def test_servers_of_two_clusters_name_each_other(house):
    one, other = house.cluster(1), house.cluster(1)
    nodes = [one.nodes[0], other.nodes[0]]
    ids = [status(node)["cluster"] for node in nodes]
    last = [put_until_done(node.places()["api"], "of %s" % node.name)["id"] for node in nodes]
    for cluster, stranger in ((one, nodes[1]), (other, nodes[0])):
        hint = "%s %s" % (stranger.places()["peer"], stranger.places()["key"])
        cluster.write_config(cluster.nodes[0], cluster.members(), {"discovery": {"member": [hint]}})
    for node in nodes:
        node.stop()
    for node in nodes:
        node.start()
    for node in nodes:
        wait_for("%s to name the other" % node.name, 15, lambda at=node: "event=foreign_cluster" in log_of(at))
        line = next(line for line in log_of(node).splitlines() if "event=foreign_cluster" in line)
        for word in ids + [nodes[0].places()["peer"], nodes[1].places()["peer"], "E_CLUSTER", "advice"]:
            check(word in line, "%s is not in: %s" % (word, line))
        check(len(re.findall("event=foreign_cluster", log_of(node))) == 1, "told more than once")
    for node, cluster_id, seen in zip(nodes, ids, last):
        wait_for("a leader", 15, lambda at=node: (status(at) or {}).get("role") == "leader")
        state = status(node)
        check(state["cluster"] == cluster_id and state["last_id"] == seen, "%r" % state)
