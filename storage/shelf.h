/* shelf.h - the row of segments as keeper sees it: which file holds an id or a
 * log index, its tagindex in memory or on disk, and readers of the records.
 *
 * A part that is not sealed has its tagindex in memory, and grows with what is
 * applied. Of sealed parts only the summary stays; a few indexes and readers
 * are kept open, the one used longest ago goes first. */
#ifndef STORAGE_SHELF_H
#define STORAGE_SHELF_H

#include "storage/lookup.h"
#include "storage/seal.h"
#include "storage/segment.h"
#include "storage/storage.h"

enum { SHELF_INDEXES_MAX = 128, SHELF_READERS_MAX = 128 };

struct shelf_part {
    char *path;
    uint64_t first, last; /* log indexes; last is UINT64_MAX while the part is the newest */
    bool sealed;          /* the file left WAL mode */
    bool damaged;         /* its file is not what was sealed; mender.h brings it back */
    bool indexed;         /* its .index is beside it, and `seal` is what it says */
    uint64_t bytes;       /* on disk, once that is known and final; else 0 */
    struct seal seal;
    struct tagindex *index;  /* grows here; NULL: indexed, or nothing was applied in it */
    struct sealread *opened; /* indexed: kept open for a while, or NULL */
    struct segment *reader;  /* NULL: not open */
    struct segment *handed;  /* its writing connection, given by journal to be sealed */
    uint64_t index_used, reader_used;
    uint64_t first_ts; /* log time of its first change; 0: not asked yet */
};

struct shelf {
    struct shelf_part **parts; /* in the order of the log, without a hole */
    uint32_t count, room;
    uint64_t first_id, last_id;   /* of what is applied, and not cut */
    uint64_t applied;             /* log index */
    uint8_t last_hash[HASH_SIZE]; /* change hash at last_id */
    uint8_t cut_hash[HASH_SIZE];  /* at first_id - 1 */
    uint64_t clock;
    uint64_t dropped; /* counter */
};

/* Takes over what recovery found. A damaged .index is removed and built anew. */
MUST_USE enum err shelf_open(struct shelf *shelf, const struct storage_found *found);
void shelf_close(struct shelf *shelf);

/* A file that begins at `first` exists; it is the newest one. Copies the path. */
void shelf_add(struct shelf *shelf, const char *path, uint64_t first);
/* The file is gone: it held nothing that was applied. */
void shelf_gone(struct shelf *shelf, const char *path);

/* A committed record begins, whose first id is the next one; *index is what its part grows, or
 * NULL: that has an .index. ERR_CORRUPT: it does not follow. Then each of its changes
 * (shelfgrow.c). */
MUST_USE enum err shelf_begin_changes(struct shelf *shelf, const struct effect *effect,
                                      struct tagindex **index);
void shelf_add_change(struct shelf *shelf, struct tagindex *index, const struct told *told);

/* All of it at once. ERR_CORRUPT: it does not follow, or its parts do not agree. */
MUST_USE enum err shelf_add_changes(struct shelf *shelf, const struct effect *effect);
/* Changes below `first_id` are gone. ERR_CORRUPT: the hash below it is another one here. */
MUST_USE enum err shelf_cut(struct shelf *shelf, uint64_t first_id,
                            const uint8_t cut_hash[HASH_SIZE]);
/* The file of the oldest part is gone. */
void shelf_drop_oldest(struct shelf *shelf);

/* Everything up to `index` is applied. */
void shelf_advance(struct shelf *shelf, uint64_t index);

/* Slot of the part that holds a log index; shelf->count: there is none. */
uint32_t shelf_slot_of(const struct shelf *shelf, uint64_t index);

/* Lends the part that holds a log index, or an applied change id; NULL: none. */
struct shelf_part *shelf_part_of(struct shelf *shelf, uint64_t index);
struct shelf_part *shelf_part_of_id(struct shelf *shelf, uint64_t id);
/* Slot of the part that holds the id, or would hold it as the next one. */
uint32_t shelf_slot_of_id(const struct shelf *shelf, uint64_t id);
/* Applied ids of a part: first and behind the last; equal if there are none. */
void shelf_ids(const struct shelf *shelf, const struct shelf_part *part, uint64_t *first,
               uint64_t *next);

/* Lends the log times that are in memory of a part, as in tagindex, and says which id the first one
 * is of. Empty: none. */
struct span shelf_times(const struct shelf_part *part, uint64_t *first_id);

/* Lends the index of a part until the next call. ERR_CORRUPT, ERR_IO. */
MUST_USE enum err shelf_lookup(struct shelf *shelf, struct shelf_part *part, struct lookup *lookup);

/* Appends whole, checked records from..to of one file, as many as fit, at least one.
 * ERR_NOT_FOUND, ERR_TRUNCATED: before the log.  ERR_CORRUPT, ERR_IO. */
MUST_USE enum err shelf_read(struct shelf *shelf, uint64_t from, uint64_t to, size_t bytes_max,
                             struct bytes *out);

/* Gives what a part goes on from; see segment_base. */
MUST_USE enum err shelf_base(struct shelf *shelf, struct shelf_part *part,
                             struct segment_base *base);

/* Copies the change hash at an applied id, or zeros at 0. ERR_NOT_FOUND, ERR_CORRUPT. */
MUST_USE enum err shelf_hash(struct shelf *shelf, uint64_t id, uint8_t hash[HASH_SIZE]);

/* Closes the reader of a part: nothing else may hold its file open. */
void shelf_close_reader(struct shelf_part *part);

/* Closes all that is open of a part; it is opened again when it is asked for. */
void shelf_rest(struct shelf_part *part);

/* Takes over the writing connection of a part; false: no such part. */
bool shelf_take(struct shelf *shelf, struct segment *segment);

/* The first part that has no .index; NULL: all have one. */
struct shelf_part *shelf_oldest_open(struct shelf *shelf);
/* Parts that wait for an .index, and for nothing but the time to make it. */
uint32_t shelf_unsealed(struct shelf *shelf);
/* True if all of the part is applied, and no more will come into it. */
bool shelf_complete(const struct shelf *shelf, const struct shelf_part *part);

/* The part has its .index now: its index in memory is freed. */
void shelf_sealed(struct shelf_part *part);

/* The tagindex that grows with a part that has no .index; made where missing. */
struct tagindex *shelf_growing(struct shelf *shelf, struct shelf_part *part);

#endif
