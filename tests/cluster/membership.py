"""Members come, go and move while clients write: no write is lost or refused, and nobody disturbs."""
import itertools
import json
import os
import subprocess

from harness import (Failed, check, leads, longest_gap, now_us, put, put_until_done, status, tool, wait_for, wait_leader,
                     wait_up)

CLI = os.path.join(tool.BIN, "changeagent")


def run_cli(nodes, *words, seconds=90):
    """The command line, asked at these nodes. Gives exit code, stdout, stderr."""
    endpoints = ",".join(node.places()["api"] for node in nodes)
    done = subprocess.run([CLI, *words, "--endpoints", endpoints], capture_output=True, timeout=seconds, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def member(nodes, *words, block_ms=60000):
    code, out, err = run_cli(nodes, "member", *words, "-o", "json", "--block", str(block_ms))
    check(code == 0, "member %s ended with %d: %s" % (" ".join(words), code, err.strip()))
    return json.loads(out)


def rows_of(nodes):
    return {row["node"]: row for row in member(nodes, "list")["members"]}


def id_of(node):
    return node.places()["node"]


def add_node(cluster, **more):
    """One more node, which nobody has admitted yet: it runs and waits."""
    node = tool.Node(cluster.base, "n%d" % (len(cluster.nodes) + 1))
    ports = ["tcp://127.0.0.1:%d" % port for port in tool.free_ports(3)]
    os.makedirs(node.dir)
    node_id, key = node.show_key()
    with open(os.path.join(node.dir, "places.json"), "w") as file:
        json.dump({"api": ports[0], "stream": ports[1], "peer": ports[2], "node": node_id, "key": key, "netns": None}, file)
    cluster.nodes.append(node)
    cluster.write_config(node, cluster.members(), more)
    node.start()
    wait_for("%s to stand outside" % node.name, 15, lambda: (status(node) or {}).get("role") in ("outside", "founding"))
    return node


def words_to_add(node, *more):
    return ["add", node.places()["peer"], node.places()["key"], "name=%s" % node.name, *more]


def terms_of(nodes):
    return {(status(node) or {}).get("term") for node in nodes}


def without_failures(history):
    failed = [write for write in history if write["code"] not in ("ok", "open")]
    check(not failed, "%d writes failed, the first with %s" % (len(failed), failed[:1]))


def judge(house, cluster, stay, load, least=100):
    """The nodes that stay are level and every promise is kept; no write failed."""
    history = load.stop()
    without_failures(history)
    everybody, cluster.nodes = cluster.nodes, stay
    house.judge(cluster, history, least=least)
    cluster.nodes = everybody


def wait_role(node, role, seconds=15):
    try:
        wait_for("%s to be %s" % (node.name, role), seconds, lambda: (status(node) or {}).get("role") == role)
    except Failed as failed:
        raise Failed("%s: %s" % (failed, status(node))) from failed


def test_a_new_node_is_added_under_load(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=200)
    load.wait_progress()
    four = add_node(cluster)
    told = member(cluster.nodes[:1], *words_to_add(four))
    check(told["done"], "the answer says it is not done")
    row = rows_of(cluster.nodes[1:2])[id_of(four)]
    check(row["role"] == "voter" and row["name"] == "n4", "the new one is %s" % row)
    load.wait_progress()
    lists = [rows_of([node]).keys() for node in cluster.nodes]
    check(all(one == lists[0] for one in lists), "the nodes do not show the same members")
    again = member(cluster.nodes[:1], *words_to_add(four))
    check(again["done"] and again["index"] == told["index"], "told twice it is changed twice")
    judge(house, cluster, cluster.nodes, load)
    cluster.nodes[0].kill()  # it votes: two of the other three are not enough, three are
    wait_leader(cluster.nodes[1:])
    put_until_done(four.places()["api"], "still")


def test_removal_of_a_follower(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    follower = [node for node in cluster.nodes if node is not leader][0]
    stay = [node for node in cluster.nodes if node is not follower]
    load = house.load(stay, rate=200)
    load.wait_progress()
    member(cluster.nodes, "remove", id_of(follower))
    wait_role(follower, "removed")
    terms = terms_of(stay)
    for _ in range(house.times(2, 20)):
        follower.kill()
        follower.start()
        wait_role(follower, "removed")
        load.wait_progress()
    check(terms_of(stay) == terms, "the term went from %s to %s" % (terms, terms_of(stay)))
    check(rows_of(stay)[id_of(follower)]["state"] == "removed", "the list does not say removed")
    judge(house, cluster, stay, load)


def test_removal_of_the_leader(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=250)
    load.wait_progress()
    leader = wait_leader(cluster.nodes)
    stay = [node for node in cluster.nodes if node is not leader]
    begin, running = now_us(), leader.processes()
    member(cluster.nodes, "remove", id_of(leader))
    wait_role(leader, "removed")
    check(leader.processes() == running, "it does not go on running")
    answer = put(leader.places()["api"], "too late", 1.0)
    check(answer and answer.get("error") == "E_NO_LEADER" and "removed" in answer["detail"], "it said %r" % answer)
    after = wait_leader(stay)
    load.wait_progress()
    end = now_us()
    restarts, terms = house.times(10, 100), terms_of(stay)
    for turn in range(restarts):
        leader.kill()
        leader.start()
        wait_role(leader, "removed")
        check(terms_of(stay) == terms, "after %d restarts the term went from %s to %s" % (turn + 1, terms, terms_of(stay)))
        check(leads(after), "after %d restarts %s leads no more" % (turn + 1, after.name))
    took = (now_us() - end) / 1e6
    load.wait_progress()
    check(wait_leader(stay) is after and terms_of(stay) == terms, "another leader or term after all of them")
    history = load.stop()
    gap, later = longest_gap(history, begin, end), longest_gap(history, end, now_us())
    slowest = max(write["answered"] - write["asked"] for write in history if begin <= write["answered"] <= end) / 1000
    house.say("longest gap around the removal: %.0f ms, slowest write: %.0f ms; during %d restarts of the removed one in "
              "%.0f s a gap of %.0f ms" % (gap, slowest, restarts, took, later))
    check(gap < 1000 and slowest < 1000, "a gap of %.0f ms, a write of %.0f ms" % (gap, slowest))
    judge(house, cluster, stay, load)


def test_all_addresses_changed_one_by_one(house):
    house.only_long("member-address")
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=200)
    load.wait_progress()
    for node in list(cluster.nodes):
        places = node.places()
        places["peer"] = "tcp://127.0.0.1:%d" % tool.free_ports(1)[0]
        node.stop()
        with open(os.path.join(node.dir, "places.json"), "w") as file:
            json.dump(places, file)
        member([other for other in cluster.nodes if other is not node], "set", id_of(node), "peer=%s" % places["peer"])
        cluster.write_config(node, cluster.members())
        node.start()
        wait_leader(cluster.nodes)
        load.wait_progress()
    rows = rows_of(cluster.nodes)
    check(all(rows[id_of(node)]["peer"] == node.places()["peer"] for node in cluster.nodes), "not all have moved")
    for node in cluster.nodes:  # and each still finds the others after a restart
        node.kill()
        load.wait_progress()
        node.start()
        wait_leader(cluster.nodes)
    judge(house, cluster, cluster.nodes, load)


def test_all_addresses_changed_at_once(house):
    """Nothing can be committed before they have found each other: the files say where they are now."""
    house.only_long("member-address")
    cluster = house.cluster()
    first = put_until_done(cluster.nodes[0].places()["api"], "before")
    cluster.down()
    for node in cluster.nodes:
        places = node.places()
        places["peer"] = "tcp://127.0.0.1:%d" % tool.free_ports(1)[0]
        with open(os.path.join(node.dir, "places.json"), "w") as file:
            json.dump(places, file)
    for node in cluster.nodes:
        cluster.write_config(node, cluster.members())
    cluster.up()
    check(put_until_done(cluster.nodes[1].places()["api"], "after")["id"] > first["id"], "the log is another")
    for node in cluster.nodes:
        member(cluster.nodes, "set", id_of(node), "peer=%s" % node.places()["peer"])
    rows = rows_of(cluster.nodes)
    check(all(rows[id_of(node)]["peer"] == node.places()["peer"] for node in cluster.nodes), "not all have moved")


def test_two_of_three_replaced_in_one_step(house):
    house.only_long("member-replace")
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=200)
    load.wait_progress()
    leader = wait_leader(cluster.nodes)
    old = list(cluster.nodes)
    go = [leader, [node for node in old if node is not leader][0]]
    new = [add_node(cluster), add_node(cluster)]
    words = list(itertools.chain(*[words_to_add(node) + ["and"] for node in new],
                                 ["remove", id_of(go[0]), "and", "remove", id_of(go[1])]))
    member(old, *words)
    for node in go:
        wait_role(node, "removed")
    stay = [node for node in cluster.nodes if node not in go]
    wait_leader(stay)
    load.wait_progress()
    judge(house, cluster, stay, load)


