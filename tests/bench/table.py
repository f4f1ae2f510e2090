#!/usr/bin/python3
"""table.py [NAME ...]: what a cluster of three on this machine can do, a line and a new cluster each (all, or those whose
name holds a NAME).

  sustained   a minute at 64 outstanding over 100 000 tags, and what is behind at its end: entries, files to be sealed
  processor   CPU of all server processes for 10 000 writes, at 256 outstanding
  memory      PSS of one node, all processes, after 300 000 writes
  fanout      1000 writes a second to 100 subscribers: how late, and how steady the machine is before and after; then as
              many as it takes
  quota       a neighbour's 500 writes a second: alone, beside a tenant that writes 1000 a second by itself, beside one
              that wants all it can get at 64 outstanding and is held to as much by a rule, and beside that one unheld
  restart     SIGKILL of a node with a million changes, until it answers reads again
  catchup     a node that was away gets 500 MB from an idle cluster: MB a second
  handover    the leader is told to hand over, under load: the longest gap and refused writes

Figures are this machine's, in this minute. Run as `make bench-table`.
"""
import datetime
import json
import os
import subprocess
import shutil
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
import harness  # noqa: E402

FANOUT = os.environ.get("FANOUT", os.path.join(ROOT, "build", "plain", "tests", "bench", "fanout_bench"))
STEADY = os.path.join(os.path.dirname(FANOUT), "steady_bench")
CLI = os.path.join(ROOT, "build", "bin", "changeagent")


def bench(nodes, *more):
    argv = [CLI, "bench", "--endpoints", ",".join(node.places()["api"] for node in nodes), "--size", "256", "--tags", "2",
            "-o", "json"]
    return argv + list(more)


def run_bench(nodes, *more):
    return json.loads(subprocess.run(bench(nodes, *more), stdout=subprocess.PIPE, check=True).stdout)


def leader_first(nodes):
    leader = harness.wait_leader(nodes)
    return [leader] + [node for node in nodes if node.name != leader.name]


def pids_of(node):
    return [process["pid"] for process in node.processes().values()]


