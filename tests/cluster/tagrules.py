"""What holds for the changes of single tags: how long they are kept, and how many a node takes."""
import json
import os
import subprocess
import threading
import time

from harness import (Failed, ask_until, check, must_stay, put_map, put_until_done, run_tool, status, tool, wait_for,
                     wait_leader)
from retention import configure, first_ids, set_rule, wait_first_id


def rules_of(node):
    """tag -> what the rule says, as applied on the node."""
    rows = ask_until(node.places()["api"], "rules", "rules_are")["rules"]
    return {row["tag"]: (row["keep_s"], row["changes_s"], row["bytes_s"]) for row in rows}


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
        done = run_tool(node, "rule", *words)
        check(done[0] == code and done[2], "rule %r: %r" % (words, done))
    code, said, _ = run_tool(node, "rule", "list", "-o", "json")
    check(code == 0 and json.loads(said)["rules"] == [
        {"tag": "audit/*", "keep_s": 3600, "changes_s": 0, "bytes_s": 0},
        {"tag": "late", "keep_s": 7200, "changes_s": 0, "bytes_s": 0}], "list: %r" % said)


def test_changes_of_a_tag_are_kept_longer(house):
    cluster = house.cluster()
    nodes = cluster.nodes
    api = wait_leader(nodes).places()["api"]
    for at in range(8):
        tags = {2: ["audit/x", "other"], 5: ["late"]}.get(at, ["other"])
        check(put_map(api, {"changes": [{"data": "x", "tags": tags}] * 50})["verb"] == "put_done", "put")
    code, said, err = run_tool(nodes[0], "rule", "set", "audit/*", "--keep", "1h")
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
    code, said, _ = run_tool(nodes[1], "rule", "remove", "audit/*")
    check(code == 0 and "audit" not in said and "late" in said, "remove: %d %r" % (code, said))
    wait_first_id(nodes, lambda first: first == 251, "a cut up to what the other keeps")
    check(run_tool(nodes[1], "rule", "set", "late", "--keep", "1s")[0] == 0, "a shorter one")
    wait_first_id(nodes, lambda first: first == 351, "the end of its time")
    check(run_tool(nodes[0], "rule", "set", "late", "--keep", "0")[0] == 0, "none")
    wait_for("no rule any more", 10, lambda: all(rules_of(node) == {} for node in nodes), every=0.05)


def put_once(endpoint, tag, count=1, **more):
    """One put, asked once; the answer."""
    return put_map(endpoint, {"changes": [{"data": "x", "tags": [tag]}] * count}, **more)


def fill_up(endpoint, tag, most):
    """Puts until one is over the quota; that answer."""
    for _ in range(most):
        answer = put_once(endpoint, tag)
        if answer["verb"] == "failed":
            return answer
    raise Failed("%d puts of %s came in, and none was over the quota" % (most, tag))


def run_put(node, lines, *words):
    return subprocess.run([os.path.join(tool.BIN, "changeagent"), "put", "--lines", *words, "--endpoints", node.places()["api"]],
                          input="".join("line %d\n" % line for line in range(lines)), capture_output=True, text=True,
                          check=False, timeout=60)


def beside_it(node, lines):
    """Lines of a tenant that take some two seconds, and what its neighbour gets done while they wait."""
    begun, seen = time.monotonic(), []
    tenant = threading.Thread(target=lambda: seen.append(run_put(node, lines, "--tag", "coke/cans")))
    tenant.start()
    puts = 0
    while tenant.is_alive():
        for tag in ("pepsi/cans", "coke"):
            check(put_once(node.places()["api"], tag)["verb"] == "put_done", "a neighbour")
            puts += tenant.is_alive()
    tenant.join()
    check(seen and seen[0].returncode == 0, "not all lines came in: %r" % seen)
    check(time.monotonic() - begun >= (lines - 21) / 20 - 0.2, "%d lines came in too soon" % lines)
    check(puts >= 20, "the neighbour got %d puts done meanwhile" % puts)


def over_quota(node):
    return status(node)["processes"]["api"]["puts_over_quota"]


