/* shim.c - makes calls of a program to the disk fail; loaded by LD_PRELOAD.
 *
 *   FAULT_DIR=PREFIX             only files below it count
 *   FAULT_CALL=NAME:NTH:HOW      the NTH call of NAME fails: write, sync, open, rename, unlink,
 *                                truncate, read; HOW is EIO, ENOSPC, or SHORT: half of it is
 *                                written, and the next write fails with ENOSPC. With a + behind
 *                                HOW every later one fails too. HANG: it does not fail, it takes
 *                                longer than a neighbour waits for a word
 *   FAULT_PAGE=NAME:AT[:HOW]     the 4 KiB page at byte AT of files whose name is like NAME (a
 *                                pattern as in a shell) is bad: without HOW reads of it fail with
 *                                EIO, always; ENOSPC: the first four writes of it fail so; SHORT:
 *                                they are written to the middle of it, and then ENOSPC
 *   FAULT_NOTE=PATH              this file is made when the first fault has struck
 *
 * What is not below FAULT_DIR, and sockets and pipes, goes its way. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 4096, NAME_MAX_BYTES = 256, PAGE_BYTES = 4096, BAD_WRITES = 4 };

static struct {
    const char *directory, *note;
    char call[16], how[16], name[NAME_MAX_BYTES], page_how[16];
    long nth;
    uint64_t page_at;
    bool sticky;
} plan;

static atomic_long counted;
static atomic_int bad_writes;
static atomic_bool full;              /* after a SHORT: the next write fails */
static _Atomic char watched[FDS_MAX]; /* 1: below the directory, 2: and has the bad page */

static void read_page(const char *text)
{
    unsigned long long at;
    if (text != NULL && sscanf(text, "%255[^:]:%llu:%15s", plan.name, &at, plan.page_how) >= 2)
        plan.page_at = at;
}

__attribute__((constructor)) static void read_plan(void)
{
    const char *call = getenv("FAULT_CALL");
    plan.directory = getenv("FAULT_DIR");
    plan.note = getenv("FAULT_NOTE");
    read_page(getenv("FAULT_PAGE"));
    if (call != NULL && sscanf(call, "%15[^:]:%ld:%15s", plan.call, &plan.nth, plan.how) == 3) {
        char *plus = strchr(plan.how, '+');
        plan.sticky = plus != NULL;
        if (plus != NULL)
            *plus = '\0';
    }
}

static void strike(void)
{
    int fd =
        plan.note ? (int)syscall(SYS_openat, AT_FDCWD, plan.note, O_CREAT | O_WRONLY, 0600) : -1;
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static bool is_below(const char *path)
{
    return plan.directory != NULL && path != NULL &&
           strncmp(path, plan.directory, strlen(plan.directory)) == 0;
}

static bool is_watched(int fd)
{
    return fd >= 0 && fd < FDS_MAX && watched[fd] != 0;
}

/* Counts a call; true: this one fails, and errno says how. */
static bool fails(const char *call)
{
    if (strcmp(plan.call, call) != 0)
        return false;
    long number = atomic_fetch_add(&counted, 1) + 1;
    if (number != plan.nth && !(plan.sticky && number > plan.nth))
        return false;
    strike();
    if (strcmp(plan.how, "HANG") == 0) {
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 600000000}, NULL);
        return false;
    }
    errno = strcmp(plan.how, "EIO") == 0 ? EIO : ENOSPC;
    return true;
}

static bool has_bad_page(const char *path)
{
    const char *slash = strrchr(path, '/');
    return plan.name[0] != '\0' && fnmatch(plan.name, slash ? slash + 1 : path, 0) == 0;
}

static int note_fd(int fd, const char *path)
{
    if (fd >= 0 && fd < FDS_MAX)
        watched[fd] = !is_below(path) ? 0 : has_bad_page(path) ? 2 : 1;
    return fd;
}

/* ---- open and close -------------------------------------------------------------------------- */

static int open_any(int at, const char *path, int flags, va_list more)
{
    int mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, int) : 0;
    if (is_below(path) && fails("open"))
        return -1;
    return note_fd((int)syscall(SYS_openat, at, path, flags, mode), path);
}