def cpu_s(nodes):
    ticks = 0
    for node in nodes:
        for pid in pids_of(node):
            with open("/proc/%d/stat" % pid, "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pss_mb(node):
    total = 0
    for pid in pids_of(node):
        with open("/proc/%d/smaps_rollup" % pid) as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1024


def whole_status(node):
    """Of a busy node some of it may come too late."""
    while (row := harness.status(node)) is None or "sealed" not in row["processes"]["storage"]:
        pass
    return row


def line_sustained(nodes):
    row = run_bench(leader_first(nodes)[:1], "--outstanding", "64", "--distinct-tags", "100000", "--seconds", "60")
    behind = [whole_status(node) for node in nodes]
    stored = [node["processes"]["storage"] for node in behind]
    return "%.0f acked/s for 60 s, p99 %.1f ms; behind at the end: %s entries, %s of %d files" % (
        row["acked_per_s"], row["p99_us"] / 1e3,
        ", ".join("%d" % (node["commit_index"] - node["applied_index"]) for node in behind),
        ", ".join("%d" % (row["segments"] - 1 - row["sealed"]) for row in stored), stored[0]["segments"])


def line_processor(nodes):
    leader, before = leader_first(nodes)[:1], cpu_s(nodes)
    row = run_bench(leader, "--outstanding", "256", "--seconds", "5", "--warm", "0")
    return "%.2f s CPU for 10 000 writes at %.0f/s" % ((cpu_s(nodes) - before) / row["acked"] * 1e4, row["acked_per_s"])


def line_memory(nodes):
    first = harness.status(nodes[0])["last_id"]
    while harness.status(nodes[0])["last_id"] - first < 300000:
        run_bench(leader_first(nodes)[:1], "--outstanding", "256", "--seconds", "3")
    return "PSS per node %s MB" % ", ".join("%.0f" % pss_mb(node) for node in nodes)


def fan_out(nodes, *more):
    listener = subprocess.Popen([FANOUT, "100", "5"] + [node.places()["stream"] for node in nodes],
                                stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline().strip() == "joined"
        writer = subprocess.Popen(bench(leader_first(nodes)[:1], "--outstanding", "64", "--seconds", "7", *more),
                                  stdout=subprocess.PIPE)
        row = json.loads(listener.stdout.readline())
        row["writes"] = json.loads(writer.communicate()[0])["acked_per_s"]
        return row
    finally:
        listener.kill()
        listener.wait()


def slow_windows(seconds):
    """Percent of 5 ms windows in which a processor does less than half of the median's work: what the host takes."""
    spins = [subprocess.Popen([STEADY, str(seconds)], stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
             for cpu in os.sched_getaffinity(0)]
    rows = [json.loads(spin.communicate()[0]) for spin in spins]
    return 100 * sum(row["slow"] for row in rows) / sum(row["windows"] for row in rows)


def line_fanout(nodes):
    before = slow_windows(5)
    calm = fan_out(nodes, "--rate", "1000")
    after = slow_windows(5)
    full = fan_out(nodes)
    return ("1000 writes/s to 100 subscribers: p50 %.1f ms, p99 %.1f ms after log time (the machine alone was at less than half "
            "its speed in %.1f and %.1f %% of 5 ms, before and after); saturated: %.0f deliveries/s, slowest subscriber %.0f/s "
            "of %.0f writes/s" % (calm["p50_us"] / 1e3, calm["p99_us"] / 1e3, before, after, full["deliveries_per_s"],
                                  full["slowest_per_s"], full["writes"]))


def is_written(node):
    row = harness.status(node)
    return row is not None and row["processes"]["storage"]["written_index"] == row["applied_index"]


def is_level(first, other):
    rows = harness.status(first), harness.status(other)
    return None not in rows and rows[0]["chain"] == rows[1]["chain"]


def moment(node, event):
    """When a node said so first, and its words."""
    line = [line for line in harness.log_of(node).splitlines() if "event=%s " % event in line][0]
    at = datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()
    return at, dict(word.split("=", 1) for word in line.split() if "=" in word)


def snapshot_times(sender, receiver):
    """Megabytes; seconds for making it, and from the first slice to the last."""
    words = moment(sender, "snapshot_made")[1]
    begun, staged = moment(receiver, "snapshot_begun")[0], moment(receiver, "snapshot_installed")[0]
    return int(words["bytes"]) >> 20, int(words["took_ms"]) / 1000, staged - begun


def serves(node):
    answer = harness.ask(node.places()["api"], "head", 0.1)
    return answer is not None and answer.get("id", 0) > 0 and not answer.get("stale")


def line_restart(nodes):
    node, took = leader_first(nodes)[-1], []
    while harness.status(node)["last_id"] < 1000000:
        run_bench(leader_first(nodes)[:1], "--outstanding", "1024", "--seconds", "3", "--warm", "0")
    run_bench([node], "--outstanding", "1", "--seconds", "1")  # everybody is level
    for _ in range(3):
        node.kill()
        begin = time.monotonic()
        node.launch()
        harness.wait_for("reads of %s" % node.name, 30, lambda: serves(node), every=0.005)
        took.append(time.monotonic() - begin)
    return "%d changes: %s s until it serves" % (
        harness.status(node)["last_id"], ", ".join("%.2f" % seconds for seconds in sorted(took)))


def line_catchup(nodes):
    first, away = leader_first(nodes)[0], leader_first(nodes)[-1]
    others = [node for node in nodes if node is not away]
    away.kill()
    wanted = harness.status(first)["last_id"] + 450000  # of 1 KiB
    while harness.status(first)["last_id"] < wanted:
        run_bench([first], "--outstanding", "512", "--seconds", "3", "--warm", "0", "--size", "1024")
    harness.wait_for("late writing", 60, lambda: all(is_written(node) for node in others), every=0.1)
    time.sleep(2)  # without a write for a second the rate is not kept
    begin = time.monotonic()
    away.launch()
    harness.wait_for("the snapshot", 120, lambda: "event=snapshot_installed" in harness.log_of(away), every=0.02)
    harness.wait_for("a level node", 120, lambda: is_level(first, away), every=0.02)
    level_s = time.monotonic() - begin
    megabytes, made_s, came_s = snapshot_times(first, away)
    return "%d MB at %.0f MB/s (%.1f s), made in %.1f s before; level %.1f s after its start" % (
        megabytes, megabytes / came_s, came_s, made_s, level_s)


def beside(leader, *tenant):
    """What the neighbour sees, and how much the tenant gets in."""
    writer = None
    if tenant:
        writer = subprocess.Popen(bench([leader], "--seconds", "9", "--tag", "tenant/a", *tenant), stdout=subprocess.PIPE)
    row = run_bench([leader], "--outstanding", "16", "--rate", "500", "--seconds", "6", "--warm", "2")
    got = json.loads(writer.communicate()[0])["acked_per_s"] if writer else 0
    return "p50 %.2f p99 %.2f ms (tenant %.0f/s)" % (row["p50_us"] / 1e3, row["p99_us"] / 1e3, got)


def line_quota(nodes):
    leader = leader_first(nodes)[0]
    rule = [CLI, "rule", "set", "tenant/*", "--changes-per-second", "1000", "--endpoints", leader.places()["api"]]
    wants_all = ("--outstanding", "64")
    alone, honest = beside(leader), beside(leader, *wants_all, "--rate", "1000")
    subprocess.run(rule, check=True, stdout=subprocess.DEVNULL)
    held = beside(leader, *wants_all)
    subprocess.run(rule[:2] + ["remove", "tenant/*"] + rule[6:], check=True, stdout=subprocess.DEVNULL)
    return "alone %s; beside 1000/s %s; held to that %s; not held %s" % (alone, honest, held, beside(leader, *wants_all))


def line_handover(nodes):
    rows = []
    for _ in range(5):
        leader = harness.wait_leader(nodes)
        writer = subprocess.Popen(bench(nodes, "--outstanding", "16", "--rate", "1000", "--seconds", "3", "--warm", "0"),
                                  stdout=subprocess.PIPE)
        harness.wait_up(leader)
        subprocess.run([CLI, "leader", "transfer", "--endpoints", leader.places()["api"]], check=True,
                       stdout=subprocess.DEVNULL)
        rows.append(json.loads(writer.communicate()[0]))
    return "longest write of each of five: %s ms; writes that failed: %d" % (
        ", ".join("%.0f" % (row["max_us"] / 1e3) for row in rows), sum(row["errors"] for row in rows))


LINES = (("processor", line_processor), ("quota", line_quota), ("memory", line_memory), ("fanout", line_fanout),
         ("handover", line_handover), ("sustained", line_sustained), ("restart", line_restart), ("catchup", line_catchup))


def measured(line):
    base = tempfile.mkdtemp(prefix="changeagent-table.")
    cluster = None
    try:
        subprocess.run([os.path.join(ROOT, "scripts", "cluster"), "up", base, "3"], check=True, stdout=subprocess.DEVNULL)
        cluster = harness.tool.Cluster(base)
        return line(cluster.nodes)
    finally:
        if cluster is not None:
            cluster.kill_all()
        shutil.rmtree(base, ignore_errors=True)


def main(words):
    for name, line in LINES:
        if not words or any(word in name for word in words):
            print("%-10s %s" % (name, measured(line)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
