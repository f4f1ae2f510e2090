#!/usr/bin/python3
"""Judges a history: what clients were told, against what every node holds in the end.

  check.py HISTORY.ndjson ... -- NODE.ndjson ...

A history line: {text, size, asked, answered, code, error, id} (tests/cluster/load.c).
A node line: {id, data, hash}, in the order of the log.

  acknowledged   every write told `ok` is at its id, with its bytes, on every node
  not done       a write told that it was not done is on no node (the worst fault of all)
  once           no write is there twice; nothing is there that nobody wrote
  real time      a write asked after another was acknowledged has the larger id
  one order      ids are 1, 2, 3 ... and all nodes hold the same, down to the change hash
"""
import json
import sys

OK, MAYBE = "ok", ("open",)


def check_node(rows, writes, acked):
    faults = []
    by_id = {row["id"]: row for row in rows}
    if [row["id"] for row in rows] != list(range(1, len(rows) + 1)):
        faults.append("ids are not 1, 2, 3 ...")
    seen = set()
    for row in rows:
        text = row["data"].rstrip(".")
        if text in seen:
            faults.append("%s is there twice, again at %d" % (text, row["id"]))
        seen.add(text)
        if text not in writes:
            faults.append("%s at %d was written by nobody" % (text[:40], row["id"]))
        elif len(row["data"]) != writes[text]["size"]:
            faults.append("%s at %d has other bytes" % (text, row["id"]))
    for write in acked:
        row = by_id.get(write["id"])
        if row is None:
            faults.append("%s was acknowledged at %d and is lost" % (write["text"], write["id"]))
        elif row["data"].rstrip(".") != write["text"]:
            faults.append("%s was acknowledged at %d, where %s is" % (write["text"], write["id"], row["data"][:40]))
    for write in writes.values():
        if write["code"] != OK and write["code"] not in MAYBE and write["text"] in seen:
            faults.append("%s was told not done (%s %s) and is there" % (write["text"], write["code"], write["error"]))
    return faults


def check_real_time(acked):
    """Walks through time: whatever is asked now must get an id above all ids acknowledged so far."""
    faults, highest = [], (0, None)
    events = sorted([(write["asked"], 1, write) for write in acked] + [(write["answered"], 0, write) for write in acked],
                    key=lambda event: event[:2])
    floor = {}
    for _, is_ask, write in events:
        if is_ask:
            floor[write["text"]] = highest
        elif write["id"] > highest[0]:
            highest = (write["id"], write["text"])
    for write in acked:
        below, other = floor[write["text"]]
        if write["id"] <= below:
            faults.append("%s at %d was asked after %s at %d was acknowledged" % (write["text"], write["id"], other, below))
    return faults


def check(history, nodes):
    """`history`: lines of all clients. `nodes`: name -> rows. Gives a list of faults."""
    faults = []
    writes = {write["text"]: write for write in history}
    if len(writes) != len(history):
        faults.append("the history names a write twice: the load generator is wrong")
    acked = [write for write in history if write["code"] == OK]
    for name, rows in nodes.items():
        faults += ["%s: %s" % (name, fault) for fault in check_node(rows, writes, acked)]
    faults += check_real_time(acked)
    names = list(nodes)
    for other in names[1:]:
        first = [(row["id"], row["data"], row["hash"]) for row in nodes[names[0]]]
        second = [(row["id"], row["data"], row["hash"]) for row in nodes[other]]
        if first != second:
            differ = next((i + 1 for i, (a, b) in enumerate(zip(first, second)) if a != b), min(len(first), len(second)) + 1)
            faults.append("%s (%d changes) and %s (%d) differ from id %d on" % (
                names[0], len(first), other, len(second), differ))
    return faults


def read_lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def main(argv):
    if "--" not in argv or argv.index("--") == len(argv) - 1:
        print(__doc__, file=sys.stderr)
        return 2
    at = argv.index("--")
    history = [line for path in argv[1:at] for line in read_lines(path)]
    faults = check(history, {path: read_lines(path) for path in argv[at + 1:]})
    for fault in faults[:50]:
        print(fault)
    print("%d writes, %d acknowledged, %d faults" % (
        len(history), sum(write["code"] == OK for write in history), len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
