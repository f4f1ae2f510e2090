/* election.c - stand, weigh, tally. */
#include "consensus/election.h"

#include "consensus/durable.h"
#include "consensus/quorum.h"
#include "consensus/replication.h"
#include "consensus/standing.h"

#include <assert.h>

static void ask_votes(struct raft *raft, bool pre)
{
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        if (!raft->peers.at[i].votes)
            continue;
        struct message *message = state_send(raft, i, MESSAGE_VOTE);
        message->vote.pre = pre;
        message->vote.candidate_term = pre ? raft->term + 1 : raft->term;
        message->vote.last_index = raft->log.last;
        message->vote.last_term = raftlog_last_term(&raft->log);
        message->vote.transfer = !pre && raft->transfer_term == raft->term; /* I14 */
    }
}

static bool elected(const struct raft *raft)
{
    return quorum_agrees(state_members(raft), raft->votes);
}

/* One that the active configuration removes may have to campaign until that is committed; it does
 * not count itself (thesis section 4.2.2). */
static uint32_t own_vote(const struct raft *raft)
{
    return raft->self >= 0 ? 1u << raft->self : 0;
}

/* The leader's process is known to be dead. Refused by one that has not noticed yet, or with the
 * votes split, a candidate tries again soon; a bounded number of times, for the next leader may
 * be just slow. */
static void restart_hurried(struct raft *raft)
{
    state_restart_election(raft);
    if (raft->hurry == 0 || state_drained(raft))
        return;
    raft->hurry--;
    uint64_t spread = RAFT_HURRY_MAX_MS - RAFT_HURRY_MIN_MS + 1;
    uint64_t due = raft->now_ms + RAFT_HURRY_MIN_MS + state_chance(raft, spread);
    if (due < raft->election_due_ms)
        raft->election_due_ms = due;
}

/* The quorum would vote for us: take the next term, and our own vote in it, to the disk. */
static void become_candidate(struct raft *raft)
{
    raft->role = ROLE_CANDIDATE;
    raft->votes = 0;
    raft->asked = false;
    state_set_term(raft, raft->term + 1, raft->node);
    restart_hurried(raft);
    raft->counters.elections++;
}

void election_stand(struct raft *raft)
{
    restart_hurried(raft);
    if (!raft->stands || !state_settled(raft) || durable_stalls(raft))
        return;
    state_step_down(raft);
    state_set_leader(raft, RAFT_NOBODY); /* a pre-candidate forgets its leader */
    raft->role = ROLE_PRECANDIDATE;
    raft->votes = own_vote(raft);
    if (elected(raft))
        become_candidate(raft);
    else
        ask_votes(raft, true);
}

void election_campaign(struct raft *raft)
{
    state_step_down(raft);
    state_set_leader(raft, RAFT_NOBODY);
    become_candidate(raft);
}

void election_tick(struct raft *raft, const struct raft_input *in)
{
    if (raft->now_ms >= raft->election_due_ms)
        election_stand(raft);
}

bool election_sticky(const struct raft *raft)
{
    if (raft->role == ROLE_LEADER)
        return true;
    return raft->leader != RAFT_NOBODY && !raft->loose &&
           raft->now_ms < raft->leader_heard_ms + raft->election_min_ms;
}

/* Raft section 5.4.1. */
static bool log_is_enough(const struct raft *raft, const struct message_vote *vote)
{
    uint64_t own = raftlog_last_term(&raft->log);
    return vote->last_term > own || (vote->last_term == own && vote->last_index >= raft->log.last);
}

static void owe_vote(struct raft *raft, const struct raft_input *in, bool granted)
{
    const struct message *message = in->message;
    raft->peers.at[in->slot].vote = (struct owed_vote){
        .owed = true,
        .pre = message->vote.pre,
        .granted = granted,
        .to = message->peer.from,
        .to_incarnation = message->peer.from_incarnation,
        .term = message->vote.candidate_term,
    };
}

/* A candidate that lacks entries of this log cannot win: drained or not, this node may have to. */
static void stand_soon(struct raft *raft)
{
    uint64_t due = raft->now_ms + RAFT_HURRY_MIN_MS;
    if (state_drained(raft) && due < raft->election_due_ms)
        raft->election_due_ms = due;
}

static bool grants(struct raft *raft, const struct message *message)
{
    const struct message_vote *vote = &message->vote;
    if (!log_is_enough(raft, vote))
        stand_soon(raft);
    if (vote->pre)
        return vote->candidate_term > raft->term && log_is_enough(raft, vote);
    if (vote->candidate_term > raft->term) {
        state_set_term(raft, vote->candidate_term, 0);
        state_step_down(raft);
        state_set_leader(raft, RAFT_NOBODY);
    }
    if (vote->candidate_term < raft->term || raft->role == ROLE_LEADER)
        return false;
    if (raft->vote == message->peer.from)
        return true;
    if (raft->vote != 0 || !log_is_enough(raft, vote))
        return false;
    if (raft->role == ROLE_PRECANDIDATE)
        state_step_down(raft);
    state_set_term(raft, raft->term, message->peer.from);
    state_restart_election(raft);
    return true;
}

