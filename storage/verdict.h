/* verdict.h - a result of SQLite as an error of ours. */
#ifndef STORAGE_VERDICT_H
#define STORAGE_VERDICT_H

#include "common/err.h"

#include <sqlite3.h>

/* `db` may be NULL. A read that the disk refused is ERR_IO, not ERR_CORRUPT: it may succeed at the
 * next start, and nobody has lost a byte yet. */
MUST_USE enum err verdict_of(sqlite3 *db, int result);

#endif
