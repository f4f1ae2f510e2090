/* standing.c - from the active configuration to self, peers and role. */
#include "consensus/standing.h"

static bool is_self(const struct raft *raft, const struct member *member)
{
    return memcmp(member->key, raft->key, RAFT_KEY_SIZE) == 0 && member->node == raft->node &&
           member->incarnation == raft->incarnation;
}

static void refresh_peer(struct raft *raft, const struct member *member, uint32_t at)
{
    int known = peers_find(&raft->peers, member->key);
    if (known >= 0 && strcmp(raft->peers.at[known].endpoint, member->endpoint) != 0)
        memcpy(raft->peers.at[known].hinted, raft->peers.at[known].endpoint, RAFT_ENDPOINT_MAX);
    int slot = state_slot(raft, member->key, member->endpoint);
    if (slot < 0) {
        state_complain(raft, "no slot is left for the member at %s", member->endpoint);
        return;
    }
    struct peer *peer = &raft->peers.at[slot];
    bool same = peer->node == member->node && peer->incarnation == member->incarnation;
    bool is_new = !same || !peer->was_member;
    peer->member = (int)at;
    peer->votes = member_votes(member);
    peer->node = member->node;
    peer->incarnation = member->incarnation;
    if (raft->role == ROLE_LEADER && is_new)
        peers_begin_lead(peer, raft->log.last, raft->now_ms);
}

static const char removed[] = "it was removed from the cluster; its data is kept";
static const char catches_up[] = "it gets the log and is not a member yet";
const char standing_damaged[] = "storage says that its directory is damaged, copied or restored";
static const char stranger[] = "this directory is not the one that was admitted: it was wiped, "
                               "copied or restored, or the node was never a member";

/* A later configuration is committed, or this one is, and this node does not vote in it. */
static bool was_told(const struct raft *raft)
{
    uint64_t index = state_config_index(raft);
    return raft->told_removed > index ||
           (raft->told_removed == index && index > 0 && !state_votes(raft));
}

static void go_outside(struct raft *raft, const struct members *members)
{
    int at = members_find(members, raft->key);
    const char *why = was_told(raft) || (at >= 0 && is_self(raft, &members->at[at])) ? removed
                      : raft->leader < RAFT_PEERS_MAX                                ? catches_up
                      : raft->may_vote                                               ? stranger
                                       : standing_damaged;
    bool news = raft->outside != why && why != catches_up;
    memcpy(raft->outside_cluster, members->cluster, CLUSTER_ID_SIZE);
    raft->outside = why;
    if (raft->role != ROLE_OUTSIDE)
        state_step_down(raft);
    if (news && why == removed)
        state_set_leader(raft, RAFT_NOBODY);
    if (news)
        state_complain(raft, "this node is no voter: %s", why);
}

bool standing_removed(const struct raft *raft)
{
    return raft->outside == removed;
}

static void come_inside(struct raft *raft)
{
    raft->role = ROLE_FOLLOWER;
    raft->outside = NULL;
    state_restart_election(raft);
}

static bool voted_before(const struct raft *raft)
{
    if (raft->config_count < 2)
        return false;
    const struct members *before = &raft->configs[raft->config_count - 2].members;
    for (uint32_t i = 0; i < before->count; i++)
        if (is_self(raft, &before->at[i]) && member_votes(&before->at[i]))
            return true;
    return false;
}

static bool is_candidate(const struct raft *raft)
{
    return raft->role == ROLE_PRECANDIDATE || raft->role == ROLE_CANDIDATE;
}

/* What this node may do under the active configuration. */
static void refresh_self(struct raft *raft)
{
    const struct members *members = state_members(raft);
    bool told = was_told(raft);
    raft->config_settled = raft->commit >= state_config_index(raft);
    raft->stands = !raft->barred && !told &&
                   (state_votes(raft) || (!raft->config_settled && voted_before(raft)));
    raft->inside = (raft->self >= 0 && !told) || raft->stands;
    if (members->count == 0 || raft->role == ROLE_LOADING || raft->role == ROLE_LEADER)
        return;
    if (!raft->inside)
        go_outside(raft, members);
    else if (raft->role == ROLE_OUTSIDE && raft->config_count > 0 && !raft->barred)
        come_inside(raft);
    else if (raft->role == ROLE_FOUNDING && raft->config_count > 0)
        raft->role = ROLE_FOLLOWER;
    else if (!raft->stands && is_candidate(raft)) /* it stood by the configuration before */
        state_step_down(raft);
}

void standing_refresh(struct raft *raft)
{
    const struct members *members = state_members(raft);
    struct peers *peers = &raft->peers;
    bool leads = raft->role == ROLE_LEADER;
    raft->self = -1;
    for (uint32_t i = 0; i < peers->count; i++) {
        peers->at[i].was_member = peers->at[i].member >= 0;
        peers->at[i].member = -1;
        peers->at[i].votes = false;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        if (!member_lives(member))
            continue;
        if (memcmp(member->key, raft->key, RAFT_KEY_SIZE) != 0)
            refresh_peer(raft, member, i);
        else if (is_self(raft, member))
            raft->self = (int)i;
    }
    for (uint32_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->at[i];
        if (peer->member >= 0)
            peer->leaving = 0;
        else if (peer->was_member && leads)
            peer->leaving = state_config_index(raft);
    }
    refresh_self(raft);
}