void election_weigh(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    if (raft->barred) /* whether a vote counts is judged by the candidate's configuration */
        return;
    if (!message->vote.pre && message->peer.term != message->vote.candidate_term)
        return;
    bool turned_away = election_sticky(raft) && !message->vote.transfer;
    owe_vote(raft, in, !turned_away && grants(raft, message));
}

/* Only a contact: whether it counts for anything is said by the configuration. */
static void learn_member(struct raft *raft, const struct message_voted *voted)
{
    char endpoint[RAFT_ENDPOINT_MAX];
    if (voted->member_key.size != RAFT_KEY_SIZE || voted->member_at.size >= RAFT_ENDPOINT_MAX ||
        memcmp(voted->member_key.data, raft->key, RAFT_KEY_SIZE) == 0 ||
        peers_find(&raft->peers, voted->member_key.data) >= 0)
        return;
    members_copy_endpoint(endpoint, (const char *)voted->member_at.data, voted->member_at.size);
    state_slot(raft, voted->member_key.data, endpoint);
}

/* A member knows a later configuration, committed, that this node does not belong to: it stays
 * quiet until a leader calls it. */
static void learn_removal(struct raft *raft, uint64_t index)
{
    raft->told_removed = index;
    standing_refresh(raft);
}

void election_tally(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    const struct message_voted *voted = &message->voted;
    if (!state_counts(raft, in->slot, &message->peer))
        return;
    if (message->peer.term > raft->term) {
        state_set_term(raft, message->peer.term, 0);
        state_step_down(raft);
        state_set_leader(raft, RAFT_NOBODY);
        return;
    }
    learn_member(raft, voted);
    bool asked =
        voted->pre
            ? raft->role == ROLE_PRECANDIDATE && voted->candidate_term == raft->term + 1
            : raft->role == ROLE_CANDIDATE && raft->asked && voted->candidate_term == raft->term;
    if (asked && !voted->granted && voted->removed_at >= state_config_index(raft) &&
        voted->removed_at > 0)
        learn_removal(raft, voted->removed_at);
    if (!asked || !voted->granted || raft->peers.at[in->slot].member < 0)
        return;
    raft->votes |= 1u << raft->peers.at[in->slot].member;
    if (!elected(raft))
        return;
    if (voted->pre)
        become_candidate(raft);
    else
        replication_lead(raft);
}

void election_link_down(struct raft *raft, const struct raft_input *in)
{
    if (raft->leader != in->slot)
        return;
    raft->loose = true;
    raft->hurry = RAFT_HURRIES;
    raft->epoch++;
    if (raft->role != ROLE_FOLLOWER || state_drained(raft))
        return;
    uint64_t spread = RAFT_HINT_MAX_MS - RAFT_HINT_MIN_MS + 1;
    uint64_t due = raft->now_ms + RAFT_HINT_MIN_MS + state_chance(raft, spread);
    if (raft->election_due_ms > due)
        raft->election_due_ms = due;
}

/* The committed configuration that the asker does not vote in; 0: it does, or none is known. */
static uint64_t removed_at(const struct raft *raft, uint32_t slot, const struct owed_vote *owed)
{
    const struct peer *peer = &raft->peers.at[slot];
    bool belongs =
        peer->votes && peer->node == owed->to && peer->incarnation == owed->to_incarnation;
    return belongs || !raft->config_settled || !state_votes(raft) ? 0 : state_config_index(raft);
}

/* Who was away while others came does not know their keys, and lets none of them in: whom it asks
 * names the leader, or where there is none one voter after the other. */
static void tell_of_member(struct raft *raft, uint32_t asker, struct message_voted *voted)
{
    uint32_t slot = raft->leader;
    if (slot >= RAFT_PEERS_MAX && raft->peers.count > 0) {
        slot = (uint32_t)state_chance(raft, raft->peers.count);
        if (!raft->peers.at[slot].votes)
            return;
    }
    if (slot >= raft->peers.count || slot == asker)
        return;
    const struct peer *peer = &raft->peers.at[slot];
    voted->member_key = SPAN(peer->key, RAFT_KEY_SIZE);
    voted->member_at = SPAN_TEXT(peer->endpoint);
}

static void send_owed_votes(struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        struct owed_vote *owed = &raft->peers.at[i].vote;
        if (!owed->owed)
            continue;
        owed->owed = false;
        /* A vote of a term that has passed meanwhile is no promise any more. */
        bool stands =
            owed->granted && (owed->pre || (owed->term == raft->term && raft->vote == owed->to));
        struct message *message =
            state_answer(raft, i, owed->to, owed->to_incarnation, MESSAGE_VOTED);
        message->voted.pre = owed->pre;
        message->voted.candidate_term = owed->term;
        message->voted.granted = stands;
        if (stands)
            continue;
        message->voted.removed_at = removed_at(raft, i, owed);
        tell_of_member(raft, i, &message->voted);
    }
}

void election_release(struct raft *raft)
{
    assert(state_settled(raft));
    send_owed_votes(raft);
    if (raft->role != ROLE_CANDIDATE || raft->asked)
        return;
    assert(raft->vote == raft->node);
    raft->asked = true;
    raft->votes = own_vote(raft);
    ask_votes(raft, false);
    if (elected(raft))
        replication_lead(raft);
}
