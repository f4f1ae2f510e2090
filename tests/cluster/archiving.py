"""An archive: level with the log, whole after every kill, and restored to any change."""
import glob
import json
import os
import subprocess

from catchup import backup
from harness import ask_until, check, put_until_done, status, wait_for, wait_leader
from offline import COMMAND, CORRUPT, USAGE, flip, read, run, write
from restoring import restored
from retention import configure, put_large, wait_first_id

NO_MORE = 7  # exit code: the changes asked for are no longer kept


def one_node(house):
    cluster = house.cluster(1)
    wait_leader(cluster.nodes)
    return cluster.nodes[0], cluster.nodes[0].places()["api"]


def files_of(directory):
    return sorted(glob.glob(os.path.join(directory, "*.dump")))


def holds(api):
    holders = json.loads(run("holder", "list", "-e", api, "-o", "json")[1])["holders"]
    return {holder["name"]: holder for holder in holders}


def load(api, directory, *bounds):
    code, _, text = run("load", "-e", api, directory, *bounds)
    return code, text


def test_an_archive_is_level_with_the_log_and_restored_to_any_change(house):
    _, api = one_node(house)
    directory = os.path.join(house.dir, "archive")
    code, _, text = run("archive", directory, "-e", api, "--hold", "archive")
    check(code == 0 and not files_of(directory), "of an empty log: code %d, %s" % (code, text))
    check(holds(api)["archive"]["from"] == 1, "nothing is held for it: %r" % holds(api))
    for step in range(4):
        for number in range(10):
            put_until_done(api, "change %d of step %d" % (number, step))
        code, _, text = run("archive", directory, "-e", api, "--hold", "archive")
        check(code == 0 and "10 changes archived, up to id %d" % (10 * step + 10) in text, "step %d: %s" % (step, text))
        check(read(files_of(directory)[0]) == run("dump", "-e", api, "--format", "binary")[1], "it is not the dump of the log")
    check(holds(api)["archive"]["from"] == 41, "%r" % holds(api))
    code, told, _ = run("verify", directory)
    check(code == 0 and b"sound: 40 changes, ids 1 to 40" in told, "verify: code %d, %s" % (code, told))

    lines = run("dump", "-e", api)[1].splitlines(True)
    _, there = one_node(house)
    for until in 1, 17, 39:
        code, text = load(there, directory, "--until", str(until))
        check(code == 0, "to %d: code %d, %s" % (until, code, text))
        check(run("dump", "-e", there)[1] == b"".join(lines[:until]), "to %d: not the first %d changes" % (until, until))
    for bounds, word in (("--until", "20"), "more changes"), (("--until", "0"), "the id 1"), (("--until", "41"), "E_AHEAD"), (("--until-time", "never"), "not a time"):
        code, text = load(there, directory, *bounds)
        check(code in (1, 2) and word in text, "%s: code %d, %s" % (bounds, code, text))
    path = files_of(directory)[0]
    whole = read(path)
    write(path, whole[:-24])  # the cluster and whoever archived it died at once
    code, text = load(there, directory)
    check(code == 1 and "E_CORRUPT" in text and "--until 40" in text, "without its end: code %d, %s" % (code, text))
    code, text = load(there, directory, "--until", "40")
    check(code == 0, "what is whole of it: code %d, %s" % (code, text))
    write(path, whole)
    code, text = load(there, directory)
    check(code == 0 and run("dump", "-e", there)[1] == b"".join(lines), "to its end: code %d, %s" % (code, text))
    _, other = one_node(house)
    moment = json.loads(lines[24])["ts"]
    code, text = load(other, directory, "--until-time", str(moment))
    check(code == 0 and run("dump", "-e", other)[1] == b"".join(lines[:24]), "to a moment: code %d, %s" % (code, text))
    code, text = load(other, house.dir)
    check(code == USAGE and "no file of an archive" in text, "no archive: code %d, %s" % (code, text))


