#include "storage/verdict.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static int last_errno(sqlite3_file *file)
{
    int number = 0;
    if (file != NULL && file->pMethods != NULL)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
    return number;
}

static sqlite3_file *file_of(sqlite3 *db, int which)
{
    sqlite3_file *file = NULL;
    (void)sqlite3_file_control(db, "main", which, &file);
    return file;
}

/* SQLite calls a read that failed with EIO a corrupt file, and keeps the errno to itself: it is
 * asked of the file and of its WAL. */
static bool was_refused(sqlite3 *db)
{
    return db != NULL && (last_errno(file_of(db, SQLITE_FCNTL_FILE_POINTER)) == EIO ||
                          last_errno(file_of(db, SQLITE_FCNTL_JOURNAL_POINTER)) == EIO);
}

enum err verdict_of(sqlite3 *db, int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_NONE;
    case SQLITE_FULL:
        return ERR_NOSPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_LOCKED;
    case SQLITE_INTERRUPT:
        return ERR_TIMEOUT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return was_refused(db) ? ERR_IO : ERR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return ERR_CORRUPT;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

enum { FULL_AGAIN_MS = 60000 };

bool verdict_tells(enum err err, uint64_t now_ms)
{
    static _Atomic uint64_t next_ms;
    if (err != ERR_NOSPACE)
        return err != ERR_NONE;
    uint64_t due_ms = atomic_load(&next_ms);
    return now_ms >= due_ms &&
           atomic_compare_exchange_strong(&next_ms, &due_ms, now_ms + FULL_AGAIN_MS);
}
