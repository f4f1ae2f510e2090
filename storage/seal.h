/* seal.h - the .index file beside a sealed segment, and how it comes there.
 *
 * Written once, to a temporary name, synced, renamed; read by immutable=1 ever
 * after. It holds the tagindex of the segment, a Bloom filter of its tags, the log
 * time of some of its changes and a digest of the segment file. Every blob carries a
 * checksum (S6). */
#ifndef STORAGE_SEAL_H
#define STORAGE_SEAL_H

#include "common/digest.h"
#include "storage/store.h"
#include "storage/tagindex.h"

/* What is kept in memory of each sealed segment. */
struct seal {
    uint64_t first_index, last_index; /* of the log */
    uint64_t first_id, next_id;       /* equal: no change is in it */
    uint64_t tag_count;               /* different ones */
    uint8_t first_hash[HASH_SIZE];    /* change hash at first_id - 1 */
    uint8_t last_hash[HASH_SIZE];     /* at next_id - 1 */
    struct digest file;               /* of the sealed segment file */
    struct bytes bloom;
    struct bytes times; /* as in tagindex; may be empty */
    bool times_damaged; /* they are not what was written, and empty; all else is */
};

void seal_close(struct seal *seal);

/* Writes SEGMENT_PATH.index. `seal` brings the log indexes and the digest of the file, and gets the
 * rest: ids, hashes, filter, times. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err seal_write(const char *segment_path, const struct tagindex *index,
                             struct seal *seal);

/* What fits on a page: hashes, or runs. */
enum {
    SEAL_HASH_BLOCK = 120 * HASH_SIZE,
    SEAL_RUNS_BLOCK = SEAL_HASH_BLOCK / sizeof(struct tagindex_run),
};

/* The checksum of a row: a number and two blobs. */
uint32_t seal_crc(uint64_t number, struct span a, struct span b);

/* Opens the .index file for reading. ERR_NOT_FOUND: no such file.  ERR_VERSION, ERR_CORRUPT. */
MUST_USE enum err seal_open(const char *segment_path, struct store *store);

/* Reads the summary. ERR_NOT_FOUND: no such file.  ERR_CORRUPT, ERR_VERSION, ERR_IO. */
MUST_USE enum err seal_read(const char *segment_path, struct seal *seal);

/* Reads the times of so many changes, as they are in tagindex; none where the file, or the one it
 * was made of, is of an earlier build. Nobody needs them: damage costs them and nothing else, and
 * is told. ERR_IO. */
MUST_USE enum err seal_times(struct store *store, uint64_t changes, struct bytes *times,
                             bool *damaged);

/* Reads all of it, each row checked (sealread.c). Errors as above. */
MUST_USE enum err seal_load(const char *segment_path, struct tagindex *index);

/* Removes the .index file, durably: it is to be built anew, or its segment is gone. */
MUST_USE enum err seal_remove(const char *segment_path);

#endif
