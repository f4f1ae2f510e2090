/* memberlist.h - the members as clients see them, and in words what a change waits for.
 *
 * A leader adds what only it knows: how far each one is, and when it was heard. */
#ifndef CONSENSUS_MEMBERLIST_H
#define CONSENSUS_MEMBERLIST_H

#include "consensus/state.h"

/* Appends a msgpack array of maps (docs/protocol.md). */
void memberlist_pack(const struct raft *raft, struct bytes *out);

/* Lends, for this step, what the pending change waits for; empty: nothing is pending. */
const char *memberlist_waits_for(struct raft *raft);

/* Percent of the log that a peer has. */
uint32_t memberlist_percent(const struct raft *raft, const struct peer *peer);

#endif
