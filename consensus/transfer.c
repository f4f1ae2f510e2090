/* transfer.c - the leader's word, and the candidate that heeds it. */
#include "consensus/transfer.h"

#include "consensus/durable.h"
#include "consensus/election.h"
#include "consensus/proposals.h"

bool transfer_runs(const struct raft *raft)
{
    return raft->transfer.running;
}

static void forget(struct raft *raft)
{
    raft->transfer.running = false;
    bytes_close(&raft->transfer.held);
}

static void tell_kept(struct raft *raft, enum err err)
{
    state_emit(raft, OUTPUT_KEPT)->err = err;
}

/* The leader stays: what was held goes into its log, in the order it came. */
static void resume(struct raft *raft, enum err err)
{
    struct bytes held = raft->transfer.held;
    raft->transfer.held = (struct bytes){0};
    forget(raft);
    tell_kept(raft, err);
    if (held.size > 0)
        proposals_take(raft, RAFT_SELF, NULL, bytes_span(&held));
    bytes_close(&held);
    raft->dirty = true;
}

static bool answers(const struct raft *raft, const struct peer *peer)
{
    return peer->votes && peers_answers(peer, raft->now_ms, raft->election_min_ms);
}

static bool stays(const struct raft *raft, const struct peer *peer)
{
    return state_members(raft)->at[peer->member].wish == MEMBER_VOTER;
}

static uint32_t most_of_log(const struct raft *raft, bool staying)
{
    uint32_t best = RAFT_NOBODY;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (answers(raft, peer) && !peer->drained && stays(raft, peer) == staying &&
            (best == RAFT_NOBODY || peer->match > raft->peers.at[best].match))
            best = i;
    }
    return best;
}

/* The voter that has most of the log, if possible one that is not to go; RAFT_NOBODY: none
 * answers. */
static uint32_t choose(const struct raft *raft)
{
    uint32_t best = most_of_log(raft, true);
    return best != RAFT_NOBODY ? best : most_of_log(raft, false);
}

static bool has_others(const struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].votes)
            return true;
    return false;
}

static uint32_t slot_of_voter(const struct raft *raft, uint64_t node)
{
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].votes && raft->peers.at[i].node == node)
            return i;
    return RAFT_NOBODY;
}

enum err transfer_begin(struct raft *raft, uint64_t node)
{
    if (raft->transfer.running)
        return ERR_BUSY;
    if (!has_others(raft))
        return ERR_NOT_FOUND;
    uint32_t target = node != 0 ? slot_of_voter(raft, node) : choose(raft);
    if (target == RAFT_NOBODY)
        return node != 0 ? ERR_NOT_FOUND : ERR_NOT_READY;
    if (!answers(raft, &raft->peers.at[target]))
        return ERR_NOT_READY;
    if (raft->peers.at[target].drained)
        return ERR_DRAINED;
    raft->transfer = (struct transfer){
        .running = true,
        .target = target,
        .last = raft->log.last,
        .due_ms = raft->now_ms + raft->election_max_ms,
    };
    raft->counters.transfers++;
    raft->dirty = true;
    return ERR_NONE;
}

void transfer_asked(struct raft *raft, const struct raft_input *in)
{
    enum err err = in->number == raft->node ? ERR_NONE : transfer_begin(raft, in->number);
    if (err != ERR_NONE || in->number == raft->node)
        tell_kept(raft, err);
}

void transfer_refused(struct raft *raft, const struct raft_input *in)
{
    tell_kept(raft, ERR_NO_LEADER);
}

/* Whoever leads goes on until another one does: what is drained may be all that is left. Its
 * election timeout is drawn anew all the same: deposed, it goes by what it is then. */
void transfer_drain(struct raft *raft, const struct raft_input *in)
{
    raft->drained = in->number != 0;
    raft->drain_due_ms = raft->now_ms;
    state_restart_election(raft);
}

void transfer_drain_tick(struct raft *raft)
{
    if (!state_drained(raft) || raft->transfer.running || raft->now_ms < raft->drain_due_ms)
        return;
    raft->drain_due_ms = raft->now_ms + RAFT_DRAINED_TIMES * raft->election_max_ms;
    if (transfer_begin(raft, 0) != ERR_NONE) /* nobody can lead yet: no write waited for it */
        raft->drain_due_ms = raft->now_ms + raft->heartbeat_ms;
}

void transfer_hold(struct raft *raft, uint32_t slot, const struct peer_head *head,
                   struct span records)
{
    if (raft->transfer.held.size + records.size > RAFT_HELD_BYTES)
        state_refuse(raft, slot, head, records, ERR_BUSY);
    else
        bytes_append_span(&raft->transfer.held, records);
}

static void tell_target(struct raft *raft)
{
    struct message *message = state_send(raft, raft->transfer.target, MESSAGE_TIMEOUT_NOW);
    message->timeout_now.last_index = raft->log.last;
    message->timeout_now.last_term = raftlog_last_term(&raft->log);
    raft->transfer.told = true;
}

void transfer_flush(struct raft *raft)
{
    const struct transfer *transfer = &raft->transfer;
    if (transfer->running && !transfer->told &&
        raft->peers.at[transfer->target].match == raft->log.last)
        tell_target(raft);
}

void transfer_tick(struct raft *raft)
{
    const struct transfer *transfer = &raft->transfer;
    if (!transfer->running)
        return;
    if (!raft->peers.at[transfer->target].votes)
        resume(raft, ERR_NOT_FOUND);
    else if (raft->now_ms >= transfer->due_ms)
        resume(raft, ERR_TIMEOUT);
    else if (transfer->told)
        tell_target(raft); /* the first word may have been lost */
}

void transfer_link_down(struct raft *raft, uint32_t slot)
{
    if (raft->transfer.running && raft->transfer.target == slot)
        resume(raft, ERR_CLOSED);
}

void transfer_settle(struct raft *raft)
{
    if (raft->transfer.running && raft->role != ROLE_LEADER)
        forget(raft);
}

/* Only the leader of this very term can say so, and only about this very log. */
void transfer_timeout_now(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    if (raft->leader != in->slot || message->peer.term != raft->term ||
        !state_counts(raft, in->slot, &message->peer))
        return;
    if (raft->log.last != message->timeout_now.last_index ||
        raftlog_last_term(&raft->log) != message->timeout_now.last_term)
        return;
    if (!state_votes(raft) || raft->drained || raft->state_lost || !state_settled(raft) ||
        durable_stalls(raft))
        return;
    raft->transfer_term = raft->term + 1;
    election_campaign(raft);
}
