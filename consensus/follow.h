/* follow.h - what a follower does: check, take over, acknowledge what is durable; and
 * what every node that does not lead does with proposals.
 *
 * Raft section 5.3. The other end is replication.h. */
#ifndef CONSENSUS_FOLLOW_H
#define CONSENSUS_FOLLOW_H

#include "consensus/state.h"

raft_rule follow_append;          /* APPEND */
raft_rule follow_stored;          /* STORED */
raft_rule follow_propose;         /* PROPOSE: towards the leader */
raft_rule follow_refuse;          /* PROPOSE, where nobody can take it */
raft_rule follow_turn_away;       /* FORWARD to one that does not lead */
raft_rule follow_forward_refused; /* FORWARD_REFUSED */
raft_rule follow_flush;

/* The sender of this message leads its term: from now on it is followed. */
void follow_recognise(struct raft *raft, const struct raft_input *in);

/* A message of this cluster is here. Where the own log names none, the one that called last is the
 * own only while its leader is heard: it may have lost interest, and another one may call. */
void follow_doubt_caller(struct raft *raft, const struct peer_head *head);

#endif
