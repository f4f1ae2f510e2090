/* proposals.c - records get their place in the leader's log, or are refused before it. */
#include "consensus/proposals.h"

#include "consensus/durable.h"
#include "consensus/quorum.h"
#include "consensus/transfer.h"
#include "protocol/entry.h"

static const uint64_t HOUR_NS = 3600ull * 1000000000ull;

static uint64_t next_ts(const struct raft *raft)
{
    uint64_t next = raft->log.last_ts + 1;
    return !raft->clock_doubted && raft->wall_ns > next ? raft->wall_ns : next; /* I26 */
}

/* How far the stamp may be from the true time: what the kernel says of the clock, and what log
 * time is ahead of it. */
static uint64_t error_of(const struct raft *raft, uint64_t ts)
{
    uint64_t apart = ts > raft->wall_ns ? ts - raft->wall_ns : raft->wall_ns - ts;
    return raft->wall_error_ns > 0 ? raft->wall_error_ns + apart : 0;
}

static void stamp(struct raft *raft, struct span record)
{
    uint64_t ts = next_ts(raft);
    raftlog_propose(&raft->log, record, raft->term, ts, error_of(raft, ts));
}

static bool is_proposal(struct span record)
{
    struct entry entry;
    return entry_decode(record, &entry) == ERR_NONE && entry_is_ask(entry.kind);
}

static bool all_proposals(struct span records)
{
    struct span record;
    while (entry_next(&records, &record))
        if (!is_proposal(record))
            return false;
    return records.size == 0;
}

/* Every queue has a bound (I28): what is not committed, not durable here, or not applied here. */
static bool is_full(const struct raft *raft, size_t more)
{
    uint64_t from = raft->commit < raft->stored ? raft->commit : raft->stored;
    if (raft->applied < from)
        from = raft->applied;
    uint64_t waiting = raftlog_bytes(&raft->log, from + 1, raft->log.last);
    return waiting == UINT64_MAX || waiting + more > RAFT_WAITING_BYTES ||
           raft->commit - raft->applied > RAFT_ENTRIES_LAG_MAX;
}

void proposals_take(struct raft *raft, uint32_t slot, const struct peer_head *head,
                    struct span records)
{
    struct span rest = records, record;
    while (rest.size > 0) {
        struct span before = rest;
        if (!entry_next(&rest, &record))
            break;
        if (durable_is_low(raft) && entry_is_write(entry_kind_of(record))) {
            state_refuse(raft, slot, head, before, ERR_NOSPACE);
            break;
        }
        if (is_full(raft, record.size)) {
            state_refuse(raft, slot, head, before, ERR_BUSY);
            break;
        }
        stamp(raft, record);
        raft->counters.proposals++;
        raft->proposed_ms = raft->now_ms;
    }
    raft->dirty = true;
}

static void propose(struct raft *raft, uint32_t slot, const struct peer_head *head,
                    struct span records)
{
    if (!all_proposals(records))
        state_refuse(raft, slot, head, records, ERR_BAD_REQUEST);
    else if (transfer_runs(raft))
        transfer_hold(raft, slot, head, records);
    else
        proposals_take(raft, slot, head, records);
}

/* A clock far ahead of most voters' must not drag log time along (ARCHITECTURE section 5). */
void proposals_judge_clock(struct raft *raft)
{
    uint32_t behind = 0;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (peer->member >= 0 && peer->has_clock && peer->clock_ahead < -(int64_t)HOUR_NS)
            behind |= 1u << peer->member;
    }
    bool doubted = quorum_agrees(state_members(raft), behind);
    if (doubted && !raft->clock_doubted)
        state_complain(raft, "the own clock is more than 1 h ahead of most voters; log time "
                             "stands nearly still until they agree");
    raft->clock_doubted = doubted;
}

uint64_t proposals_ts(const struct raft *raft)
{
    return next_ts(raft);
}

void proposals_append(struct raft *raft, const struct entry *entry)
{
    struct bytes record = {0};
    entry_encode(entry, &record);
    stamp(raft, bytes_span(&record));
    bytes_close(&record);
}

void proposals_propose(struct raft *raft, const struct raft_input *in)
{
    propose(raft, RAFT_SELF, NULL, in->message->propose.records);
}

void proposals_forward(struct raft *raft, const struct raft_input *in)
{
    propose(raft, in->slot, &in->message->peer, in->message->forward.records);
}
