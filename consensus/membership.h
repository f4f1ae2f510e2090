/* membership.h - who belongs to the cluster, changed while it runs (Raft section 6, thesis
 * chapter 4).
 *
 * What is wished for stands in the configuration (wishes.h, plan.h); the leader
 * brings it about: a new server gets the log as a learner, then becomes a voter
 * through a joint configuration, as does a removal. One step at a time, each only
 * when the one before is committed, and the first only after an entry of the own
 * term (I9). Every leader goes on where the last one stopped. */
#ifndef CONSENSUS_MEMBERSHIP_H
#define CONSENSUS_MEMBERSHIP_H

#include "consensus/state.h"

/* I9: may a configuration get into the log now? */
bool membership_may_propose(const struct raft *raft);

/* Appends it; it is the active one from now on. Only where membership_may_propose. */
void membership_propose(struct raft *raft, const struct members *members);

/* A peer that is fed has acknowledged something. */
void membership_acked(struct raft *raft, struct peer *peer);

void membership_tick(struct raft *raft);

/* The next step, if one is due; a leader that was removed steps down here (I10). */
void membership_flush(struct raft *raft);

#endif