def test_a_dead_address_does_not_hurt(house):
    cluster = house.cluster()
    load = house.load(cluster.nodes, rate=200)
    load.wait_progress()
    port = tool.free_ports(1)[0]
    before = member(cluster.nodes, "list")["index"]
    code, _, err = run_cli(cluster.nodes, "member", "add", "tcp://127.0.0.1:%d" % port,
                           "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "--timeout", "2000")
    check(code != 0 and "E_UNREACHABLE" in err, "the command said %d %s" % (code, err))
    check(member(cluster.nodes, "list")["index"] == before, "the configuration has changed")
    load.wait_progress()
    judge(house, cluster, cluster.nodes, load)


def test_a_wiped_voter_is_admitted_again(house):
    house.only_long("a copied directory does not vote")
    cluster = house.cluster()
    load = house.load(cluster.nodes[:2], rate=100)
    load.wait_progress()
    node = cluster.nodes[2]
    node.stop()
    for entry in os.listdir(node.data):
        if entry != "identity":
            subprocess.run(["rm", "-rf", os.path.join(node.data, entry)], check=True)
    node.start()
    wait_role(node, "outside")
    member(cluster.nodes[:2], *words_to_add(node))
    wait_for("it to follow", 15, lambda: (status(node) or {}).get("role") in ("follower", "leader"))
    judge(house, cluster, cluster.nodes, load)
