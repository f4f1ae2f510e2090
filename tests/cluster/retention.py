"""What the whole cluster agrees on, and how long changes are kept."""
import json
import os

import msgpack
from harness import (Failed, ask, ask_until, check, log_of, must_stay, put, put_map, put_until_done, run_tool, status,
                     wait_for, wait_leader)


def configure(endpoint, settings):
    """Sets them; the answer."""
    return put_map(endpoint, settings, settings=True)


def settings_of(node):
    return ask_until(node.places()["api"], "settings", "settings_are")["settings"]


def wait_settings(nodes, wanted):
    """All nodes have applied these."""
    wait_for("%r on all nodes" % wanted, 10,
             lambda: all(wanted.items() <= settings_of(node).items() for node in nodes), every=0.05)


def test_settings_are_the_same_everywhere_and_hide_nothing(house):
    cluster = house.cluster()
    wait_leader(cluster.nodes)
    first, second = cluster.nodes[0].places()["api"], cluster.nodes[1].places()["api"]
    long_one = put_until_done(first, "x" * 5000)
    for wrong, error in (({"limits.tags": 65}, "E_LIMIT"), ({"no.such": 1}, "E_BAD_REQUEST"), ({}, "E_BAD_REQUEST"),
                         ({"limits.tags": "3"}, "E_BAD_REQUEST"), ({"limits.tags": 3, "limits.changes": 0}, "E_LIMIT")):
        answer = configure(second, wrong)
        check(answer["verb"] == "failed" and answer["error"] == error, "%r: %r" % (wrong, answer))
    before = settings_of(cluster.nodes[2])
    check(before["limits.tags"] == 64, "a refused setting was taken: %r" % before)
    done = configure(second, {"limits.change_bytes": 1024})
    check(done["verb"] == "put_done" and done.get("id", 0) == 0, "set: %r" % done)
    wait_settings(cluster.nodes, {"limits.change_bytes": 1024})
    refused = put(first, "x" * 5000)
    check(refused["verb"] == "failed" and "limits.change_bytes" in refused["detail"], "a put over it: %r" % refused)
    for node in cluster.nodes:
        node.kill()
    cluster.up()
    wait_settings(cluster.nodes, {"limits.change_bytes": 1024, "limits.tags": 64})
    for node in cluster.nodes:
        row = ask_until(node.places()["api"], "get", "get_is", id=long_one["id"])["change"]
        check(len(row["data"]) == 5000, "a long change was hidden by a lowered limit")


