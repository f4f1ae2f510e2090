/* schema.h - what kind of SQLite file this is: who wrote it, which version,
 * which tables, and how hard its commits must hit the disk.
 *
 * Each owner of a file (ballot, segment, state, index) keeps one constant
 * `struct schema`. The bytes of its tables are not known here. */
#ifndef STORAGE_SCHEMA_H
#define STORAGE_SCHEMA_H

#include "common/err.h"

#include <sqlite3.h>
#include <stdint.h>

enum schema_sync {
    SCHEMA_FULL,   /* a commit that returned OK survives a power cut */
    SCHEMA_NORMAL, /* it may be lost, never torn: for what the log can rebuild */
};

struct schema {
    const char *name;         /* for the log */
    uint32_t application_id;  /* SQLite's header field */
    uint32_t version;         /* user_version; equals the number of steps */
    uint32_t oldest;          /* that is read as it is, without a step; 0: only the present one */
    const char *const *steps; /* step n brings version n to n + 1; constant SQL */
    /* Behind the step to `version` and in its transaction: what SQL cannot say. May be NULL. */
    enum err (*move)(sqlite3 *db, uint32_t version);
    enum schema_sync sync;
    uint32_t page_size, cache_kib;
    uint32_t checkpoint_pages; /* wal_autocheckpoint; 0: only by store_checkpoint */
    bool exclusive;            /* one connection ever: no -shm file */
    bool once;                 /* written in one go under a name that nobody trusts: no WAL */
};

/* Application ids: "cag" and a letter. */
enum {
    SCHEMA_ID_BALLOT = 0x63616762,
    SCHEMA_ID_SEGMENT = 0x63616773,
    SCHEMA_ID_STATE = 0x63616774,
    SCHEMA_ID_INDEX = 0x63616769,
};

/* May this process write to the file at all? Looks only: an empty file, or ours of a
 * version that is known. Errors as below. */
MUST_USE enum err schema_admit(sqlite3 *db, const struct schema *schema);

/* Checks who wrote the file and brings its tables to the present version, each
 * step in a transaction of its own. A file without tables becomes ours.
 * ERR_VERSION: written by a newer version.  ERR_CORRUPT: a file of something else.
 * ERR_IO: the disk refused. */
MUST_USE enum err schema_migrate(sqlite3 *db, const struct schema *schema);

/* As above without writing; a version older than `oldest` is ERR_GAP. */
MUST_USE enum err schema_check(sqlite3 *db, const struct schema *schema);

#endif
