#!/usr/bin/python3
"""Judges a history: what clients were told and shown, against what every node holds in the end.

  check.py HISTORY ... [--follow FOLLOWED ...] [--reads READS ...] -- NODE ...

All files are NDJSON; a last line without its end is skipped (its writer was killed). README.md has the fields.
  HISTORY   one line a write: {text, size, asked, answered, code, error, id}  (tests/cluster/load.c)
  FOLLOWED  what one follower was shown, in its order: {id, data, hash}  (changeagent follow -o ndjson)
  READS     linearizable reads: {node, asked, answered, id}; id is the head that was shown
  NODE      what one node holds, in the order of the log: {id, data, hash}, and ts where it is known

The promises, gravest first; the first one that is broken is printed with the writes concerned:
  not done    a write told that it was not done is on no node
  durable     every write told `ok` is at its id, with its bytes, on every node
  once        no write is there twice, nothing is there that nobody wrote; an open write may be there
  one order   ids are 1, 2, 3 ..., log time never falls, all nodes hold the same, down to the change hash
  real time   what was asked after another was acknowledged has the larger id
  reads       a linearizable read shows all that was acknowledged, or shown to another, before it was asked
  followed    a follower is shown ids without a gap, each once, and what all nodes hold at them

Time n log n, for the sort by time; memory in proportion to the history, not to the nodes.
Exit code 0: no fault; 1: faults; 2: wrong usage.
"""
import array
import bisect
import collections
import itertools
import json
import sys

PROMISES = ("not done", "durable", "once", "one order", "real time", "reads", "followed")
KEPT_MAX = 20  # faults told of each promise; the others are only counted

Write = collections.namedtuple("Write", "text size asked answered code error id")
Fault = collections.namedtuple("Fault", "promise text writes")


class Verdict:
    """Faults found so far: the first of each promise in full, all of them counted."""

    def __init__(self):
        self.kept = {promise: [] for promise in PROMISES}
        self.counts = collections.Counter()

    def add(self, promise, text, *writes):
        self.counts[promise] += 1
        if len(self.kept[promise]) < KEPT_MAX:
            self.kept[promise].append(Fault(promise, text, writes))

    def faults(self):
        return [fault for promise in PROMISES for fault in self.kept[promise]]


def read_lines(path):
    """Whole lines only: one that a killed writer left unfinished says nothing."""
    with open(path) as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def read_write(line):
    return Write(line["text"], line["size"], line["asked"], line["answered"], sys.intern(line["code"]),
                 sys.intern(line["error"]), line["id"])


def text_of(row):
    """A row's text: the data without the dots that fill it up to the size asked for."""
    return row["data"].rstrip(".")


def print_of(row):
    """64 bits that stand for data and change hash, so that nodes are compared without being kept."""
    return hash((row["data"], row["hash"]))


# ---- one node -------------------------------------------------------------------------------


def check_row(verdict, name, row, slots, writes, places):
    """One row against the write that it must come from; notes its place."""
    text, slot = text_of(row), slots.get(text_of(row))
    if slot is None:
        verdict.add("once", "%s: %s at %d was written by nobody" % (name, text[:40], row["id"]))
        return
    write = writes[slot]
    if places[slot] != 0:
        verdict.add("once", "%s: %s is there twice, at %d and %d" % (name, text, places[slot], row["id"]), write)
    else:
        places[slot] = row["id"]
    if len(row["data"]) != write.size:
        verdict.add("durable", "%s: %s at %d has other bytes" % (name, text, row["id"]), write)
    if write.code not in ("ok", "open"):
        verdict.add("not done", "%s: %s was told not done (%s %s) and is at %d" % (
            name, text, write.code, write.error, row["id"]), write)


def check_node(verdict, name, rows, slots, writes):
    """Gives the prints of the rows, and slot of a write -> the id where it is (0: nowhere)."""
    prints, places = array.array("q"), array.array("Q", bytes(8 * len(writes)))
    last_ts = 0
    for expected, row in enumerate(rows, 1):
        if row["id"] != expected:
            verdict.add("one order", "%s: ids are not 1, 2, 3 ...: %d is where %d belongs" % (name, row["id"], expected))
        if row.get("ts", last_ts) < last_ts:
            verdict.add("one order", "%s: log time falls at %d" % (name, row["id"]))
        last_ts = row.get("ts", last_ts)
        prints.append(print_of(row))
        check_row(verdict, name, row, slots, writes, places)
    for slot, write in enumerate(writes):
        if write.code != "ok" or places[slot] == write.id:
            continue
        where = "at %d" % places[slot] if places[slot] else "lost"
        verdict.add("durable", "%s: %s was acknowledged at %d and is %s" % (name, write.text, write.id, where), write)
    return prints, places


# ---- between writes, nodes, followers -------------------------------------------------------