def test_who_is_over_its_quota_waits_and_its_neighbour_does_not(house):
    cluster = house.cluster()
    nodes = cluster.nodes
    wait_leader(nodes)
    api, other = nodes[0].places()["api"], nodes[1].places()["api"]
    code, said, err = run_tool(nodes[2], "rule", "set", "coke/*", "--changes-per-second", "3")
    check(code == 0 and "coke/*" in said, "set: %d %r %r" % (code, said, err))
    rule = {"coke/*": (0, 3, 0)}
    wait_for("the rule everywhere", 10, lambda: all(rules_of(node) == rule for node in nodes), every=0.05)
    check(put_once(api, "coke/cans", 60)["verb"] == "put_done", "a large one comes in as a whole")
    refused = fill_up(api, "coke/bottles", 1)  # twenty seconds of it were taken
    check(refused["error"] == "E_QUOTA" and refused["retryable"] and refused["outcome"] == "none", "refused: %r" % refused)
    check(refused["retry_after_ms"] >= 200 and "coke/*" in refused["detail"] and "3 changes" in refused["detail"],
          "refused: %r" % refused)
    check(put_once(other, "coke/cans")["verb"] == "put_done", "each node counts for itself")
    done = run_put(nodes[0], 1, "--tag", "coke/cans", "--timeout", "700")
    check(done.returncode == 4 and "E_QUOTA" in done.stderr and "coke/*" in done.stderr, "the command line: %r" % done)
    check(over_quota(nodes[0]) >= 2 and over_quota(nodes[1]) == 0, "it is not counted")
    check(set_rule(other, "coke/*", changes_s=20, bytes_s=100000)["verb"] == "put_done", "more")
    wait_for("the rule", 10, lambda: rules_of(nodes[0]) == {"coke/*": (0, 20, 100000)}, every=0.05)
    beside_it(nodes[0], 61)
    check(over_quota(nodes[0]) > 2, "nothing was over the quota")
    check(set_rule(other, "coke/*", changes_s=0, bytes_s=50)["verb"] == "put_done", "by bytes")
    wait_for("the rule", 10, lambda: rules_of(nodes[0]) == {"coke/*": (0, 0, 50)}, every=0.05)
    check("50 bytes" in fill_up(api, "coke/cans", 30)["detail"], "by bytes")
    check(set_rule(other, "coke/*")["verb"] == "put_done", "removed")
    wait_for("no rule", 10, lambda: rules_of(nodes[0]) == {}, every=0.05)
    check(all(put_once(api, "coke/cans")["verb"] == "put_done" for _ in range(30)), "without a rule")


def test_a_put_that_did_not_come_in_is_not_counted(house):
    """Twenty seconds' worth, three times: the answer of the first is lost, the second finds no leader."""
    cluster = house.cluster()
    nodes = cluster.nodes
    api = wait_leader(nodes).places()["api"]
    check(set_rule(api, "coke/*", changes_s=3)["verb"] == "put_done", "set")
    wait_for("the rule", 10, lambda: all(rules_of(node) == {"coke/*": (0, 3, 0)} for node in nodes), every=0.05)
    name = {"txid": os.urandom(16)}
    first = put_once(api, "coke/cans", 60, **name)
    again = put_once(api, "coke/cans", 60, attempt=2, **name)
    check(first["verb"] == again["verb"] == "put_done" and first["id"] == again["id"], "again: %r %r" % (first, again))
    check(put_once(api, "coke/cans", 60, attempt=3, **name).get("error") == "E_QUOTA", "it may be asked for once more")
    alone = next(node for node in nodes if node.places()["api"] != api)
    for node in nodes:
        if node is not alone:
            node.kill()
    wait_for("a node without a leader", 20, lambda: not status(alone)["leader"], every=0.05)
    failed = put_once(alone.places()["api"], "coke/cans", 60)
    check(failed["error"] == "E_NO_LEADER" and failed["outcome"] == "none", "without a leader: %r" % failed)
    cluster.up()
    wait_leader(nodes)
    put_until_done(alone.places()["api"], "of no tag")
    done = put_once(alone.places()["api"], "coke/cans", 60)
    check(done["verb"] == "put_done", "what did not come in was counted: %r" % done)