def test_an_archive_is_whole_after_every_kill_and_never_of_two_logs(house):
    _, api = one_node(house)
    directory = os.path.join(house.dir, "archive")

    def last_archived():
        code, told, _ = run("verify", directory)
        return int(told.rsplit(b" to ", 1)[1].split(b",")[0]) if code == 0 else 0
    for life in range(3):
        process = house.run([COMMAND, "archive", directory, "-e", api, "--follow"], stderr=subprocess.DEVNULL)
        answer = [put_until_done(api, "life %d, %d" % (life, number)) for number in range(15)][-1]
        wait_for("change %d in the archive" % answer["id"], 20, lambda: last_archived() == answer["id"], every=0.05)
        code, _, text = run("archive", directory, "-e", api)
        check(code == USAGE and "another archive" in text, "two at once: code %d, %s" % (code, text))
        process.kill()
        process.wait()
    path = files_of(directory)[0]
    whole = read(path)
    for size in 0, 10, 20, 25, 500, len(whole) - 24, len(whole) - 1:  # as a kill may leave it, or a power cut
        write(path, whole[:size] + (b"" if size < 20 else bytes(size % 2 * 5000)))
        code, _, text = run("archive", directory, "-e", api)
        check(code == 0 and read(path) == whole, "cut to %d: code %d, %s" % (size, code, text))
    _, stranger = one_node(house)
    put_until_done(stranger, "another log")
    code, _, text = run("archive", directory, "-e", stranger, "--timeout", "3000")
    check(code != 0 and read(path) == whole, "of another log: code %d, %s" % (code, text))
    flip(path, len(whole) // 2)
    damaged = read(path)
    code, _, text = run("archive", directory, "-e", api)
    check(code == USAGE and "E_CORRUPT" in text and read(path) == damaged, "damaged: code %d, %s" % (code, text))
    code, told, _ = run("verify", directory)
    check(code == CORRUPT and b"BAD" in told, "verify of a damaged one: code %d, %s" % (code, told))
    for words, wanted in (("archive",), "usage"), (("archive", "a", "b"), "usage"), (("archive", directory, "--for", "1h"), "--hold"), (
            ("archive", directory, "--hold", "x", "--for", "soon"), "--for"), (("archive", "/no/such/place/at/all"), "No such file"):
        code, _, text = run(*words, "-e", api)
        check(code == USAGE and wanted in text, "%s: code %d, %s" % (" ".join(words), code, text))


def test_an_archive_that_waits_holds_on_and_says_when_the_disk_is_full(house):
    _, api = one_node(house)
    directory = os.path.join(house.dir, "archive")
    # Nothing is written: the hold is set again all the same, also if the wait for news takes longer than an ask may.
    house.run([COMMAND, "archive", directory, "-e", api, "--follow", "--hold", "waits", "--for", "3s", "--timeout", "700"])
    ends = []
    wait_for("the hold to be set three times", 20, lambda: (
        ends.append(holds(api).get("waits", {}).get("until")), len(set(ends) - {None}) >= 3)[-1], every=0.05)
    small = os.path.join(house.dir, "small")
    house.mount_tmpfs(small, "1m")
    put_large(api, 1)
    code, _, text = run("archive", os.path.join(small, "archive"), "-e", api)
    check(code == 8 and "No space left" in text and "archived" not in text, "a full disk: code %d, %s" % (code, text))
    subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
    code, _, text = run("archive", os.path.join(small, "archive"), "-e", api)
    check(code == 0 and run("verify", os.path.join(small, "archive"))[0] == 0, "with room again: code %d, %s" % (code, text))


def test_files_of_an_archive_follow_each_other_and_go_on_behind_a_backup(house):
    cluster = house.cluster(1)
    node = cluster.nodes[0]
    wait_leader(cluster.nodes)
    api, directory = node.places()["api"], os.path.join(house.dir, "archive")
    put_large(api, 20)
    check(run("archive", directory, "-e", api)[0] == 0, "the first 80 changes")
    copy = os.path.join(house.dir, "backup")
    code, words = backup(node, copy)
    check(code == 0, words)
    put_large(api, 20)
    put_until_done(api, "the last one")
    code, _, text = run("archive", directory, "-e", api)
    files = files_of(directory)
    check(code == 0 and "up to id 161" in text and len(files) == 3, "code %d, %s, %r" % (code, text, files))
    check(all(os.path.getsize(path) < 80 << 20 for path in files), "a file is too large")
    code, told, _ = run("verify", directory)
    check(code == 0 and told.count(b"ok ") == 3 and b"161 changes, ids 1 to 161" in told, "verify: code %d, %s" % (code, told))
    # Full, and torn: killed before its end was written, or the next file begun.
    newest, full = read(files[2]), read(files[1])
    for size in len(full) - 1, len(full) - 24, len(full) - 30:
        os.remove(files[2])
        write(files[1], full[:size])
        code, _, text = run("archive", directory, "-e", api)
        check(code == 0, "full and cut to %d: code %d, %s" % (size, code, text))
        code, told, _ = run("verify", directory)
        check(code == 0 and b"161 changes, ids 1 to 161" in told, "full and cut to %d: %s" % (size, told))
    files = files_of(directory)
    newest = read(files[2])
    for size in 0, 10, 20, 30:  # a kill between the file and its first change
        write(files[2], newest[:size])
        code, _, text = run("archive", directory, "-e", api)
        check(code == 0 and read(files[2]) == newest, "cut to %d: code %d, %s" % (size, code, text))
    # A log that is cut cannot be archived from its begin any more; a backup and the archive go together.
    configure(api, {"retention.max_bytes": 64 << 20})
    wait_first_id([node], lambda first: first > 1, "a cut")
    late = os.path.join(house.dir, "too-late")
    code, _, text = run("archive", late, "-e", api)
    check(code == NO_MORE and "E_TRUNCATED" in text, "too late: code %d, %s" % (code, text))
    since = str(status(node)["first_id"] - 1)
    for _ in range(2):  # a service says --since each time
        code, _, text = run("archive", late, "-e", api, "--since", since, "--hold", "late")
        check(code == 0 and "up to id 161" in text, "from %s on: code %d, %s" % (since, code, text))
    write(files_of(late)[0], b"")
    code, _, text = run("archive", late, "-e", api)
    check(code == 0 and run("verify", late)[0] == 0 and "up to id 161" in text, "its name says where: code %d, %s" % (code, text))
    os.rename(files_of(late)[0], os.path.join(late, "%020d.dump" % 3))
    code, _, text = run("archive", late, "-e", api)
    check(code == USAGE and "begins with another change" in text, "another name: code %d, %s" % (code, text))
    chain = status(node)["chain"]
    again = restored(house, cluster, copy)
    there = again.places()["api"]
    check(status(again)["last_id"] == 80, "the backup ends elsewhere: %r" % status(again))
    code, text = load(there, directory, "--until", "160")
    check(code == 0 and status(again)["last_id"] == 160, "behind a backup: code %d, %s" % (code, text))
    code, text = load(there, directory)
    check(code == 0 and status(again)["chain"] == chain, "to the end: code %d, %s" % (code, text))
    row = ask_until(there, "get", "get_is", id=161)["change"]
    check(bytes(row["data"]) == b"the last one", "%r" % row)
    os.rename(files[1], os.path.join(house.dir, "away"))
    code, told, _ = run("verify", directory)
    check(code == CORRUPT and b"changes are missing" in told, "a file is missing: code %d, %s" % (code, told))
