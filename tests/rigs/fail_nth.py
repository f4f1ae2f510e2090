#!/usr/bin/python3
"""Fails the n-th write, sync, open, rename, unlink, truncation or read of a storage, or lets it hang, for every n, until
a life passes without reaching n (shim.c). Clean is: storage goes on or ends with a code that says why, starts anew without
the shim, and has lost nothing that it promised (drive.c).

  fail_nth.py [--every K] [--calls NAME,NAME] [--only NAME:HOW] [--from N] [--seconds S] [--quick]

--every K takes each K-th n only, beginning with a random one; --seconds S ends after so long and says where to go on
(--only, --from), so that a whole plan can be run in slices. Ends with `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import powerdisk  # noqa: E402
import stage  # noqa: E402

PLAN = (("write", "EIO"), ("write", "ENOSPC"), ("write", "SHORT"), ("write", "EIO+"), ("sync", "EIO"), ("sync", "EIO+"),
        ("sync", "HANG"), ("open", "EIO"), ("open", "ENOSPC"), ("rename", "EIO"), ("unlink", "EIO"), ("truncate", "EIO"), ("read", "EIO"))
QUICK = (("write", "EIO"), ("write", "SHORT"), ("sync", "EIO"), ("sync", "HANG"), ("open", "EIO"))
FIRST_BATCHES, BATCHES = 6, 14  # of about 24 entries: the life under the shim fills a file, and begins the next
CLEAN = (0, 100, 111, 112)  # 113, corruption, would be a lie: the disk refused, nothing is damaged
SEAL_S = 1.5
MAX_N = 100000


def prepare(base, seed):
    """A node with a past, as files; the drive that knows it goes with it."""
    one = stage.Stage(base, seed)
    one.open_drive()
    one.start_well()
    one.live(FIRST_BATCHES)
    if one.stop() != 0:
        raise one.fault("storage does not stop well")
    return one


def settle(one, seal_s):
    """Waits for the file that is full to be sealed, then ends storage; gives its code."""
    log, until = os.path.join(one.data, "log"), time.monotonic() + seal_s
    while time.monotonic() < until and one.process.poll() is None and not any(
            name.endswith(".index") for name in os.listdir(log)):
        time.sleep(0.01)
    return one.stop() if one.process.poll() is None else one.wait()


def one_life(base, seed, fault, seal_s):
    """A life under the shim with this in its environment, then one without it. True: the fault has struck; and the code
    that storage ended with. Raises Lost when a promise is broken."""
    one, failed = prepare(base, seed), True
    note = os.path.join(one.dir, "note")
    try:
        ready = one.start({"LD_PRELOAD": os.path.join(powerdisk.RIGS, "shim.so"), "FAULT_DIR": one.data,
                           "FAULT_NOTE": note, **fault})
        code = one.live(BATCHES) if ready else one.wait()
        if code is None:
            code = settle(one, seal_s)
        if code not in CLEAN:
            raise one.fault("storage ended with code %s" % code)
        reached = os.path.exists(note)
        if code != 0 and not reached:
            raise one.fault("storage ended with code %s and no fault had struck" % code)
        one.start_well()
        one.ask("check")
        one.ask("halt")
        one.kill()
        failed = False
        return reached, code
    finally:
        one.close(failed)


def run_plan(base, call, how, args, chance, seal_s):
    """All n of one kind, some lives at a time. Gives the n to go on from, if the time was over first."""
    number, lives, codes, start = args.begin, 0, {}, time.monotonic()
    if number is None:
        number = 1 if args.every == 1 else chance.randrange(1, args.every + 1)

    def one(at):
        try:
            return one_life(base, chance.getrandbits(32), {"FAULT_CALL": "%s:%d:%s" % (call, at, how)}, seal_s)
        except stage.Lost as fault:
            raise stage.Lost("%s number %d fails with %s: %s" % (call, at, how, fault)) from fault
    reached, late = True, False
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        while reached and number < MAX_N and not late:
            some = [number + slot * args.every for slot in range(args.jobs)]
            for was_reached, code in pool.map(one, some):
                reached = reached and was_reached
                codes[code] = codes.get(code, 0) + was_reached
            lives += len(some)
            number += len(some) * args.every
            late = args.seconds is not None and time.monotonic() > start + args.seconds
    print("%-8s %-7s %5d lives, the last n %5d; ended with %s; %.0f s" % (
        call, how, lives, number - args.every, ", ".join("%s: %d" % pair for pair in sorted(codes.items()) if pair[1]),
        time.monotonic() - start), flush=True)
    if reached and late:
        print("%s:%s is not finished: go on from %d" % (call, how, number), flush=True)


def main(argv):
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--every", type=int, default=1)
    reader.add_argument("--from", dest="begin", type=int, default=None)
    reader.add_argument("--calls", default="write,sync,open,rename,unlink,truncate,read")
    reader.add_argument("--only", default=None, help="one kind, as write:EIO")
    reader.add_argument("--seconds", type=float, default=None, help="for each kind; then it says where to go on")
    reader.add_argument("--jobs", type=int, default=3, help="lives at a time")
    reader.add_argument("--quick", action="store_true", help="five kinds of fault; files are not short, and not sealed")
    reader.add_argument("--seed", type=int, default=None)
    args = reader.parse_args(argv[1:])
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    base, passed, failed = os.environ.get("TEST_TMP", "/var/tmp"), 0, 0
    print("seed %d" % seed, flush=True)
    for call, how in QUICK if args.quick else PLAN:
        if call not in args.calls.split(",") or args.only not in (None, "%s:%s" % (call, how)):
            continue
        try:
            run_plan(base, call, how, args, random.Random(seed), 0 if args.quick else SEAL_S)
            passed += 1
        except stage.Lost as fault:
            print("FAILED: %s" % fault, flush=True)
            failed += 1
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
