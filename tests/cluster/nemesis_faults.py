"""The faults that the nemesis draws: each begins, some go on for a while, all are mended in one place.

A fault is drawn from a seed alone: its kind, its target (a place among the nodes, or whoever leads when it begins) and its
numbers. What it does is done by World, which knows how to undo everything, in an order that works.
"""
import contextlib
import glob
import os
import shutil
import signal
import subprocess
import time

import faults
from harness import Failed, Skipped, leader_of, status, tool, wait_for

FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or [None])[0]
DISK_MIB = 400


class World:
    """Cluster, network, disks, and what is broken of them at this moment."""

    def __init__(self, cluster, between, disks):
        self.cluster, self.between, self.disks = cluster, between, disks
        self.outside = []  # nodes that lost what they promised: no voters any more
        self.frozen, self.lossy, self.rates = set(), False, {}
        self.tasks = []  # called again and again until mended
        self.churned = []  # nodes that were removed, or are about to be

    def alive(self):
        return [node for node in self.cluster.nodes if node not in self.outside]

    def target(self, place):
        """A node by its number, or the leader, if somebody knows one."""
        if place == "leader":
            for node in self.alive():
                if (status(node, 0.5) or {}).get("role") == "leader":
                    return node
            place = 0
        return self.cluster.nodes[place % len(self.cluster.nodes)]

    # ---- network ----------------------------------------------------------------------------

    def part(self, node):
        self.between.part([node.name], [other.name for other in self.cluster.nodes if other is not node])

    def lose(self, node, percent):
        """Packets from and to this node, at random, on the router."""
        address, hub = self.between.address(node.name), self.between.hub
        rules = ["add table ip nemesis", "add chain ip nemesis c { type filter hook forward priority 0; }"]
        rules += ["add rule ip nemesis c ip %s %s numgen random mod 100 < %d drop" % (way, address, percent)
                  for way in ("saddr", "daddr")]
        done = subprocess.run(["ip", "netns", "exec", hub, "nft", "\n".join(rules)], capture_output=True, check=False)
        if done.returncode != 0:
            raise Skipped("no nftables here: %s" % done.stderr.decode().strip())
        self.lossy = True

    # ---- disks and clocks -------------------------------------------------------------------

    def freeze(self, node):
        """The disk takes nothing more. Without a disk of its own the process that writes stands still instead."""
        if node.dir not in self.disks:
            self.signal(node, "storage", signal.SIGSTOP)
        elif node.dir not in self.frozen:
            self.frozen.add(node.dir)
            subprocess.run(["fsfreeze", "--freeze", node.dir], check=True)

    def signal(self, node, name, number):
        process = node.processes().get(name)
        return process is not None and tool.send_signal(process, number)

    def kill(self, node):
        """Does not wait: what stands in a frozen disk dies when it thaws."""
        for name in ("supervisor",) + tool.CHILDREN:
            self.signal(node, name, signal.SIGKILL)

    @contextlib.contextmanager
    def clock_of(self, node):
        """What is started in this block lives at the rate of this node's clock."""
        rate = self.rates.get(node.name)
        if rate is not None:
            os.environ.update(LD_PRELOAD=FAKETIME, FAKETIME="+0 x%g" % rate)
        try:
            yield
        finally:
            for name in ("LD_PRELOAD", "FAKETIME"):
                os.environ.pop(name, None)

    def start(self, node):
        with self.clock_of(node):
            node.start()

    # ---- mending ----------------------------------------------------------------------------

    def command(self, words, endpoints=None):
        """The project's own command, in the background, at all nodes."""
        nodes = endpoints or self.cluster.nodes
        return subprocess.Popen([os.path.join(tool.BIN, "changeagent"), *words, "--endpoints",
                                 ",".join(node.places()["api"] for node in nodes)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def admit(self, node):
        """Makes it a voter again, by the word of an operator."""
        place = node.places()
        words = ["member", "add", place["peer"], place["key"], "name=%s" % node.name, "--block", "20000", "--timeout", "25000"]

        def done():
            command = self.command(words, [other for other in self.cluster.nodes if other is not node])
            said = command.communicate(timeout=60)[0]
            if command.returncode != 0:
                said_last.append(said.strip())
            return command.returncode == 0
        said_last = []
        try:
            wait_for("%s to be admitted" % node.name, 60, done)
        except Failed as failed:
            raise Failed("%s: %s" % (failed, said_last[-1:])) from failed
        if node in self.outside:
            self.outside.remove(node)

    def mend(self):
        """Everything runs and reaches everything again, but for what a node has lost for good."""
        self.tasks = []
        for place in list(self.frozen):
            subprocess.run(["fsfreeze", "--unfreeze", place], check=False)
            self.frozen.discard(place)
        self.between.heal()
        if self.lossy:
            subprocess.run(["ip", "netns", "exec", self.between.hub, "nft", "delete table ip nemesis"], check=False)
            self.lossy = False
        for node in self.cluster.nodes:
            for name in ("supervisor",) + tool.CHILDREN:
                self.signal(node, name, signal.SIGCONT)
        for node in self.cluster.nodes:
            if "supervisor" in node.processes():
                wait_for("%s to be whole" % node.name, 30, node.is_up)
            else:
                wait_for("the end of %s" % node.name, 20, lambda at=node: not at.processes())
                self.start(node)
        while self.churned:
            node, command = self.churned.pop()
            command.communicate(timeout=60)
            self.admit(node)


# ---- the kinds ------------------------------------------------------------------------------
# Each takes the world and the numbers drawn for it.


def names_from(world, place):
    """The names of all nodes, in a circle from this one on."""
    names, at = [node.name for node in world.cluster.nodes], place % len(world.cluster.nodes)
    return names[at:] + names[:at]


def halves(world, drawn):
    names = names_from(world, drawn["place"])
    world.between.part(names[:len(names) // 2], names[len(names) // 2:])


def isolated_leader(world, drawn):
    world.part(world.target("leader"))


def bridge(world, drawn):
    """Two halves that see only the one between them."""
    names = names_from(world, drawn["place"])[1:]
    world.between.part(names[:len(names) // 2], names[len(names) // 2:])


def ring(world, drawn):
    """Each hears only the one before it."""
    nodes = world.cluster.nodes
    for at, node in enumerate(nodes):
        for step in range(2, len(nodes)):
            world.between.cut(node.name, nodes[(at + step) % len(nodes)].name)


def one_direction(world, drawn):
    one, other = world.target(drawn["place"]), world.target(drawn["place"] + 1 + drawn["more"] % 2)
    world.between.cut(one.name, other.name)


def deaf(world, drawn):
    target = world.target(drawn["who"])
    for node in world.cluster.nodes:
        if node is not target:
            world.between.cut(node.name, target.name)


def mute(world, drawn):
    target = world.target(drawn["who"])
    for node in world.cluster.nodes:
        if node is not target:
            world.between.cut(target.name, node.name)


def loss(world, drawn):
    world.lose(world.target(drawn["who"]), 5 + drawn["more"] % 45)


def delay(world, drawn):
    """Cut and mended several times a second: what is under way comes late, by TCP's own repeats."""
    target, state = world.target(drawn["who"]), {"until": 0.0, "cut": False}

    def turn():
        if time.monotonic() < state["until"]:
            return
        state["cut"] = not state["cut"]
        state["until"] = time.monotonic() + (0.1 + drawn["more"] % 200 / 1000 if state["cut"] else 0.05)
        for node in world.cluster.nodes:
            if node is target:
                continue
            for ends in ((node.name, target.name), (target.name, node.name)):
                (world.between.cut if state["cut"] else world.between.mend)(*ends)
    world.tasks.append(turn)


def pause(world, drawn):
    world.signal(world.target(drawn["who"]), drawn["process"], signal.SIGSTOP)


def pause_node(world, drawn):
    target = world.target(drawn["who"])
    for name in ("supervisor",) + tool.CHILDREN:
        world.signal(target, name, signal.SIGSTOP)


def kill(world, drawn):
    world.signal(world.target(drawn["who"]), drawn["process"], signal.SIGKILL)


def kill_node(world, drawn):
    world.kill(world.target(drawn["who"]))


def disk_stall(world, drawn):
    world.freeze(world.target(drawn["who"]))


def clock_rate(world, drawn):
    """From now on this node's clocks run at another rate; it starts anew for that."""
    if FAKETIME is None:
        raise Skipped("no faketime here")
    target = world.target(drawn["place"])
    world.rates[target.name] = (0.5, 1.5, 2, 3)[drawn["more"] % 4]
    world.kill(target)


def transfers(world, drawn):
    """The leadership is asked to move, again and again."""
    state = {"process": None}

    def turn():
        if state["process"] is not None and state["process"].poll() is None:
            return
        node = world.target("leader")
        state["process"] = world.command(["leader", "transfer", "--timeout", "1000"], [node])
    world.tasks.append(turn)


def removal(world, drawn):
    """A member is removed under load; when all is mended, it is admitted again."""
    target = world.target(drawn["who"])
    words = ["member", "remove", target.places()["node"], "--block", "10000", "--timeout", "15000"]
    world.churned.append((target, world.command(words)))


FAULTS = {fault.__name__.replace("_", " "): fault for fault in (
    halves, isolated_leader, bridge, ring, one_direction, deaf, mute, loss, delay, pause, pause_node, kill, kill_node,
    disk_stall, clock_rate, transfers, removal)}


def can_change_members():
    done = subprocess.run([os.path.join(tool.BIN, "changeagent"), "--help"], capture_output=True, text=True, check=False)
    return "\n  member" in done.stdout


# ---- what is not mended ---------------------------------------------------------------------
# One node of a cluster loses what it promised. It may never vote again, and the others go on.


def wiped(world, node):
    faults.wipe(node)


def copied(world, node):
    subprocess.run(["cp", "-a", node.data, node.data + ".copy"], check=True)
    shutil.rmtree(node.data)
    os.rename(node.data + ".copy", node.data)


def put_back(world, node):
    """An older copy, made at the begin of the run."""
    subprocess.run(["tar", "xf", os.path.join(node.dir, "old.tar"), "-C", node.dir], check=True)


DAMAGES = {"wiped": wiped, "copied": copied, "an older copy put back": put_back}


def keep_old_copies(world):
    for node in world.cluster.nodes:
        subprocess.run(["tar", "cf", os.path.join(node.dir, "old.tar"), "--exclude=*.ipc", "-C", node.dir, "data"], check=False,
                       stderr=subprocess.DEVNULL)


def damage(world, name, place):
    """The node is down while its directory changes, and comes back as somebody who knows nothing."""
    node = world.cluster.nodes[place % len(world.cluster.nodes)]
    node.kill()
    DAMAGES[name](world, node)
    world.start(node)
    world.outside.append(node)
    wait_for("%s to be outside" % node.name, 20, lambda: (status(node, 1) or {}).get("role") == "outside")
    if leader_of([node]) is node:
        raise Failed("%s leads though it was %s" % (node.name, name))
