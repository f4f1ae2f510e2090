/* tagindex.h - where the changes of one segment are, in memory: id -> (log
 * index, ordinal, change hash), tag -> (ids, and the id before the first of them).
 *
 * Grows with the part of the log that is not sealed; a sealed part is written
 * and read back by seal.h in the same form. */
#ifndef STORAGE_TAGINDEX_H
#define STORAGE_TAGINDEX_H

#include "common/err.h"
#include "storage/tagmap.h"
#include "storage/told.h"

/* The previous id of a tag is not known: it was not told again at a restart. */
#define TAGINDEX_UNKNOWN UINT64_MAX

/* Of so many changes the log time of one is kept, for whoever looks for a time. */
enum { TAGINDEX_TIMES_EACH = 256 };

/* The changes of one record: ids from `id` up to the next run. */
struct tagindex_run {
    uint64_t id, index;
};

struct tagindex_list {
    uint64_t previous; /* last id of the tag before this part, or TAGINDEX_UNKNOWN */
    uint32_t *offsets; /* ids less first_id, rising */
    uint32_t count, room;
};

struct tagindex {
    uint64_t first_id; /* of this part; also when it has no change yet */
    uint64_t next_id;
    struct bytes hashes; /* HASH_SIZE each, from that at first_id - 1 on */
    struct bytes
        times; /* uint64_t: log time of every TAGINDEX_TIMES_EACH-th change from first_id */
    struct tagindex_run *runs;
    uint32_t run_count, run_room;
    struct tagmap tags;
    struct tagindex_list *lists; /* by number of the tag */
    uint32_t list_room;
};

/* `previous_hash` is the change hash at first_id - 1. */
void tagindex_open(struct tagindex *index, uint64_t first_id,
                   const uint8_t previous_hash[HASH_SIZE]);
void tagindex_close(struct tagindex *index);

/* A record whose changes begin with the next id. */
void tagindex_add_run(struct tagindex *index, uint64_t log_index);
/* The next change, of log time `ts`. */
void tagindex_add_change(struct tagindex *index, uint64_t ts, const uint8_t hash[HASH_SIZE]);
/* A tag of the newest change; `previous` counts at its first use only. */
void tagindex_add_tag(struct tagindex *index, struct span tag, uint64_t previous);

/* Lends the place of a list whose tag was just added to `tags`. */
struct tagindex_list *tagindex_list_at(struct tagindex *index, uint32_t number);

/* The next change, with its tags. */
void tagindex_take(struct tagindex *index, const struct told *told);

/* True if so many bytes are the times of so many changes. */
bool tagindex_times_are(uint64_t changes, size_t size);

/* Adds a whole committed record. ERR_CORRUPT: its parts do not agree. */
MUST_USE enum err tagindex_add(struct tagindex *index, const struct effect *effect);

/* False: the id is not in this part. */
bool tagindex_find(const struct tagindex *index, uint64_t id, uint64_t *log_index,
                   uint32_t *ordinal);

/* Lends the change hash at `id`, first_id - 1 up to the last one; NULL: not here. */
const uint8_t *tagindex_hash(const struct tagindex *index, uint64_t id);

#endif
