#!/usr/bin/python3
"""pairs.py [NAME ...] [--pairs N] [--seconds S]: does what happens beside them slow writes down?

  catchup     a node that was away while 400 MB were written gets them, at the default rate
  seal        a segment is filled, sealed and, as the settings allow it, the oldest one cut
  subscriber  ten followers of everything stand still and read nothing any more

For each: N pairs (5) of S seconds (10) under the same paced load, first in quiet, then with it. Says the median of
the p99 of both halves. Must: at most twice the quiet one, or 5 ms more. Run as `make bench-pairs PAIRS=name`.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import table
from table import harness, leader_first, run_bench
import retention  # of tests/cluster

SEGMENT_ENTRIES, PER_S = 131072, 1000


def paced(nodes, seconds, rate=PER_S):
    """p99 of paced writes at the leader, ms."""
    row = run_bench(leader_first(nodes)[:1], "--outstanding", "64", "--rate", str(rate), "--warm", "0", "--seconds",
                    str(seconds))
    assert row["errors"] == 0 and row["acked_per_s"] > 0.9 * rate, row
    return row["p99_us"] / 1e3


def fill(nodes, count, *more):
    """Writes as fast as it can until so many are there; nothing of it is left to do afterwards."""
    leader = leader_first(nodes)[:1]
    while harness.status(leader[0])["last_id"] < count:
        run_bench(leader, "--outstanding", "512", "--seconds", "1", "--warm", "0", *more)
    calm(nodes)


def calm(nodes):
    """Until everything is applied and written late too."""
    def still():
        rows = [harness.status(node) for node in nodes]
        if None in rows or len({row["last_id"] for row in rows}) != 1:
            return False
        return all(row["processes"]["storage"]["written_index"] == row["applied_index"] for row in rows)
    harness.wait_for("all to be level and written", 60, still, every=0.1)


def counter(node, name):
    return ((harness.status(node) or {}).get("processes") or {}).get("storage", {}).get(name, 0)


class Catchup:
    """Each time the same node comes back as it was before the 400 MB."""

    def __init__(self, cluster):
        self.nodes = leader_first(cluster.nodes)
        self.away, self.nodes = self.nodes[-1], self.nodes[:-1]
        fill(cluster.nodes, 1)
        self.away.kill()
        self.kept = os.path.join(cluster.base, "kept")
        shutil.copytree(self.away.data, self.kept, ignore=shutil.ignore_patterns("run"))
        fill(self.nodes, 200000, "--size", "2048")

    def quiet(self, seconds):
        return paced(self.nodes, seconds)

    def disturbed(self, seconds):
        shutil.rmtree(self.away.data)
        shutil.copytree(self.kept, self.away.data)
        self.away.launch()
        harness.wait_for("the first slice", 30, lambda: counter(self.away, "snapshot_bytes_written"), every=0.02)
        p99 = paced(self.nodes, seconds)
        self.told = "%d MB came" % (counter(self.away, "snapshot_bytes_written") >> 20)
        self.away.kill()
        return p99


class Seal:
    """The load begins where a segment has room for half of it."""

    def __init__(self, cluster):
        self.nodes = cluster.nodes
        retention.configure(leader_first(self.nodes)[0].places()["api"],
                            {"retention.min_records": 1000, "retention.peer_records": 1000})

    def quiet(self, seconds):
        calm(self.nodes)
        return paced(self.nodes, seconds)

    def disturbed(self, seconds):
        last = harness.status(self.nodes[0])["commit_index"]
        begin = last - last % SEGMENT_ENTRIES + SEGMENT_ENTRIES - PER_S * seconds // 2
        while (left := begin - harness.status(self.nodes[0])["commit_index"]) > 0:  # never so fast that it goes beyond
            run_bench(leader_first(self.nodes)[:1], "--outstanding", "512", "--rate", str(min(15000, max(1000, left))),
                      "--seconds", "1", "--warm", "0")
        calm(self.nodes)
        before = [(counter(node, "sealed"), counter(node, "segments_cut")) for node in self.nodes]
        p99 = paced(self.nodes, seconds)
        after = [(counter(node, "sealed"), counter(node, "segments_cut")) for node in self.nodes]
        assert all(b[0] > a[0] for a, b in zip(before, after)), "no segment was sealed meanwhile"
        self.told = "on each node, sealed and cut: %s" % ", ".join(
            "%d and %d" % (b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after))
        return p99


class Subscriber:
    """More is written than their connections hold."""
    RATE = 3000

    def __init__(self, cluster):
        self.nodes = cluster.nodes

    def half(self, seconds, still):
        listener = subprocess.Popen([table.FANOUT, "10", "3600"] + [node.places()["stream"] for node in self.nodes],
                                    stdout=subprocess.PIPE, text=True)
        try:
            assert listener.stdout.readline().strip() == "joined"
            if still:
                listener.send_signal(signal.SIGSTOP)
            return paced(self.nodes, seconds, self.RATE)
        finally:
            listener.kill()
            listener.wait()

    def quiet(self, seconds):
        return self.half(seconds, False)

    def disturbed(self, seconds):
        self.told = "%d changes waited for each" % (self.RATE * seconds)
        return self.half(seconds, True)


SCENES = (("catchup", Catchup), ("seal", Seal), ("subscriber", Subscriber))


def run(name, scene_of, pairs, seconds):
    base = tempfile.mkdtemp(prefix="changeagent-pairs.")
    cluster = None
    try:
        cluster = harness.tool.Cluster(base)
        cluster.make(3, {"supervisor": {"place": "no"}})  # a node's files are put back as they were
        cluster.up()
        scene, quiet, disturbed = scene_of(cluster), [], []
        for _ in range(pairs):
            quiet.append(scene.quiet(seconds))
            disturbed.append(scene.disturbed(seconds))
        calm_ms, busy_ms = statistics.median(quiet), statistics.median(disturbed)
        kept = busy_ms <= max(2 * calm_ms, calm_ms + 5)
        print("%-10s p99 %.1f ms in quiet (%s), %.1f ms with it (%s): %s; %s" % (
            name, calm_ms, " ".join("%.1f" % ms for ms in quiet), busy_ms, " ".join("%.1f" % ms for ms in disturbed),
            "kept" if kept else "NOT KEPT", scene.told), flush=True)
        return kept
    finally:
        if cluster is not None:
            cluster.kill_all()
        shutil.rmtree(base, ignore_errors=True)


def main(argv):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    args = parser.parse_args(argv)
    kept = [run(name, scene, args.pairs, args.seconds) for name, scene in SCENES
            if not args.names or any(word in name for word in args.names)]
    return 0 if all(kept) and kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
