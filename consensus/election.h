/* election.h - terms and votes: pre-vote, check-quorum and stickiness as one feature (I12).
 *
 * Raft section 5.2 and 5.4, thesis section 9.6. What a leader does once it leads
 * is in replication.h. */
#ifndef CONSENSUS_ELECTION_H
#define CONSENSUS_ELECTION_H

#include "consensus/state.h"

/* Asks the others whether they would vote for us; changes no term. */
void election_stand(struct raft *raft);

/* Campaigns at once, without pre-vote: at the leader's word (transfer.h). */
void election_campaign(struct raft *raft);

raft_rule election_tick;      /* follower, pre-candidate, candidate */
raft_rule election_weigh;     /* VOTE */
raft_rule election_tally;     /* VOTED */
raft_rule election_link_down; /* of the leader: a hint */

/* The ballot is settled: sends what was kept back for it. */
void election_release(struct raft *raft);

/* True while a vote request is to be turned away because a leader lives. */
bool election_sticky(const struct raft *raft);

#endif
