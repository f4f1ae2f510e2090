#!/usr/bin/python3
"""Damages every page of every file of a small node directory, one at a time, and looks what storage does with it.

  page_sweep.py [--every K --part I] [--kinds flip,zero,short,eio,full,half]    each K-th page, from the I-th on

  flip    one bit of the page, drawn by chance      short   the file ends in the middle of this page
  zero    the whole page is zeros                   eio     reads of this page fail, always (shim.c)
  full    four writes of this page fail: ENOSPC     half    they are written to its middle, then ENOSPC
Two directories are swept for what lies there: of a node that was stopped well, and of one that was killed, with
everything in its WALs. For what is written, each page is that of a node that goes on writing.

Clean is: storage does not start, or ends, with a code that says why (112 the disk, 113 corruption); or it starts and
does not vote; or it votes and holds all it promised. In each case what it serves is what was written, or refused:
never a wrong byte. Whose writes fail ends with 112, or goes on as soon as there is room; begun anew without the fault it
has lost nothing that it promised. Ends with `N passed, N failed`.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import signal
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import fail_nth  # noqa: E402
import powerdisk  # noqa: E402
import stage  # noqa: E402

PAGE, BATCHES, CHANGES = 4096, 12, 120
LYING, WRITTEN = ("flip", "zero", "short", "eio"), {"full": "ENOSPC", "half": "SHORT"}
CODES = {100: "refused", 111: "refused", 112: "ended, the disk", 113: "ended, corruption"}
IGNORED = ("-shm", "ballast", "lock")


def high_water(data):
    try:
        with open(os.path.join(data, "identity", "high-water"), "rb") as file:
            return struct.unpack_from("<IIQ", file.read())[2]
    except (OSError, struct.error):
        return 0


def prepare(base, seed, killed):
    """A node with a past, and its directory as a template."""
    one = stage.Stage(base, seed)
    one.open_drive()
    one.start_well()
    last = 0
    while last < CHANGES:  # chance replaces much of what was written
        one.live(BATCHES)
        last = int(one.ask("learn").startswith("loaded") and one.read().split()[1])
    entries = int(one.ask("halt").split()[2])
    until = time.monotonic() + 20
    while high_water(one.data) < entries:
        if time.monotonic() > until:
            raise one.fault("no high-water mark comes")
        time.sleep(0.05)
    if killed:
        one.kill()
    elif one.stop() != 0:
        raise one.fault("storage does not stop well")
    one.template = os.path.join(one.dir, "template")
    shutil.copytree(one.data, one.template)
    return one, last


def pages_of(template):
    """(file, offset) of every page, by file."""
    for directory, _, names in sorted(os.walk(template)):
        for name in sorted(names):
            path = os.path.relpath(os.path.join(directory, name), template)
            if not path.endswith(IGNORED):
                for at in range(0, os.path.getsize(os.path.join(directory, name)), PAGE):
                    yield path, at


def damage(path, at, kind, chance):
    """Gives the environment that goes with it; None: this page has that damage already."""
    with open(path, "r+b") as file:
        file.seek(at)
        page = bytearray(file.read(PAGE))
        if kind == "flip":
            page[chance.randrange(len(page))] ^= 1 << chance.randrange(8)
        elif kind == "zero":
            if not any(page):
                return None
            page = bytes(len(page))
        if kind in ("flip", "zero"):
            file.seek(at)
            file.write(page)
        elif kind == "short":
            file.truncate(at + chance.randrange(len(page)))
    if kind == "eio":
        return {"LD_PRELOAD": os.path.join(powerdisk.RIGS, "shim.so"), "FAULT_PAGE": "%s:%d" % (os.path.basename(path), at)}
    return {}


def look(one, env, changes):
    """The class of what storage made of it."""
    if not one.start(env):
        code = one.wait()
        if code not in CODES:
            raise one.fault("storage ended with code %s" % code)
        return CODES[code]
    one.send("look")
    until = time.monotonic() + stage.PATIENCE_S
    while time.monotonic() < until:
        if one.has_answer(0.005):
            words = one.read().split()
            one.kill()
            votes, served, refused = (int(word) for word in words[1:])
            if not votes:
                return "does not vote"
            if served == changes:
                return "whole" if refused == 0 else "whole, a read refused"
            if refused == 0:
                raise one.fault("it votes, and %d of %d changes are not served and not refused" % (
                    changes - served, changes))
            return "reads refused"
        if one.process.poll() is not None:
            one.send("halt")
            while not one.read().startswith("halted"):
                pass
            code = one.wait()
            if code not in CODES:
                raise one.fault("storage ended with code %s" % code)
            return CODES[code]
    raise one.fault("storage neither answers nor ends")


def sweep(base, killed, kinds, every, part, chance):
    one, failed, begin = None, True, time.monotonic()
    counts = {kind: {} for kind in kinds}
    try:
        one, changes = prepare(base, chance.getrandbits(32), killed)
        pages = list(pages_of(one.template))
        for number, (path, at) in enumerate(pages):
            if every > 1 and number % every != part:
                continue
            for kind in kinds:
                shutil.rmtree(one.data, ignore_errors=True)
                shutil.copytree(one.template, one.data)
                env = damage(os.path.join(one.data, path), at, kind, chance)
                if env is None:
                    continue
                try:
                    verdict = look(one, dict(env, FAULT_DIR=one.data), changes)
                except stage.Lost as fault:
                    raise stage.Lost("%s of page %d of %s: %s" % (kind, at // PAGE, path, fault)) from fault
                counts[kind][verdict] = counts[kind].get(verdict, 0) + 1
        failed = False
        print("%s: %d pages, %d changes, %.0f s" % ("killed" if killed else "stopped", len(pages), changes,
                                                  time.monotonic() - begin))
        for kind in kinds:
            print("  %-6s %s" % (kind, ", ".join("%s %d" % pair for pair in sorted(counts[kind].items()))), flush=True)
    finally:
        if one is not None:
            one.close(failed)


def pages_by_name(data):
    """(name as a pattern, offset) of every page that is there; what chance draws in a name is a star."""
    return {(re.sub("-[0-9a-f]{16}", "-*", os.path.basename(path)), at) for path, at in pages_of(data)}


def pages_written(base, seed):
    """Those of a life, before a full file is sealed and after."""
    one = fail_nth.prepare(base, seed)
    try:
        one.start_well()
        one.live(fail_nth.BATCHES)
        pages = pages_by_name(one.data)
        fail_nth.settle(one, fail_nth.SEAL_S)
        return sorted(pages | pages_by_name(one.data))
    finally:
        one.close(False)


def sweep_writes(base, kinds, every, part, chance):
    """A life for each page, some at a time: some of them do not write it."""
    begin = time.monotonic()
    pages = pages_written(base, chance.getrandbits(32))
    some = [page for number, page in enumerate(pages) if number % every == part]
    print("written: %d pages" % len(pages))
    for kind in kinds:
        counts = {}

        def one(name, at, how=WRITTEN[kind]):
            try:
                return fail_nth.one_life(base, chance.getrandbits(32), {"FAULT_PAGE": "%s:%d:%s" % (name, at, how)},
                                         fail_nth.SEAL_S)
            except stage.Lost as fault:
                raise stage.Lost("%s of page %d of %s: %s" % (kind, at // PAGE, name, fault)) from fault
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for struck, code in pool.map(lambda page: one(*page), some):
                verdict = "not written" if not struck else "went on" if code == 0 else CODES[code]
                counts[verdict] = counts.get(verdict, 0) + 1
        print("  %-6s %s; %.0f s" % (kind, ", ".join("%s %d" % pair for pair in sorted(counts.items())),
                                     time.monotonic() - begin), flush=True)


def main(argv):
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--every", type=int, default=1)
    reader.add_argument("--part", type=int, default=0)
    reader.add_argument("--kinds", default=",".join((*LYING, *WRITTEN)))
    reader.add_argument("--seed", type=int, default=None)
    args = reader.parse_args(argv[1:])
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(32)
    base, passed, failed = os.environ.get("TEST_TMP", "/var/tmp"), 0, 0
    print("seed %d" % seed, flush=True)
    kinds, part = args.kinds.split(","), args.part % args.every
    lying, written = [kind for kind in kinds if kind in LYING], [kind for kind in kinds if kind in WRITTEN]
    plan = [lambda chance, killed=killed: sweep(base, killed, lying, args.every, part, chance) for killed in (False, True) if lying]
    if written:
        plan.append(lambda chance: sweep_writes(base, written, args.every, part, chance))
    for one in plan:
        try:
            one(random.Random(seed))
            passed += 1
        except stage.Lost as fault:
            print("FAILED: %s" % fault, flush=True)
            failed += 1
    print("%d passed, %d failed" % (passed, failed), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
