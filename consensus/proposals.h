/* proposals.h - what a leader takes into its log, and with which log time.
 *
 * Only appends to the log in memory; the flush of replication.h sends and stores. */
#ifndef CONSENSUS_PROPOSALS_H
#define CONSENSUS_PROPOSALS_H

#include "consensus/state.h"
#include "protocol/entry.h"

/* After each answer of a voter: is the own clock still plausible? */
void proposals_judge_clock(struct raft *raft);

/* Log time of this moment. */
uint64_t proposals_ts(const struct raft *raft);

/* An entry of our own: no-op, record 1, a cut. */
void proposals_append(struct raft *raft, const struct entry *entry);

/* Appends what the limits allow and refuses the rest, towards the api (RAFT_SELF) or a peer. */
void proposals_take(struct raft *raft, uint32_t slot, const struct peer_head *head,
                    struct span records);

raft_rule proposals_propose; /* PROPOSE */
raft_rule proposals_forward; /* FORWARD */

#endif
