#include "storage/witness.h"

#include "common/log.h"
#include "storage/smallfile.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

static const char *path_of(char path[PATH_BYTES_MAX], const char *data_dir, const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/identity/%s", data_dir, name);
    return path;
}

static enum err read_exactly(const char *data_dir, const char *name, uint8_t *at, size_t wanted)
{
    char path[PATH_BYTES_MAX];
    uint8_t content[SMALLFILE_MAX];
    size_t size;
    TRY(smallfile_read(path_of(path, data_dir, name), content, &size));
    if (size != wanted)
        return ERR_CORRUPT;
    memcpy(at, content, wanted);
    return ERR_NONE;
}

enum err witness_read_incarnation(const char *data_dir, uint64_t *incarnation)
{
    uint8_t bytes[8];
    TRY(read_exactly(data_dir, "incarnation", bytes, sizeof bytes));
    *incarnation = load_u64(bytes);
    return ERR_NONE;
}

enum err witness_write_incarnation(const char *data_dir, uint64_t incarnation)
{
    char path[PATH_BYTES_MAX];
    uint8_t bytes[8];
    save_u64(bytes, incarnation);
    return smallfile_write(path_of(path, data_dir, "incarnation"), SPAN(bytes, sizeof bytes));
}

enum err witness_forget_place(const char *data_dir)
{
    char path[PATH_BYTES_MAX];
    if (unlink(path_of(path, data_dir, "place")) == 0 || errno == ENOENT)
        return ERR_NONE;
    log_error("file_not_removed", kv_text("path", path), kv_text("text", strerror(errno)));
    return ERR_IO;
}

enum err witness_read_mark(const char *data_dir, struct witness_mark *mark)
{
    uint8_t bytes[16];
    TRY(read_exactly(data_dir, "high-water", bytes, sizeof bytes));
    mark->index = load_u64(bytes);
    mark->term = load_u64(bytes + 8);
    return ERR_NONE;
}

static struct span pack_mark(const struct witness_mark *mark, uint8_t bytes[16])
{
    save_u64(bytes, mark->index);
    save_u64(bytes + 8, mark->term);
    return SPAN(bytes, 16);
}

enum err witness_write_mark(const char *data_dir, const struct witness_mark *mark)
{
    char path[PATH_BYTES_MAX];
    uint8_t bytes[16];
    return smallfile_write(path_of(path, data_dir, "high-water"), pack_mark(mark, bytes));
}

enum err witness_open_mark(const char *data_dir, int *fd)
{
    char path[PATH_BYTES_MAX];
    return smallfile_open(path_of(path, data_dir, "high-water"), fd);
}

enum err witness_move_mark(int fd, const struct witness_mark *mark)
{
    uint8_t bytes[16];
    return smallfile_put(fd, pack_mark(mark, bytes));
}

enum err witness_sync_mark(int fd)
{
    return smallfile_sync(fd);
}
