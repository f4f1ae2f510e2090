#!/usr/bin/python3
"""nemesis.py [--minutes N] [--seed S [--plays N]]: real clusters under pairs of faults, judged by what clients were told.

One play: a cluster of three (sometimes five) nodes, each in a network namespace and on a small disk of its own; clients that
write, follow and read linearizably; five times two faults at once, which are mended after some seconds, and then the cluster
has to lead and to acknowledge again; at the end, sometimes, one node loses its memory, and is admitted again. Then the history checker
judges everything that was told. A play follows a plan, and the plan follows from its seed: --seed S plays that plan again.

Ends with one line, `nemesis: …`. Exit code 0: no violation.
"""
import collections
import os
import random
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import harness  # noqa: E402
import network  # noqa: E402
import reads  # noqa: E402
from harness import tool  # noqa: E402
from nemesis_faults import DAMAGES, DISK_MIB, FAULTS, World, can_change_members, damage, keep_old_copies  # noqa: E402

ROUNDS = 5
PROCESSES = ("consensus", "storage", "api", "discovery", "supervisor")


def plan_of(seed):
    """Everything that chance decides, drawn before anything begins."""
    chance = random.Random(seed)

    def fault(kind):
        place = chance.randrange(5)
        return {"kind": kind, "place": place, "who": chance.choice(["leader", place]), "process": chance.choice(PROCESSES),
                "more": chance.randrange(1000), "after_s": round(chance.uniform(0, 1.5), 2)}
    rounds = [{"faults": [fault(kind) for kind in chance.sample(sorted(FAULTS), 2)], "hold_s": round(chance.uniform(1.5, 5), 1)}
              for _ in range(ROUNDS)]
    return {"seed": seed, "nodes": 5 if chance.random() < 0.2 else 3, "rounds": rounds,
            "damage": chance.choice(sorted(DAMAGES)) if chance.random() < 0.4 else None, "damaged": chance.randrange(5)}


def told(drawn, nodes):
    """One fault in words, with the numbers that matter to its kind."""
    kind, place = drawn["kind"], drawn["place"] % nodes + 1
    more = {"halves": "from n%(place)s", "bridge": "n%(place)s", "one direction": "n%(place)s", "clock rate": "n%(place)s",
            "pause": "%(process)s of %(who)s", "kill": "%(process)s of %(who)s"}.get(kind, "%(who)s")
    if kind in ("ring", "isolated leader", "transfers"):
        return kind
    return "%s (%s)" % (kind, more % dict(drawn, place=place, who=drawn["who"] if drawn["who"] == "leader" else "n%d" % place))


# ---- one play -------------------------------------------------------------------------------


def mount_disk(house, place):
    """A small ext4 of its own, so that it can be frozen. False: this machine has no loop devices."""
    os.makedirs(place, exist_ok=True)
    image = place + ".img"
    with open(image, "wb") as file:
        file.truncate(DISK_MIB << 20)
    for argv in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, place]):
        if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            return False
    house.mounts.append(place)
    return True


def build(house, plan):
    between = network.Network(plan["nodes"])
    house.networks.append(between)
    between.open()
    cluster = tool.Cluster(os.path.join(house.dir, "c"))
    os.makedirs(cluster.base)
    house.clusters.append(cluster)
    places = [os.path.join(cluster.base, "n%d" % (slot + 1)) for slot in range(plan["nodes"])]
    disks = {place for place in places if mount_disk(house, place)}
    extra = {"api": {"plain": "yes"}, "supervisor": {"budget": 63}, "storage": {"disk_low_mib": 32, "ballast_mib": 4}}
    cluster.make(plan["nodes"], extra, between.homes())
    cluster.up()
    return World(cluster, between, disks)


def play_round(world, load, planned, counts):
    begin, until = time.monotonic(), 0.0
    waiting = sorted(planned["faults"], key=lambda drawn: drawn["after_s"])
    while waiting or time.monotonic() < until:
        if waiting and time.monotonic() >= begin + waiting[0]["after_s"]:
            drawn = waiting.pop(0)
            counts["kinds"][drawn["kind"]] += 1
            FAULTS[drawn["kind"]](world, drawn)
            until = time.monotonic() + planned["hold_s"]
        for task in world.tasks:
            task()
        time.sleep(0.02)
    world.mend()
    begin = time.monotonic()
    harness.wait_leader(world.alive(), 30)
    load.wait_progress(seconds=30)
    counts["slowest_s"] = max(counts["slowest_s"], time.monotonic() - begin)


