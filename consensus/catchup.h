/* catchup.h - a peer gets the leader's snapshot, where entries would not do.
 *
 * It does when what it needs is cut, or is more than it would take to send all. The slices
 * go from storage here to storage there, in a bounded window and, while clients write, at a
 * bounded rate; what is lost is sent again from where the receiver says it is. The
 * files themselves are storage's business; what is in the log is replication.h's. */
#ifndef CONSENSUS_CATCHUP_H
#define CONSENSUS_CATCHUP_H

#include "consensus/state.h"

enum {
    CATCHUP_SLICE_BYTES = 256 << 10,
    CATCHUP_WINDOW_BYTES = 4 << 20,  /* asked, and not yet at the peer */
    CATCHUP_RETRY_MS = 500,          /* without news it goes back to what is surely there */
    CATCHUP_MAKING_MS = 100,         /* it is still being made: ask again */
    CATCHUP_FAILED_MS = 5000,        /* a disk is full, or worse */
    CATCHUP_CALM_MS = 1000,          /* without a proposal for so long, no rate is kept */
    CATCHUP_ENTRIES_PRESET = 131072, /* a segment: less is cheaper by the log */
};

raft_rule catchup_part;     /* SNAPSHOT_PART, at the leader */
raft_rule catchup_taken;    /* SNAPSHOT_TAKEN, at the leader */
raft_rule catchup_snapshot; /* SNAPSHOT, at who does not lead */
raft_rule catchup_written;  /* SNAPSHOT_WRITTEN, at who does not lead */

/* The peer gets a snapshot from now on, unless it does already. */
void catchup_begin(struct raft *raft, uint32_t slot, const char *why);

/* The peer has lost its state, and nothing else: entries and acknowledgements go on. */
void catchup_state(struct raft *raft, uint32_t slot);

/* True if a snapshot is the cheaper way: it lacks more than a segment, and more than half. */
bool catchup_is_cheaper(const struct raft *raft, const struct peer *peer);

void catchup_flush(struct raft *raft); /* asks storage for the next slices */
void catchup_tick(struct raft *raft);
void catchup_link_down(struct raft *raft, struct peer *peer);

/* When the leader has to look again; UINT64_MAX: nothing waits for time. */
uint64_t catchup_due_ms(const struct raft *raft);

#endif
