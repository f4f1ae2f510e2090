"""One real changeagent-storage on a stage: started, killed, and driven by a consensus that remembers (drive.c)."""
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

import powerdisk

BIN = os.environ.get("CHANGEAGENT_BIN", os.path.join(powerdisk.ROOT, "build", "bin"))
LOW_DISK = {"disk_low_mib": 16, "ballast_mib": 1}
PATIENCE_S = 60


class Lost(Exception):
    """A promise was broken."""


class Stage:
    """The data directory is DIR/data/node; what storage says is in DIR/log.txt."""

    def __init__(self, base, seed):
        self.dir = tempfile.mkdtemp(prefix="rig.", dir=base)
        self.run_dir, self.log = os.path.join(self.dir, "run"), os.path.join(self.dir, "log.txt")
        self.data = os.path.join(self.dir, "data", "node")
        self.process, self.drive, self.seed = None, None, seed
        os.makedirs(self.run_dir)
        os.makedirs(os.path.dirname(self.data))

    def open_drive(self):
        self.drive = subprocess.Popen([os.path.join(powerdisk.RIGS, "drive"), self.run_dir, str(self.seed)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fault(self, text):
        return Lost("%s; see %s" % (text, self.log))

    def send(self, line):
        self.drive.stdin.write(line + "\n")
        self.drive.stdin.flush()

    def read(self):
        answer = self.drive.stdout.readline().strip()
        if answer.startswith("FAULT") or not answer:
            raise self.fault(answer or "the drive is gone")
        return answer

    def ask(self, line):
        self.send(line)
        return self.read()

    def has_answer(self, seconds):
        return bool(select.select([self.drive.stdout], [], [], seconds)[0])

    def start(self, env=None):
        """False: it ended before it was ready; wait() gives the code."""
        ready, told = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BIN, "changeagent-storage"), "--data", self.data,
                 "--run-dir", self.run_dir, "--ready-fd", str(told),
                 "--disk-low-mib", str(LOW_DISK["disk_low_mib"]), "--ballast-mib", str(LOW_DISK["ballast_mib"])],
                pass_fds=[told], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **(env or {})))
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            return pipe.readline().startswith(b"ready")

    def start_well(self):
        if not self.start():
            raise self.fault("storage does not start: code %s" % self.wait())

    def wait(self):
        code = self.process.wait(timeout=PATIENCE_S)
        self.process = None
        return code

    def live(self, batches):
        """One life of so many batches. None: all of it was done, and storage lives; else the code it ended with."""
        self.send("life %d" % batches)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if self.has_answer(0.005):
                if self.read() == "done":
                    self.ask("halt")
                    return None
            elif self.process.poll() is not None:
                self.send("halt")
                while not self.read().startswith("halted"):
                    pass
                return self.wait()
        raise self.fault("storage neither ends nor goes on")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self, failed):
        self.kill()
        if self.drive is not None:
            self.drive.stdin.close()
            self.drive.wait(timeout=20)
        if failed:
            print("everything is kept in %s" % self.dir, flush=True)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