def judge(house, world, load, readers, counts):
    history = load.stop()
    rows = [row for reader in readers for row in reader.stop()]
    whole = tool.Cluster(world.cluster.base)
    whole.nodes = world.alive()
    house.judge(whole, history, least=50, reads=rows)
    counts["writes"] += len(history)
    counts["acknowledged"] += sum(write["code"] == "ok" for write in history)
    counts["open"] += sum(write["code"] == "open" for write in history)
    counts["reads"] += len(rows)


def play(plan, counts):
    """Gives None, or what went wrong."""
    house, world, readers, failed = harness.House("nemesis%d" % plan["seed"], False), None, [], True
    try:
        world = build(house, plan)
        load = house.load(world.cluster.nodes, rate=60)
        house.follow(world.cluster.nodes)
        readers = reads.readers_of(world.cluster.nodes)
        load.wait_progress()
        keep_old_copies(world)
        for number, planned in enumerate(plan["rounds"], 1):
            house.say("%d. %s, %.1f s" % (number, " + ".join(told(drawn, plan["nodes"]) for drawn in planned["faults"]),
                                           planned["hold_s"]))
            play_round(world, load, planned, counts)
        if plan["damage"]:
            house.say("n%d %s" % (plan["damaged"] % plan["nodes"] + 1, plan["damage"]))
            damage(world, plan["damage"], plan["damaged"])
            counts["kinds"][plan["damage"]] += 1
            harness.wait_leader(world.alive(), 30)
            load.wait_progress(seconds=30)
            if "removal" in FAULTS:
                for node in list(world.outside):  # as any new server would be
                    world.admit(node)
        judge(house, world, load, readers, counts)
        failed = False
    except harness.Skipped:
        failed = False
        raise
    except harness.Failed as reason:
        return str(reason)
    except Exception:  # a fault of the play itself is a failure like any other
        return traceback.format_exc()
    finally:
        close(house, world, readers, failed)
    return None


def close(house, world, readers, failed):
    for reader in readers:
        reader.stopping.set()
    if world is not None:
        try:
            world.mend()  # nothing frozen or stopped is left behind
        except harness.Failed as reason:
            print("     %s" % reason)
    house.close(failed)


# ---- all plays ------------------------------------------------------------------------------


def number_of(argv, name, preset):
    return float(argv[argv.index(name) + 1]) if name in argv else preset


def main(argv):
    minutes, plays = number_of(argv, "--minutes", 3), number_of(argv, "--plays", 1 if "--seed" in argv else 10 ** 9)
    seed = first = int(number_of(argv, "--seed", random.SystemRandom().randrange(10 ** 6)))
    counts = {"kinds": collections.Counter(), "slowest_s": 0.0, "writes": 0, "acknowledged": 0, "open": 0, "reads": 0}
    begin, violations = time.monotonic(), 0
    if not can_change_members():
        FAULTS.pop("removal")
    while seed < first + plays and (seed == first or time.monotonic() < begin + 60 * minutes):
        plan = plan_of(seed)
        print("seed %d: %d nodes" % (seed, plan["nodes"]), flush=True)
        try:
            wrong = play(plan, counts)
        except harness.Skipped as reason:
            print("nemesis: skipped: %s" % reason)
            return 0
        if wrong is not None:
            violations += 1
            print("seed %d: VIOLATION: %s" % (seed, wrong), flush=True)
        seed += 1
    print("faults: %s" % ", ".join("%s %d" % kind for kind in sorted(counts["kinds"].items())))
    print("never drawn: %s" % (", ".join(sorted((set(FAULTS) | set(DAMAGES)) - set(counts["kinds"]))) or "none"))
    print("nemesis: seeds=%d..%d minutes=%.1f plays=%d faults=%d writes=%d acknowledged=%d open=%d reads=%d slowest_recovery_s=%.1f "
          "violations=%d" % (first, seed - 1, (time.monotonic() - begin) / 60, seed - first, sum(counts["kinds"].values()),
                             counts["writes"], counts["acknowledged"], counts["open"], counts["reads"], counts["slowest_s"], violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