def put_large(endpoint, count, size=4000000):
    """Puts of four changes each, so that a segment (64 MiB) is soon full; the last one's answer."""
    born, done = ask_until(endpoint, "hello", "hello_is")["born"], None
    data = os.urandom(size // 4)
    for _ in range(count):
        body = msgpack.packb({"changes": [{"tags": ["big"], "data": data}] * 4}, use_bin_type=True)
        done = ask_until(endpoint, "put", "put_done", txid=os.urandom(16), born=born, attempt=1, body=body)
    return done


def first_ids(nodes):
    states = [status(node) for node in nodes]
    return [state and state["first_id"] for state in states]


def wait_first_id(nodes, test, what, seconds=20):
    """All nodes agree on a first id that passes; it."""
    def level():
        ids = set(first_ids(nodes))
        return ids.pop() if len(ids) == 1 and None not in ids and test(max(ids)) else None
    try:
        return wait_for(what, seconds, level, every=0.05)
    except Failed as failed:
        raise Failed("%s; first ids: %r" % (failed, first_ids(nodes))) from failed


def segments(node):
    return sorted(name for name in os.listdir(os.path.join(node.dir, "data", "log")) if name.endswith(".db"))


def check_below(node, first_id):
    """No ask that begins below the first kept change gets anything but the error, by name."""
    api = node.places()["api"]
    for fields in ({"since": 0}, {"since": first_id - 2}, {"since": 0, "tags": ["big"]}, {"since": 0, "limit": 1}):
        answer = ask(api, "list", 5, **fields)
        check(answer["verb"] == "failed" and answer["error"] == "E_TRUNCATED" and answer["first_id"] == first_id and
              answer["remedy"], "%s, list %r: %r" % (node.name, fields, answer))
    answer = ask(api, "get", 5, id=first_id - 1)
    check(answer["verb"] == "failed" and answer["error"] == "E_TRUNCATED", "get below the cut: %r" % answer)
    page = ask_until(api, "list", "list_is", since=first_id - 1, limit=2, bytes=1)
    check(page["changes"][0]["id"] == first_id and not page.get("at_start") and page["first_id"] == first_id,
          "the first page: %r" % {key: page[key] for key in page if key != "changes"})


def check_truncated(node, least):
    """As above, at the first id of this moment: a write that came in between may have moved the cut on."""
    for _ in range(5):
        first_id = status(node)["first_id"]
        check(first_id >= least, "%s: the first id went back: %d, %d" % (node.name, first_id, least))
        try:
            return check_below(node, first_id)
        except Failed:
            if status(node)["first_id"] == first_id:
                raise
    raise Failed("%s: the first id does not rest" % node.name)


def wait_kept(nodes):
    """All that these have applied is in their states, twice: a file that could go for it is gone."""
    def indexes():
        return [(status(node) or {}).get("processes", {}).get("storage", {}) for node in nodes]
    for _ in range(2):
        put_until_done(nodes[0].places()["api"], "one more")
        applied = [counters.get("applied_index") for counters in wait_for("counters", 10, lambda: all(indexes()) and indexes())]
        wait_for("states that are written", 10, lambda: all(
            counters.get("written_index", 0) >= index for counters, index in zip(indexes(), applied)), every=0.05)


def check_heals_without_state(cluster, node, first):
    """Its state is gone, and so is the log that made it: the node keeps its vote, and gets the leader's."""
    node.kill()
    home = os.path.join(node.dir, "data")
    for name in os.listdir(home):
        if name.startswith("state.db"):
            os.unlink(os.path.join(home, name))
    node.start()
    wait_first_id(cluster.nodes, lambda now: now >= first, "the state of %s" % node.name)
    leader = wait_leader(cluster.nodes)
    last = put_until_done(leader.places()["api"], "with a state again")["id"]
    wait_for("the same chain on all nodes", 20, lambda: len({
        (state or {}).get("chain") for state in map(status, cluster.nodes)}) == 1 and status(node)["last_id"] >= last)
    log = log_of(node)
    check("event=state_lost" in log and "event=snapshot_installed" in log, "it was not healed by a snapshot")
    check("directory_damaged" not in log, "it lost its vote")
    check_truncated(node, first)


def test_the_log_is_cut_at_the_same_id_everywhere(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    api = leader.places()["api"]
    put_large(api, 8)
    follower = next(node for node in cluster.nodes if node is not leader)
    follower.kill()  # in the middle of the first file, and within limits: it must come back by the log
    put_large(api, 28)
    others = [node for node in cluster.nodes if node is not follower]
    oldest = [segments(node)[0] for node in others]
    done = configure(api, {"retention.min_records": 20})
    check(done["verb"] == "put_done", "set: %r" % done)
    first = wait_first_id(others, lambda first: first > 100, "a cut")
    for node in others:
        check_truncated(node, first)
    wait_kept(others)
    check([segments(node)[0] for node in others] == oldest, "a file went that a server needs")
    follower.start()
    wait_leader(cluster.nodes)
    first = wait_first_id(cluster.nodes, lambda first: first > 100, "the same cut on all three")
    check("snapshot_installed" not in log_of(follower), "it came back by a snapshot")
    wait_for("the oldest file to go on all nodes", 25,
             lambda: all(len(segments(node)) <= 2 for node in cluster.nodes), every=0.1)
    chain = {status(node)["chain"] for node in cluster.nodes}
    check(len(chain) == 1, "chains differ: %r" % chain)
    for node in cluster.nodes:
        node.kill()
    cluster.up()
    leader = wait_leader(cluster.nodes)
    put_until_done(leader.places()["api"], "after the restart")
    first = wait_first_id(cluster.nodes, lambda now: now >= first, "the cut after the restart")
    for node in cluster.nodes:
        check_truncated(node, first)
    house.say("first id %d on all nodes; %s files left" % (first, [len(segments(node)) for node in cluster.nodes]))
    held = hold(api, "slow", first)
    check(held["verb"] == "put_done", "hold: %r" % held)
    check(set_rule(api, "kept/*", keep_s=60)["verb"] == "put_done", "a rule")
    victim = next(node for node in cluster.nodes if node is not leader)
    check_heals_without_state(cluster, victim, first)
    check([row["name"] for row in holders_of(victim)] == ["slow"], "the snapshot has no holder: %r" % holders_of(victim))
    rules = ask_until(victim.places()["api"], "rules", "rules_are")["rules"]
    check([(row["tag"], row["keep_s"]) for row in rules] == [("kept/*", 60)], "the snapshot has no rule: %r" % rules)


def hold(endpoint, name, start=0, seconds=3600):
    """Sets a holder, or without a start removes it; the answer."""
    return put_map(endpoint, dict({"name": name}, **({"from": start, "for_s": seconds} if start else {})), holder=True)


def set_rule(endpoint, tag, **says):
    """Sets what a rule says, or with nothing removes it; the answer."""
    return put_map(endpoint, dict({"tag": tag}, **says), rule=True)


def holders_of(node):
    return ask_until(node.places()["api"], "holders", "holders_are")["holders"]


def check_refusals(node):
    api = node.places()["api"]
    for fields, error, word in ((("slow", 1), "E_TRUNCATED", "first_id"), (("slow", 10**6), "E_AHEAD", "next"),
                                (("slow", 300, 2592001), "E_LIMIT", "2592000"), (("a b", 300), "E_BAD_REQUEST", "name"),
                                (("x" * 33, 300), "E_BAD_REQUEST", "name"), (("nobody",), "E_NOT_FOUND", "list")):
        answer = hold(api, *fields)
        check(answer["verb"] == "failed" and answer["error"] == error and word in answer["detail"],
              "%r: %r" % (fields, answer))
    for words, code in ((("set", "slow"), 2), (("set", "slow", "--from", "300", "--for", "never"), 2), (("list", "slow"), 2),
                        (("set", "slow", "--from", "1"), 7), (("remove", "nobody"), 3), (("set", "a b", "--from", "300"), 1)):
        done = run_tool(node, "holder", *words)
        check(done[0] == code and done[2], "holder %r: %r" % (words, done))
    code, said, _ = run_tool(node, "holder", "list", "-o", "json")
    check(code == 0 and [row["name"] for row in json.loads(said)["holders"]] == ["fast", "slow"], "list: %r" % said)


def test_the_log_is_not_cut_past_what_a_holder_needs(house):
    cluster = house.cluster()
    nodes = cluster.nodes
    api = wait_leader(nodes).places()["api"]
    born = ask_until(api, "hello", "hello_is")["born"]
    for _ in range(8):
        body = msgpack.packb({"changes": [{"data": "x"}] * 50}, use_bin_type=True)
        ask_until(api, "put", "put_done", txid=os.urandom(16), born=born, attempt=1, body=body)
    code, said, _ = run_tool(nodes[0], "holder", "set", "slow", "--from", "101", "--for", "1h")
    check(code == 0 and "slow" in said and "101" in said, "set: %d %r" % (code, said))
    check(hold(nodes[1].places()["api"], "fast", 201)["verb"] == "put_done", "set by another node")
    check(configure(api, {"retention.min_records": 20})["verb"] == "put_done", "set")
    wait_first_id(nodes, lambda first: first == 101, "a cut up to what the first needs")
    check_refusals(nodes[2])
    for node in nodes:
        node.kill()
    cluster.up()
    wait_leader(nodes)
    for node in nodes:
        wait_for("the holders on %s" % node.name, 20,
                 lambda: [row["name"] for row in holders_of(node)] == ["fast", "slow"], every=0.05)
    must_stay(2.5, lambda: all(first in (None, 101) for first in first_ids(nodes)), "it was cut past a holder")
    code, said, _ = run_tool(nodes[1], "holder", "remove", "slow")
    check(code == 0 and "slow" not in said and "fast" in said, "remove: %d %r" % (code, said))
    wait_first_id(nodes, lambda first: first == 201, "a cut up to what the other needs")
    check(hold(api, "fast", 301, 4)["verb"] == "put_done", "renewed, for a while")
    wait_first_id(nodes, lambda first: first == 301, "the next cut, in its time")
    wait_first_id(nodes, lambda first: first > 301, "the end of its time")
    check(all(holders_of(node) == [] for node in nodes), "who was cut off is a holder still")
    told = [node.name for node in nodes if "event=holder_expired holder=fast from=301" in log_of(node)]
    check(told, "nobody told that a hold was over")
