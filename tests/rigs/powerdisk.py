"""A file system on a disk that forgets what was not synced (disk.c), as the rigs use it.

Wants root, /dev/fuse, loop devices and mkfs.ext4; refusal() says what is missing.
"""
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RIGS = os.environ.get("RIGS", os.path.join(ROOT, "build", "rig", "tests", "rigs"))


class Broken(Exception):
    """The rig itself does not work."""


def refusal():
    """Why this machine has no such disk; None if it has."""
    if os.geteuid() != 0:
        return "only root mounts a disk of its own"
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return "%s is not there" % path
    for tool in ("losetup", "mkfs.ext4", "mount", "umount"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return "%s is not installed" % tool
    return None


def probe(base):
    """Why no such disk comes to be here, although everything seems to be there; None if one does."""
    disk = None
    directory = tempfile.mkdtemp(prefix="probe.", dir=base)
    try:
        own_mounts()
        disk = PowerDisk(directory, "probe", os.path.join(directory, "place"), 16)
        disk.open()
        return None
    except Broken as reason:
        return str(reason)
    finally:
        if disk is not None:
            disk.close()
        shutil.rmtree(directory, ignore_errors=True)


def run(*argv):
    """Output of a command that has to succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken("%s: %s" % (" ".join(argv), done.stderr.strip() or "code %d" % done.returncode))
    return done.stdout.strip()


CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def own_mounts():
    """Mounts of our own, for this process and its children: who clones the mounts of the machine in the meantime would
    keep a dead file system alive, and it would write to a disk that is on again."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise Broken("no mounts of our own: %s" % os.strerror(ctypes.get_errno()))


class PowerDisk:
    """One disk with one file system, mounted at `place`."""

    def __init__(self, base, name, place, mib=512):
        self.cover, self.place, self.mib = os.path.join(base, "%s.disk" % name), place, mib
        self.process, self.loop, self.mounted, self.flusher = None, None, False, None

    def open(self):
        with open(self.cover, "w"):
            pass
        self.process = subprocess.Popen([os.path.join(RIGS, "disk"), self.cover, str(self.mib)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Broken("the disk does not start")
        self.attach()
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", self.loop)
        os.makedirs(self.place, exist_ok=True)
        self.mount()
        os.rmdir(os.path.join(self.place, "lost+found"))
        os.chmod(self.place, 0o700)

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] != line.split()[0]:
            raise Broken("the disk answers %r to %r" % (answer, line))
        return [int(word) for word in answer[1:]]

    def attach(self):
        self.loop = run("losetup", "--find", "--show", self.cover)

    def mount(self):
        run("mount", "-t", "ext4", self.loop, self.place)
        self.mounted = True

    def hold(self):
        """What is dirty in memory is written, and no sync ends: the moment before a cut with much in flight."""
        self.command("hold")
        self.flusher = subprocess.Popen(["sync", "-f", self.place], stderr=subprocess.DEVNULL)

    def cut(self, mode, seed):
        """The power is gone. Gives how many sectors were volatile, and how many of them are there nevertheless."""
        counts = self.command("cut %s %d" % (mode, seed))
        if self.flusher is not None:
            self.flusher.wait(timeout=30)
            self.flusher = None
        return counts

    def unmount(self, seconds=10):
        until = time.monotonic() + seconds
        while self.mounted:
            done = subprocess.run(["umount", self.place], capture_output=True, text=True, check=False)
            self.mounted = done.returncode != 0
            if self.mounted and time.monotonic() > until:
                raise Broken("umount %s: %s" % (self.place, done.stderr.strip()))
            if self.mounted:
                time.sleep(0.01)
        if self.loop is not None:
            run("losetup", "--detach", self.loop)
            self.loop = None
            while run("losetup", "--associated", self.cover):  # it goes with its last user, a little later
                if time.monotonic() > until:
                    raise Broken("somebody still uses the dead disk %s" % self.cover)
                time.sleep(0.01)

    def on(self):
        """The power is back, and the file system is mounted again. Nobody may have used it in between."""
        self.unmount()
        self.command("on")
        self.attach()
        self.mount()

    def close(self):
        """Also after a failure: leaves no mount, no loop device, no process."""
        if self.flusher is not None:
            self.flusher.kill()
            self.flusher.wait()
        for argv in (["umount", "--lazy", self.place] if self.mounted else None,
                     ["losetup", "--detach", self.loop] if self.loop else None,
                     ["umount", "--lazy", self.cover] if self.process else None):
            if argv is not None:
                subprocess.run(argv, check=False, stderr=sys.stderr)
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(timeout=20)
        self.process, self.loop, self.mounted = None, None, False
