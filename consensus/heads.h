/* heads.h - the first look at what another server sends (Z9): is it of this cluster, of this
 * history of it, and addressed to this very directory? */
#ifndef CONSENSUS_HEADS_H
#define CONSENSUS_HEADS_H

#include "consensus/state.h"

/* False: nothing of the message may be looked at. Why is complained of, once for each slot. */
bool heads_fit(struct raft *raft, const struct raft_input *in);

#endif
