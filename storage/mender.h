/* mender.h - makes a damaged sealed file anew: from its own rows where they are whole, from another
 * server's where they are not.
 *
 * Every record must follow the one before by its hash, and the next file must follow the last
 * one, so it does not matter who gave it. The new file takes the place of the old one by one
 * rename; the old one stays beside it for salvage. Who is asked is not known here. */
#ifndef STORAGE_MENDER_H
#define STORAGE_MENDER_H

#include "storage/filedigest.h"
#include "storage/shelf.h"

enum { MENDER_RETRY_MS = 5000 };

struct mender {
    char *path;           /* of the damaged file; NULL: nothing is in work */
    struct segment *copy; /* the new one, while it is filled */
    char *copy_path;
    uint64_t first, last, next; /* log indexes; `next` is the next record to come */
    uint8_t hash[HASH_SIZE];    /* log hash at next - 1 */
    bool wants;                 /* the own row at `next` cannot be read */
    struct filedigest file;
    struct seal seal;
    uint64_t not_before_ms;
    uint64_t mended, given; /* counters: files; records of other servers */
};

void mender_close(struct mender *mender);

bool mender_due(const struct mender *mender, const struct shelf *shelf, uint64_t now_ms);

/* One step. ERR_IO, ERR_NOSPACE: the disk refused. Damage that cannot be mended now is tried again
 * later. */
MUST_USE enum err mender_step(struct mender *mender, struct shelf *shelf, uint64_t now_ms);

/* Records that another server should give: from..to; false: none. */
bool mender_wants(const struct mender *mender, uint64_t *from, uint64_t *to);

/* Records of another server; what does not follow is ignored. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err mender_take(struct mender *mender, struct span records);

#endif
