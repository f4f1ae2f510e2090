/* batch.h - records on their way through the journal thread: those that wait to be written, and
 * what of the log is told at the start of a conversation. */
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include "protocol/message.h"
#include "storage/journal.h"
#include "storage/storage.h"

/* Where in a row of whole records the one with index `first`, which is in it, begins. */
size_t batch_offset(struct span batch, uint64_t first);

/* Takes `size` bytes off the front; some are left. */
void batch_drop(struct bytes *batch, size_t size);

/* Reads the newest configurations and the end of the log. ERR_CORRUPT, ERR_IO. */
MUST_USE enum err batch_read(struct journal *journal, struct bytes *configs, struct bytes *tail);

/* Fills LOADED; its spans are lent from the arguments. */
void batch_loaded(const struct storage_room *room, const struct journal *journal,
                  const struct bytes *configs, const struct bytes *tail, struct message *message);

#endif
