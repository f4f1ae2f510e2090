/* transfer.h - leadership handed over at the leader's word (I14).
 *
 * Raft thesis section 3.10: the leader takes no more proposals, brings one
 * voter up to date, and tells it to campaign now; pre-vote and stickiness do not
 * apply to that one candidacy. What is proposed meanwhile is held, bounded, and
 * taken if the leader stays; if it goes, each api proposes its own to the next.
 * A drained node hands over whenever another can lead, and stands for election
 * only long after everybody else should have: it costs no availability. */
#ifndef CONSENSUS_TRANSFER_H
#define CONSENSUS_TRANSFER_H

#include "consensus/state.h"

raft_rule transfer_asked;       /* TRANSFER, of a leader */
raft_rule transfer_refused;     /* TRANSFER, of any other */
raft_rule transfer_timeout_now; /* TIMEOUT_NOW, at a follower */
raft_rule transfer_drain;       /* DRAIN, in every role */

/* Starts a hand-over to this node, or (0) to the voter that has most of the log.
 * ERR_BUSY: one runs already.  ERR_NOT_FOUND: no such voter, or no other.
 * ERR_NOT_READY: it has not answered for an election timeout.  ERR_DRAINED: it shall not lead. */
MUST_USE enum err transfer_begin(struct raft *raft, uint64_t node);

/* True while no proposal may get into the log. */
bool transfer_runs(const struct raft *raft);

/* Keeps proposals until it is known who leads; refuses with ERR_BUSY beyond a bound. */
void transfer_hold(struct raft *raft, uint32_t slot, const struct peer_head *head,
                   struct span records);

void transfer_flush(struct raft *raft); /* tells the target once it has everything */
void transfer_tick(struct raft *raft);  /* tells it again; gives up after an election timeout */

void transfer_drain_tick(struct raft *raft); /* a drained leader looks for another */

/* The link to this peer broke: if it was the target, the leader stays. */
void transfer_link_down(struct raft *raft, uint32_t slot);

/* After each step: who leads no more hands nothing over. */
void transfer_settle(struct raft *raft);

#endif