#define OPEN(name)                                      \
    int name(const char *path, int flags, ...)          \
    {                                                   \
        va_list more;                                   \
        va_start(more, flags);                          \
        int fd = open_any(AT_FDCWD, path, flags, more); \
        va_end(more);                                   \
        return fd;                                      \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                   \
    int name(int at, const char *path, int flags, ...) \
    {                                                  \
        va_list more;                                  \
        va_start(more, flags);                         \
        int fd = open_any(at, path, flags, more);      \
        va_end(more);                                  \
        return fd;                                     \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX)
        watched[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

/* ---- reading and writing --------------------------------------------------------------------- */

/* Does a call touch the bad page, where that is bad for it? */
static bool touches(int fd, uint64_t at, size_t size, bool writes)
{
    return watched[fd] == 2 && (plan.page_how[0] != '\0') == writes &&
           at < plan.page_at + PAGE_BYTES && at + size > plan.page_at;
}

/* Written as far as to the middle of the bad page, which may be nothing. */
static ssize_t admit_to_page(uint64_t at)
{
    uint64_t middle = plan.page_at + PAGE_BYTES / 2;
    strike();
    errno = ENOSPC;
    if (strcmp(plan.page_how, "SHORT") != 0 || at >= middle)
        return -1;
    atomic_store(&full, true);
    return (ssize_t)(middle - at);
}

/* How much of a write is let through: all, a part, or nothing (-1, errno set). */
static ssize_t admit(int fd, size_t size, uint64_t at)
{
    if (!is_watched(fd))
        return (ssize_t)size;
    if (atomic_exchange(&full, false)) {
        errno = ENOSPC;
        return -1;
    }
    if (touches(fd, at, size, true) && atomic_fetch_add(&bad_writes, 1) < BAD_WRITES) {
        ssize_t part = admit_to_page(at);
        return part < (ssize_t)size ? part : (ssize_t)size;
    }
    if (!fails("write"))
        return (ssize_t)size;
    if (strcmp(plan.how, "SHORT") != 0 || size < 2)
        return -1;
    atomic_store(&full, true);
    return (ssize_t)size / 2;
}

static uint64_t position_of(int fd)
{
    off_t at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t admitted = admit(fd, size, is_watched(fd) ? position_of(fd) : 0);
    return admitted < 0 ? -1 : syscall(SYS_write, fd, data, (size_t)admitted);
}

#define PWRITE(name)                                                                      \
    ssize_t name(int fd, const void *data, size_t size, off_t at)                         \
    {                                                                                     \
        ssize_t admitted = admit(fd, size, (uint64_t)at);                                 \
        return admitted < 0 ? -1 : syscall(SYS_pwrite64, fd, data, (size_t)admitted, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

static bool cannot_read(int fd, uint64_t at, size_t size)
{
    if (!is_watched(fd))
        return false;
    if (touches(fd, at, size, false)) {
        strike();
        errno = EIO;
        return true;
    }
    return fails("read");
}

ssize_t read(int fd, void *data, size_t size)
{
    if (is_watched(fd) && cannot_read(fd, position_of(fd), size))
        return -1;
    return syscall(SYS_read, fd, data, size);
}

#define PREAD(name)                                         \
    ssize_t name(int fd, void *data, size_t size, off_t at) \
    {                                                       \
        if (cannot_read(fd, (uint64_t)at, size))            \
            return -1;                                      \
        return syscall(SYS_pread64, fd, data, size, at);    \
    }
PREAD(pread)
PREAD(pread64)

/* ---- the rest -------------------------------------------------------------------------------- */

int fsync(int fd)
{
    return is_watched(fd) && fails("sync") ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return is_watched(fd) && fails("sync") ? -1 : (int)syscall(SYS_fdatasync, fd);
}

#define TRUNCATE(name)                                                                           \
    int name(int fd, off_t size)                                                                 \
    {                                                                                            \
        return is_watched(fd) && fails("truncate") ? -1 : (int)syscall(SYS_ftruncate, fd, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int rename(const char *from, const char *to)
{
    return is_below(from) && fails("rename") ? -1 : (int)syscall(SYS_rename, from, to);
}

int unlink(const char *path)
{
    return is_below(path) && fails("unlink") ? -1 : (int)syscall(SYS_unlink, path);
}
