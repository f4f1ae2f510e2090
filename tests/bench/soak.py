#!/usr/bin/python3
"""soak.py [--minutes N] [--outstanding N]: does anything grow that should not, under full load for a long time?

Three nodes, one writer at full speed over 100 000 tags, a follower of one tag at each node, and a log that is cut behind its
newest records. Every five seconds each node is looked at: memory, open files, files that wait to be sealed, queues,
rows that wait, log entries that are behind, bytes on the disk. The first third is warming up; a measure whose highest
value of the last third is more than a quarter (and its slack) above that of the second third grows. Ends with
`N passed, N failed`, and with 1 if something grew or went beyond its limit. Run as `make soak MINUTES=n`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import table
from table import harness
import retention

LOOK_S = 5
KEEP_RECORDS = 300000


def open_files(node):
    return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in table.pids_of(node))


def log_of(node):
    """(bytes on the disk, files of the log without an index)"""
    names, size = set(), 0
    for home, _, files in os.walk(node.data):
        for name in files:
            try:
                size += os.lstat(os.path.join(home, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # cut or renamed meanwhile
            if os.path.basename(home) == "log":
                names.add(name)
    return size, sum(name.endswith(".db") and name + ".index" not in names for name in names)


def look(node):
    row = harness.status(node, 10)
    harness.check(row is not None, "%s does not answer" % node.name)
    storage, api = row["processes"]["storage"], row["processes"]["api"]
    size, unsealed = log_of(node)
    return {"memory_mb": table.pss_mb(node), "open_files": open_files(node), "unsealed": unsealed, "disk_mb": size / 1e6,
            "queue_mb": (storage.get("queue_view_bytes", 0) + storage.get("queue_keeper_bytes", 0)) / 1e6,
            "waiting_rows": storage.get("waiting_rows", 0), "behind": row["commit_index"] - row["applied_index"],
            "unwritten": storage.get("applied_index", 0) - storage.get("written_index", 0),
            "storage_age_ms": api["storage_age_ms"]}


# measure: (slack, limit). What is a limit of the house has its number; the rest only must not grow.
MEASURES = {"memory_mb": (10, None), "open_files": (16, 1024), "unsealed": (2, 4), "disk_mb": (200, None), "queue_mb": (8, 128),
            "waiting_rows": (100000, None), "behind": (20000, None), "unwritten": (400000, None), "storage_age_ms": (3000, 10000)}


def judge(name, samples):
    """(a line of the table, what is wrong or None)"""
    third = len(samples) // 3
    before, after = max(samples[third:2 * third]), max(samples[2 * third:])
    slack, limit = MEASURES[name]
    wrong = None
    if after > 1.25 * before + slack:
        wrong = "%s grows: at most %.0f in the second third, %.0f in the last" % (name, before, after)
    if limit is not None and max(samples) > limit:
        wrong = "%s went to %.0f; %d is its limit" % (name, max(samples), limit)
    return "%-15s %10.1f %10.1f %10.1f" % (name, max(samples[:third]), before, after), wrong


def ended_within(process, seconds):
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def soak(nodes, minutes, outstanding):
    leader = table.leader_first(nodes)[0]
    done = retention.configure(leader.places()["api"], {"retention.min_records": KEEP_RECORDS})
    harness.check(done is not None and done["verb"] == "put_done", "the retention is not set: %r" % done)
    helpers = [subprocess.Popen([table.CLI, "follow", "--endpoints", node.places()["api"], "--now", "--tag", "tag-%d" % slot],
                                stdout=subprocess.DEVNULL) for slot, node in enumerate(nodes)]
    writer = subprocess.Popen(table.bench([leader], "--outstanding", str(outstanding), "--distinct-tags", "100000", "--seconds",
                                          str(int(minutes * 60))), stdout=subprocess.PIPE)
    seen = {node.name: [] for node in nodes}
    try:
        while not ended_within(writer, LOOK_S):
            for node in nodes:
                seen[node.name].append(look(node))
        harness.check(all(helper.poll() is None for helper in helpers), "a follower ended")
    finally:
        for process in helpers + [writer]:
            process.kill()
            process.wait()
    return json.loads(writer.stdout.read()), seen


def report(row, seen):
    faults = []
    print("%.0f acked/s, p99 %.1f ms, longest %.0f ms, %d failed" % (
        row["acked_per_s"], row["p99_us"] / 1e3, row["max_us"] / 1e3, row["errors"]))
    for node, samples in seen.items():
        print("%s, highest of each third:" % node)
        for name in MEASURES:
            line, wrong = judge(name, [sample[name] for sample in samples])
            print("  " + line)
            faults += ["%s: %s" % (node, wrong)] if wrong else []
    if row["errors"]:
        faults.append("%d writes failed" % row["errors"])
    for fault in faults:
        print("FAILED: " + fault)
    measures = len(MEASURES) * len(seen) + 1
    print("%d passed, %d failed" % (measures - len(faults), len(faults)))
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--outstanding", type=int, default=256)
    given = parser.parse_args()
    base, cluster = tempfile.mkdtemp(prefix="changeagent-soak."), None
    try:
        subprocess.run([os.path.join(table.ROOT, "scripts", "cluster"), "up", base, "3"], check=True, stdout=subprocess.DEVNULL)
        cluster = harness.tool.Cluster(base)
        return report(*soak(cluster.nodes, given.minutes, given.outstanding))
    finally:
        if cluster is not None:
            cluster.kill_all()
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
