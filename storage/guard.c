#include "storage/guard.h"

#include "common/bytes.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Room that a WAL not yet moved into its file will take there, and what the other files of the
 * node need meanwhile: without it a restart on a full disk could not even open them. */
enum { MARGIN_BYTES = 20 << 20 };

static const char *const state_names[] = {"enough", "low", "full"};

static void measure(struct guard *guard)
{
    struct statvfs at;
    if (statvfs(guard->directory, &at) == 0)
        guard->free_bytes = (uint64_t)at.f_bavail * at.f_frsize;
    else
        log_error("disk_not_measured", kv_text("text", strerror(errno)));
}

static void change(struct guard *guard, enum guard_state state)
{
    if (guard->state == state)
        return;
    guard->state = state;
    LOG_AT(state == GUARD_ENOUGH ? LOG_INFO : LOG_ERROR, "disk",
           kv_text("state", state_names[state]), kv_u64("free_bytes", guard->free_bytes));
}

static void lay_ballast(struct guard *guard)
{
    if (guard->has_ballast || guard->ballast_bytes == 0 ||
        guard->free_bytes < guard->low_bytes + guard->ballast_bytes)
        return;
    int fd = open(guard->ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    guard->has_ballast = fd >= 0 && posix_fallocate(fd, 0, (off_t)guard->ballast_bytes) == 0;
    if (!guard->has_ballast)
        log_warn("ballast_not_laid", kv_text("file", guard->ballast));
    if (fd >= 0)
        close(fd);
    measure(guard);
}

static void drop_ballast(struct guard *guard)
{
    if (!guard->has_ballast)
        return;
    if (unlink(guard->ballast) != 0)
        log_error("ballast_not_removed", kv_text("text", strerror(errno)));
    guard->has_ballast = false;
    measure(guard);
    log_warn("ballast_released", kv_u64("free_bytes", guard->free_bytes));
}

static void open_files(struct guard *guard, const char *data_dir)
{
    size_t room = strlen(data_dir) + 16;
    guard->directory = bytes_zeroed(1, room);
    guard->ballast = bytes_zeroed(1, room);
    snprintf(guard->directory, room, "%s", data_dir);
    snprintf(guard->ballast, room, "%s/ballast", data_dir);
    guard->has_ballast = access(guard->ballast, F_OK) == 0;
    measure(guard);
}

static bool fits(const struct guard *guard, uint64_t bytes)
{
    return guard->free_bytes >= bytes + MARGIN_BYTES;
}

void guard_make_way(const char *data_dir)
{
    struct guard guard = {0};
    open_files(&guard, data_dir);
    if (!fits(&guard, 0))
        drop_ballast(&guard);
    guard_close(&guard);
}

void guard_open(struct guard *guard, const char *data_dir, uint64_t low_bytes,
                uint64_t ballast_bytes)
{
    open_files(guard, data_dir);
    guard->low_bytes = low_bytes;
    guard->ballast_bytes = ballast_bytes;
    guard_look(guard);
}

void guard_close(struct guard *guard)
{
    bytes_free(guard->directory);
    bytes_free(guard->ballast);
    *guard = (struct guard){0};
}

enum guard_state guard_look(struct guard *guard)
{
    measure(guard);
    lay_ballast(guard);
    if (guard->free_bytes >= guard->low_bytes)
        change(guard, GUARD_ENOUGH);
    else if (guard->state == GUARD_ENOUGH || fits(guard, guard->ballast_bytes / 2))
        change(guard, GUARD_LOW); /* full ends only with some room to spare */
    return guard->state;
}

bool guard_admits(struct guard *guard, uint64_t bytes)
{
    measure(guard);
    if (!fits(guard, bytes)) {
        drop_ballast(guard);
        change(guard, GUARD_FULL);
    }
    return fits(guard, bytes);
}
