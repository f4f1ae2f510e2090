/* sealer.h - brings a whole segment out of WAL mode and puts its .index beside it, step by step.
 *
 * One part at a time, the oldest first, and only one whose entries are all
 * durable in state.db. Each step is short enough for a reader to wait for. */
#ifndef STORAGE_SEALER_H
#define STORAGE_SEALER_H

#include "storage/filedigest.h"
#include "storage/shelf.h"

enum { SEALER_RETRY_MS = 100 };

struct sealer {
    struct shelf_part *part; /* in work; NULL: none */
    struct filedigest digest;
    uint64_t not_before_ms; /* somebody held the file open */
    uint64_t sealed;        /* counter */
};

void sealer_close(struct sealer *sealer);

/* Drops the work on a part that is about to go. */
void sealer_forget(struct sealer *sealer, const char *path);

/* True if there is something to do now. */
bool sealer_due(const struct sealer *sealer, struct shelf *shelf, uint64_t durable_index,
                uint64_t now_ms);

/* One step. ERR_CORRUPT, ERR_IO, ERR_NOSPACE: the node stops. */
MUST_USE enum err sealer_step(struct sealer *sealer, struct shelf *shelf, uint64_t now_ms);

#endif
