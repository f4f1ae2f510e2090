#!/usr/bin/python3
"""all.py OUT SMALL LARGE [ROW ...]: the benches of the rooms as one table, a row each (all, or those whose name holds a ROW):

  commit loop   the core alone; the journal alone, 1, 16 and 64 rows a commit
  apply         view and keeper, CPU a change
  seal          one segment of 131 072 entries; tag query, time query: at SMALL and at LARGE changes
  fan-out, catch-up    a cluster of three
  restart       a node of SMALL and one of LARGE changes

OUT is where the programs were built. Run as `make bench` (ten million: a quarter of an hour; N=1000000 for less, ROWS=seal
for one). Figures are this machine's, in this minute.
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))


class Bench:
    def __init__(self, out, small, large):
        self.out, self.sizes = out, (small, large)

    def run(self, argv):
        environment = dict(os.environ, FANOUT=os.path.join(self.out, "tests", "bench", "fanout_bench"))
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        return done.stdout.splitlines()

    def program(self, name, *more):
        return self.run([os.path.join(self.out, "tests", "bench", name)] + [str(word) for word in more])

    def script(self, name, *more):
        return self.run(["/usr/bin/python3", os.path.join(HERE, name)] + [str(word) for word in more])

    def below(self, use):
        """`use` with an empty directory on a disk, which goes afterwards."""
        directory = tempfile.mkdtemp(prefix="changeagent-bench.")
        try:
            return use(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def core(self):
        return self.program("core_bench")

    def journal(self):
        return [line for rows in (1, 16, 64)
                for line in self.below(lambda directory: self.program("journal_bench", directory, rows, 3))]

    def apply(self):
        return self.program("rooms_bench", 131072, 3, 64, 1000)

    def queries(self):
        return [line for size in self.sizes for line in self.below(lambda directory: self.program("query_bench", directory, size))]

    def cluster(self, word):
        return [line.split(None, 1)[1] for line in self.script("table.py", word)]

    def restart(self):
        lines = self.script("growth.py", *self.sizes, "--only", "restart")
        return [line.split(None, 1)[1] for line in lines if not line.startswith(" ")]


ROWS = (
    ("commit loop, core", Bench.core), ("commit loop, journal", Bench.journal), ("apply", Bench.apply),
    ("seal, tag query, time query", Bench.queries), ("fan-out", lambda bench: bench.cluster("fanout")),
    ("catch-up", lambda bench: bench.cluster("catchup")), ("restart", Bench.restart))


def main(argv):
    if len(argv) < 3 or not argv[1].isdigit() or not argv[2].isdigit():
        print(__doc__, file=sys.stderr)
        return 2
    bench, words = Bench(argv[0], int(argv[1]), int(argv[2])), argv[3:]
    print("| row | measured |\n|---|---|", flush=True)
    for name, row in ROWS:
        if words and not any(word in name for word in words):
            continue
        for line in row(bench):
            print("| %s | %s |" % (name, " ".join(line.split())), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
