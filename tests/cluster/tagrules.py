"""What holds for the changes of single tags: how long they are kept, and how many a node takes."""
import json
import os
import subprocess

import msgpack
from harness import ask_until, check, must_stay, tool, wait_for, wait_leader
from retention import configure, first_ids, set_rule, wait_first_id


def put_changes(endpoint, changes):
    """One put, until it is done; the answer."""
    born = ask_until(endpoint, "hello", "hello_is")["born"]
    body = msgpack.packb({"changes": changes}, use_bin_type=True)
    return ask_until(endpoint, "put", "put_done", txid=os.urandom(16), born=born, attempt=1, body=body)


def rules_of(node):
    """tag -> what the rule says, as applied on the node."""
    rows = ask_until(node.places()["api"], "rules", "rules_are")["rules"]
    return {row["tag"]: (row["keep_s"], row["changes_s"], row["bytes_s"]) for row in rows}


def run_rule(node, *words):
    """The command line; its exit code, what it said, and on stderr."""
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "rule", *words, "--endpoints", node.places()["api"]],
                          capture_output=True, text=True, check=False, timeout=40)
    return done.returncode, done.stdout, done.stderr


def check_refusals(node):
    api = node.places()["api"]
    for tag, says, error, word in (("", {"keep_s": 1}, "E_BAD_REQUEST", "tag"), ("x" * 65, {"keep_s": 1}, "E_BAD_REQUEST", "64"),
                                   ("a\nb", {"keep_s": 1}, "E_BAD_REQUEST", "control"), ("a", {"keep": 1}, "E_BAD_REQUEST", "keep_s"),
                                   ("a", {"keep_s": 3153600001}, "E_LIMIT", "3153600000"),
                                   ("a", {"bytes_s": "1"}, "E_BAD_REQUEST", "bytes_s"), ("nothing", {}, "E_NOT_FOUND", "list")):
        answer = set_rule(api, tag, **says)
        check(answer["verb"] == "failed" and answer["error"] == error and word in answer["detail"],
              "%r %r: %r" % (tag, says, answer))
    for words, code in ((("set", "a"), 2), (("set", "a", "--keep", "never"), 2), (("list", "a"), 2), (("set", "x" * 80, "--keep", "1h"), 2),
                        (("remove", "nothing"), 3), (("set", "a\nb", "--keep", "1h"), 1), (("set", "a", "--bytes-per-second", "-1"), 2)):
        done = run_rule(node, *words)
        check(done[0] == code and done[2], "rule %r: %r" % (words, done))
    code, said, _ = run_rule(node, "list", "-o", "json")
    check(code == 0 and json.loads(said)["rules"] == [
        {"tag": "audit/*", "keep_s": 3600, "changes_s": 0, "bytes_s": 0},
        {"tag": "late", "keep_s": 7200, "changes_s": 0, "bytes_s": 0}], "list: %r" % said)


def test_changes_of_a_tag_are_kept_longer(house):
    cluster = house.cluster()
    nodes = cluster.nodes
    api = wait_leader(nodes).places()["api"]
    for at in range(8):
        tags = {2: ["audit/x", "other"], 5: ["late"]}.get(at, ["other"])
        put_changes(api, [{"data": "x", "tags": tags}] * 50)
    code, said, err = run_rule(nodes[0], "set", "audit/*", "--keep", "1h")
    check(code == 0 and "audit/*" in said and "3600" in said, "set: %d %r %r" % (code, said, err))
    check(set_rule(nodes[1].places()["api"], "late", keep_s=7200)["verb"] == "put_done", "set by another node")
    check(configure(api, {"retention.min_records": 20})["verb"] == "put_done", "set")
    wait_first_id(nodes, lambda first: first == 101, "a cut up to what the first rule keeps")
    check_refusals(nodes[2])
    for node in nodes:
        node.kill()
    cluster.up()
    wait_leader(nodes)
    both = {"audit/*": (3600, 0, 0), "late": (7200, 0, 0)}
    for node in nodes:
        wait_for("the rules on %s" % node.name, 20, lambda: rules_of(node) == both, every=0.05)
    must_stay(2.5, lambda: all(first in (None, 101) for first in first_ids(nodes)), "it was cut past what a rule keeps")
    code, said, _ = run_rule(nodes[1], "remove", "audit/*")
    check(code == 0 and "audit" not in said and "late" in said, "remove: %d %r" % (code, said))
    wait_first_id(nodes, lambda first: first == 251, "a cut up to what the other keeps")
    check(run_rule(nodes[1], "set", "late", "--keep", "1s")[0] == 0, "a shorter one")
    wait_first_id(nodes, lambda first: first == 351, "the end of its time")
    check(run_rule(nodes[0], "set", "late", "--keep", "0")[0] == 0, "none")
    wait_for("no rule any more", 10, lambda: all(rules_of(node) == {} for node in nodes), every=0.05)