def check_real_time(verdict, writes, places):
    """Whatever is there and was asked after an acknowledgement must be above it. Equal times say nothing."""
    acked = sorted((write for write in writes if write.code == "ok"), key=lambda write: write.answered)
    times = array.array("q", (write.answered for write in acked))
    highest = list(itertools.accumulate(acked, lambda top, write: write if write.id > top.id else top))
    for write, place in zip(writes, places):
        place = write.id if write.code == "ok" else place
        before = bisect.bisect_left(times, write.asked)  # so many were acknowledged before it was asked
        if place != 0 and before > 0 and highest[before - 1].id >= place:
            other = highest[before - 1]
            verdict.add("real time", "%s at %d was asked after %s at %d was acknowledged" % (
                write.text, place, other.text, other.id), other, write)


def check_reads(verdict, reads, writes):
    """`reads`: {node, asked, answered, id} of linearizable reads; id is the head that was shown."""
    told = sorted([(write.answered, write.id) for write in writes if write.code == "ok"] +
                  [(read["answered"], read["id"]) for read in reads])
    times = array.array("q", (answered for answered, _ in told))
    highest = array.array("Q", itertools.accumulate((number for _, number in told), max))
    for read in reads:
        before = bisect.bisect_left(times, read["asked"])
        if before > 0 and highest[before - 1] > read["id"]:
            verdict.add("reads", "%s showed %d at %d, %d was told before" % (
                read["node"], read["id"], read["asked"], highest[before - 1]))


def check_same(verdict, names, prints):
    for other, printed in list(zip(names, prints))[1:]:
        if printed == prints[0]:
            continue
        differ = next((at for at, (a, b) in enumerate(zip(prints[0], printed)) if a != b), min(len(prints[0]), len(printed)))
        verdict.add("one order", "%s (%d changes) and %s (%d) differ from id %d on" % (
            names[0], len(prints[0]), other, len(printed), differ + 1))


def check_followed(verdict, name, rows, printed):
    last = None
    for row in rows:
        number = row["id"]
        if last is not None and number != last + 1:
            verdict.add("followed", "%s: %d was shown after %d" % (name, number, last))
        last = number
        if not 1 <= number <= len(printed):
            verdict.add("followed", "%s: %d was shown and no node holds it" % (name, number))
        elif print_of(row) != printed[number - 1]:
            verdict.add("followed", "%s: at %d another change was shown: %s" % (name, number, row["data"][:40]))


def judge(history, nodes, followed=None, reads=None):
    """`history`: lines of all clients. `nodes`, `followed`: name -> rows; rows may be a generator."""
    verdict, slots, writes = Verdict(), {}, []
    for line in history:
        write = read_write(line)
        if slots.setdefault(write.text, len(writes)) != len(writes):
            verdict.add("once", "the history names %s twice: the load generator is wrong" % write.text, write)
        writes.append(write)
    names, prints, places = list(nodes), [], None
    for name in names:
        printed, where = check_node(verdict, name, nodes[name], slots, writes)
        prints.append(printed)
        places = where if places is None else places
    check_same(verdict, names, prints)
    check_real_time(verdict, writes, places)
    check_reads(verdict, list(reads or ()), writes)
    for name, rows in (followed or {}).items():
        check_followed(verdict, name, rows, prints[0])
    return verdict


def check(history, nodes, followed=None, reads=None):
    """The same, as a list of texts; empty if every promise was kept."""
    return ["%s: %s" % (fault.promise, fault.text) for fault in judge(history, nodes, followed, reads).faults()]


# ---- the tool -------------------------------------------------------------------------------


def report(verdict):
    """The first promise that was broken, with its writes; then how often each was."""
    faults = verdict.faults()
    for fault in [fault for fault in faults if fault.promise == faults[0].promise]:
        print("%s: %s" % (fault.promise, fault.text))
        for write in fault.writes:
            print("    %s" % json.dumps(write._asdict()))
    for promise in PROMISES:
        if verdict.counts[promise]:
            print("broken: %s, %d times" % (promise, verdict.counts[promise]))


def groups_of(argv):
    """Option -> the files behind it; `""` for those before the first one."""
    groups, name = {"": [], "--follow": [], "--reads": [], "--": []}, ""
    for word in argv:
        if word in groups and word:
            name = word
        elif word.startswith("--"):
            return None
        else:
            groups[name].append(word)
    return groups if groups["--"] else None


def main(argv):
    groups = groups_of(argv[1:])
    if groups is None:
        print(__doc__, file=sys.stderr)
        return 2
    counts = collections.Counter()

    def lines():
        for line in itertools.chain.from_iterable(map(read_lines, groups[""])):
            counts[line["code"]] += 1
            yield line
    reads = list(itertools.chain.from_iterable(map(read_lines, groups["--reads"])))
    verdict = judge(lines(), {path: read_lines(path) for path in groups["--"]},
                    {path: read_lines(path) for path in groups["--follow"]}, reads)
    if verdict.counts:
        report(verdict)
    print("%d writes, %d acknowledged, %d open, %d reads, %d faults" % (
        sum(counts.values()), counts["ok"], counts["open"], len(reads), sum(verdict.counts.values())))
    return 1 if verdict.counts else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
