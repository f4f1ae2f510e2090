#include "storage/smallfile.h"

#include "common/hash.h"
#include "common/log.h"
#include "storage/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_SIZE = 8 }; /* crc32c, size */

static enum err refused(const char *path, const char *what)
{
    enum err err = errno == ENOSPC ? ERR_NOSPACE : ERR_IO;
    log_error(what, kv_text("file", path), kv_text("text", strerror(errno)));
    return err;
}

static enum err sync_parent(const char *path)
{
    char directory[4096];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    assert(slash != NULL);
    *slash = '\0';
    return store_sync_directory(directory);
}

/* A part of it means what the write of the rest would say: no room. */
static enum err write_whole(int fd, const char *path, struct span all)
{
    ssize_t done = pwrite(fd, all.data, all.size, 0);
    if (done == (ssize_t)all.size)
        return ERR_NONE;
    if (done >= 0)
        errno = ENOSPC;
    return refused(path, "small_file_not_written");
}

static enum err sync_file(int fd, const char *path)
{
    return fdatasync(fd) == 0 ? ERR_NONE : refused(path, "small_file_not_synced");
}

/* The file as a whole: checksum, size, content, zeros. */
static void frame(struct span content, uint8_t all[HEAD_SIZE + SMALLFILE_MAX])
{
    assert(content.size <= SMALLFILE_MAX);
    memset(all, 0, HEAD_SIZE + SMALLFILE_MAX);
    save_u32(all, hash_crc32c(0, content));
    save_u32(all + 4, (uint32_t)content.size);
    memcpy(all + HEAD_SIZE, content.data, content.size);
}

enum err smallfile_write(const char *path, struct span content)
{
    uint8_t all[HEAD_SIZE + SMALLFILE_MAX];
    frame(content, all);
    bool is_new = access(path, F_OK) != 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return refused(path, "small_file_not_opened");
    enum err err = write_whole(fd, path, SPAN(all, sizeof all));
    if (err == ERR_NONE)
        err = sync_file(fd, path);
    close(fd);
    TRY(err);
    return is_new ? sync_parent(path) : ERR_NONE;
}

enum err smallfile_open(const char *path, int *fd)
{
    *fd = open(path, O_WRONLY | O_CLOEXEC);
    if (*fd >= 0)
        return ERR_NONE;
    *fd = 0;
    return errno == ENOENT ? ERR_NOT_FOUND : refused(path, "small_file_not_opened");
}

enum err smallfile_put(int fd, struct span content)
{
    uint8_t all[HEAD_SIZE + SMALLFILE_MAX];
    frame(content, all);
    return write_whole(fd, "(open)", SPAN(all, sizeof all));
}

enum err smallfile_sync(int fd)
{
    return sync_file(fd, "(open)");
}

enum err smallfile_read(const char *path, uint8_t content[SMALLFILE_MAX], size_t *size)
{
    uint8_t all[HEAD_SIZE + SMALLFILE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : refused(path, "small_file_not_opened");
    ssize_t got = pread(fd, all, sizeof all, 0);
    close(fd);
    if (got < 0)
        return refused(path, "small_file_not_read");
    if (got < HEAD_SIZE || load_u32(all + 4) > (size_t)got - HEAD_SIZE)
        return ERR_CORRUPT;
    struct span found = SPAN(all + HEAD_SIZE, load_u32(all + 4));
    if (hash_crc32c(0, found) != load_u32(all))
        return ERR_CORRUPT;
    memcpy(content, found.data, found.size);
    *size = found.size;
    return ERR_NONE;
}

enum err smallfile_directory(const char *path)
{
    if (mkdir(path, 0700) == 0)
        return sync_parent(path);
    return errno == EEXIST ? ERR_NONE : refused(path, "directory_not_made");
}
