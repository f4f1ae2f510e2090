/* durable.h - the conversation with storage: load, ballot, store, commit.
 *
 * Storage is an asynchronous neighbour with a life; what an earlier life said is
 * void (I4). What of it is promised to others is decided elsewhere. */
#ifndef CONSENSUS_DURABLE_H
#define CONSENSUS_DURABLE_H

#include "consensus/state.h"

raft_rule durable_up;
raft_rule durable_tick; /* while loading */
raft_rule durable_loaded;
raft_rule durable_fetched; /* while loading: terms below the tail */
raft_rule durable_lost;
raft_rule durable_balloted;
raft_rule durable_applied;
raft_rule durable_disk; /* S8 */

/* Takes in a STORED; true if more of the present log is durable than before. */
bool durable_stored(struct raft *raft, const struct message_stored *stored);

/* At most one STORE and one COMMIT, and the front of the tail goes. */
void durable_flush(struct raft *raft);

/* A STORE waits for longer than an election timeout. */
bool durable_hangs(const struct raft *raft);

/* A STORE waits for longer than an election timeout, or the disk is full (I13): no node that
 * cannot write may lead. */
bool durable_stalls(const struct raft *raft);

/* The disk is low: no client's write is taken, all else goes on (S8). */
bool durable_is_low(const struct raft *raft);

#endif
