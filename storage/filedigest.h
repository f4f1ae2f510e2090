/* filedigest.h - the digest of a file that nobody writes any more, slice by slice.
 *
 * Sealed segments and the files of snapshots have one; what it is compared with is not known
 * here. */
#ifndef STORAGE_FILEDIGEST_H
#define STORAGE_FILEDIGEST_H

#include "common/digest.h"
#include "common/err.h"

struct filedigest {
    struct digest_state state;
    uint64_t bytes; /* read so far */
    int fd;
    bool open;
};

/* `size`: DIGEST_SIZE, or that of the digest to compare it with. ERR_IO. */
MUST_USE enum err filedigest_begin(struct filedigest *file, const char *path, size_t size);

/* Reads one slice; *done: that was the last one, and *out is filled. ERR_IO. */
MUST_USE enum err filedigest_step(struct filedigest *file, struct digest *out, bool *done);

void filedigest_close(struct filedigest *file);

/* All at once; `bytes` of the file, may be NULL. ERR_IO. */
MUST_USE enum err filedigest_of(const char *path, size_t size, struct digest *out, uint64_t *bytes);

#endif
