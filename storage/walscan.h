/* walscan.h - looks at a -wal file before SQLite does (S7).
 *
 * SQLite ends its recovery at the first bad frame and calls the rest a torn
 * tail: one flipped bit in the middle silently loses acknowledged commits. A
 * power cut can tear the last transaction only, because the one before it was
 * synced; so a bad frame in front of that is damage. */
#ifndef STORAGE_WALSCAN_H
#define STORAGE_WALSCAN_H

#include "common/err.h"

#include <stdint.h>

enum walscan_verdict {
    WALSCAN_ABSENT,  /* no such file */
    WALSCAN_CLEAN,   /* all frames of this salt are good, or there are none */
    WALSCAN_TORN,    /* a last transaction that was never acknowledged */
    WALSCAN_DAMAGED, /* synced frames are bad */
};

struct walscan {
    enum walscan_verdict verdict;
    uint32_t frames;        /* good ones from the start */
    uint32_t commits;       /* transactions among them */
    uint32_t bad_frame;     /* number of the first bad one, from 1; 0: none */
    uint32_t later_commits; /* good commit frames behind it */
};

/* Only while nobody has the database open in this process (S9). ERR_IO. */
MUST_USE enum err walscan_file(struct walscan *scan, const char *wal_path);

#endif
