/* claims.h - two live servers under one node id (I18, R114).
 *
 * Every server claims its node id from its peers, with its life and its address, again and again.
 * Where another life claims an id that is held, both are asked a question that only a process that
 * lives now can answer; where both do, one of them is a clone. The one at the address that the
 * configuration has for this member stays, else the one that was there first; the other one is
 * told E_CLONE and ends. A restart is no clone: the life before it does not answer. A claim from
 * another cluster is told by both ids and both addresses (R101). */
#ifndef CONSENSUS_CLAIMS_H
#define CONSENSUS_CLAIMS_H

#include "common/service.h"
#include "consensus/raft.h"
#include "protocol/peerlink.h"

struct claim {
    uint64_t life; /* 0: nobody */
    uint32_t slot;
    uint64_t route; /* the connection that it came by */
    char endpoint[RAFT_ENDPOINT_MAX];
    bool answered; /* the question of this moment */
};

/* One node id. */
struct claims_entry {
    uint64_t node, nonce; /* nonce 0: nothing is asked */
    uint64_t asked_ms, used_ms;
    struct claim holder, rival;
};

struct claims {
    const struct raft *raft;
    struct peerlink *link;
    struct loop *loop;
    uint64_t life;
    const char *endpoint; /* own, as others see it */
    struct claims_entry at[RAFT_PEERS_MAX];
    uint64_t ticks;
    uint32_t foreign_told; /* bit per slot */
};

/* Everything is lent. */
void claims_open(struct claims *claims, const struct raft *raft, struct peerlink *link,
                 struct service_base *base, const char *endpoint);

/* Once per status tick: claims the own id. */
void claims_tick(struct claims *claims);

/* True: it was a CLAIM, from the peer in this slot, on the connection link->route. */
bool claims_take(struct claims *claims, uint32_t slot, const struct message *message);

/* CLAIMED came. A question is answered; told that this node is the clone, it ends the process. */
void claims_answered(struct claims *claims, uint32_t slot, const struct message *message);

#endif
