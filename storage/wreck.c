#include "storage/wreck.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLICE = 1 << 20, BLOCK = 4096 };

/* Bytes that could be read; 0 at the end, or where the disk refused: then *refused. */
static size_t read_at(int fd, uint8_t *to, size_t size, size_t at, bool *refused)
{
    ssize_t got = pread(fd, to, size, (off_t)at);
    *refused = got < 0;
    return got > 0 ? (size_t)got : 0;
}

/* True if the disk gives all of it: then it need not be held in memory. */
static bool reads_well(int fd, size_t size)
{
    struct bytes slice = {0};
    uint8_t *to = bytes_reserve(&slice, SLICE);
    bool refused = false;
    for (size_t at = 0; at < size && !refused;) {
        size_t got = read_at(fd, to, SLICE, at, &refused);
        at += got;
        refused = refused || got == 0;
    }
    bytes_close(&slice);
    return !refused;
}

/* Block by block; what is refused is skipped and counted. */
static void read_blocks(struct wreck *wreck, int fd, size_t size)
{
    uint8_t *to = bytes_reserve(&wreck->own, size);
    bool refused;
    memset(to, 0, size);
    for (size_t at = 0; at < size; at += BLOCK) {
        size_t part = size - at < BLOCK ? size - at : BLOCK;
        if (read_at(fd, to + at, part, at, &refused) < part)
            wreck->refused += part;
    }
    wreck->own.size = size;
    wreck->bytes = bytes_span(&wreck->own);
}

static enum err read_all(struct wreck *wreck, int fd, const char *path)
{
    struct stat about;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return ERR_IO;
    size_t size = (size_t)about.st_size;
    void *at = MAP_FAILED;
    if (size == 0)
        return ERR_NONE;
    if (reads_well(fd, size))
        at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at != MAP_FAILED) {
        wreck->mapped = at;
        wreck->bytes = SPAN(at, size);
        return ERR_NONE;
    }
    read_blocks(wreck, fd, size);
    log_warn("blocks_refused", kv_text("file", path), kv_u64("bytes", wreck->refused));
    return ERR_NONE;
}

enum err wreck_open(struct wreck *wreck, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return ERR_NONE;
    enum err err = fd >= 0 ? read_all(wreck, fd, path) : ERR_IO;
    if (err != ERR_NONE)
        log_error("file_not_read", kv_text("file", path), kv_text("text", strerror(errno)));
    if (fd >= 0)
        close(fd);
    return err;
}

void wreck_close(struct wreck *wreck)
{
    if (wreck->mapped != NULL)
        munmap(wreck->mapped, wreck->bytes.size);
    bytes_close(&wreck->own);
    *wreck = (struct wreck){0};
}
