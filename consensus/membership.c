/* membership.c - the steps that fulfil the wishes in the configuration. */
#include "consensus/membership.h"

#include "consensus/plan.h"
#include "consensus/proposals.h"
#include "consensus/quorum.h"
#include "consensus/standing.h"
#include "consensus/transfer.h"

#include <assert.h>

enum { HANDOVERS_MAX = 2 }; /* tries, before this node goes without one */

/* ---- steps ------------------------------------------------------------------------------------
 */

void membership_propose(struct raft *raft, const struct members *members)
{
    struct bytes body = {0};
    assert(raft->role == ROLE_LEADER);
    assert(raft->commit >= raft->term_first);
    assert(raft->commit >= state_config_index(raft)); /* I9 */
    members_encode(members, &body);
    proposals_append(raft, &(struct entry){.kind = ENTRY_CONFIG, .body = bytes_span(&body)});
    bytes_close(&body);
    state_add_config(raft, raftlog_record(&raft->log, raft->log.last));
    standing_refresh(raft);
    raft->membership = (struct membership){0};
    raft->dirty = true;
}

/* I9: one at a time, and only after an entry of the own term. */
bool membership_may_propose(const struct raft *raft)
{
    return raft->commit >= raft->term_first && raft->commit >= state_config_index(raft) &&
           !transfer_runs(raft);
}

static bool answers(const struct raft *raft, const struct peer *peer)
{
    return peers_answers(peer, raft->now_ms, raft->election_min_ms);
}

static uint32_t caught_up(const struct raft *raft)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (peer->member >= 0 && !peer->votes && peer->caught && answers(raft, peer))
            bits |= 1u << peer->member;
    }
    return bits;
}

/* What could never be committed is not begun: a majority of both must answer. */
static bool majorities_answer(const struct raft *raft, const struct members *joint)
{
    uint32_t bits = raft->self >= 0 ? 1u << raft->self : 0;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].member >= 0 && answers(raft, &raft->peers.at[i]))
            bits |= 1u << raft->peers.at[i].member;
    return quorum_agrees(joint, bits);
}

/* A voter that stays one, by node id; with `ready` one that answers. 0: there is none. */
static uint64_t successor(const struct raft *raft, const struct members *joint, bool ready)
{
    uint64_t node = 0, match = 0;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (!peer->votes || joint->at[peer->member].next != MEMBER_VOTER)
            continue;
        bool can = answers(raft, peer) && !peer->drained;
        if ((ready && !can) || (node != 0 && peer->match <= match))
            continue;
        node = peer->node;
        match = peer->match;
    }
    return node;
}

/* This node is to go: another one leads first. False: it stays, or must go without. */
static bool hands_over(struct raft *raft, const struct members *joint)
{
    struct membership *own = &raft->membership;
    if (raft->self < 0 || joint->at[raft->self].next == MEMBER_VOTER)
        return false;
    if (own->handovers == HANDOVERS_MAX || successor(raft, joint, false) == 0)
        return false;
    if (own->handover_due_ms == 0)
        own->handover_due_ms = raft->now_ms + 2 * raft->election_max_ms;
    uint64_t node = successor(raft, joint, true);
    if (node == 0 || transfer_begin(raft, node) != ERR_NONE)
        return raft->now_ms < own->handover_due_ms;
    own->handovers++;
    return true;
}

static void try_joint(struct raft *raft)
{
    struct members joint;
    if (plan_enter(state_members(raft), caught_up(raft), &joint) &&
        majorities_answer(raft, &joint) && !hands_over(raft, &joint))
        membership_propose(raft, &joint);
}

static void leave_joint(struct raft *raft)
{
    struct members next;
    if (hands_over(raft, state_members(raft)))
        return;
    plan_leave(state_members(raft), raft->log.last + 1, &next);
    membership_propose(raft, &next);
}

/* I10: who was removed leads until a voter that remains knows that it is committed. */
static void step_out(struct raft *raft)
{
    bool known = false;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        known = known || (raft->peers.at[i].votes &&
                          raft->peers.at[i].commit_known >= state_config_index(raft));
    if (!known)
        return;
    if (raft->membership.handovers < HANDOVERS_MAX && transfer_begin(raft, 0) == ERR_NONE) {
        raft->membership.handovers++;
        return;
    }
    state_complain(raft, "leadership given up: this node votes no more");
    state_step_down(raft);
    standing_refresh(raft);
}

/* A history that has just begun leaves open where its only member is: its own file says it (R112).
 */
static bool settle_address(struct raft *raft)
{
    struct members next = *state_members(raft);
    if (raft->self < 0 || next.at[raft->self].endpoint[0] != '\0' || raft->endpoint[0] == '\0')
        return false;
    char *endpoint = next.at[raft->self].endpoint;
    members_copy_endpoint(endpoint, raft->endpoint, strlen(raft->endpoint));
    membership_propose(raft, &next);
    return true;
}

void membership_flush(struct raft *raft)
{
    if (!membership_may_propose(raft) || settle_address(raft))
        return;
    if (state_members(raft)->joint)
        leave_joint(raft);
    else if (!state_votes(raft))
        step_out(raft);
    else if (plan_pending(state_members(raft)))
        try_joint(raft);
}

/* ---- progress ---------------------------------------------------------------------------------
 */

void membership_acked(struct raft *raft, struct peer *peer)
{
    if (peer->leaving != 0 && peer->match >= peer->leaving && peer->commit_sent >= peer->leaving)
        peer->leaving = 0; /* it has been told all there was to tell */
    if (peer->match < peer->round_target)
        return;
    peer->caught = raft->now_ms - peer->round_began_ms < raft->election_min_ms;
    peer->round_target = raft->log.last;
    peer->round_began_ms = raft->now_ms;
}

void membership_tick(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        struct peer *peer = &raft->peers.at[i];
        if (raft->now_ms - peer->round_began_ms >= raft->election_min_ms &&
            peer->match < peer->round_target)
            peer->caught = false;
        if (raft->now_ms > peer->heard_ms + 2 * raft->election_max_ms)
            peer->leaving = 0;
    }
    raft->dirty = raft->dirty || plan_pending(state_members(raft)) || !state_votes(raft);
}
