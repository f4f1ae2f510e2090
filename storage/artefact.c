/* artefact.c - plain files, read in slices. */
#include "storage/artefact.h"

#include "common/log.h"
#include "storage/filedigest.h"
#include "storage/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

static enum err refused(const char *what, const char *path)
{
    enum err err = errno == ENOSPC ? ERR_NOSPACE : ERR_IO;
    log_error(what, kv_text("file", path), kv_text("text", strerror(errno)));
    return err;
}

static const char *path_in(char path[PATH_BYTES_MAX], const char *directory, const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", directory, name);
    return path;
}

static enum err open_plain(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : refused("file_not_opened", path);
    return ERR_NONE;
}

static enum err read_all(int fd, const char *path, size_t max, struct bytes *out)
{
    for (;;) {
        ssize_t got = read(fd, bytes_reserve(out, 65536), 65536);
        if (got < 0)
            return refused("file_not_read", path);
        if (got == 0)
            return ERR_NONE;
        out->size += (size_t)got;
        if (out->size > max)
            return ERR_LIMIT;
    }
}

enum err artefact_read_file(const char *path, size_t max, struct bytes *out)
{
    int fd;
    TRY(open_plain(path, &fd));
    enum err err = read_all(fd, path, max, out);
    close(fd);
    return err;
}

/* ---- opening ------------------------------------------------------------------------------- */

static enum err check_sizes(const struct artefact *artefact)
{
    char path[PATH_BYTES_MAX];
    for (uint32_t i = 0; i < artefact->manifest.count; i++) {
        const struct manifest_file *file = &artefact->manifest.files[i];
        struct stat at;
        bool there = lstat(path_in(path, artefact->directory, file->name), &at) == 0;
        if (there && S_ISREG(at.st_mode) && (uint64_t)at.st_size == file->size)
            continue;
        log_error("snapshot_incomplete", kv_text("file", path), kv_u64("wanted", file->size),
                  kv_u64("size", there ? (uint64_t)at.st_size : 0));
        return ERR_CORRUPT;
    }
    return ERR_NONE;
}

enum err artefact_open(struct artefact *artefact, const char *directory)
{
    char path[PATH_BYTES_MAX];
    struct hash_state state;
    assert(artefact->directory == NULL);
    artefact->directory = bytes_zeroed(1, strlen(directory) + 1);
    memcpy(artefact->directory, directory, strlen(directory));
    enum err err = artefact_read_file(path_in(path, directory, ARTEFACT_MANIFEST),
                                      MANIFEST_BYTES_MAX, &artefact->head);
    TRY(err == ERR_LIMIT ? ERR_CORRUPT : err);
    TRY(manifest_decode(bytes_span(&artefact->head), &artefact->manifest));
    hash_begin(&state);
    hash_add(&state, bytes_span(&artefact->head));
    hash_end(&state, artefact->id);
    artefact->size = artefact->head.size + manifest_size(&artefact->manifest);
    return check_sizes(artefact);
}

void artefact_close(struct artefact *artefact)
{
    if (artefact->fd > 0)
        close(artefact->fd);
    manifest_close(&artefact->manifest);
    bytes_close(&artefact->head);
    bytes_free(artefact->directory);
    *artefact = (struct artefact){0};
}

/* ---- the stream ---------------------------------------------------------------------------- */

uint32_t artefact_place(const struct manifest *manifest, uint64_t behind_head, uint64_t *at)
{
    for (uint32_t i = 0; i < manifest->count; i++) {
        if (behind_head < manifest->files[i].size) {
            *at = behind_head;
            return i;
        }
        behind_head -= manifest->files[i].size;
    }
    *at = 0;
    return manifest->count;
}

static enum err switch_to(struct artefact *artefact, uint32_t number)
{
    char path[PATH_BYTES_MAX];
    if (artefact->fd > 0 && artefact->open == number)
        return ERR_NONE;
    if (artefact->fd > 0)
        close(artefact->fd);
    artefact->fd = 0;
    artefact->open = number;
    const char *name = artefact->manifest.files[number].name;
    int fd;
    enum err err = open_plain(path_in(path, artefact->directory, name), &fd);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    artefact->fd = fd;
    return ERR_NONE;
}

static enum err read_part(struct artefact *artefact, uint64_t offset, size_t max, struct bytes *out)
{
    uint64_t at, head = artefact->head.size;
    if (offset < head) {
        size_t left = (size_t)(head - offset);
        bytes_append(out, artefact->head.data + offset, left < max ? left : max);
        return ERR_NONE;
    }
    uint32_t number = artefact_place(&artefact->manifest, offset - head, &at);
    TRY(switch_to(artefact, number));
    uint64_t left = artefact->manifest.files[number].size - at;
    size_t wanted = left < max ? (size_t)left : max;
    ssize_t got = pread(artefact->fd, bytes_reserve(out, wanted), wanted, (off_t)at);
    if (got < 0)
        return refused("snapshot_not_read", artefact->manifest.files[number].name);
    if ((size_t)got != wanted)
        return ERR_CORRUPT;
    out->size += wanted;
    return ERR_NONE;
}

enum err artefact_read(struct artefact *artefact, uint64_t offset, size_t max, struct bytes *out)
{
    size_t begin = out->size;
    while (out->size - begin < max && offset + (out->size - begin) < artefact->size) {
        size_t done = out->size - begin;
        TRY(read_part(artefact, offset + done, max - done, out));
    }
    return ERR_NONE;
}

static enum err check_file(const char *path, const struct manifest_file *file)
{
    struct digest found;
    uint64_t size;
    TRY(filedigest_of(path, file->digest.size, &found, &size));
    return size == file->size && digest_equal(&found, &file->digest) ? ERR_NONE : ERR_CORRUPT;
}

enum err artefact_verify(struct artefact *artefact, const char **name)
{
    char path[PATH_BYTES_MAX];
    for (uint32_t i = 0; i < artefact->manifest.count; i++) {
        const struct manifest_file *file = &artefact->manifest.files[i];
        *name = file->name;
        TRY(check_file(path_in(path, artefact->directory, file->name), file));
    }
    *name = NULL;
    return ERR_NONE;
}

/* ---- the last step of making one ----------------------------------------------------------- */

static enum err write_synced(const char *path, struct span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return refused("file_not_opened", path);
    bool fine = write(fd, text.data, text.size) == (ssize_t)text.size && fsync(fd) == 0;
    enum err err = fine ? ERR_NONE : refused("file_not_written", path);
    close(fd);
    return err;
}

enum err artefact_write_manifest(const char *directory, struct span text)
{
    char path[PATH_BYTES_MAX], temporary[PATH_BYTES_MAX];
    path_in(path, directory, ARTEFACT_MANIFEST);
    path_in(temporary, directory, ARTEFACT_MANIFEST ".tmp");
    TRY(write_synced(temporary, text));
    if (rename(temporary, path) != 0)
        return refused("file_not_renamed", temporary);
    return store_sync_directory(directory);
}
