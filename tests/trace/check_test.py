#!/usr/bin/python3
"""check_test SIM: the judge of traces is judged. A trace of the simulator is clean; broken in one place, in each
of the ways that a core could be broken, it is found, and the rule is named."""
import copy
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import check  # noqa: E402

SEEDS = (1, 3, 7, 11)  # with kills, restarts, reads, and members that change
BREAKS = []


def breaks(rule):
    def note(function):
        BREAKS.append((rule, function))
        return function
    return note


def lines_where(lines, fits):
    for line in lines:
        if fits(line):
            yield line


def first(lines, fits, after=0):
    """One from the middle, where everything has happened already."""
    found = list(lines_where(lines[after:], fits))
    return found[len(found) // 2] if found else None


def output_of(line, message, fits=lambda output: True):
    for output in line["out"]:
        if output.get("message") == message and fits(output):
            return output
    return None


def is_in(line, kind, message=None):
    return line["in"]["kind"] == kind and (message is None or line["in"].get("message") == message)


# ---- one break each ----------------------------------------------------------------------------


@breaks("I1")
def two_lead_one_term(lines):
    leaders = {line["term"]: line["node"] for line in lines if line["role"] == "leader"}
    line = first(lines, lambda line: line["role"] == "follower" and leaders.get(line["term"], line["node"]) != line["node"])
    line["role"] = "leader"


@breaks("I2")
def a_vote_goes_to_a_second_one(lines):
    line = first(lines, lambda line: output_of(line, "voted", lambda out: out.get("granted") and not out.get("pre")))
    output_of(line, "voted")["to"][0] += 1


@breaks("I2")
def a_promise_leaves_before_the_ballot(lines):
    first(lines, lambda line: is_in(line, "balloted") and output_of(line, "voted"))["in"]["ticket"] = 0


@breaks("I2")
def more_is_acknowledged_than_is_durable(lines):
    line = first(lines, lambda line: output_of(line, "appended", lambda out: out.get("ok")))
    output_of(line, "appended")["match_index"] = line["last"] + 9


@breaks("I2")
def a_term_falls(lines):
    line = first(lines, lambda line: is_in(line, "tick") and line["term"] > 1)
    line["term"] -= 1


@breaks("I3")
def the_own_disk_is_enough(lines):
    line = first(lines, lambda line: line["role"] == "leader" and is_in(line, "stored") and line["commit"] < line["stored"])
    line["commit"] = line["stored"]


@breaks("I3")
def a_candidate_commits_what_it_inherited(lines):
    """A leader moves the commit index before an entry of its own term."""
    leads = {}
    for line in lines:
        if line["role"] == "leader" and leads.get(line["node"]) != line["term"] and line["commit"] + 1 < line["last"]:
            line["commit"] += 1
            return
        leads[line["node"]] = line["term"] if line["role"] == "leader" else 0


@breaks("I4")
def an_acknowledgement_of_another_life_is_counted(lines):
    first(lines, lambda line: is_in(line, "stored") and line["role"] == "follower" and
          line["in"]["last_index"] == line["stored"])["in"]["life"] += 1


@breaks("I5")
def a_follower_commits_past_what_was_verified(lines):
    line = first(lines, lambda line: is_in(line, "peer", "append") and line["role"] == "follower" and
                 line["commit"] == line["in"].get("commit_index"))
    line["commit"] += 1


@breaks("I6")
def a_commit_index_falls(lines):
    line = first(lines, lambda line: is_in(line, "flush") and line["role"] != "unknown" and line["commit"] > 5)
    line["commit"] -= 1


@breaks("I6")
def the_log_has_a_hole(lines):
    line = first(lines, lambda line: output_of(line, "store"))
    output_of(line, "store")["entries"][0][0] += 5


@breaks("I6")
def two_commit_another_entry(lines):
    """A follower stores, and commits, an entry of another term than the others."""
    commits = max(line["commit"] for line in lines)
    line = first(lines, lambda line: line["role"] == "follower" and output_of(line, "store") and
                 output_of(line, "store")["entries"][0][0] < commits // 2)
    run = output_of(line, "store")["entries"][0]
    run[1], run[2] = run[1] - 1, run[2].translate(str.maketrans("0123456789", "1234567890"))


@breaks("I7")
def one_place_two_entries(lines):
    line = first(lines, lambda line: line["role"] == "follower" and output_of(line, "store"))
    run = output_of(line, "store")["entries"][0]
    run[2] = ("0" if run[2][0] != "0" else "1") + run[2][1:]


@breaks("I8")
def two_know_another_configuration(lines):
    line = [line for line in lines if "members" in line and line["config"] > 0][-1]
    line["members"][0][3] = line["members"][0][2] = "replica"


@breaks("I8")
def a_configuration_stays_when_its_entry_goes(lines):
    line = first(lines, lambda line: "members" in line and line["config"] > 0)
    line["config"] = line["last"] + 1


@breaks("I9")
def voters_change_in_one_step(lines):
    line = first(lines, lambda line: line["role"] == "leader" and is_in(line, "tick") and line["commit"] == line["last"])
    told = [other for other in lines[:lines.index(line)] if other["node"] == line["node"] and "members" in other][-1]
    line.update(config=line["last"], config_term=line["term"], joint=False, members=copy.deepcopy(told["members"]))
    line["members"][0][2] = line["members"][0][3] = "none"


@breaks("I9")
def two_configurations_at_a_time(lines):
    told, before = {}, {}
    for line in lines:
        node, old = line["node"], before.get(line["node"], line)
        if "members" in line:
            told[node] = dict(joint=line["joint"], members=line["members"])
        if (line["role"] == old["role"] == "leader" and line["term"] == old["term"] and "members" not in line and
                old["config"] <= old["commit"] < old["last"] < line["last"] and not told[node]["joint"]):
            for now in (old, line):
                now.update(told[node], config=now["last"], config_term=now["term"])
            return
        before[node] = line
    raise IndexError


@breaks("I11")
def a_vote_is_counted_that_nobody_gave(lines):
    line = first(lines, lambda line: output_of(line, "voted", lambda out: out.get("granted") and not out.get("pre")))
    line["out"].remove(output_of(line, "voted"))
    for other in lines:  # it came all the same
        if is_in(other, "peer", "voted") and other["in"]["from"] == [line["node"], line["incarnation"]]:
            other["in"]["granted"] = True


@breaks("I11")
def an_acknowledgement_is_counted_that_nobody_sent(lines):
    line = first(lines, lambda line: is_in(line, "peer", "appended") and line["in"].get("ok") and line["role"] == "leader"
                 and line["in"]["term"] == line["term"])
    line["in"]["match_index"] = line["last"] + 1


@breaks("I11")
def who_leads_has_no_votes(lines):
    for line in lines:
        if is_in(line, "peer", "voted") and line["role"] == "leader":
            line["in"]["pre"] = True


@breaks("I15")
def a_read_is_too_old(lines):
    line = first(lines, lambda line: output_of(line, "read_index_is", lambda out: out.get("index", 0) > 5))
    output_of(line, "read_index_is")["index"] = 1


@breaks("I15")
def a_read_is_answered_unconfirmed(lines):
    line = first(lines, lambda line: is_in(line, "read_index") and line["role"] == "leader" and line["commit"] > 0 and
                 not line["out"])
    line["out"] = [{"kind": "api", "message": "read_index_is", "ticket": line["in"]["ticket"], "index": line["commit"]}]


def loaded_again(lines):
    """A LOADED of a directory that had something."""
    return first(lines, lambda line: is_in(line, "loaded") and line["in"].get("last_index", 0) > 5 and line["life"] > 1)


@breaks("S")
def storage_forgets_its_log(lines):
    told = loaded_again(lines)["in"]
    told["last_index"], told["last_hash"] = 1, "00"


@breaks("S")
def storage_forgets_its_ballot(lines):
    told = loaded_again(lines)["in"]
    told["vote"] = told.get("vote", 0) + 77


@breaks("T")
def a_line_is_missing(lines):
    lines.remove(first(lines, lambda line: is_in(line, "tick")))


# ---- the frame ---------------------------------------------------------------------------------


def write(lines, path):
    with open(path, "w") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


def judge(lines, path):
    write(lines, path)
    return check.check_files([path]).faults


def expect_named(rule, function, traces, path):
    """In one of the traces at least there is a place for it, and this rule is among what is found there."""
    found = []
    for text in traces:
        lines = [json.loads(line) for line in text]
        try:
            function(lines)
        except (TypeError, IndexError):
            continue  # no such place in this one
        faults = judge(lines, path)
        if any(fault.startswith(rule + ":") for fault in faults):
            return True
        found += faults[:1]
    print("FAILED: %s is not named as %s: %s" % (function.__name__, rule, found))
    return False


def cut_off_by_a_kill(text, folder):
    """Files of their own for each node, and the last line of a life cut in the middle: nothing is wrong."""
    lines = [json.loads(line) for line in text]
    paths, cut = [], 0
    for node in sorted({line["node"] for line in lines}):
        paths.append(os.path.join(folder, "%d.ndjson" % node))
        own = [line for line in lines if line["node"] == node]
        with open(paths[-1], "w") as file:
            for line, next_line in zip(own, own[1:] + [None]):
                end = next_line is not None and next_line["life"] != line["life"] and not line["out"]
                file.write(json.dumps(line)[:40 if end else None] + "\n")
                cut += end
    faults = check.check_files(paths).faults
    if faults or cut == 0:
        print("FAILED: %d lines cut off by kills: %s" % (cut, faults[:1]))
    return not faults and cut > 0


def main(sim):
    with tempfile.TemporaryDirectory(prefix="ca-trace.") as folder:
        path = os.path.join(folder, "trace.ndjson")
        traces = []
        for seed in SEEDS:
            subprocess.run([sim, "--trace", path, "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
            with open(path) as file:
                traces.append(file.readlines())
        passed = failed = 0
        for text in traces:
            faults = judge([json.loads(line) for line in text], path)
            if faults:
                print("FAILED: a clean trace: %s" % faults[0])
            passed, failed = passed + (not faults), failed + bool(faults)
        verdicts = [expect_named(rule, function, traces, path) for rule, function in BREAKS]
        verdicts.append(cut_off_by_a_kill(traces[0], folder))
        passed, failed = passed + sum(verdicts), failed + len(verdicts) - sum(verdicts)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
