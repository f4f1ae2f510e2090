/* check.c - what must hold after every step: I1, I2, I3, I5, I6, I11, I12 and one log. */
#include "consensus/quorum.h"
#include "protocol/entry.h"
#include "tests/sim/world.h"

#include <stdio.h>

static void note_committed(struct world *world, uint32_t at, uint64_t index,
                           const uint8_t hash[HASH_SIZE])
{
    if (index >= world->committed_room) {
        uint64_t room = world->committed_room ? world->committed_room : 1024;
        while (room <= index)
            room *= 2;
        world->committed = bytes_resize(world->committed, room, sizeof *world->committed);
        memset(world->committed + world->committed_room, 0,
               (room - world->committed_room) * sizeof *world->committed);
        world->committed_room = room;
    }
    struct committed *committed = &world->committed[index];
    if (committed->known && memcmp(committed->hash, hash, HASH_SIZE) != 0)
        world_violated(world, "G2: node %u has another entry at committed index %llu", at,
                       (unsigned long long)index);
    memcpy(committed->hash, hash, HASH_SIZE);
    committed->known = true;
    if (index > world->committed_count)
        world->committed_count = index;
}

/* I1, over all time and restarts. */
static void check_term(struct world *world, uint32_t at)
{
    uint64_t term = world->nodes[at].raft->term;
    if (term >= world->leader_room) {
        uint64_t room = term + 1024;
        world->leaders = bytes_resize(world->leaders, room, sizeof *world->leaders);
        memset(world->leaders + world->leader_room, 0,
               (room - world->leader_room) * sizeof *world->leaders);
        world->leader_room = room;
    }
    if (world->leaders[term] != 0 && world->leaders[term] != at + 1)
        world_violated(world, "I1: nodes %u and %u both lead term %llu", world->leaders[term] - 1,
                       at, (unsigned long long)term);
    world->leaders[term] = at + 1;
}

static int node_of(const struct world *world, const struct member *member)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (memcmp(world->nodes[i].key, member->key, RAFT_KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

/* The very directory that was admitted, not one that lost its memory since. */
static bool is_admitted(const struct world *world, const struct member *member)
{
    int node = node_of(world, member);
    return node >= 0 && world->nodes[node].disk.incarnation == member->incarnation;
}

static bool voted_for(const struct world *world, const struct member *voter,
                      const struct raft *leader)
{
    const struct disk *disk = &world->nodes[node_of(world, voter)].disk;
    bool lost = disk->wiped && !is_admitted(world, voter);
    uint64_t term = lost ? disk->promised_term : disk->term;
    uint64_t vote = lost ? disk->promised_vote : disk->vote;
    return term > leader->term || (term == leader->term && vote == leader->node);
}

/* I2, I11: a quorum of admitted directories has the vote on disk. */
static void check_elected(struct world *world, uint32_t at)
{
    const struct raft *raft = world->nodes[at].raft;
    const struct members *members = state_members(raft);
    uint32_t votes = 0;
    for (uint32_t i = 0; i < members->count; i++)
        votes |= (uint32_t)voted_for(world, &members->at[i], raft) << i;
    if (!quorum_agrees(members, votes))
        world_violated(world, "I2/I11: node %u leads term %llu with the durable votes %x", at,
                       (unsigned long long)raft->term, votes);
    check_term(world, at);
}

/* I3: what a leader commits is on the disks of a quorum. */
static void check_quorum_has(struct world *world, uint32_t at, uint64_t index)
{
    struct span own = disk_record(&world->nodes[at].disk, index);
    const struct raft *raft = world->nodes[at].raft;
    if (index >= raft->log.held)
        own = raftlog_record(&raft->log, index);
    if (own.size == 0 || raft->applied >= index)
        return;
    const struct members *members = state_members(raft);
    uint32_t have = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        const struct disk *disk = &world->nodes[node_of(world, member)].disk;
        bool has = !is_admitted(world, member) || span_equal(disk_record(disk, index), own);
        have |= (uint32_t)has << i;
    }
    if (!quorum_agrees(members, have))
        world_violated(world, "I3/I5: node %u commits index %llu, on the disks %x", at,
                       (unsigned long long)index, have);
    if (entry_term_of(own) != raft->term)
        world_violated(world, "I3: leader %u commits by an entry of term %llu", at,
                       (unsigned long long)entry_term_of(own));
}

static void check_commit(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    const struct raft *raft = node->raft;
    if (raft->commit <= node->commit)
        return;
    if (raft->role == ROLE_LEADER)
        check_quorum_has(world, at, raft->commit);
    for (uint64_t i = node->commit + 1; i <= raft->commit; i++)
        if (i >= raft->log.held && i <= raft->log.last)
            note_committed(world, at, i, entry_hash_of(raftlog_record(&raft->log, i)));
    world_trace(world, "%u commit=%llu", at + 1, (unsigned long long)raft->commit);
    node->commit = raft->commit;
}

/* I12: who hears no quorum for an election timeout stops leading. */
static void check_heard(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    uint64_t grace = clock_longest(world, at, world->election_max_ms + world->heartbeat_ms) + 50;
    if (world->now <= node->paused_until + 1)
        return; /* it wakes: its timer comes behind what was in the queues */
    const struct members *members = state_members(node->raft);
    uint32_t heard = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        uint32_t other = (uint32_t)node_of(world, &members->at[i]);
        heard |= (uint32_t)(other == at || world->now < node->heard[other] + grace) << i;
    }
    if (!quorum_agrees(members, heard) && world->now >= node->led_since + grace)
        world_violated(world, "I12: node %u leads without a quorum", at);
}

