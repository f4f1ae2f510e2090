/* status.c - what the shell may look at, and the invariants of the core (raft.h). */
#include "consensus/bootstrap.h"
#include "consensus/catchup.h"
#include "consensus/standing.h"
#include "consensus/state.h"

#include <assert.h>
#include <stdio.h>

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_LOADING] = "unknown",   [ROLE_FOUNDING] = "founding",      [ROLE_OUTSIDE] = "outside",
    [ROLE_FOLLOWER] = "follower", [ROLE_PRECANDIDATE] = "candidate", [ROLE_CANDIDATE] = "candidate",
    [ROLE_LEADER] = "leader",
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t leader_due(const struct raft *raft)
{
    uint64_t due = least(raft->check_due_ms, catchup_due_ms(raft));
    if (raft->transfer.running)
        due = least(due, raft->transfer.due_ms);
    if (raft->transfer.running && raft->shed)
        return due; /* no heartbeats */
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (peers_fed(&raft->peers.at[i]))
            due = least(due, raft->peers.at[i].sent_ms + raft->heartbeat_ms);
    return due;
}

uint64_t raft_due_ms(const struct raft *raft)
{
    switch (raft->role) {
    case ROLE_LOADING:
        return raft->load_asked || raft->load_next > 0 ? raft->load_due_ms : UINT64_MAX;
    case ROLE_FOUNDING:
        if (!bootstrap_may_campaign(raft))
            return raft->meet_due_ms;
        return least(raft->meet_due_ms, raft->election_due_ms);
    case ROLE_FOLLOWER:
    case ROLE_PRECANDIDATE:
    case ROLE_CANDIDATE:
        return raft->election_due_ms;
    case ROLE_LEADER:
        return leader_due(raft);
    default:
        return UINT64_MAX;
    }
}

bool raft_wants_flush(const struct raft *raft)
{
    return raft->dirty;
}

uint32_t raft_peer_count(const struct raft *raft)
{
    return raft->peers.count;
}

struct raft_peer_view raft_peer(const struct raft *raft, uint32_t slot)
{
    assert(slot < raft->peers.count);
    const struct peer *peer = &raft->peers.at[slot];
    bool known = peer->member >= 0;
    return (struct raft_peer_view){
        .key = peer->key,
        .endpoint = peer->endpoint,
        .hinted = peer->hinted,
        .node = known ? peer->node : peer->met_node,
        .incarnation = known ? peer->incarnation : peer->met_incarnation,
        .match_index = peer->match,
        .catching_up = peer->catchup.running,
        .catchup_taken = peer->catchup.taken,
        .catchup_size = peer->catchup.size,
        .heard_ms = peer->heard_ms,
        .voter = peer->votes,
        .member = known,
    };
}

uint64_t raft_peers_version(const struct raft *raft)
{
    return raft->peers.version;
}

int raft_slot_of(const struct raft *raft, const uint8_t key[RAFT_KEY_SIZE])
{
    return peers_find(&raft->peers, key);
}

uint64_t raft_incarnation(const struct raft *raft)
{
    return raft->incarnation;
}

const char *raft_role_name(enum raft_role role)
{
    return role_names[role];
}

static uint64_t leader_node(const struct raft *raft)
{
    if (raft->leader == RAFT_SELF)
        return raft->node;
    return raft->leader < RAFT_PEERS_MAX ? raft->peers.at[raft->leader].node : 0;
}

static void describe_outside(const struct raft *raft, char *text, size_t size)
{
    static const uint8_t none[CLUSTER_ID_SIZE];
    char cluster[2 * CLUSTER_ID_SIZE + 1] = "";
    for (size_t i = 0; i < CLUSTER_ID_SIZE; i++)
        snprintf(cluster + 2 * i, 3, "%02x", raft->outside_cluster[i]);
    if (standing_removed(raft))
        snprintf(text, size, "nothing: %s (cluster id %s)", raft->outside, cluster);
    else if (memcmp(raft->outside_cluster, none, CLUSTER_ID_SIZE) == 0)
        snprintf(text, size, "to be admitted: %s", raft->outside);
    else
        snprintf(text, size, "to be admitted (cluster id %s): %s", cluster, raft->outside);
}

