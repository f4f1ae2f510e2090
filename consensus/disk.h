/* disk.h - the links to storage, three threads that are one neighbour.
 *
 * What the core asks goes to the thread that does it; what they answer becomes an input of
 * the core. Up is said when all three are, lost when one on the way of a write is. */
#ifndef CONSENSUS_DISK_H
#define CONSENSUS_DISK_H

#include "common/service.h"
#include "consensus/raft.h"
#include "protocol/link.h"

struct disk {
    struct link journal, view, keeper;
    bool up;
    void (*input)(void *owner, enum raft_input_kind kind, const struct message *message);
    void *owner;
};

/* Connects. `input` gets INPUT_STORAGE_UP and _LOST without a message. ERR_CONFIG, ERR_SYSTEM. */
MUST_USE enum err disk_open(struct disk *disk, struct service_base *base,
                            void (*input)(void *owner, enum raft_input_kind kind,
                                          const struct message *message),
                            void *owner);
void disk_close(struct disk *disk);

/* An OUTPUT_STORAGE. One that cannot leave now is asked again by the core. */
void disk_tell(struct disk *disk, const struct message *message);

#endif
