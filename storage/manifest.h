/* manifest.h - PURE: what is in a snapshot, in words that an operator can read.
 *
 * One line a fact, then one line a file: digest, size, name. The BLAKE2b-256 of these bytes
 * is the id of the snapshot; two with the same id are of one log and, accidents apart, the same
 * to the last bit. Files are named by their place in a generation directory (generation.h).
 * Whether they are there is not known here: see artefact.h. */
#ifndef STORAGE_MANIFEST_H
#define STORAGE_MANIFEST_H

#include "common/bytes.h"
#include "common/digest.h"
#include "common/err.h"

enum {
    MANIFEST_NAME_MAX = 96,
    MANIFEST_FILES_MAX = 65536,
    MANIFEST_BYTES_MAX = 16 << 20,
};

struct manifest_file {
    char name[MANIFEST_NAME_MAX];
    uint64_t size;
    struct digest digest; /* none: it is still to be taken */
};

/* The state at exactly one (index, term), and the log that led to it (I16). */
struct manifest {
    uint32_t form; /* as it was read; 0: the present one */
    uint8_t cluster[16];
    uint64_t history;
    uint64_t index, term; /* the last entry applied, and the last one of the log in here */
    uint64_t first_index; /* the first one of the log in here */
    uint64_t last_id;
    uint8_t log_hash[HASH_SIZE];    /* of the entry at `index` */
    uint8_t change_hash[HASH_SIZE]; /* at `last_id` */
    struct manifest_file *files;    /* state.db, then the log in its order */
    uint32_t count, room;
};

void manifest_close(struct manifest *manifest);

/* Lends the place of a new file, zeroed but for its name. */
struct manifest_file *manifest_add(struct manifest *manifest, const char *name);

void manifest_encode(const struct manifest *manifest, struct bytes *out);

/* ERR_CORRUPT: not exactly what manifest_encode writes.  ERR_VERSION: a newer form. Form 1, of
 * an earlier build, has a BLAKE2b-256 for each file. */
MUST_USE enum err manifest_decode(struct span text, struct manifest *manifest);

/* Bytes of all files. */
uint64_t manifest_size(const struct manifest *manifest);

/* The name of a segment file without "log/"; NULL: state.db or an .index. */
const char *manifest_segment(const struct manifest_file *file);

#endif
