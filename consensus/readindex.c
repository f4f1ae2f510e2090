/* readindex.c - rounds of asks, each confirmed by a majority. */
#include "consensus/readindex.h"

#include "consensus/durable.h"
#include "consensus/quorum.h"

#include <assert.h>

/* ---- answers --------------------------------------------------------------------------------- */

static void tell_api(struct raft *raft, uint64_t ticket, uint64_t index, struct span error)
{
    struct message *message = &state_emit(raft, OUTPUT_READ_INDEX)->message;
    message->type = MESSAGE_READ_INDEX_IS;
    message->read_index_is.ticket = ticket;
    message->read_index_is.index = index;
    message->read_index_is.error = error;
}

static void answer(struct raft *raft, const struct read_ask *ask, uint64_t index, enum err err)
{
    struct span error = err != ERR_NONE ? SPAN_TEXT(err_name(err)) : (struct span){0};
    if (ask->slot == RAFT_SELF) {
        tell_api(raft, ask->ticket, index, error);
        return;
    }
    struct message *message =
        state_answer(raft, ask->slot, ask->to, ask->to_incarnation, MESSAGE_INDEX_IS);
    message->index_is.ticket = ask->ticket;
    message->index_is.index = index;
    message->index_is.error = error;
}

static struct read_ask ask_of_api(const struct raft_input *in)
{
    return (struct read_ask){.slot = RAFT_SELF, .ticket = in->message->read_index.ticket};
}

static struct read_ask ask_of_peer(const struct raft_input *in)
{
    return (struct read_ask){.slot = in->slot,
                             .to = in->message->peer.from,
                             .to_incarnation = in->message->peer.from_incarnation,
                             .ticket = in->message->ask_index.ticket};
}

/* ---- the leader ------------------------------------------------------------------------------ */

/* One that asks twice under a ticket is answered once; nobody takes the room of the others. */
static bool has_room(const struct reads *reads, const struct read_ask *ask, bool *known)
{
    uint32_t same_slot = 0;
    *known = false;
    for (uint32_t i = 0; i < reads->count; i++) {
        same_slot += reads->at[i].slot == ask->slot;
        *known = *known || (reads->at[i].slot == ask->slot && reads->at[i].to == ask->to &&
                            reads->at[i].ticket == ask->ticket);
    }
    return same_slot < RAFT_READS_PER_SLOT && reads->count < RAFT_READS_MAX;
}

static void take(struct raft *raft, struct read_ask ask)
{
    bool known, room = has_room(&raft->reads, &ask, &known);
    if (known)
        return;
    if (!room) {
        answer(raft, &ask, 0, ERR_BUSY);
        return;
    }
    /* What an earlier leader committed is known only once an entry of this term is. */
    if (raft->commit < raft->term_first) {
        answer(raft, &ask, 0, ERR_NOT_READY);
        return;
    }
    raft->reads.at[raft->reads.count++] = ask;
    raft->dirty = true;
}

void readindex_ask(struct raft *raft, const struct raft_input *in)
{
    take(raft, ask_of_api(in));
}

void readindex_asked(struct raft *raft, const struct raft_input *in)
{
    take(raft, ask_of_peer(in));
}

/* An answer counts for the incarnation that gave it, and it stands in this term only: the next
 * one begins with peers_begin_lead. */
static uint64_t acked_round(const struct peer *peer)
{
    return peer->read_incarnation == peer->incarnation ? peer->read_round : 0;
}

/* A majority has answered an append that was sent after the round began. */
static bool is_confirmed(const struct raft *raft)
{
    uint64_t acked[MEMBERS_MAX] = {0};
    if (raft->self >= 0)
        acked[raft->self] = UINT64_MAX;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].member >= 0)
            acked[raft->peers.at[i].member] = acked_round(&raft->peers.at[i]);
    return quorum_agreed(state_members(raft), acked) > raft->reads.round;
}

static void confirm(struct raft *raft)
{
    struct reads *reads = &raft->reads;
    if (reads->begun == 0 || !is_confirmed(raft))
        return;
    for (uint32_t i = 0; i < reads->begun; i++)
        answer(raft, &reads->at[i], reads->index, ERR_NONE);
    raft->counters.reads += reads->begun;
    reads->count -= reads->begun;
    memmove(reads->at, reads->at + reads->begun, reads->count * sizeof *reads->at);
    reads->begun = 0;
    raft->dirty = raft->dirty || reads->count > 0;
}

void readindex_acked(struct raft *raft, struct peer *peer, uint64_t round)
{
    assert(raft->role == ROLE_LEADER);
    if (round > acked_round(peer))
        peer->read_round = round;
    peer->read_incarnation = peer->incarnation;
    confirm(raft);
}

/* One round at a time: those that come meanwhile share the next one. A leader whose disk hangs or
 * is full says nothing that could be taken for a heartbeat (I13): it is about to step down. */
void readindex_begin(struct raft *raft)
{
    struct reads *reads = &raft->reads;
    if (reads->begun > 0 || reads->count == 0 || durable_stalls(raft))
        return;
    reads->begun = reads->count;
    reads->index = raft->commit;
    reads->round = raft->round;
    raft->counters.read_rounds++;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].member >= 0)
            raft->peers.at[i].beat = true; /* an append that is answered, whatever is in it */
    confirm(raft);
}

void readindex_settle(struct raft *raft)
{
    if (raft->role != ROLE_LEADER)
        raft->reads.count = raft->reads.begun = 0;
}

/* ---- the others ------------------------------------------------------------------------------ */

void readindex_pass(struct raft *raft, const struct raft_input *in)
{
    if (raft->leader >= RAFT_PEERS_MAX) {
        readindex_refuse(raft, in);
        return;
    }
    struct message *message = state_send(raft, raft->leader, MESSAGE_ASK_INDEX);
    message->ask_index.ticket = in->message->read_index.ticket;
}

void readindex_refuse(struct raft *raft, const struct raft_input *in)
{
    struct read_ask ask = ask_of_api(in);
    answer(raft, &ask, 0, ERR_NO_LEADER);
}

void readindex_turn_away(struct raft *raft, const struct raft_input *in)
{
    struct read_ask ask = ask_of_peer(in);
    answer(raft, &ask, 0, ERR_NOT_LEADER);
}

void readindex_told(struct raft *raft, const struct raft_input *in)
{
    const struct message_index_is *is = &in->message->index_is;
    enum err err = ERR_NONE;
    if (is->error.size > 0)
        err = err_by_name((const char *)is->error.data, is->error.size);
    tell_api(raft, is->ticket, is->index,
             err != ERR_NONE ? SPAN_TEXT(err_name(err)) : (struct span){0});
}
