/* store.h - one SQLite file, opened by the rules S1-S5: one writing connection,
 * any number of readers, constant SQL, transactions that are never repeated.
 *
 * What is in the file is not known here. A store belongs to one thread at a
 * time and may be handed over whole. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "common/bytes.h"
#include "common/err.h"
#include "storage/schema.h"

#include <sqlite3.h>

struct store {
    sqlite3 *db;
    const struct schema *schema;
    char *path;
    sqlite3_stmt *begin, *commit;
    bool writes; /* false: a reader */
    bool lost;   /* a COMMIT failed: what is on disk is not known (S5) */
};

/* The one connection that writes and checkpoints; makes the file where missing
 * and syncs its directory. Every pragma of S2 is read back.
 * ERR_VERSION, ERR_CORRUPT: see schema.h.  ERR_LOCKED: somebody else writes.
 * ERR_IO: the disk refused, or a pragma did not take. */
MUST_USE enum err store_open(struct store *store, const char *path, const struct schema *schema);

/* A reader of a file whose writer is open in this process. */
MUST_USE enum err store_open_reader(struct store *store, const char *path,
                                    const struct schema *schema);

/* A reader of a file that no one will ever write again (immutable=1; it left WAL mode). */
MUST_USE enum err store_open_sealed(struct store *store, const char *path,
                                    const struct schema *schema);

/* Rolls back what is open. A writer leaves its -wal beside the file. */
void store_close(struct store *store);

/* Gives a statement kept for the life of the store; finalize it before store_close. */
MUST_USE enum err store_prepare(struct store *store, const char *sql, sqlite3_stmt **statement);

/* BEGIN IMMEDIATE, COMMIT, ROLLBACK. Never nested, never repeated.
 * store_commit: any error is ERR_IO and leaves `lost`: the outcome is unknown,
 * the process ends with EXIT_STORAGE (S5). */
MUST_USE enum err store_begin(struct store *store);
MUST_USE enum err store_commit(struct store *store);
void store_rollback(struct store *store);

/* One step of a statement. A row: *row = true. The statement is reset when
 * there is none, and on an error. `row` may be NULL where none can come.
 * ERR_NOSPACE: the disk is full, before any COMMIT: roll back.
 * ERR_IO, ERR_CORRUPT, ERR_LOCKED (a reader that met its deadline: ERR_TIMEOUT). */
MUST_USE enum err store_step(struct store *store, sqlite3_stmt *statement, bool *row);

/* Runs constant SQL that gives no rows. */
MUST_USE enum err store_run(struct store *store, const char *sql);

/* Moves the whole WAL into the file and syncs it; the writer only. What it holds
 * is durable when this returns ERR_NONE.
 * ERR_BUSY: a reader is in the way; try again later. */
MUST_USE enum err store_checkpoint(struct store *store);

/* The last act of a writer, whose statements are finalized: everything in the file, out of
 * WAL mode, -wal gone, synced, closed. ERR_BUSY: a reader is open; the store stays open. */
MUST_USE enum err store_seal(struct store *store);

/* A result of SQLite as ours; the text is logged. */
MUST_USE enum err store_check(struct store *store, int result);

/* Makes renames, creations and removals in a directory durable (S9). */
MUST_USE enum err store_sync_directory(const char *directory);

#endif
