/* readindex.h - linearizable reads: which log index a node must have applied before it answers
 * (Raft thesis section 6.4, I15).
 *
 * No lease and no clock: each round asks a majority anew whether this node still leads. The token
 * of a round is (term, sequence of an APPEND): a voter's answer counts only if it names an APPEND
 * of this term that was sent after the round began (docs/decisions/0015). Asks that are under way
 * when leadership ends are dropped: whoever asked asks again, under the same ticket. An answer to
 * a ticket never grows old, because its index was read after the ticket was drawn. */
#ifndef CONSENSUS_READINDEX_H
#define CONSENSUS_READINDEX_H

#include "consensus/state.h"

/* ON_READ_INDEX, of the own api: as leader, else by way of the leader, else refused. */
void readindex_ask(struct raft *raft, const struct raft_input *in);
void readindex_pass(struct raft *raft, const struct raft_input *in);
void readindex_refuse(struct raft *raft, const struct raft_input *in);

/* ON_ASK_INDEX, of another server: as leader, else turned away. */
void readindex_asked(struct raft *raft, const struct raft_input *in);
void readindex_turn_away(struct raft *raft, const struct raft_input *in);

/* ON_INDEX_IS: what the leader told goes to the own api. */
void readindex_told(struct raft *raft, const struct raft_input *in);

/* A voter answered an APPEND of this term, with yes or no. */
void readindex_acked(struct raft *raft, struct peer *peer, uint64_t round);

/* Before the appends of a flush: one round for all asks that came since the last one. */
void readindex_begin(struct raft *raft);

/* After each step: who does not lead any more has nothing under way. */
void readindex_settle(struct raft *raft);

#endif
