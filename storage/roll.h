/* roll.h - how the row of segment files grows and shrinks.
 *
 * The order of naming, removing and syncing is what keeps the log without a
 * hole at any crash point (I6). The rows inside a file are journal.h's business. */
#ifndef STORAGE_ROLL_H
#define STORAGE_ROLL_H

#include "storage/journal.h"
#include "storage/rooms.h"

/* Makes the file after the newest one; nothing names it yet. Only where
 * there is no spare one. */
MUST_USE enum err roll_prepare(struct journal *journal);

/* The newest file is full: the next one is named before anything in it can be acknowledged. */
MUST_USE enum err roll_forward(struct journal *journal);

/* Does durably all that comes before rows from `from` on may go: the mark is lowered, the file
 * that holds `from` is named, newer files are removed.
 * ERR_BAD_REQUEST: `from` is applied. */
MUST_USE enum err roll_back(struct journal *journal, uint64_t from);

/* Tells keeper of a file; takes the segment, for ROOM_SEAL. */
void roll_tell_keeper(struct journal *journal, enum room_kind kind, const char *path,
                      uint64_t first, struct segment *segment);

#endif
