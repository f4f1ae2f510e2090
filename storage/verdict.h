/* verdict.h - a result of SQLite as an error of ours. */
#ifndef STORAGE_VERDICT_H
#define STORAGE_VERDICT_H

#include "common/err.h"

#include <sqlite3.h>
#include <stdint.h>

/* `db` may be NULL. A read that the disk refused is ERR_IO, not ERR_CORRUPT: it may succeed at the
 * next start, and nobody has lost a byte yet. */
MUST_USE enum err verdict_of(sqlite3 *db, int result);

/* Shall it stand in the log? Who waits for room tries four times a second, and what tries writes
 * several files: of a full disk one line a minute is enough. From any thread. */
bool verdict_tells(enum err err, uint64_t now_ms);

#endif
