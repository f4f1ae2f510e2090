"""A network of its own for each node, joined by a router that can cut each direction of each pair.

Every node lives in a network namespace with one address; a router namespace stands between them, and
the clients (all that runs outside) are one more party, CLIENTS. A cut is a blackhole rule of the router:
packets vanish, nobody is told, no connection ends. Needs root; Skipped says what is missing.
"""
import itertools
import os
import re
import signal
import subprocess

from harness import Failed, Skipped, tool

CLIENTS = "clients"
HUB_HOST, CLIENTS_HOST = 254, 253
NAME = re.compile(r"ca(\d+)n\d+-\w+")
numbers = itertools.count(1)


def ip(*words, check=True):
    done = subprocess.run(("ip",) + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if check and done.returncode != 0:
        raise Failed("ip %s: %s" % (" ".join(words), done.stderr.strip()))
    return done


def sweep():
    """Takes away what a test run left that was killed before it could."""
    for line in ip("netns", "list").stdout.splitlines():
        match = NAME.match(line)
        if match is None or tool.start_time(int(match.group(1))) != 0:
            continue
        for pid in ip("netns", "pids", match.group(0)).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        ip("netns", "delete", match.group(0), check=False)


class Network:
    """Opened once, closed once; close() takes everything away, also after half an open()."""

    def __init__(self, count):
        self.prefix = "ca%dn%d" % (os.getpid(), next(numbers))
        self.names = ["n%d" % (slot + 1) for slot in range(count)]
        self.hub = "%s-hub" % self.prefix
        self.net = None
        self.spaces, self.cuts = [], set()

    def space(self, name):
        return "%s-%s" % (self.prefix, name)

    def address(self, name):
        host = CLIENTS_HOST if name == CLIENTS else self.names.index(name) + 1
        return "%s.%d" % (self.net, host)

    def homes(self):
        """For Cluster.make(): where each node listens, and in which namespace it runs."""
        return [{"host": self.address(name), "netns": self.space(name)} for name in self.names]

    def open(self):
        if os.geteuid() != 0:
            raise Skipped("only root makes network namespaces")
        try:
            sweep()
            self.add_space(self.hub)
            self.join_clients()
            for name in self.names:
                self.join(name)
            self.probe()
        except (Failed, OSError) as failed:
            raise Skipped("no network namespaces here: %s" % failed) from failed

    def add_space(self, space):
        ip("netns", "add", space)
        self.spaces.append(space)
        ip("-n", space, "link", "set", "lo", "up")

    def join_clients(self):
        """The link between the router and the outside, on the first free net of those for tests (RFC 2544)."""
        link = "ca%d" % (os.getpid() % 10 ** 8) + self.prefix.rsplit("n", 1)[1]
        ip("-n", self.hub, "link", "add", CLIENTS, "type", "veth", "peer", "name", link, "netns", str(os.getpid()))
        ip("link", "set", link, "up")
        ip("-n", self.hub, "link", "set", CLIENTS, "up")
        for third in range(256):
            self.net = "198.18.%d" % third
            if ip("route", "add", self.net + ".0/24", "dev", link, check=False).returncode == 0:
                break
        else:
            raise Failed("198.18.0.0/16 is in use")
        ip("address", "add", self.address(CLIENTS) + "/32", "dev", link)
        ip("route", "replace", "%s.%d/32" % (self.net, HUB_HOST), "dev", link)
        ip("route", "replace", self.net + ".0/24", "via", "%s.%d" % (self.net, HUB_HOST), "dev", link,
           "src", self.address(CLIENTS))
        ip("-n", self.hub, "address", "add", "%s.%d/32" % (self.net, HUB_HOST), "dev", CLIENTS)
        ip("-n", self.hub, "route", "add", self.address(CLIENTS) + "/32", "dev", CLIENTS)
        ip("netns", "exec", self.hub, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def join(self, name):
        space, router = self.space(name), "%s.%d" % (self.net, HUB_HOST)
        self.add_space(space)
        ip("-n", self.hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("-n", self.hub, "link", "set", name, "up")
        ip("-n", self.hub, "address", "add", router + "/32", "dev", name)
        ip("-n", self.hub, "route", "add", self.address(name) + "/32", "dev", name)
        ip("-n", space, "address", "add", self.address(name) + "/32", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "route", "add", router + "/32", "dev", "eth0")
        ip("-n", space, "route", "add", "default", "via", router)

    def probe(self):
        """A rule must be possible before a test relies on it."""
        self.cut(self.names[0], CLIENTS)
        self.heal()

    # ---- faults -----------------------------------------------------------------------------

    def rule(self, verb, source, target):
        ip("-n", self.hub, "rule", verb, "from", self.address(source), "to", self.address(target), "blackhole",
           "priority", "100")

    def cut(self, source, target):
        """Packets from `source` to `target` vanish; those in the other direction go on."""
        if (source, target) not in self.cuts:
            self.rule("add", source, target)
            self.cuts.add((source, target))

    def mend(self, source, target):
        if (source, target) in self.cuts:
            self.rule("delete", source, target)
            self.cuts.remove((source, target))

    def part(self, one, other):
        """Nothing goes between the two groups, in either direction."""
        for a, b in itertools.product(one, other):
            self.cut(a, b)
            self.cut(b, a)

    def heal(self):
        for source, target in list(self.cuts):
            self.mend(source, target)

    def shape(self, name, discipline):
        """What the router does to packets on their way to this node. False: the kernel has no such thing."""
        done = subprocess.run(["tc", "-n", self.hub, "qdisc", "replace", "dev", name, "root"] + discipline.split(),
                              stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0

    def unshape(self, name):
        subprocess.run(["tc", "-n", self.hub, "qdisc", "delete", "dev", name, "root"], stderr=subprocess.DEVNULL,
                       check=False)

    def close(self):
        for space in self.spaces:
            for pid in ip("netns", "pids", space, check=False).stdout.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except OSError:
                    pass  # it ended by itself
            ip("netns", "delete", space, check=False)
        self.spaces = []
