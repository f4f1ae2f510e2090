#!/usr/bin/python3
"""Power cuts on disks that drop what was not synced, until the count is reached or a promise is broken.

  powercut.py cluster --cuts N [--seed S]   real clusters of three nodes: one, two or all of them are cut
  powercut.py storage --cuts N [--seed S]   one storage process under a scripted consensus (drive.c)
  powercut.py quick                         a few of both

Writes are in flight at every cut, segments are short, so that files begin, are sealed and are truncated all
the time. A cut drops all that is volatile, or leaves a random part of its 4 KiB blocks or its sectors; before
two of three cuts the kernel is first made to write what is dirty, without one sync coming to its end.
Ends with `N passed, N failed`; a machine without root, FUSE or loop devices skips all of it.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "cluster")]
import harness  # noqa: E402
import powerdisk  # noqa: E402
import retention  # noqa: E402
import stage  # noqa: E402

EVENTS = ("segment_begun", "segment_sealed", "segment_removed", "segment_dropped", "log_cut", "index_rebuilt",
          "snapshot_begun", "snapshot_resumed", "snapshot_installed", "tail_carried", "segment_cut")
MODES = ("none", "pages", "sectors")
ROUND = 25  # cuts of one cluster between two judgements
LIFE_ROUNDS = 4  # judgements before a new cluster


class Tally:
    """What was done, for the last line."""

    def __init__(self):
        self.begin, self.cuts, self.volatile, self.kept = time.monotonic(), {}, 0, 0
        self.events = {}

    def add(self, what, counts):
        self.cuts[what] = self.cuts.get(what, 0) + 1
        self.volatile += sum(count[0] for count in counts)
        self.kept += sum(count[1] for count in counts)

    def look_at(self, log):
        """Counts what storage says that it did between the cuts."""
        with open(log, errors="replace") as file:
            for line in file:
                for event in EVENTS:
                    if event in line:
                        self.events[event] = self.events.get(event, 0) + 1

    def total(self):
        return sum(self.cuts.values())

    def say(self):
        cuts = ", ".join("%d %s" % (count, what) for what, count in sorted(self.cuts.items()))
        print("%d cuts (%s) in %.0f s; %d volatile sectors, %d of them had reached the disk" % (
            self.total(), cuts, time.monotonic() - self.begin, self.volatile, self.kept))
        print("meanwhile: %s" % (", ".join("%s %d" % event for event in sorted(self.events.items())) or "nothing"), flush=True)


def cut(disks, chance):
    """All of these lose their power at the same moment, as nearly as can be. Gives their counts."""
    mode = chance.choice(MODES)
    if chance.random() < 0.67:
        for disk in disks:
            disk.hold()
        time.sleep(chance.uniform(0, 0.02))
    return [disk.cut(mode, chance.getrandbits(60)) for disk in disks]


# ---- one storage process ----------------------------------------------------------------------------------


class Storage(stage.Stage):
    """Storage on a disk of its own."""

    def __init__(self, base, seed):
        super().__init__(base, seed)
        self.disk = powerdisk.PowerDisk(self.dir, "storage", os.path.dirname(self.data))

    def open(self):
        self.disk.open()
        self.open_drive()

    def cut(self, chance):
        counts = cut([self.disk], chance)
        self.ask("halt")
        self.kill()
        self.disk.on()
        return counts

    def close(self, failed):
        self.kill()
        self.disk.close()
        super().close(failed)


def storage_life(base, cuts, chance, tally):
    storage, failed = Storage(base, chance.getrandbits(60)), True
    try:
        storage.open()
        for turn in range(cuts):
            storage.start_well()
            storage.ask("go")
            time.sleep(chance.choice((0.002, 0.02, 0.1, 0.3)) * chance.uniform(0.5, 1.5))
            tally.add("storage", storage.cut(chance))
            if turn % 50 == 49 or turn + 1 == cuts:
                storage.start_well()
                storage.ask("check")
                storage.kill()
        said = storage.ask("halt")
        tally.look_at(storage.log)
        failed = False
    finally:
        storage.close(failed)
    print("%s; %d cuts so far" % (said, tally.total()), flush=True)


def run_storage(base, cuts, chance):
    tally = Tally()
    try:
        while tally.total() < cuts:
            storage_life(base, min(200, cuts - tally.total()), chance, tally)
    finally:
        tally.say()


# ---- whole clusters ---------------------------------------------------------------------------------------


class Machine:
    """A node on a disk of its own."""

    def __init__(self, house, cluster_dir, name):
        self.disk = powerdisk.PowerDisk(house.dir, name, os.path.join(cluster_dir, name, "data"))
        self.disk.open()
        self.node = None

    def fall(self):
        """The processes of the dead machine; what they had is on the disk or gone."""
        for process in self.victims.values():
            harness.tool.send_signal(process, signal.SIGKILL)
        harness.wait_for("the end of %s" % self.node.name, 20,
                         lambda: not any(map(harness.tool.lives, self.victims.values())))

    def note_processes(self):
        self.victims = self.node.processes()

    def close(self, failed):
        if failed:  # as much as the disk still gives
            subprocess.run(["cp", "-a", self.disk.place, self.disk.place + ".kept"], check=False, stderr=subprocess.DEVNULL)
        self.disk.close()


def cluster_of(house, machines, catchup_entries):
    """`catchup_entries`: who lacks so many, and most of the log, gets a snapshot."""
    cluster = harness.tool.Cluster(os.path.join(house.dir, "c0"))
    house.clusters.append(cluster)
    for slot in range(3):
        machines.append(Machine(house, cluster.base, "n%d" % (slot + 1)))
    cluster.make(3, {"storage": stage.LOW_DISK, "supervisor": {"budget": 63},
                     "consensus": {"catchup_entries": catchup_entries}})
    for machine, node in zip(machines, cluster.nodes):
        machine.node = node
    cluster.up()
    return cluster


def cut_cluster(machines, chance, tally, rest):
    """`rest` is called while one that was cut alone has no power; now and then only, and for a while."""
    victims = chance.sample(machines, chance.choice((1, 1, 2, 3)))
    for machine in victims:
        machine.note_processes()
    counts = cut([machine.disk for machine in victims], chance)
    for machine in victims:
        machine.fall()
    for machine in victims:
        machine.disk.on()
    tally.add(("one", "two", "all")[len(victims) - 1], counts)
    if len(victims) == 1 and chance.random() < 0.2:
        rest()
    started = [(machine, machine.node.launch()) for machine in victims]
    for machine, process in started:
        def up(machine=machine, process=process):
            harness.check(process.poll() is None, "%s ended with code %s; see %s" % (
                machine.node.name, process.returncode, machine.node.log))
            return machine.node.is_up()
        harness.wait_for("node %s" % machine.node.name, 30, up)


def since_newest_cut(cluster):
    """The first id and what each node holds since, with ids that begin at 1; once more if the log was cut meanwhile."""
    while True:
        first = max(harness.status(node)["first_id"] for node in cluster.nodes)
        try:
            return first, {node.name: [dict(row, id=row["id"] - first + 1) for row in harness.dump(node, first - 1)]
                           for node in cluster.nodes}
        except harness.Failed:
            if max(harness.status(node)["first_id"] for node in cluster.nodes) == first:
                raise


def kept_of(cluster, history):
    """The history and the nodes as they are since the newest cut of the log, with ids that begin at 1."""
    first, rows = since_newest_cut(cluster)
    gone = {line["text"] for line in history if line["code"] == "ok" and line["id"] < first}
    return [dict(line, id=line["id"] - first + 1 if line["code"] == "ok" else 0)
            for line in history if line["text"] not in gone], rows


def judge(house, cluster, history):
    """All nodes level, and everything acknowledged that was not cut is there, once, in order, the same everywhere."""
    def level():
        states = [harness.status(node) for node in cluster.nodes]
        return None not in states and len({(s["last_id"], s["chain"], s["first_id"]) for s in states}) == 1
    try:
        harness.wait_for("all nodes to be level", 40, level, every=0.05)
    except harness.Failed as failed:
        raise harness.Failed("%s: %s" % (failed, harness.describe(cluster.nodes))) from failed
    kept, rows = kept_of(cluster, history)
    faults = harness.history_check.check(kept, rows)
    house.say("%d writes, %d of them judged, %d faults" % (len(history), len(kept), len(faults)))
    harness.check(not faults, "; ".join(faults[:5]))
    harness.check(any(line["code"] == "ok" for line in kept), "nothing was acknowledged")


def expect_sound(cluster):
    """No power cut was taken for damage, and every file is what it claims to be. The nodes end for that."""
    for node in cluster.nodes:
        with open(node.log, errors="replace") as file:
            harness.check("directory_damaged" not in file.read(), "%s took a cut for damage; see %s" % (node.name, node.log))
        node.kill()
        done = subprocess.run([os.path.join(harness.tool.BIN, "changeagent"), "verify", node.data],
                              capture_output=True, text=True, check=False)
        harness.check(done.returncode == 0, "verify of %s: %s" % (node.name, done.stdout[-400:] + done.stderr))


def cluster_life(long, cuts, chance, tally):
    house, machines, failed = harness.House("powercut", long), [], True
    try:
        cluster, done = cluster_of(house, machines, chance.choice((100, 100, 100000))), 0
        if long and chance.random() < 0.67:
            records = chance.choice((300, 1500))  # with few, who is away for a while gets a snapshot
            kept = retention.configure(cluster.nodes[0].places()["api"], {"retention.min_records": records})
            harness.check(kept is not None and kept["verb"] == "put_done", "the retention is not set: %r" % kept)
        while done < cuts:
            load = house.load(cluster.nodes, rate=chance.choice((60, 300, 0)), clients=4, size=chance.choice((0, 700)))
            for _ in range(min(ROUND, cuts - done)):
                load.wait_progress(seconds=40, bytes_more=1000)
                time.sleep(chance.uniform(0, 0.2))
                cut_cluster(machines, chance, tally, lambda load=load: load.wait_progress(60, 80000))
                done += 1
            load.wait_progress(seconds=40)
            load.stop()
            judge(house, cluster, [line for load in house.loads for line in load.history()])
        expect_sound(cluster)
        for node in cluster.nodes:
            tally.look_at(node.log)
        failed = False
    finally:
        house.close(failed)
        for machine in machines:
            machine.close(failed)
        if not failed:
            shutil.rmtree(house.dir, ignore_errors=True)  # what had a disk mounted in it


def run_clusters(cuts, chance, long=True):
    tally = Tally()
    try:
        while tally.total() < cuts:
            cluster_life(long, min(ROUND * LIFE_ROUNDS, cuts - tally.total()), chance, tally)
    finally:
        tally.say()


# ---- the command ------------------------------------------------------------------------------------------


def main(argv):
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))  # so that disks are closed
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("what", choices=("cluster", "storage", "quick"))
    reader.add_argument("--cuts", type=int, default=100)
    reader.add_argument("--seed", type=int, default=None)
    args = reader.parse_args(argv[1:])
    base = os.environ.get("TEST_TMP", "/tmp")
    missing = powerdisk.refusal() or powerdisk.probe(base)
    if missing:
        print("power cuts skipped: %s\n0 passed, 0 failed" % missing)
        return 0
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    print("seed %d" % seed, flush=True)
    chance = random.Random(seed)
    runs = {"cluster": [lambda: run_clusters(args.cuts, chance)],
            "storage": [lambda: run_storage(base, args.cuts, chance)],
            "quick": [lambda: run_storage(base, 12, chance), lambda: run_clusters(2, chance, False)]}[args.what]
    failed = 0
    for one in runs:
        try:
            one()
        except (stage.Lost, harness.Failed) as fault:
            print("FAILED: %s" % fault, flush=True)
            failed += 1
    print("%d passed, %d failed" % (len(runs) - failed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
