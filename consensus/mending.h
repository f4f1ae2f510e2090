/* mending.h - what a node cannot read of its own log any more is given by another one.
 *
 * No part of the core: who gives, and what, decides nothing, because storage takes only what
 * follows by its hash. Asked is one server after the other, and one page at a time; given is only
 * what is committed, and only to members. */
#ifndef CONSENSUS_MENDING_H
#define CONSENSUS_MENDING_H

#include "common/service.h"
#include "consensus/raft.h"
#include "protocol/link.h"
#include "protocol/peerlink.h"

struct mending {
    const struct raft *raft;
    struct peerlink *peers;
    struct link *keeper;
    struct loop *loop;
    uint64_t due_ms;    /* when storage is asked again */
    uint32_t slot;      /* who is asked */
    uint64_t wanted;    /* log index that this one was asked for; 0: none */
    bool gives;         /* a page is being read for another server */
    uint32_t give_slot; /* who gets it */
    uint64_t give_from, give_ticket, give_due_ms;
};

/* Everything is lent. Runs on a timer of its own. */
void mending_open(struct mending *mending, const struct raft *raft, struct peerlink *peers,
                  struct link *keeper, struct loop *loop);

/* True: it was a GIVE or a GIVEN. */
bool mending_take(struct mending *mending, uint32_t slot, const struct message *message);

/* True: it was a MEND_AT, or a page that was read for another server. */
bool mending_told(struct mending *mending, const struct message *message);

#endif
