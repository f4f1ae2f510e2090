/* sealread.h - looks things up in one .index file: where an id is, its hash, the ids of a tag.
 *
 * Reads a few pages for each question and nothing else, so a cold file costs what one question
 * costs; the block used last is kept. Every block is checked before it is believed (S6). */
#ifndef STORAGE_SEALREAD_H
#define STORAGE_SEALREAD_H

#include "storage/seal.h"

struct sealread {
    struct store store;
    sqlite3_stmt *run, *run_at, *hash, *name, *ids;
    bool uneven; /* blocks of runs do not begin where they would with one change a record */
    uint64_t first_id, next_id, tag_count;
    uint64_t first_index;           /* of the log */
    bool even;                      /* as far as it was seen every record has one change */
    struct bytes runs, hashes, tag; /* used last */
    uint64_t hashes_at;
};

/* ERR_CORRUPT: there is no such file, or it is damaged.  ERR_VERSION, ERR_IO. */
MUST_USE enum err sealread_open(struct sealread *read, const char *segment_path,
                                const struct seal *seal);
void sealread_close(struct sealread *read);

/* Where the change is in the log. ERR_CORRUPT: also if the id is not in this part. */
MUST_USE enum err sealread_find(struct sealread *read, uint64_t id, uint64_t *log_index,
                                uint32_t *ordinal);

/* Where the change most likely is, without a look at the file: right where every record of the part
 * has one change. To be believed only if its hash says so. False: nothing to go by. */
bool sealread_guess(const struct sealread *read, uint64_t id, uint64_t *log_index);

/* Copies the change hash at `id`, from first_id - 1 on. ERR_CORRUPT. */
MUST_USE enum err sealread_hash(struct sealread *read, uint64_t id, uint8_t hash[HASH_SIZE]);

/* Appends the offsets (uint32_t, ids less first_id) of one tag, rising; none if it has none. */
MUST_USE enum err sealread_tag(struct sealread *read, struct span tag, struct bytes *offsets);

/* The same of every tag that begins with `prefix`, tag after tag. */
MUST_USE enum err sealread_prefix(struct sealread *read, struct span prefix, struct bytes *offsets);

/* Reads all of it into an empty index, each row checked: for who wants many, or wants to know
 * whether it is whole. ERR_CORRUPT. */
MUST_USE enum err sealread_load(struct sealread *read, struct tagindex *index);

#endif
