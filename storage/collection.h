/* collection.h - the materialised collection: of each key its newest change.
 *
 * What is applied and not yet written lies here, of each key only the newest; the rest is in
 * state.db (statekeys.h), and readers see both. A change without a key never comes here. */
#ifndef STORAGE_COLLECTION_H
#define STORAGE_COLLECTION_H

#include "protocol/change.h"
#include "storage/statekeys.h"
#include "storage/tagmap.h"

enum {
    COLLECTION_LIMIT_PRESET = 100,
    COLLECTION_LIMIT_MAX = 10000,
    COLLECTION_BYTES_MAX = 4 << 20,
    COLLECTION_LOOKED_MAX = 20000, /* keys looked at for one page: many may be deleted */
};

struct collection_entry {
    uint64_t id;
    bool removed;
    size_t at, size; /* the row, in `rows` */
};

struct collection {
    struct tagmap keys;
    struct collection_entry *entries; /* by number of the key */
    uint32_t room;
    struct bytes rows;
};

void collection_close(struct collection *collection);

/* A change with a key took effect. */
void collection_use(struct collection *collection, const struct change *change, uint64_t id,
                    uint64_t ts, const uint8_t hash[HASH_SIZE]);

/* Writes all of it; then collection_forget. */
MUST_USE enum err collection_write(const struct collection *collection, struct statekeys *keys);

/* Empties it, also a zeroed one at the start. `key` is chance of this process. */
void collection_forget(struct collection *collection, const uint8_t key[HASH_KEY_SIZE]);

/* The newest change of a key, here or in the state; id 0: it was never used. Lent until the next
 * call. ERR_CORRUPT. */
MUST_USE enum err collection_find(const struct collection *collection, struct statekeys *keys,
                                  struct span key, struct statekeys_row *row);

/* A page of keys in the order of their bytes, without deleted ones. */
struct collection_page {
    struct span after,
        prefix;            /* in: keys behind this one; keys that begin so. Either may be empty */
    uint64_t limit, bytes; /* in */
    struct bytes *rows;    /* in: cleared, then filled */
    struct bytes *next;    /* in: cleared, then the last key that was looked at */
    uint64_t count;
    bool at_end;
};
MUST_USE enum err collection_scan(const struct collection *collection, struct statekeys *keys,
                                  struct collection_page *page);

#endif
