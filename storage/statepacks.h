/* statepacks.h - the outcomes in state.db, up to PACK_ROWS of them to a row.
 *
 * They are written once, in log order, read together at a start, and go together when they have
 * expired: a row of SQLite for each cost a tenth of the processor (docs/decisions/0039). A pack is
 * never changed. It carries a checksum (S6). */
#ifndef STORAGE_STATEPACKS_H
#define STORAGE_STATEPACKS_H

#include "storage/apply.h"
#include "storage/store.h"

enum { PACK_ROWS = 256 };

struct statepacks {
    struct store *store; /* lent */
    sqlite3_stmt *read, *walk, *add, *oldest, *prune;
    struct bytes rows; /* gathered, not written yet */
    uint64_t first, last, ts;
    uint32_t count;
};

typedef enum err statepacks_each_outcome(void *owner, const struct outcome *outcome);

MUST_USE enum err statepacks_open(struct statepacks *packs, struct store *store, bool writes);
void statepacks_close(struct statepacks *packs);

/* Inside a transaction: outcomes by rising log index; statepacks_end writes what is gathered. */
MUST_USE enum err statepacks_add(struct statepacks *packs, const struct outcome *outcome);
MUST_USE enum err statepacks_end(struct statepacks *packs);

/* Drops packs that lie below both, some thousand at most. */
MUST_USE enum err statepacks_prune(struct statepacks *packs, uint64_t floor, uint64_t keep_index);

/* ERR_NOT_FOUND: no outcome stands there.  ERR_CORRUPT. */
MUST_USE enum err statepacks_find(struct statepacks *packs, uint64_t index, struct outcome *out);

/* Walks them from log index `from` on; ends with the first error of `each`. ERR_CORRUPT. */
MUST_USE enum err statepacks_walk(struct statepacks *packs, uint64_t from,
                                  statepacks_each_outcome *each, void *owner);

/* Version 2 of the file had a row for each: packs them. For schema.h. */
MUST_USE enum err statepacks_move(sqlite3 *db);

#endif
