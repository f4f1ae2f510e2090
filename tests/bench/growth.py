#!/usr/bin/python3
"""growth.py SMALL LARGE [--keep DIR] [--only LINE]: does a log that has grown cost more? One node with SMALL changes, one with
LARGE, both filled through the server (256 bytes, 2 tags of 10 000); turns between them, a line each:

  restart    SIGKILL of all processes, until it serves reads again; the median of 5
  write      acknowledged writes a second, with 1 and with 64 outstanding: medians of 3 turns of 4 s
  point      a change by its id, ten by a tag, the first one at a time: p50 and p99 of 4000, one connection, when
             1000 others were asked before

With --keep the nodes stay below DIR, and the next run goes on with them. Run as `make bench-growth`; filling ten million
takes three to eight minutes.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

import msgpack
import table
from table import harness, run_bench
import zmq

TAGS = 10000
ASKS = 4000  # of each kind, of each node


def fill(node, count):
    """By one server's own clients; what was applied last is written when it returns."""
    while (have := harness.status(node)["last_id"]) < count:
        few = count - have < 100000
        run_bench([node], "--outstanding", "16" if few else "1024", "--distinct-tags", str(TAGS), "--warm", "0",
                  "--seconds", "1" if few else str(min(30, 1 + (count - have) // 100000)))
    harness.wait_for("late writing", 120, lambda: table.is_written(node), every=0.2)


def node_of(base, count):
    directory = os.path.join(base, "changes-%d" % count)
    os.makedirs(directory, exist_ok=True)
    cluster = harness.tool.Cluster(directory)
    if not cluster.nodes:
        cluster.make(1)
    cluster.up()
    fill(cluster.nodes[0], count)
    print("%-8s %d changes in %s" % ("", harness.status(cluster.nodes[0])["last_id"], directory), flush=True)
    return cluster


# ---- the lines ------------------------------------------------------------------------------


def restart_s(node):
    node.kill()
    begin = time.monotonic()
    node.launch()
    harness.wait_for("reads of %s" % node.name, 60, lambda: table.serves(node), every=0.005)
    return time.monotonic() - begin


def line_restart(nodes):
    rows = [[restart_s(node) for node in nodes] for _ in range(5)]
    took = [statistics.median(column) for column in zip(*rows)]
    return "%.2f s and %.2f s until it serves (longest %.2f and %.2f)" % (*took, *(max(column) for column in zip(*rows)))


def line_write(nodes):
    words = []
    for outstanding in (1, 64):
        rows = [[run_bench([node], "--outstanding", str(outstanding), "--seconds", "4", "--distinct-tags", str(TAGS))
                 for node in nodes] for _ in range(3)]
        rates = [statistics.median(row["acked_per_s"] for row in column) for column in zip(*rows)]
        p99 = [statistics.median(row["p99_us"] for row in column) / 1e3 for column in zip(*rows)]
        words.append("%d outstanding: %.0f and %.0f/s (%.2f x the time), p99 %.1f and %.1f ms" % (
            outstanding, *rates, rates[0] / rates[1], *p99))
    return "; ".join(words)


class Asker:
    """One connection, used again."""

    def __init__(self, node):
        self.socket = harness.context.socket(zmq.REQ)
        self.socket.linger = 0
        self.socket.connect(node.places()["api"])
        last = self.ask("list", last=True, limit=1)["changes"][0]
        self.last_id, self.last_ts = last["id"], last["ts"]
        self.first_ts = self.ask("list", since=0, limit=1)["changes"][0]["ts"]

    def ask(self, verb, **fields):
        self.socket.send(msgpack.packb(dict(fields, verb=verb, req=1), use_bin_type=True))
        assert self.socket.poll(10000), "no answer to %s" % verb
        return msgpack.unpackb(self.socket.recv(), raw=False)

    def by_id(self):
        answer = self.ask("get", id=random.randint(1, self.last_id))
        assert answer["verb"] == "get_is", answer

    def by_tag(self):
        answer = self.ask("list", tags=["tag-%d" % random.randrange(TAGS)], limit=10, last=True)
        assert answer["verb"] == "list_is" and answer["changes"], answer

    def by_time(self):
        answer = self.ask("list", since_time=random.randint(self.first_ts, self.last_ts), limit=1)
        assert answer["verb"] == "list_is" and answer["changes"], answer


def line_point(nodes):
    words, askers = [], [Asker(node) for node in nodes]
    for name in ("by_id", "by_tag", "by_time"):
        took = [[], []]
        for asker in askers:
            for _ in range(ASKS // 4):  # every file is opened by one of them
                getattr(asker, name)()
        for turn in range(2 * ASKS):
            begin = time.perf_counter()
            getattr(askers[turn % 2], name)()
            took[turn % 2].append((time.perf_counter() - begin) * 1e3)
        p50, p99 = ([harness.percentile(column, share) for column in took] for share in (0.5, 0.99))
        words.append("%s p50 %.3f and %.3f ms (%.2f x), p99 %.2f and %.2f ms" % (name, *p50, p50[1] / p50[0], *p99))
    return "; ".join(words)


LINES = (("restart", line_restart), ("point", line_point), ("write", line_write))


def main(argv):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("small", type=int)
    parser.add_argument("large", type=int)
    parser.add_argument("--keep")
    parser.add_argument("--only")
    args = parser.parse_args(argv)
    base = args.keep or tempfile.mkdtemp(prefix="changeagent-growth.")
    clusters = []
    try:
        clusters = [node_of(base, count) for count in (args.small, args.large)]
        for name, line in LINES:
            if args.only in (None, name):
                print("%-8s %s" % (name, line([cluster.nodes[0] for cluster in clusters])), flush=True)
    finally:
        for cluster in clusters:
            cluster.down()
        if not args.keep:
            shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
