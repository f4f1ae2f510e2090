/* listeners.h - the neighbours that follow the leader, and what they know. */
#ifndef CONSENSUS_LISTENERS_H
#define CONSENSUS_LISTENERS_H

#include "consensus/raft.h"
#include "protocol/link.h"

struct listeners {
    bool at[LINK_NEIGHBOURS_MAX];
    struct raft_status told; /* what they know */
    uint32_t quiet_ticks;    /* ticks without news */
};

/* The neighbour follows from now on, and is told at once. */
void listeners_add(struct listeners *listeners, struct link *link, uint32_t neighbour,
                   const struct raft_status *status);

/* Once per turn: tells of a change of leader, term or role, and logs it. */
void listeners_notice(struct listeners *listeners, struct link *link,
                      const struct raft_status *status);

/* A few times a second: tells of commit indexes, and now and then that nothing happened. */
void listeners_tick(struct listeners *listeners, struct link *link,
                    const struct raft_status *status);

/* Any message to all of them. */
void listeners_tell(struct listeners *listeners, struct link *link, const struct message *message);

#endif
