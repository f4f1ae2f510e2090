"""Traces of the cores (consensus/trace.h): what real nodes did, replayed against the rules by tests/trace/check.py."""
import glob
import os
import subprocess

from harness import check, load_module, tool, wait_leader
from kills import kill_process
from reads import readers_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
trace_check = load_module("trace_check", os.path.join(ROOT, "tests", "trace", "check.py"))


def transfer(cluster):
    leader = wait_leader(cluster.nodes)
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "leader", "transfer", "--endpoints", leader.places()["api"]],
                          capture_output=True, timeout=20, check=False)
    check(done.returncode == 0, "the hand-over failed: %s" % done.stderr.decode().strip())


def test_traces_of_killed_nodes_break_no_rule(house):
    folder = os.path.join(house.dir, "traces")
    os.makedirs(folder)
    cluster = house.cluster(extra={"consensus": {"trace": folder}})
    load = house.load(cluster.nodes, rate=100)
    load.wait_progress()
    readers = readers_of(cluster.nodes)
    for _ in range(house.times(1, 5)):
        for node in cluster.nodes:
            for name in ("consensus", "storage"):
                kill_process(node, name)
                load.wait_progress()
        transfer(cluster)
        leader = wait_leader(cluster.nodes)
        leader.kill()
        load.wait_progress()
        leader.start()
        wait_leader(cluster.nodes)
    rows = [row for reader in readers for row in reader.stop()]
    house.judge(cluster, load.stop(), least=100, reads=rows)
    cluster.down()
    verdict = trace_check.check_files(sorted(glob.glob(os.path.join(folder, "*.ndjson"))))
    house.say(verdict.summary())
    check(not verdict.faults, "; ".join(verdict.faults[:3]))
    check(len(verdict.cores) >= 6 and len(verdict.leaders) >= 2 and verdict.reads > 0 and verdict.committed,
          "the traces show too little: %s" % verdict.summary())
