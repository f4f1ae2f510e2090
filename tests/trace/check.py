#!/usr/bin/python3
"""check: replays the traces of the cores (consensus/trace.h) against the rules, all nodes together.

  check FILE…        the traces of one cluster, made on one machine: lines are put in order by its clock

Prints one line for each rule that is broken, `RULE: what (FILE:LINE)`, then a summary, and ends with 1
if there was one. Nothing is believed because a core says so: what is durable is what storage has
confirmed, what was acknowledged is what was sent, what is committed is what a majority has.

The rules (I: RELIABILITY section 2 of the design, as in docs/testing.md):
  I1  one leader a term            I2  promises only of what is durable, one vote a term
  I3  commit by counting           I4  acknowledgements of storage: life, ticket, term
  I5  a follower's commit          I6  the log has no hole, and the committed prefix stays
  I7  same index and term: same    I8  the configuration is the last one in the log
  I9  one configuration at a time  I11 only members are counted, and only what they sent
  I15 reads: confirmed after the ask, and not older than what was committed before it
  S   storage told after a start what it had confirmed before
  T   the trace itself: whole, and in order
"""
import bisect
import heapq
import json
import sys

PROMISES = ("vote", "voted", "append", "appended")


class Fault(Exception):
    """A rule and what broke it."""


def expect(rule, holds, text, *values):
    if not holds:
        raise Fault("%s: %s" % (rule, text % values if values else text))


def entries_of(runs):
    """(index, (term, hash)) of [[first, term, "hash hash…"]…]."""
    if not isinstance(runs, list):
        return
    for first, term, hashes in runs:
        for at in range(0, len(hashes), 16):
            yield first + at // 16, (term, hashes[at:at + 16])


def ends_of(runs):
    """Last index of runs; 0: none."""
    return runs[-1][0] + len(runs[-1][2]) // 16 - 1 if isinstance(runs, list) and runs else 0


class Config:
    def __init__(self, line):
        self.joint = line["joint"]
        self.rows = [tuple(row) for row in line["members"]]
        self.now = frozenset((node, life) for node, life, now, _ in self.rows if now == "voter")
        self.next = frozenset((node, life) for node, life, _, then in self.rows if then == "voter")

    def majorities(self):
        return (self.now, self.next) if self.joint else (self.now,)

    def agrees(self, who):
        return all(2 * len(voters & who) > len(voters) for voters in self.majorities())


class Disk:
    """What storage has confirmed, and what it was asked since: of one data directory."""

    def __init__(self):
        self.term = self.vote = 0
        self.log, self.top = {}, 0
        self.asked = []  # STOREs: (ticket, term, [(index, entry)…])
        self.ballots = []  # (ticket, term, vote)
        self.snapshots = set()  # log indexes at which one may have been installed

    def write(self, rows):
        for index, entry in rows:
            if self.log.get(index) != entry:
                for gone in range(index + 1, self.top + 1):
                    self.log.pop(gone, None)
                self.top = index
            self.log[index] = entry
            self.top = max(self.top, index)

    def stored(self, ticket, term):
        while self.asked and self.asked[0][0] <= ticket:
            if self.asked[0][0] == ticket and self.asked[0][1] != term:
                break
            self.write(self.asked.pop(0)[2])

    def balloted(self, ticket):
        while self.ballots and self.ballots[0][0] <= ticket:
            _, self.term, self.vote = self.ballots.pop(0)

    def ends_so(self, last, term, digest):
        entry = self.log.get(last)
        return self.top == last and (last == 0 or entry is None or entry == (term, digest))

    def restarted(self, told):
        """What was asked and not confirmed may have happened, in its order: up to where it fits."""
        asked_term = [(self.term, self.vote)] + [(term, vote) for _, term, vote in self.ballots]
        vote = (told.get("term", 0), told.get("vote", 0))
        expect("S", vote in asked_term, "the ballot is %s, confirmed was %s", vote, asked_term[0])
        self.term, self.vote = vote
        last, end = told.get("last_index", 0), (told.get("last_term", 0), told.get("last_hash", ""))
        rows = [row for _, _, more in self.asked for row in more]
        found = self.ends_so(last, *end)
        while rows and not found:
            self.write([rows.pop(0)])
            found = self.ends_so(last, *end)
        if not found:  # a snapshot was installed: the log ends at it, or goes on behind it as it was
            expect("S", any(index <= last for index in self.snapshots),
                   "the log ends at %s %s, which is not what was stored", last, end)
            self.log = {index: entry for index, entry in self.log.items() if index < last}
            self.top = last
        self.asked, self.ballots = [], []


