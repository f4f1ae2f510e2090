/* witness.h - what storage keeps beside the data, in data/identity: a copy of
 * the incarnation and the high-water mark (S7).
 *
 * They tell a lost, copied or restored data directory from a whole one. Node id
 * and keys lie there too, but belong to common/keys.h. */
#ifndef STORAGE_WITNESS_H
#define STORAGE_WITNESS_H

#include "common/err.h"

#include <stdint.h>

/* "The entry at `index` bears `term` and is durable"; index 0: nothing is claimed. */
struct witness_mark {
    uint64_t index, term;
};

/* ERR_NOT_FOUND: there is none.  ERR_CORRUPT: unreadable.  ERR_IO. */
MUST_USE enum err witness_read_incarnation(const char *data_dir, uint64_t *incarnation);
MUST_USE enum err witness_write_incarnation(const char *data_dir, uint64_t incarnation);

/* What the supervisor noted of where the directory lies (supervisor/place.h) is not so any more: it
 * notes it anew. */
MUST_USE enum err witness_forget_place(const char *data_dir);

MUST_USE enum err witness_read_mark(const char *data_dir, struct witness_mark *mark);
MUST_USE enum err witness_write_mark(const char *data_dir, const struct witness_mark *mark);

/* The mark, moved with every commit at the price of one write that nobody waits for: exact when
 * this process dies, a little behind after a power cut (docs/decisions/0026). *fd is closed by
 * close(). ERR_NOT_FOUND: there is none yet.  ERR_IO. */
MUST_USE enum err witness_open_mark(const char *data_dir, int *fd);
MUST_USE enum err witness_move_mark(int fd, const struct witness_mark *mark);
MUST_USE enum err witness_sync_mark(int fd);

#endif
