#include "consensus/cutting.h"

#include "consensus/proposals.h"
#include "consensus/transfer.h"
#include "protocol/entry.h"

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Who gets a snapshot needs entries behind its end only, and those it will need (I17). */
static uint64_t reached(const struct peer *peer)
{
    bool snapshot = peer->catchup.running && peer->catchup.size > 0;
    return snapshot && peer->catchup.index > peer->match ? peer->catchup.index : peer->match;
}

/* How far those are who answer, and those who do not; of a server that has not answered in this
 * term nothing is known, so nothing is believed. */
static void measure(const struct raft *raft, struct message_may_cut *ask)
{
    ask->live_index = raft->stored;
    ask->down_index = raft->log.last;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (peer->member < 0)
            continue;
        if (raft->now_ms < peer->heard_ms + RAFT_LIVE_MS)
            ask->live_index = lower(ask->live_index, reached(peer));
        else
            ask->down_index = lower(ask->down_index, reached(peer));
    }
}

/* One cut at a time: the next is decided by a state that has applied the last one. */
static bool may_cut(const struct raft *raft)
{
    return raft->commit >= raft->term_first && raft->applied >= raft->cut_index &&
           !transfer_runs(raft);
}

void cutting_tick(struct raft *raft)
{
    if (raft->now_ms < raft->cut_due_ms || !may_cut(raft))
        return;
    raft->cut_due_ms = raft->now_ms + RAFT_CUT_MS;
    struct message *message = state_ask(raft, MESSAGE_MAY_CUT);
    message->may_cut.ts = proposals_ts(raft);
    message->may_cut.last_index = raft->log.last;
    measure(raft, &message->may_cut);
}

void cutting_decided(struct raft *raft, const struct raft_input *in)
{
    struct span body = in->message->cut_at.body;
    if (body.size == 0 || !may_cut(raft))
        return;
    proposals_append(raft, &(struct entry){.kind = ENTRY_CUT, .body = body});
    raft->cut_index = raft->log.last;
    raft->counters.cuts++;
    raft->dirty = true;
}
