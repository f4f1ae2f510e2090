/* cutting.h - the leader sees to it that the log is cut.
 *
 * What may go is decided by storage, which knows ids, times and bytes; the core says how far the
 * other servers are, and logs the decision, also while the disk is low (S8). */
#ifndef CONSENSUS_CUTTING_H
#define CONSENSUS_CUTTING_H

#include "consensus/state.h"

raft_rule cutting_decided; /* CUT_AT, of a leader */

/* Asks storage, now and then. */
void cutting_tick(struct raft *raft);

#endif
