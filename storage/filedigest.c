#include "storage/filedigest.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SLICE_SIZE KiB(64)

enum err filedigest_begin(struct filedigest *file, const char *path, size_t size)
{
    assert(!file->open);
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file->fd < 0) {
        log_error("file_not_opened", kv_text("file", path), kv_text("text", strerror(errno)));
        return ERR_IO;
    }
    file->open = true;
    file->bytes = 0;
    digest_begin(&file->state, size);
    return ERR_NONE;
}

enum err filedigest_step(struct filedigest *file, struct digest *out, bool *done)
{
    struct bytes slice = {0};
    ssize_t size = read(file->fd, bytes_reserve(&slice, SLICE_SIZE), SLICE_SIZE);
    if (size > 0)
        digest_add(&file->state, SPAN(slice.data, (size_t)size));
    *done = size == 0;
    if (size == 0)
        digest_end(&file->state, out);
    else if (size > 0)
        file->bytes += (uint64_t)size;
    bytes_close(&slice);
    return size < 0 ? ERR_IO : ERR_NONE;
}

void filedigest_close(struct filedigest *file)
{
    if (file->open)
        close(file->fd);
    *file = (struct filedigest){0};
}

enum err filedigest_of(const char *path, size_t size, struct digest *out, uint64_t *bytes)
{
    SCOPED(filedigest) file = {0};
    bool done = false;
    TRY(filedigest_begin(&file, path, size));
    while (!done)
        TRY(filedigest_step(&file, out, &done));
    if (bytes != NULL)
        *bytes = file.bytes;
    return ERR_NONE;
}
