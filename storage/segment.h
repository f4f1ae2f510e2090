/* segment.h - one file of the row that is the log.
 *
 * Rows are (idx, kind, record); records are kept untouched. The last segment
 * is written by journal, older ones are read by many, sealed ones by all. How
 * the files follow each other is known in journal.h, not here. */
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "common/bytes.h"
#include "protocol/entry.h"
#include "storage/store.h"

/* One value a cluster; the fault rigs are built with a small one. */
#ifndef SEGMENT_ENTRIES
#define SEGMENT_ENTRIES 131072
#endif

enum {
    SEGMENT_ENTRIES_MAX = SEGMENT_ENTRIES,
    SEGMENT_BYTES_MAX = 64 << 20, /* the record that reaches this is the last one */
    SEGMENT_NAME_MAX = 64,
    SEGMENT_BATCH = 8,
};

extern const struct schema segment_schema;

struct segment {
    struct store store;
    sqlite3_stmt *append, *append_batch, *read, *cut, *bounds, *weigh, *configs;
    uint32_t number;      /* of the file; grows along the log */
    uint64_t first, last; /* log indexes in it; 0 while it is empty */
    uint64_t bytes;       /* of its records; known to a writer only */
};

/* What the first entry of a file follows, kept in the file itself: the files before it may be cut.
 * Zeros before entry 1. */
struct segment_base {
    uint64_t index, term;
    uint8_t hash[HASH_SIZE];
    struct bytes configs; /* the newest configuration records up to `index`, newest first */
};

void segment_base_close(struct segment_base *base);

/* The writing connection (S1: the only one). Makes the file where missing.
 * Errors: store_open. ERR_CORRUPT also: there is a hole between its rows. */
MUST_USE enum err segment_open(struct segment *segment, const char *path);

/* A reader beside the writer: query_only, never checkpoints. Its first and last
 * are those of the moment; segment_refresh asks anew. */
MUST_USE enum err segment_open_reader(struct segment *segment, const char *path);

/* A reader of a sealed file: immutable=1. */
MUST_USE enum err segment_open_sealed(struct segment *segment, const char *path);
void segment_close(struct segment *segment);

/* Closes and frees a segment made by malloc'd memory (bytes_zeroed): for ROOM_SEAL. NULL is fine.
 */
void segment_free(struct segment *segment);

/* Reads `first` and `last` again. */
MUST_USE enum err segment_refresh(struct segment *segment);

/* Appends to `out` the whole records from..to, as far as they are here and fit into
 * `bytes_max`, but at least one. *last: the index of the last one appended. Each record is
 * checked: its crc, and that it says the index of its row (S6).
 * ERR_NOT_FOUND: `from` is not in this file.  ERR_CORRUPT: a record is damaged; those
 * before it are in `out`. */
MUST_USE enum err segment_read(struct segment *segment, uint64_t from, uint64_t to,
                               size_t bytes_max, struct bytes *out, uint64_t *last);

/* Appends the newest founding and configuration records at or below `below`, newest first,
 * at most `max`; *count says how many. */
MUST_USE enum err segment_configs(struct segment *segment, uint64_t below, uint32_t max,
                                  struct bytes *out, uint32_t *count);

/* Writes one checked record behind the last one, inside a transaction of segment->store.
 * ERR_GAP: it does not follow.  ERR_NOSPACE, ERR_IO: roll back. */
MUST_USE enum err segment_append(struct segment *segment, struct span record);

/* As above, SEGMENT_BATCH of them by one statement, at two thirds of the cost. */
MUST_USE enum err segment_append_batch(struct segment *segment,
                                       const struct span records[SEGMENT_BATCH]);

/* Notes what the first record follows, inside the transaction that writes it. */
MUST_USE enum err segment_note_base(struct segment *segment, const struct segment_base *base);

/* Gives the base. ERR_NOT_FOUND: none was noted.  ERR_CORRUPT. */
MUST_USE enum err segment_base(struct segment *segment, struct segment_base *base);

/* Removes `from` and everything behind it, inside a transaction. */
MUST_USE enum err segment_cut(struct segment *segment, uint64_t from);

/* After a rollback: first, last and bytes as they are in the file. */
MUST_USE enum err segment_reload(struct segment *segment);

/* True if the next record belongs into the next file (a function of the log alone). */
bool segment_full(const struct segment *segment);
/* Would it be, with so many more rows and bytes? */
bool segment_full_with(const struct segment *segment, uint32_t rows, size_t bytes);

/* The last act of the writer: the file leaves WAL mode, is synced and closed.
 * ERR_BUSY: a reader is open; the segment stays open for another segment_seal or segment_close,
 * and for nothing else. */
MUST_USE enum err segment_seal(struct segment *segment);

/* File names: number and a random suffix, never used twice. `directory` is data/log. */
void segment_name(uint32_t number, uint64_t suffix, char name[SEGMENT_NAME_MAX]);
/* False: not the name of a segment file. */
bool segment_name_parse(const char *name, uint32_t *number, uint64_t *suffix);

/* Unlinks the file with its -wal, -shm and .index; the caller syncs the directory. */
MUST_USE enum err segment_remove(const char *path);

/* The same for a sealed file, durably, and leaves its .index: see seal_remove. */
MUST_USE enum err segment_remove_sealed(const char *path);

#endif