static void describe(const struct raft *raft, char *text, size_t size)
{
    uint32_t voters = members_count(state_members(raft), MEMBER_VOTER);
    text[0] = 0;
    if (raft->role == ROLE_LOADING)
        snprintf(text, size, "storage to say what is on disk");
    else if (raft->incoming_size > 0 && raft->leader != RAFT_NOBODY &&
             (raft->role == ROLE_OUTSIDE || raft->role == ROLE_FOLLOWER))
        snprintf(text, size, "the leader's snapshot: %llu %% of %llu MB are here",
                 (unsigned long long)(100 * raft->incoming_offset / raft->incoming_size),
                 (unsigned long long)(raft->incoming_size / 1000000));
    else if (raft->role == ROLE_OUTSIDE)
        describe_outside(raft, text, size);
    else if (raft->config_count == 0)
        bootstrap_waits_for(raft, text, size);
    else if (raft->leader == RAFT_NOBODY)
        snprintf(text, size, "a leader: a majority of %u voters must be up", voters);
    else if (raft->role == ROLE_LEADER && raft->commit < raft->term_first)
        snprintf(text, size, "a majority of %u voters to store the first entry of the term",
                 voters);
    else if (raft->state_lost)
        snprintf(text, size, "a snapshot of the leader: the state of this node is lost");
}

static const char *own_role_name(const struct raft *raft)
{
    const struct members *members = state_members(raft);
    if (raft->role == ROLE_OUTSIDE && !raft->barred && standing_removed(raft))
        return "removed";
    if (raft->role == ROLE_FOLLOWER && raft->self >= 0 && !state_votes(raft))
        return member_role_name(members->at[raft->self].now);
    return raft_role_name(raft->role);
}

void raft_status(const struct raft *raft, struct raft_status *status)
{
    const struct members *members = state_members(raft);
    *status = (struct raft_status){
        .role = raft->role,
        .role_name = own_role_name(raft),
        .epoch = raft->epoch,
        .term = raft->term,
        .leader = leader_node(raft),
        .node = raft->node,
        .incarnation = raft->incarnation,
        .commit_index = raft->commit,
        .leader_commit = raft->leader_commit,
        .last_index = raft->log.last,
        .stored_index = raft->stored,
        .applied_index = raft->applied,
        .drained = raft->drained,
        .incoming_taken = raft->incoming_offset,
        .incoming_size = raft->incoming_size,
        .has_cluster = members->count > 0,
        .history = members->history,
        .head_history = state_history(raft),
        .counters = raft->counters,
    };
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        status->catchup_taken += raft->peers.at[i].catchup.taken;
        status->catchup_size += raft->peers.at[i].catchup.size;
    }
    memcpy(status->cluster, members->cluster, CLUSTER_ID_SIZE);
    describe(raft, status->waits_for, sizeof status->waits_for);
}

static void assert_log(const struct raft *raft)
{
    assert(raft->stored <= raft->emitted);
    assert(raft->emitted <= raft->log.last);
    assert(raft->commit <= raft->log.last);
    assert(raft->applied <= raft->commit);
    assert(raft->verified <= raft->log.last);
    assert(raft->log.held <= raft->log.last + 1);
    assert(raftlog_last_term(&raft->log) <= raft->term);
}

static void assert_leader(const struct raft *raft)
{
    assert(raft->stands || raft->config_settled); /* one that is removed leads until it is known */
    assert(raft->leader == RAFT_SELF);
    assert(state_settled(raft));
    assert(raft->vote == raft->node);
    assert(raftlog_last_term(&raft->log) == raft->term);
    assert(raft->config_count > 0);
    assert(!raft->transfer.running || raft->log.last == raft->transfer.last); /* I14 */
    if (raft->reads.begun > 0) {                                              /* I15 */
        assert(raft->reads.index >= raft->term_first && raft->reads.index <= raft->commit);
        assert(raft->reads.round <= raft->round);
    }
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        assert(peer->member < 0 || peer->match < peer->next);
        assert(peer->member < 0 || peer->match <= raft->log.last);
    }
}

void raft_assert(const struct raft *raft)
{
    assert(raft->durable_term <= raft->term);
    assert(raft->role < ROLE_COUNT);
    if (raft->role == ROLE_LOADING || raft->role == ROLE_OUTSIDE)
        return;
    assert_log(raft);
    if (raft->role == ROLE_LEADER)
        assert_leader(raft);
    else
        assert(raft->leader != RAFT_SELF);
    assert(raft->role == ROLE_LEADER || (!raft->transfer.running && raft->reads.count == 0));
    assert(raft->reads.begun <= raft->reads.count);
    assert(raft->role != ROLE_FOLLOWER || raft->config_count > 0);
}
