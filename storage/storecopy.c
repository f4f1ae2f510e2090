#include "storage/storecopy.h"

#include "common/log.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

static enum err failed(struct storecopy *copy, int result)
{
    log_error("copy_failed", kv_text("file", copy->path), kv_u64("code", (uint64_t)result),
              kv_text("text", copy->to ? sqlite3_errmsg(copy->to) : sqlite3_errstr(result)));
    return (result & 0xff) == SQLITE_FULL ? ERR_NOSPACE : ERR_IO;
}

static enum err run(struct storecopy *copy, const char *sql)
{
    int result = sqlite3_exec(copy->to, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? ERR_NONE : failed(copy, result);
}

/* Nobody in this process has the file open any more (S9). */
static enum err sync_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return fine ? ERR_NONE : ERR_IO;
}

/* The copied header says WAL, as in the source: it must leave that mode to be a file alone. */
static enum err finish(struct storecopy *copy)
{
    int result = sqlite3_backup_finish(copy->backup);
    copy->backup = NULL;
    if (result != SQLITE_OK)
        return failed(copy, result);
    TRY(run(copy, "PRAGMA journal_mode = DELETE"));
    result = sqlite3_close(copy->to);
    copy->to = NULL;
    if (result != SQLITE_OK)
        return failed(copy, result);
    return sync_file(copy->path);
}

enum err storecopy_begin(struct storecopy *copy, struct store *from, const char *path)
{
    assert(copy->to == NULL);
    copy->path = bytes_zeroed(1, strlen(path) + 1);
    memcpy(copy->path, path, strlen(path));
    int result = sqlite3_open_v2(path, &copy->to,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                     SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
                                 NULL);
    if (result != SQLITE_OK)
        return failed(copy, result);
    TRY(run(copy, "PRAGMA synchronous = OFF"));
    copy->backup = sqlite3_backup_init(copy->to, "main", from->db, "main");
    return copy->backup != NULL ? ERR_NONE : failed(copy, sqlite3_errcode(copy->to));
}

enum err storecopy_step(struct storecopy *copy, bool *done)
{
    int result = sqlite3_backup_step(copy->backup, STORECOPY_PAGES);
    *done = result == SQLITE_DONE;
    if (result == SQLITE_DONE)
        return finish(copy);
    bool again =
        result == SQLITE_OK || (result & 0xff) == SQLITE_BUSY || (result & 0xff) == SQLITE_LOCKED;
    return again ? ERR_NONE : failed(copy, result);
}

void storecopy_close(struct storecopy *copy)
{
    if (copy->backup != NULL)
        sqlite3_backup_finish(copy->backup);
    sqlite3_close(copy->to);
    bytes_free(copy->path);
    *copy = (struct storecopy){0};
}
