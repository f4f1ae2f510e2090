"""Files of other versions: every one that was released opens, a newer one is refused by name."""
import glob
import json
import os
import shutil
import sqlite3
import subprocess

from harness import HERE, ask_until, check, dump, log_of, put_until_done, status, tool, wait_for, wait_leader

FIXTURES = os.path.join(os.path.dirname(HERE), "fixtures")


def unpack(house, archive):
    """A node of its own with the directory of the fixture. It is not started."""
    cluster = house.cluster(count=1, start=False)
    node = cluster.nodes[0]
    shutil.rmtree(node.data, ignore_errors=True)
    subprocess.run(["tar", "-xzf", archive, "-C", node.dir], check=True)
    said = subprocess.run([os.path.join(tool.BIN, "changeagentd"), "--data", node.data, "--show-key"], check=True,
                          capture_output=True, text=True).stdout.split()
    places = dict(node.places(), key=said[1])
    with open(os.path.join(node.dir, "places.json"), "w") as file:
        json.dump(places, file)
    cluster.write_config(node, cluster.members(), {"supervisor": {"place": "no"}})  # it is a copy, and meant to be
    return cluster, node


def fixtures():
    found = sorted(glob.glob(os.path.join(FIXTURES, "*.tar.gz")))
    check(found, "no fixture in %s" % FIXTURES)
    return found


def test_the_files_of_every_release_open(house):
    for archive in fixtures():
        with open(archive.replace(".tar.gz", ".json"), encoding="utf-8") as file:
            wanted = json.load(file)
        cluster, node = unpack(house, archive)
        node.start()
        wait_leader([node])
        # a state of an older form is made anew from the log
        state = wait_for("all to be applied", 20, lambda: (lambda s: s if s and s["last_id"] >= wanted["last_id"]
                                                           else None)(status(node)))
        check(state["last_id"] == wanted["last_id"] and state["chain"] == wanted["chain"],
              "%s: %r, not %r" % (archive, state, wanted))
        check(len(dump(node)) == wanted["last_id"], "%s: not every change can be read" % archive)
        settings = ask_until(node.places()["api"], "settings", "settings_are")["settings"]
        check(wanted["settings"].items() <= settings.items(), "%s: %r" % (archive, settings))
        put_until_done(node.places()["api"], "one more")
        node.stop()
        node.start()
        wait_leader([node])
        check(status(node)["last_id"] == wanted["last_id"] + 1, "%s: what was written is gone" % archive)


def make_newer(path):
    """As a much later version would leave it: the -wal stays beside the file, as after a crash."""
    database = sqlite3.connect(path)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.execute("PRAGMA user_version = %d" % (version + 100))
    database.commit()
    beside = [path + suffix for suffix in ("", "-wal") if os.path.exists(path + suffix)]
    for name in beside:
        shutil.copy(name, name + ".kept")
    database.close()
    for name in beside:
        os.replace(name + ".kept", name)


def test_a_newer_file_is_refused_by_name(house):
    archive = fixtures()[-1]
    for kind in house.times(("ballot", "index"), ("ballot", "state", "segment", "index")):
        cluster, node = unpack(house, archive)
        log = os.path.join(node.data, "log")
        path = {"ballot": os.path.join(node.data, "ballot.db"), "state": os.path.join(node.data, "state.db"),
                "segment": max(glob.glob(os.path.join(log, "*.db"))),
                "index": max(glob.glob(os.path.join(log, "*.index")))}[kind]
        make_newer(path)
        process = node.launch()
        house.processes.append(process)
        code = process.wait(timeout=30)
        said = log_of(node)
        check("file_is_newer" in said and "schema=%s" % kind in said, "%s: %s" % (kind, said[-1500:]))
        check(code == 100, "%s: exit code %d" % (kind, code))
        wait_for("the end of it", 10, lambda: not node.processes())
