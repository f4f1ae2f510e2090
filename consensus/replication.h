/* replication.h - what a leader does: append, count, commit. What gets into its log:
 * proposals.h.
 *
 * Raft section 5.3 and 5.4.2. The other end is follow.h. Proposals and
 * acknowledgements only change state; the flush sends. */
#ifndef CONSENSUS_REPLICATION_H
#define CONSENSUS_REPLICATION_H

#include "consensus/state.h"

/* The election is won: take the lead with an entry of the own term. */
void replication_lead(struct raft *raft);

raft_rule replication_tick;      /* heartbeats, check-quorum, the own disk */
raft_rule replication_appended;  /* APPENDED */
raft_rule replication_stored;    /* STORED */
raft_rule replication_fetched;   /* FETCHED */
raft_rule replication_link_down; /* of a follower */
raft_rule replication_flush;

#endif
