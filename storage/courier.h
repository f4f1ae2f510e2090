/* courier.h - what keeper does with snapshots: lends the own one in slices, takes in another
 * node's, and asks journal to install it.
 *
 * It answers consensus and api alike; whether a snapshot is wanted, how fast it travels and
 * to whom is decided there. */
#ifndef STORAGE_COURIER_H
#define STORAGE_COURIER_H

#include "protocol/link.h"
#include "storage/incoming.h"
#include "storage/snapshot.h"

/* Lent by keeper. */
struct courier_desk {
    struct storage_room *room;
    struct link *link;
    struct late *late;
    struct shelf *shelf;
};

struct courier {
    struct courier_desk desk;
    struct snapshot snapshot;
    struct incoming incoming;
    uint64_t installing; /* the generation that journal was asked to install; 0: none */
    struct bytes slice;
};

MUST_USE enum err courier_open(struct courier *courier, const struct courier_desk *desk);
void courier_close(struct courier *courier);

/* One bounded piece of making a snapshot; *worked: there was something to do. ERR_IO. */
MUST_USE enum err courier_work(struct courier *courier, uint64_t now_ms, bool *worked);

/* SNAPSHOT_READ and SNAPSHOT_WRITE; both answer. ERR_IO: the disk refused, the node stops. */
MUST_USE enum err courier_read(struct courier *courier, uint32_t neighbour,
                               const struct message_snapshot_read *ask, uint64_t now_ms);
MUST_USE enum err courier_write(struct courier *courier, uint32_t neighbour,
                                const struct message_snapshot_write *ask);

/* Journal did not install what it was asked to. ERR_IO. */
MUST_USE enum err courier_refused(struct courier *courier, enum err reason);

#endif
