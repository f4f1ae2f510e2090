/* plan.h - PURE: how the membership gets from what is to what is wished for.
 *
 * A wish stands in the configuration itself, so it survives every leader: a new
 * server is a learner that wishes to vote, a voter that is to go wishes for
 * nothing. Once the learners that were added together with a removal have
 * caught up, all of that becomes one joint configuration (Raft section 6), and
 * when that is committed, the new one. Nothing here knows a log or a network. */
#ifndef CONSENSUS_PLAN_H
#define CONSENSUS_PLAN_H

#include "consensus/memberop.h"

/* Puts the wish of `op` into `members`; `index` is that of the entry it will stand in. An add
 * names the node id and incarnation that the server itself told.
 * ERR_NOT_FOUND: no such member.  ERR_CLONE: two servers with one id or key.  ERR_LIMIT: too many
 * members or voters.  ERR_BAD_REQUEST: nobody would be left to vote, or an address that the others
 * cannot reach or that is taken. `why` says it in words. */
MUST_USE enum err plan_take(struct members *members, const struct memberop *op, uint64_t index,
                            char why[MEMBEROP_WHY_MAX]);

/* Something is wished for that is not yet so. */
bool plan_pending(const struct members *members);

/* The wish of `op` stands in `members`; it is fulfilled there. */
bool plan_holds(const struct members *members, const struct memberop *op);
bool plan_fulfils(const struct members *members, const struct memberop *op);

/* Gives the joint configuration for all that is ready; `caught` has a bit for the position of each
 * learner that has caught up. False: nothing is. */
bool plan_enter(const struct members *members, uint32_t caught, struct members *joint);

/* Gives the configuration that follows a joint one. */
void plan_leave(const struct members *joint, uint64_t index, struct members *next);

/* Position of the member that `op` names; -1. */
int plan_find(const struct members *members, const struct memberop *op);

#endif
