"""Damage: a wiped voter, a full disk, a list of servers that comes late."""
import os
import shutil
import subprocess

from harness import (SILENT_S, ask, check, dump, leads, must_stay, put, put_until_done, status, wait_for, wait_leader,
                     wait_up)

def wipe(node):
    """All but the identity, as an operator would who lost the disk and kept the keys."""
    for name in os.listdir(node.data):
        if name == "identity":
            continue
        path = os.path.join(node.data, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def test_a_wiped_voter_does_not_vote(house):
    cluster = house.cluster()
    leader = wait_leader(cluster.nodes)
    wiped, blind = [node for node in cluster.nodes if node is not leader]
    blind.kill()  # it will not have the write
    answer = put_until_done(leader.places()["api"], "acknowledged by two")
    leader.kill()
    wiped.kill()
    wipe(wiped)
    for node in (wiped, blind):
        node.start()
    # They are a majority by number; together they know nothing of the write.
    must_stay(SILENT_S, lambda: not leads(wiped) and not leads(blind), "one leads by the vote of a wiped voter")
    leader.start()
    new = wait_leader([leader, blind], 20)
    wait_for("the write on both", 10, lambda: all((status(node) or {}).get("last_id", 0) >= answer["id"] for node in (leader, blind)))
    for node in (leader, blind):
        check(dump(node)[answer["id"] - 1]["data"] == "acknowledged by two", "the write is lost on %s" % node.name)
    put_until_done(new.places()["api"], "goes on")


def test_a_full_disk_refuses_writes_and_returns(house):
    cluster = house.cluster(1, {"storage": {"disk_low_mib": 64, "ballast_mib": 16}}, start=False)
    node = cluster.nodes[0]
    identity = os.path.join(house.dir, "identity")
    shutil.copytree(os.path.join(node.data, "identity"), identity)
    shutil.rmtree(node.data)
    house.mount_tmpfs(node.data, "256m")
    os.chmod(node.data, 0o700)
    shutil.copytree(identity, os.path.join(node.data, "identity"))
    cluster.up()
    api, large, acked = node.places()["api"], "x" * (900 * 1024), []

    def write():
        answer = put(api, "%06d%s" % (len(acked), large))
        if answer is not None and answer["verb"] == "put_done":
            acked.append(answer["id"])
            return None
        return answer

    refusal = None
    for _ in range(400):
        refusal = write()
        if refusal is not None:
            break
    check(refusal is not None, "256 MiB took 350 MiB")
    house.say("after %d writes: %s" % (len(acked), refusal["error"]))
    check(refusal["error"] == "E_NOSPACE", "refused as %r" % refusal)
    check(len(acked) > 20, "only %d writes fit" % len(acked))
    check(ask(api, "get", id=acked[-1])["verb"] == "get_is", "reads do not go on")
    subprocess.run(["mount", "-o", "remount,size=1g", node.data], check=True)
    wait_for("the return of writes", 20, lambda: write() is None)
    for number in (acked[0], acked[len(acked) // 2], acked[-1]):
        check(ask(api, "get", 10, id=number)["verb"] == "get_is", "change %d is lost" % number)
    node.kill()
    node.start()
    wait_for("all writes after the restart", 30, lambda: (status(node) or {}).get("last_id", 0) >= acked[-1])


def test_a_list_that_is_filled_later_forms_the_cluster(house):
    cluster = house.cluster(3, start=False)
    watched = os.path.join(house.dir, "servers")
    members = cluster.members()
    for node in cluster.nodes:
        cluster.write_config(node, [], {"consensus": {"expect": 3}, "discovery": {"file": watched, "look_ms": 100}})
        node.launch()
    for node in cluster.nodes:
        wait_up(node)
    must_stay(2, lambda: not any(map(leads, cluster.nodes)), "one leads a cluster that nobody named")
    with open(watched, "w") as file:
        file.write("# servers\nnonsense\n%s\n" % "\n".join(members))
    leader = wait_leader(cluster.nodes, 20)
    put_until_done(leader.places()["api"], "formed")
