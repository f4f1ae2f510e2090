/* identity.c - one lock per data directory. It is a flock: it ends with its
 * holder however that dies, and the children never inherit it. */
#include "supervisor/identity.h"

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOCKET_PATH_MAX = 107, SOCKET_NAME_MAX = 24, LOCK_LOOK_MS = 50 };

/* What only another setting mends is no reason to try again. */
static enum err refused(const char *event, const char *path)
{
    int reason = errno;
    bool wrong =
        reason == ENOENT || reason == ENOTDIR || reason == ENAMETOOLONG || reason == EACCES;
    log_error(event, kv_text("path", path), kv_text("reason", strerror(reason)));
    return wrong ? ERR_CONFIG : ERR_SYSTEM;
}

/* A directory of ours that nobody else can enter. */
static enum err make_private(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return refused("directory_not_made", path);
    if (lstat(path, &st) != 0)
        return refused("directory_not_read", path);
    if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0)
        return ERR_NONE;
    log_error("directory_not_private", kv_text("path", path),
              kv_text("advice", "it must be a directory of this user with mode 0700"));
    return ERR_DENIED;
}

/* Every directory down to the data directory, as mkdir -p. */
static enum err make_path(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    if (size >= sizeof part || size == 0) {
        errno = size == 0 ? ENOENT : ENAMETOOLONG;
        return refused("directory_not_made", path);
    }
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EROFS)
            return refused("directory_not_made", part);
    }
    return ERR_NONE;
}

static pid_t read_holder(int fd)
{
    char text[24] = "";
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    return size > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

static enum err write_holder(const struct identity *identity)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(identity->lock_fd, 0) != 0 ||
        pwrite(identity->lock_fd, text, (size_t)size, 0) != size)
        return refused("lock_not_written", identity->data);
    return ERR_NONE;
}

static enum err wait_for_lock(struct identity *identity, uint64_t wait_ms,
                              bool (*go_on)(void *owner), void *owner)
{
    uint64_t until_ms = clock_now_ms() + wait_ms;
    while (flock(identity->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return refused("lock_refused", identity->data);
        if (clock_now_ms() >= until_ms) {
            identity->holder = read_holder(identity->lock_fd);
            return ERR_LOCKED;
        }
        poll(NULL, 0, LOCK_LOOK_MS);
        if (go_on != NULL && !go_on(owner))
            return ERR_CLOSED;
    }
    return ERR_NONE;
}

enum err identity_lock(struct identity *identity, const char *data, uint64_t wait_ms,
                       bool (*go_on)(void *owner), void *owner)
{
    char path[PATH_MAX + 8];
    assert(identity->lock_fd == 0);
    TRY(make_path(data));
    if (realpath(data, identity->data) == NULL)
        return refused("directory_not_read", data);
    snprintf(path, sizeof path, "%s/lock", identity->data);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return refused("lock_not_opened", path);
    identity->lock_fd = fd;
    TRY(wait_for_lock(identity, wait_ms, go_on, owner));
    return write_holder(identity);
}

enum err identity_make_run_dir(struct identity *identity, const char *wanted)
{
    char plain[PATH_MAX + 8];
    snprintf(plain, sizeof plain, "%s/run", identity->data);
    TRY(make_private(plain)); /* pids.json is always here */
    if (wanted != NULL && wanted[0] != '\0')
        snprintf(plain, sizeof plain, "%s", wanted);
    else if (strlen(plain) + SOCKET_NAME_MAX > SOCKET_PATH_MAX)
        snprintf(plain, sizeof plain, "/tmp/changeagent-%016llx",
                 (unsigned long long)hash_short(SPAN_TEXT(identity->data)));
    TRY(make_private(plain));
    if (realpath(plain, identity->run_dir) == NULL)
        return refused("directory_not_read", plain);
    return ERR_NONE;
}

enum err identity_keys(struct identity *identity)
{
    return keys_open(&identity->keys, identity->data);
}

void identity_close(struct identity *identity)
{
    if (identity->lock_fd > 0)
        close(identity->lock_fd);
    keys_close(&identity->keys);
    *identity = (struct identity){0};
}
