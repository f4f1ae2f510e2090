/* inquiry.h - what one start learns on its way; shared by the files of recovery only. */
#ifndef STORAGE_INQUIRY_H
#define STORAGE_INQUIRY_H

#include "storage/recovery.h"

struct inquiry {
    struct recovery *recovery;
    bool had_ballot, had_copy;
    uint64_t copy;
    const char *damage; /* the first reason; NULL: none */
    uint32_t keep;      /* files from here on are set aside */
};

/* The directory broke a promise; the first reason is kept, each is logged. */
void inquiry_blame(struct inquiry *inquiry, const char *reason);

/* Looks at the -wal beside `path` before SQLite does; blames `reason` if it is damaged. ERR_IO. */
MUST_USE enum err inquiry_scan_wal(struct inquiry *inquiry, const char *path, const char *reason);

#endif
