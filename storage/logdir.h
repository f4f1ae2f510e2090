/* logdir.h - the directory of segment files: which are there, in which order,
 * and in which state each was left; all of it before SQLite opens one.
 *
 * What is inside the files is known in segment.h, whether they fit together in
 * recovery.h. */
#ifndef STORAGE_LOGDIR_H
#define STORAGE_LOGDIR_H

#include "storage/segment.h"

struct logdir_file {
    char name[SEGMENT_NAME_MAX];
    uint32_t number;
    bool sealed; /* it left WAL mode, and nothing beside it says otherwise */
    bool has_wal;
    bool indexed;
};

struct logdir {
    char *path;
    struct logdir_file *files; /* by number, then by name */
    uint32_t count;
};

/* Makes HOME/log where missing and lists it. ERR_IO. */
MUST_USE enum err logdir_open(struct logdir *logdir, const char *home);
void logdir_close(struct logdir *logdir);

/* Gives the full path; freed by bytes_free. */
char *logdir_join(const struct logdir *logdir, const char *name);

/* A name that was never used: this number, a random suffix. */
void logdir_new_name(uint32_t number, char name[SEGMENT_NAME_MAX]);

/* Removes every file behind the one called `newest`, newest first, and syncs the directory;
 * all of them if `newest` is empty. */
MUST_USE enum err logdir_remove_newer(struct logdir *logdir, const char *newest);

/* Takes the files from `slot` on out of the row but keeps them, renamed, for salvage. */
MUST_USE enum err logdir_set_aside(struct logdir *logdir, uint32_t slot);

#endif
