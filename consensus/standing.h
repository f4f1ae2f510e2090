/* standing.h - what the active configuration makes of this node and of each peer.
 *
 * Which configuration is the active one is in state.h; who changes it in
 * membership.h. Sends nothing. */
#ifndef CONSENSUS_STANDING_H
#define CONSENSUS_STANDING_H

#include "consensus/state.h"

/* Why a directory that storage does not trust is outside. */
extern const char standing_damaged[];

/* After every change of log or note, and when the active configuration is known to be committed
 * (I8): who is a member, who votes, may this node campaign, does it belong at all. */
void standing_refresh(struct raft *raft);

/* It belonged to the cluster and was removed, as far as it knows. */
bool standing_removed(const struct raft *raft);

#endif
