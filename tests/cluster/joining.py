"""A cluster that begins with one node and grows: `node init`, `--join`, and who comes back how."""
import json
import os
import shutil
import subprocess

from harness import (ask, check, log_of, put_until_done, status, tool, wait_for, wait_leader)

CHANGEAGENT = os.path.join(tool.BIN, "changeagent")
CHANGEAGENTD = os.path.join(tool.BIN, "changeagentd")


def run(argv, seconds=40):
    done = subprocess.run(argv, capture_output=True, timeout=seconds, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def make_node(cluster, name, join=None, extra=None):
    """A node that knows nobody; with `join`, one that asks that node to be let in."""
    node = tool.Node(cluster.base, name)
    os.makedirs(node.dir)
    place = dict(zip(("api", "stream", "peer"), ("tcp://127.0.0.1:%d" % port for port in tool.free_ports(3))))
    with open(os.path.join(node.dir, "places.json"), "w") as file:
        json.dump(place, file)
    sections = {"consensus": {"listen": place["peer"]}}
    if join is not None:
        sections["node"] = {"name": name, "data": node.data, "join": join.places()["api"]}
    for section, settings in (extra or {}).items():
        sections.setdefault(section, {}).update(settings)
    cluster.write_config(node, [], sections)
    with open(node.config) as file:
        text = file.read()
    with open(node.config, "w") as file:  # nobody is listed, and nothing is expected
        file.write(text.replace('    expect = "0"\n', ""))
    cluster.nodes.append(node)
    return node


def empty_cluster(house):
    cluster = house.cluster(0, start=False)
    cluster.nodes = []
    return cluster


def init(node):
    code, out, err = run([CHANGEAGENT, "node", "init", "--config", node.config])
    check(code == 0 and out.startswith("cluster ") and len(out.split()[1]) == 32, "code %d: %s %s" % (code, out, err[-1500:]))
    return out.split()[1]


def members(node):
    """Rows of the cluster's members, as this node tells them; [] if it cannot."""
    answer = ask(node.places()["api"], "members", 5)
    return (answer or {}).get("members") or []


def voters(node):
    """The addresses of those that vote; [] while two majorities decide, because then nobody may be missing."""
    answer = ask(node.places()["api"], "members", 5) or {}
    rows = answer.get("members") or []
    return [] if answer.get("joint") else sorted(row["peer"] for row in rows if row["state"] == "voter")


def wait_voters(node, nodes, seconds=30):
    wanted = sorted(one.places()["peer"] for one in nodes)
    try:
        wait_for("these to vote: %s" % wanted, seconds, lambda: voters(node) == wanted, every=0.05)
    except tool.Failed as failed:
        raise tool.Failed("%s; members: %r" % (failed, members(node))) from failed


def row_of(first, node):
    """The row of the member at this node's address; one that says nothing while there is none."""
    for row in members(first):
        if row["peer"] == node.places()["peer"] and row["state"] != "removed":
            return row
    return {"node": None, "incarnation": None, "state": ""}


def says_it_votes(node):
    """In its log and in its status, and before anybody else leads."""
    return "event=role role=follower term=" in log_of(node).split("role=learner", 1)[-1] and \
        status(node)["role"] == "follower"


def grown(house, cluster):
    """One node by init, two by join, under load."""
    first = make_node(cluster, "n1")
    founded = init(first)
    first.start()
    wait_leader([first])
    check(status(first)["cluster"] == founded, "another cluster than the one that was founded")
    load = house.load([first], rate=100)
    load.wait_progress()
    for name in ("n2", "n3"):
        make_node(cluster, name, join=first).start()
        wait_voters(first, cluster.nodes)
        wait_for("%s to say itself that it votes" % name, 5, lambda: says_it_votes(cluster.nodes[-1]))
        house.say("%s votes" % name)
    return load


def test_one_node_by_init_grows_to_three_by_join(house):
    cluster = empty_cluster(house)
    load = grown(house, cluster)
    more = house.load(cluster.nodes, rate=100)
    more.wait_progress()
    first = wait_leader(cluster.nodes)
    first.kill()  # so the others vote for real
    survivors = [node for node in cluster.nodes if node is not first]
    wait_leader(survivors)
    put_until_done(survivors[0].places()["api"], "of two")
    first.start()
    wait_leader(cluster.nodes)
    check(len({status(node)["cluster"] for node in cluster.nodes}) == 1, "more than one cluster")
    load.kill()  # it knows the first node only
    history = more.stop()
    check(all(write["code"] == "ok" for write in history), "a write failed")


def loses_its_data(first, second, before):
    """All but the keys: the same node under another incarnation."""
    second.kill()
    for name in os.listdir(second.data):
        path = os.path.join(second.data, name)
        if name != "identity":
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    second.start()
    wait_for("it to vote again", 30, lambda: row_of(first, second)["incarnation"] != before[second.places()["peer"]][1]
             and row_of(first, second)["state"] == "voter", every=0.05)
    check(row_of(first, second)["node"] == before[second.places()["peer"]][0], "another node id")


def test_who_joined_returns_as_itself_and_a_wiped_one_as_a_new_member(house):
    cluster = empty_cluster(house)
    load = grown(house, cluster)
    first, second, third = cluster.nodes
    before = {row["peer"]: (row["node"], row["incarnation"], row["changed"]) for row in members(first)}
    second.kill()
    second.start()  # --join again: a wish that holds already
    wait_for("it to have joined again", 15, lambda: log_of(second).count("event=joined") == 2)
    again = {row["peer"]: (row["node"], row["incarnation"], row["changed"]) for row in members(first)}
    check(before == again, "the members changed: %r, %r" % (before, again))

    if house.long:
        loses_its_data(first, second, before)
    third.kill()  # the whole volume is lost
    shutil.rmtree(third.data)
    third.start()
    wait_for("a new member at its address", 40, lambda: row_of(first, third)["node"] != before[third.places()["peer"]][0]
             and row_of(first, third)["state"] == "voter", every=0.05)
    wait_voters(first, cluster.nodes)
    wait_leader(cluster.nodes)
    # Who is removed before it knows that it has joined goes on joining, and comes back.
    wait_for("it to know that it belongs", 15, lambda: log_of(third).count("event=joined") == 2)
    history = load.stop()
    check(all(write["code"] == "ok" for write in history), "a write failed")
    house.judge(cluster, history, least=50)
    old, new = before[third.places()["peer"]][0], row_of(first, third)["node"]
    for name, gone in (("n3", new), ("n1", row_of(first, first)["node"])):  # a name that a removed one has too; a founder's
        endpoints = ",".join(node.places()["api"] for node in cluster.nodes)
        code, _, err = run([CHANGEAGENT, "member", "remove", name, "--endpoints", endpoints])
        check(code == 0, "%s: %d %s" % (name, code, err))
        wait_for("%s to be removed in the eyes of another" % name, 10, lambda: {gone, old} <= {
            row["node"] for row in members(second) if row["state"] == "removed"}, every=0.05)


def test_init_happens_once_and_never_beside_another(house):
    cluster = empty_cluster(house)
    node = make_node(cluster, "n1")
    founded = init(node)
    code, out, err = run([CHANGEAGENT, "node", "init", "--config", node.config])
    check(code == 100 and not out and "init_refused" in err and "ballot.db" in err or "log" in err, "again: %d %s" % (code, err[-800:]))
    node.start()
    wait_leader([node])
    check(status(node)["cluster"] == founded, "another cluster")
    key = run([CHANGEAGENTD, "--data", node.data, "--show-key"])[1].split()[1]

    precious = os.path.join(house.dir, "precious")
    os.makedirs(precious)
    with open(os.path.join(precious, "photographs"), "w") as file:
        file.write("of the children")
    code, out, err = run([CHANGEAGENT, "node", "init", "--data", precious])
    check(code == 100 and "photographs" in err and os.listdir(precious).count("photographs") == 1, "%d %s" % (code, err[-800:]))

    here = "%s %s" % (node.places()["peer"], key)
    watched = os.path.join(house.dir, "servers")
    with open(watched, "w") as file:
        file.write(here + "\n")
    for name, extra in (("n2", {"consensus": {"member": [here]}}), ("n3", {"discovery": {"member": [here]}}),
                        ("n4", {"discovery": {"file": watched}})):
        other = make_node(cluster, name, extra=extra)
        code, out, err = run([CHANGEAGENT, "node", "init", "--config", other.config])
        check(code == 100 and not out and "init_refused" in err and node.places()["peer"] in err, "%s: %d %s" % (name, code, err[-800:]))
        check(not os.path.exists(os.path.join(other.data, "ballot.db")), "%s left something behind" % name)
    for words in (["node", "init"], ["node", "init", "somewhere", "--data", "x"]):
        check(run([CHANGEAGENT] + words)[0] == 2, "%r is no command" % words)
    code, out, err = run([CHANGEAGENTD, "--init", "--join", "tcp://127.0.0.1:7600"])
    check(code == 100 and "choose" in err, "%d %s" % (code, err))


def test_a_blank_node_that_others_reach_founds_nothing(house):
    cluster = empty_cluster(house)
    node = make_node(cluster, "n1")
    port = node.places()["peer"].rsplit(":", 1)[1]
    with open(node.config) as file:
        text = file.read()
    with open(node.config, "w") as file:
        file.write(text.replace(node.places()["peer"], "tcp://0.0.0.0:%s" % port))
    node.start()
    wait_for("it to say what it waits for", 10, lambda: "--join" in (status(node) or {}).get("waits_for", ""))
    check(not status(node).get("cluster"), "it founded a cluster")
    node.stop()
    shutil.rmtree(node.data)
    init(node)
    node.start()
    wait_leader([node])


def test_an_address_of_this_machine_is_refused_where_the_cluster_is_elsewhere(house):
    cluster = empty_cluster(house)
    node = make_node(cluster, "n1")
    process = house.run([CHANGEAGENTD, "--config", node.config, "--join", "tcp://192.0.2.1:7600"],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.communicate(timeout=30)[0].decode(errors="replace")
    check(process.returncode == 100, "code %d" % process.returncode)
    check("event=join_refused" in said and "consensus/listen" in said, said[-1500:])
    other = make_node(cluster, "n2", extra={"consensus": {"member": ["tcp://192.0.2.1:7602 %s" % ("a" * 40)]}})
    code, _, err = run([CHANGEAGENTD, "--config", other.config])
    check(code == 100 and "consensus/advertise" in err and "192.0.2.1" in err, "%d %s" % (code, err[-1500:]))
