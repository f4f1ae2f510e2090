/* handover.h - who asked that this node leads no more, and what they are told.
 *
 * The hand-over itself is the core's (transfer.h); whether it came about is seen
 * in the core's status. One for which no voter is ready yet, or that another
 * one is in the way of, is asked of the core again until its time is over. */
#ifndef CONSENSUS_HANDOVER_H
#define CONSENSUS_HANDOVER_H

#include "common/loop.h"
#include "consensus/raft.h"
#include "protocol/link.h"

/* All but the private part is filled in by the owner before the first call. */
struct handover {
    const struct raft *raft;
    struct link *link; /* of the neighbours that ask */
    struct loop *loop;
    /* INPUT_TRANSFER and INPUT_DRAIN for the core. */
    void (*input)(void *owner, enum raft_input_kind kind, uint64_t number);
    void *owner;

    /* private */
    bool waits[LINK_NEIGHBOURS_MAX]; /* neighbours that are owed TRANSFERRED */
    bool running, stopping;          /* stopping: the process ends when it is over */
    uint64_t to;                     /* node id; 0: any voter */
    uint64_t began_ms, due_ms, again_ms;
};

void handover_ask(struct handover *handover, uint32_t neighbour,
                  const struct message_transfer *ask);

/* The process is to end: who leads hands over first, for a bounded time. */
void handover_stop(struct handover *handover);

void handover_forget(struct handover *handover, uint32_t neighbour); /* it is down */

/* The core said OUTPUT_KEPT. */
void handover_kept(struct handover *handover, enum err err);

/* Once per turn. True: the process that is to end may do so. */
bool handover_flush(struct handover *handover);

/* When the next flush is due at the latest; UINT64_MAX: nothing waits for time. */
uint64_t handover_due_ms(const struct handover *handover);

#endif
