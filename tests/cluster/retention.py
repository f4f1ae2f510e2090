"""What the whole cluster agrees on, and how long changes are kept."""
import os

import msgpack
from harness import ask, ask_until, check, put, put_until_done, wait_for, wait_leader


def configure(endpoint, settings):
    """Sets them; the answer."""
    hello = ask_until(endpoint, "hello", "hello_is")
    body = msgpack.packb(settings, use_bin_type=True)
    return ask(endpoint, "put", 10, txid=os.urandom(16), born=hello["born"], attempt=1, body=body, settings=True)


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
