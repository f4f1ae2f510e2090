/* statekeys.h - the rows of the materialised collection in state.db: key -> its newest change.
 *
 * The row is what clients are shown (change.h), kept whole: the log may have been cut below it. A
 * key that was deleted keeps its row, which says so: what came before it is superseded for ever.
 * Every row carries a checksum (S6). */
#ifndef STORAGE_STATEKEYS_H
#define STORAGE_STATEKEYS_H

#include "storage/store.h"

#include "common/bytes.h"

struct statekeys {
    struct store *store; /* lent */
    sqlite3_stmt *put, *read, *scan;
};

struct statekeys_row {
    uint64_t id;
    bool removed;
    struct span row; /* lent until the next call */
};

MUST_USE enum err statekeys_open(struct statekeys *keys, struct store *store, bool writes);
void statekeys_close(struct statekeys *keys);

/* Inside a transaction. */
MUST_USE enum err statekeys_put(struct statekeys *keys, struct span key,
                                const struct statekeys_row *row);

/* id 0: the key was never used. ERR_CORRUPT. */
MUST_USE enum err statekeys_read(struct statekeys *keys, struct span key,
                                 struct statekeys_row *row);

/* Walks keys in the order of their bytes: begin at or behind `from`, then next until `*key` is
 * empty. Both are lent until the next call; end always, also in the middle. ERR_CORRUPT. */
void statekeys_scan_begin(struct statekeys *keys, struct span from);
MUST_USE enum err statekeys_scan_next(struct statekeys *keys, struct span *key,
                                      struct statekeys_row *row);
void statekeys_scan_end(struct statekeys *keys);

#endif
