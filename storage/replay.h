/* replay.h - reads the log that was there at the start, in order, for view.
 *
 * One file is open at a time, and only while entries of it are wanted: keeper
 * can seal a file that nobody else holds open. */
#ifndef STORAGE_REPLAY_H
#define STORAGE_REPLAY_H

#include "storage/segment.h"
#include "storage/storage.h"

struct replay {
    const struct storage_found *found;
    struct segment segment;
    const struct storage_segment *open; /* NULL: none */
    struct bytes records;               /* lent by the last call */
};

void replay_open(struct replay *replay, const struct storage_found *found);
void replay_close(struct replay *replay);

/* The term of the entry at `index`. ERR_CORRUPT: it is not there, or damaged. */
MUST_USE enum err replay_term(struct replay *replay, uint64_t index, uint64_t *term);

/* Lends records from `index` on, up to `last` or about 1 MiB, until the next call. */
MUST_USE enum err replay_read(struct replay *replay, uint64_t index, uint64_t last,
                              struct span *records);

/* Closes the file if nothing above `applied` is in it. */
void replay_pass(struct replay *replay, uint64_t applied);

#endif