void check_step(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    const struct raft *raft = node->raft;
    if (raft->role == ROLE_LEADER && (node->role != ROLE_LEADER || node->term != raft->term)) {
        node->led_since = world->now;
        check_elected(world, at);
    }
    if (raft->role == ROLE_LEADER)
        check_heard(world, at);
    if (node->role != raft->role || node->term != raft->term)
        world_trace(world, "%u %s -> %s term=%llu", at + 1, raft_role_name(node->role),
                    raft_role_name(raft->role), (unsigned long long)raft->term);
    if (raft->term < node->disk.term && raft->role != ROLE_LOADING)
        world_violated(world, "node %u fell behind its own ballot", at);
    node->role = raft->role;
    node->term = raft->term;
    if (raft->role == ROLE_OUTSIDE || raft->role == ROLE_LOADING)
        return;
    if (raft->stored > node->disk.count)
        world_violated(world, "I4: node %u believes %llu durable, the disk has %llu", at,
                       (unsigned long long)raft->stored, (unsigned long long)node->disk.count);
    check_commit(world, at);
}

void check_applied(struct world *world, uint32_t at, uint64_t index)
{
    struct span record = disk_record(&world->nodes[at].disk, index);
    note_committed(world, at, index, entry_hash_of(record));
}

/* I19: the state is a function of the log. */
void check_state(struct world *world, uint32_t at, uint64_t index, uint64_t digest)
{
    struct committed *committed = &world->committed[index];
    if (committed->state != 0 && committed->state != digest)
        world_violated(world, "I19: node %u has another state at index %llu", at,
                       (unsigned long long)index);
    committed->state = digest;
}

/* I6: what was committed never leaves a disk again. */
void check_truncated(struct world *world, uint32_t at, uint64_t index)
{
    struct span record = disk_record(&world->nodes[at].disk, index);
    if (index > world->committed_count || !world->committed[index].known)
        return;
    if (memcmp(world->committed[index].hash, entry_hash_of(record), HASH_SIZE) == 0)
        world_violated(world, "I6: node %u removes committed index %llu", at,
                       (unsigned long long)index);
}

bool check_alike(const struct world *world)
{
    int leader = world_leader(world);
    if (leader < 0)
        return false;
    uint64_t last = world->nodes[leader].raft->log.last;
    for (uint32_t i = 0; i < world->count; i++)
        if (!world->nodes[i].disk.wiped && world->nodes[i].store.applied != last)
            return false;
    return true;
}

void check_quiet(struct world *world)
{
    int leader = world_leader(world);
    if (leader < 0) {
        world_violated(world, "liveness: nobody leads");
        return;
    }
    const struct raft *raft = world->nodes[leader].raft;
    if (raft->commit != raft->log.last || world->committed_count > raft->commit)
        world_violated(world, "liveness: leader %d committed %llu of %llu", leader,
                       (unsigned long long)raft->commit, (unsigned long long)raft->log.last);
    history_check(world, raft->commit);
    for (uint32_t i = 0; i < world->count; i++) {
        const struct node *node = &world->nodes[i];
        if (node->disk.wiped || !node->up)
            continue;
        if (node->store.applied != raft->commit)
            world_violated(world, "liveness: node %u applied %llu of %llu (%s)", i,
                           (unsigned long long)node->store.applied,
                           (unsigned long long)raft->commit, raft_role_name(node->raft->role));
    }
}
