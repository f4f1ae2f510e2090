/* storecopy.h - a copy of a database that is being written, some pages at a time.
 *
 * The source is the writing connection itself: what it writes meanwhile goes into the copy
 * too, so the copy ends as the source is at that moment, and no read transaction stands in
 * the way of a checkpoint (S10). The copy has no WAL and belongs to nobody. */
#ifndef STORAGE_STORECOPY_H
#define STORAGE_STORECOPY_H

#include "storage/store.h"

enum { STORECOPY_PAGES = 256 }; /* of one step */

struct storecopy {
    sqlite3 *to;
    sqlite3_backup *backup;
    char *path;
};

/* `path` must not exist. ERR_IO. */
MUST_USE enum err storecopy_begin(struct storecopy *copy, struct store *from, const char *path);

/* *done: the copy is whole, on disk and closed. ERR_IO, ERR_NOSPACE: it is useless. */
MUST_USE enum err storecopy_step(struct storecopy *copy, bool *done);

/* Before the source is closed. */
void storecopy_close(struct storecopy *copy);

#endif
