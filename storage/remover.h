/* remover.h - takes away the files that a cut has left behind, one at a time.
 *
 * The oldest goes first, and only while the next one has begun durably: the log never has a hole,
 * nor does it end. What the cut means for readers is decided long before (retention.h). */
#ifndef STORAGE_REMOVER_H
#define STORAGE_REMOVER_H

#include "storage/late.h"
#include "storage/shelf.h"

/* True if the oldest file lies wholly below the cut, and the cut is durable. */
bool remover_due(struct shelf *shelf, const struct late *late);

/* True if it could go, were the cut only durable: a checkpoint is worth its while. */
bool remover_waits(struct shelf *shelf, const struct late *late, uint64_t now_ms);

/* Removes the oldest file. ERR_IO: the disk refused; the node stops. */
MUST_USE enum err remover_step(struct shelf *shelf);

#endif