class Directory:
    """One incarnation of a node: what outlives its processes."""

    def __init__(self):
        self.disk = Disk()
        self.votes = {}  # term -> node that was promised the vote
        self.mind = {}  # the log as the core has it: index -> entry
        self.walked = 0  # committed up to here, as far as the entries are known
        self.seen = False


class Core:
    """One process, from its start to its end."""

    def __init__(self):
        self.seq = self.storage = 0
        self.line = None
        self.config, self.config_at = None, (0, 0)
        self.granted, self.acked, self.heard = set(), {}, {}
        self.round = self.first = self.taken_last = 0
        self.reads, self.asks = {}, {}


class Check:
    def __init__(self):
        self.faults, self.lines, self.cores, self.directories = [], 0, {}, {}
        self.leaders, self.entries, self.configs, self.committed = {}, {}, {}, {}
        self.voted, self.acks = set(), {}
        self.commit_times, self.commit_most = [], []
        self.reads = 0

    # ---- one line ---------------------------------------------------------------------------

    def take(self, line, place):
        self.lines += 1
        try:
            self.step(line)
        except Fault as fault:
            self.faults.append("%s (%s)" % (fault, place))

    def step(self, line):
        key = (line["node"], line["life"])
        core = self.cores.get(key)
        if core is None:
            core = self.cores[key] = Core()
            core.seq = line["seq"] - 1
        expect("T", line["seq"] == core.seq + 1, "line %d of node %d follows line %d", line["seq"], line["node"],
               core.seq)
        core.seq = line["seq"]
        before, core.line = core.line or line, line
        self.me = (line["node"], line["incarnation"])
        if line["incarnation"] == 0:
            return
        directory = self.directories.setdefault(self.me, Directory())
        try:
            self.input(core, directory, line, before)
            self.configuration(core, directory, line, before)
            self.state(core, directory, line, before)
            for output in line["out"]:
                self.output(core, directory, line, output)
            self.commit(core, directory, line, before)
        finally:
            self.walk(directory, line)

    # ---- what comes in ----------------------------------------------------------------------

    def input(self, core, directory, line, before):
        told, disk = line["in"], directory.disk
        kind = told["kind"]
        if kind == "loaded":
            self.loaded(core, directory, told)
        elif kind == "storage_lost" or kind == "storage_up":
            core.storage = 0
        elif kind == "balloted" and told.get("life") == core.storage:
            disk.balloted(told.get("ticket", 0))
        elif kind == "stored" and told.get("life") == core.storage:
            disk.stored(told.get("ticket", 0), told.get("term", 0))
        elif kind == "read_index":
            core.asks.setdefault(told.get("ticket", 0), self.committed_before(line["taken"]))
            self.ask(core, line, ("api", told.get("ticket", 0)))
        elif kind == "peer":
            self.peer(core, directory, line, told)

    def loaded(self, core, directory, told):
        if core.storage == told.get("life"):
            return  # a second answer, which the core does not take
        core.storage = told.get("life")
        directory.disk.restarted(told) if directory.seen else self.found(directory.disk, told)
        directory.seen = True
        for index, entry in entries_of(told.get("tail")):
            self.know(index, entry)
            directory.disk.log[index] = entry
        directory.mind = dict(directory.disk.log)
        directory.walked = min(directory.walked, directory.disk.top)

    @staticmethod
    def found(disk, told):
        """The trace begins: what storage tells is where it begins."""
        disk.term, disk.vote, disk.top = (told.get(word, 0) for word in ("term", "vote", "last_index"))

    def peer(self, core, directory, line, told):
        sender, message = tuple(told["from"]), told.get("message")
        if tuple(told["to"]) != self.me:
            return
        if message == "voted" and told.get("granted") and not told.get("pre"):
            sent = (sender, told["term"], told.get("candidate_term"), self.me[0])
            if sender in self.directories:
                expect("I11", sent in self.voted, "a vote of %s for term %s that it never gave", sender,
                       told.get("candidate_term"))
            core.granted.add((sender, told.get("candidate_term")))
        elif message == "appended" and line["role"] == "leader" and told["term"] == line["term"]:
            self.acknowledged(core, directory, line, told, sender)
        elif message == "ask_index":
            self.ask(core, line, (sender, told.get("ticket", 0)))
        elif message == "snapshot":
            directory.disk.snapshots.add(told.get("index", 0))
        elif message == "append":
            self.offered(directory, told)

    @staticmethod
    def offered(directory, told):
        """Perhaps it is taken: what it would replace is not known any more, until it is stored."""
        for index, entry in entries_of(told.get("entries")):
            if index > directory.walked and directory.mind.get(index, entry) != entry:
                for gone in [at for at in directory.mind if at >= index]:
                    del directory.mind[gone]
                return

    def acknowledged(self, core, directory, line, told, sender):
        match = told.get("match_index", 0) if told.get("ok") else 0
        if sender in self.directories:
            entry = self.acks.get((sender, told["term"], told.get("round", 0), match), False)
            expect("I11", entry is not False, "an acknowledgement of %s up to %s that it never sent", sender, match)
            own = directory.mind.get(match)
            if entry and own and told.get("round", 0) <= core.round:
                expect("I7", entry == own, "%s acknowledges index %s as %s, here it is %s", sender, match, entry, own)
        if told.get("round", 0) > core.round or match > line["last"]:
            return  # the core must not count it: the commit will show
        core.acked[sender] = max(core.acked.get(sender, 0), match)
        core.heard[sender] = max(core.heard.get(sender, 0), told.get("round", 0))

    # ---- what the core then is --------------------------------------------------------------

    def configuration(self, core, directory, line, before):
        if line["role"] == "unknown":
            return
        if "members" not in line:
            expect("I8", line["config"] == core.config_at[0] or line["config"] == 0,
                   "the configuration of index %s was never told", line["config"])
            return
        at, config, old = (line["config"], line["config_term"]), Config(line), core.config
        expect("I8", at[0] <= line["last"] or at[0] == 0, "the configuration of index %s, the log ends at %s", at[0],
               line["last"])
        if at[0] > 0:
            known = self.configs.setdefault(at, (config.joint, config.rows))
            expect("I8", known == (config.joint, config.rows), "two configurations at index %s of term %s", *at)
        core.config, core.config_at = config, at
        leads = line["role"] == before["role"] == "leader" and line["term"] == before["term"]
        if not leads or old is None:
            return
        expect("I9", before["commit"] >= before["config"],
               "a configuration at index %s, the one of %s is not committed", at[0], before["config"])
        expect("I9", before["commit"] >= core.first, "a configuration before an entry of the own term is committed")
        if old.joint:
            expect("I9", not config.joint and config.now == old.next, "a joint configuration is left for another")
        else:
            expect("I9", config.now == old.now, "the voters change without a joint configuration")

    def state(self, core, directory, line, before):
        disk, same = directory.disk, before["incarnation"] == line["incarnation"]
        loaded = line["in"]["kind"] == "loaded"
        if same and line["last"] < before["last"]:
            for gone in [at for at in directory.mind if at > line["last"]]:
                del directory.mind[gone]
        expect("I2", not same or loaded or line["term"] >= before["term"], "the term falls from %s to %s",
               before["term"], line["term"])
        expect("I6", not same or loaded or before["role"] == "unknown" or line["commit"] >= before["commit"],
               "the commit index falls from %s to %s", before["commit"], line["commit"])
        if line["role"] == "unknown":
            return
        expect("I4", line["stored"] <= max(disk.top, ends_of(line["in"].get("tail"))),
               "%s is taken for durable, storage confirmed %s", line["stored"], disk.top)
        expect("I2", line["balloted"] <= disk.term, "term %s is taken for durable, storage confirmed %s",
               line["balloted"], disk.term)
        if line["role"] != "leader":
            return
        new = before["role"] != "leader" or before["term"] != line["term"]
        if new:
            self.elected(core, directory, line)

    def elected(self, core, directory, line):
        term = line["term"]
        other = self.leaders.setdefault(term, self.me)
        expect("I1", other == self.me, "%s and %s lead term %s", other, self.me, term)
        core.acked, core.heard, core.reads, core.first = {}, {}, {}, line["last"]
        votes = {who for who, of in core.granted if of == term}
        if (directory.disk.term, directory.disk.vote) == (term, self.me[0]):
            votes.add(self.me)
        core.granted = set()
        expect("I11", core.config is not None and core.config.agrees(votes),
               "%s leads term %s with the votes of %s", self.me, term, sorted(votes))

    # ---- what goes out ----------------------------------------------------------------------

    def output(self, core, directory, line, output):
        message, disk = output.get("message"), directory.disk
        if output["kind"] == "send" and message in PROMISES:
            expect("I2", output["term"] <= disk.term, "a %s of term %s, durable is %s", message, output["term"],
                   disk.term)
        if message == "ballot" and output.get("life") == core.storage:
            disk.ballots.append((output.get("ticket", 0), output.get("term", 0), output.get("vote", 0)))
        elif message == "store":
            self.store(core, directory, output)
        elif message == "voted" and output.get("granted") and not output.get("pre"):
            self.vote(directory, output.get("candidate_term", 0), output["to"][0])
            self.voted.add((self.me, output["term"], output.get("candidate_term"), output["to"][0]))
        elif message == "vote" and not output.get("pre"):
            self.vote(directory, output.get("candidate_term", 0), self.me[0])
        elif message == "append":
            self.append(core, directory, output)
        elif message == "appended":
            self.answer(directory, line, output)
        elif message in ("read_index_is", "index_is"):
            self.read(core, line, output)

    def vote(self, directory, term, whom):
        disk = directory.disk
        expect("I2", (disk.term, disk.vote) == (term, whom), "a vote for %s in term %s, durable is %s", whom, term,
               (disk.term, disk.vote))
        first = directory.votes.setdefault(term, whom)
        expect("I2", first == whom, "votes for %s and for %s in term %s", first, whom, term)

    def know(self, index, entry):
        known = self.entries.setdefault((index, entry[0]), (entry[1], self.me))
        expect("I7", known[0] == entry[1], "index %s of term %s is %s on %s, and %s on %s", index, entry[0], known[0],
               known[1], entry[1], self.me)

    def mind(self, directory, index, entry):
        if directory.mind.get(index) == entry:
            return
        expect("I6", index > directory.walked or index not in directory.mind, "index %s is replaced, it is committed",
               index)
        if index in directory.mind:
            for gone in [at for at in directory.mind if at > index]:
                del directory.mind[gone]
        directory.mind[index] = entry

    def store(self, core, directory, output):
        rows = list(entries_of(output.get("entries")))
        disk = directory.disk
        top = disk.asked[-1][2][-1][0] if disk.asked else disk.top
        expect("I6", rows and rows[0][0] <= top + 1, "a store of index %s behind %s", rows[0][0] if rows else 0, top)
        for index, entry in rows:
            self.know(index, entry)
            self.mind(directory, index, entry)
        if output.get("life") == core.storage:
            disk.asked.append((output.get("ticket", 0), output.get("term", 0), rows))

    def append(self, core, directory, output):
        core.round = max(core.round, output.get("round", 0))
        for index, entry in entries_of(output.get("entries")):
            self.know(index, entry)
            self.mind(directory, index, entry)

    def answer(self, directory, line, output):
        match = output.get("match_index", 0) if output.get("ok") else 0
        expect("I2", match <= directory.disk.top, "index %s is acknowledged, durable is %s", match, directory.disk.top)
        key = (self.me, output["term"], output.get("round", 0), match)
        self.acks[key] = directory.disk.log.get(match)

    # ---- committed --------------------------------------------------------------------------

    def commit(self, core, directory, line, before):
        commit = line["commit"]
        if commit <= before["commit"] or before["incarnation"] != line["incarnation"]:
            return
        if line["role"] == "leader":
            self.counted(core, directory, line, commit)
            self.commit_times.append(line["written"])
            self.commit_most.append(max([commit] + self.commit_most[-1:]))
        elif line["in"].get("message") == "append":
            told = line["in"]
            last = max(ends_of(told.get("entries")), told.get("prev_index", 0))
            expect("I5", commit <= min(last, told.get("commit_index", 0)),
                   "commit %s, this append went to %s and told %s", commit, last, told.get("commit_index", 0))
        elif line["in"]["kind"] == "applied":
            expect("I5", commit <= line["in"].get("index", 0), "commit %s, applied is %s", commit,
                   line["in"].get("index", 0))
        elif line["in"]["kind"] not in ("loaded", "fetched"):
            raise Fault("I5: commit %s by %s" % (commit, line["in"]["kind"]))

    def counted(self, core, directory, line, commit):
        if line["in"]["kind"] == "applied":
            return  # storage outlived the process and knows more
        have = {who for who, match in core.acked.items() if match >= commit}
        if directory.disk.top >= commit and directory.disk.log.get(commit) == directory.mind.get(commit):
            have.add(self.me)
        expect("I3", core.config.agrees(have), "index %s is committed, it is on the disks of %s", commit, sorted(have))
        entry = directory.mind.get(commit)
        expect("I3", entry is None or entry[0] == line["term"], "index %s of term %s is committed by counting in %s",
               commit, entry and entry[0], line["term"])

    def walk(self, directory, line):
        """The committed prefix, as far as its entries are known: the same on every node, for ever."""
        first = min(directory.mind) if directory.mind and directory.walked + 1 not in directory.mind else 0
        if directory.walked + 1 < first <= line["commit"]:
            directory.walked = first - 1
        while directory.walked < line["commit"] and directory.walked + 1 in directory.mind:
            directory.walked += 1
            entry = directory.mind[directory.walked]
            known = self.committed.setdefault(directory.walked, (entry, self.me))
            if known[0] != entry:
                raise Fault("I6: index %s is %s on %s, and %s on %s; both committed" % (
                    directory.walked, known[0], known[1], entry, self.me))

    # ---- reads ------------------------------------------------------------------------------

    def committed_before(self, time):
        at = bisect.bisect_left(self.commit_times, time)
        return self.commit_most[at - 1] if at > 0 else 0

    @staticmethod
    def ask(core, line, who):
        """Asked again under the same ticket before it was answered, it is the same ask."""
        if line["role"] == "leader":
            core.reads.setdefault(who, (core.round, line["commit"]))

    def read(self, core, line, output):
        ticket, index, to_api = output.get("ticket", 0), output.get("index", 0), output["kind"] == "api"
        asked = core.reads.pop(("api", ticket) if to_api else (tuple(output["to"]), ticket), None)
        least = core.asks.pop(ticket, 0) if to_api else 0
        if output.get("error"):
            return
        if to_api:
            self.reads += 1
            expect("I15", index >= least, "a read at index %s, committed before it was asked was %s", index, least)
            if line["in"].get("message") == "index_is":
                return  # handed on
        expect("I15", asked is not None and line["role"] == "leader", "a read that nobody asked is answered")
        heard = {who for who, last in core.heard.items() if last > asked[0]} | {self.me}
        expect("I15", core.config.agrees(heard), "a read is answered, confirmed by %s alone", sorted(heard))
        expect("I15", index >= asked[1], "a read at index %s, %s was committed", index, asked[1])
        expect("I15", line["commit"] >= core.first, "a read before an entry of the own term was committed")

    def summary(self):
        return "trace: lines=%d nodes=%d lives=%d leaders=%d committed=%d reads=%d faults=%d" % (
            self.lines, len({node for node, _ in self.directories}), len(self.cores), len(self.leaders),
            len(self.committed), self.reads, len(self.faults))


# ---- files ----------------------------------------------------------------------------------


def read_file(path, check):
    """(written, line number, line, place); what a kill cut off is skipped, where another life follows."""
    broken, life = None, None
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
            except ValueError:
                broken = number
                continue
            if broken is not None and line["life"] == life:
                check.faults.append("T: this is no line of a trace (%s:%d)" % (path, broken))
            broken, life = None, line["life"]
            yield line["written"], number, line, "%s:%d" % (path, number)


def check_files(paths):
    check = Check()
    for _, _, line, place in heapq.merge(*(read_file(path, check) for path in paths), key=lambda row: row[0]):
        check.take(line, place)
    return check


def main(argv):
    if len(argv) < 2 or argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    check = check_files(argv[1:])
    for fault in check.faults[:100]:
        print(fault)
    print(check.summary())
    return 1 if check.faults or check.lines == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
