/* incoming.c - slices in, files out. */
#include "storage/incoming.h"

#include "common/log.h"
#include "storage/artefact.h"
#include "storage/generation.h"
#include "storage/smallfile.h"
#include "storage/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

static const char part[] = ".part";

static enum err refused(const char *what, const char *path)
{
    enum err err = errno == ENOSPC ? ERR_NOSPACE : ERR_IO;
    log_error(what, kv_text("file", path), kv_text("text", strerror(errno)));
    return err;
}

static const char *path_in(char path[PATH_BYTES_MAX], const struct incoming *incoming,
                           const char *name, const char *suffix)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s%s", incoming->directory, name, suffix);
    return path;
}

static const struct manifest_file *file_in_work(const struct incoming *incoming)
{
    return &incoming->manifest.files[incoming->file];
}

static void hash_of(struct span bytes, uint8_t hash[HASH_SIZE])
{
    struct hash_state state;
    hash_begin(&state);
    hash_add(&state, bytes);
    hash_end(&state, hash);
}

/* ---- forgetting ----------------------------------------------------------------------------- */

static void forget(struct incoming *incoming)
{
    if (incoming->fd > 0)
        close(incoming->fd);
    manifest_close(&incoming->manifest);
    bytes_close(&incoming->text);
    incoming->active = false;
    incoming->fd = 0;
    incoming->file = 0;
    incoming->head = incoming->size = incoming->offset = incoming->file_at = 0;
}

enum err incoming_drop(struct incoming *incoming)
{
    forget(incoming);
    return generation_remove(incoming->directory);
}

/* ---- the file in work ------------------------------------------------------------------------ */

static enum err open_part(struct incoming *incoming)
{
    char path[PATH_BYTES_MAX];
    path_in(path, incoming, file_in_work(incoming)->name, part);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return refused("file_not_opened", path);
    incoming->fd = fd;
    digest_begin(&incoming->digest, file_in_work(incoming)->digest.size);
    return ERR_NONE;
}

static void close_part(struct incoming *incoming)
{
    if (incoming->fd > 0)
        close(incoming->fd);
    incoming->fd = 0;
    incoming->file_at = 0;
}

/* Another digest than the manifest says: this file comes again, from its start. */
static enum err reject_part(struct incoming *incoming)
{
    char path[PATH_BYTES_MAX];
    const struct manifest_file *file = file_in_work(incoming);
    log_error("snapshot_file_damaged", kv_text("file", file->name));
    incoming->offset -= incoming->file_at;
    close_part(incoming);
    if (unlink(path_in(path, incoming, file->name, part)) != 0)
        return refused("file_not_removed", path);
    return ERR_CORRUPT;
}

static enum err finish_part(struct incoming *incoming)
{
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    struct digest found;
    const struct manifest_file *file = file_in_work(incoming);
    digest_end(&incoming->digest, &found);
    if (!digest_equal(&found, &file->digest))
        return reject_part(incoming);
    path_in(from, incoming, file->name, part);
    if (fsync(incoming->fd) != 0)
        return refused("file_not_synced", from);
    close_part(incoming);
    if (rename(from, path_in(to, incoming, file->name, "")) != 0)
        return refused("file_not_renamed", from);
    incoming->file++;
    return ERR_NONE;
}

/* A whole file that is written at its end is a wall before every sync on that disk, those of the
 * log and of other nodes too. Only a hint: what counts is the sync of the file. */
static void begin_to_write(const struct incoming *incoming, size_t size)
{
    (void)sync_file_range(incoming->fd, (off_t)incoming->file_at, (off_t)size,
                          SYNC_FILE_RANGE_WRITE);
}

/* What belongs into the file in work. Files of no bytes cannot be: each holds a database. */
static enum err append_to_file(struct incoming *incoming, struct span *rest)
{
    const struct manifest_file *file = file_in_work(incoming);
    uint64_t left = file->size - incoming->file_at;
    struct span data = SPAN(rest->data, rest->size < left ? rest->size : (size_t)left);
    *rest = SPAN(rest->data + data.size, rest->size - data.size);
    if (incoming->fd == 0)
        TRY(open_part(incoming));
    ssize_t done = pwrite(incoming->fd, data.data, data.size, (off_t)incoming->file_at);
    if (done != (ssize_t)data.size)
        return refused("slice_not_written", file->name);
    begin_to_write(incoming, data.size);
    digest_add(&incoming->digest, data);
    incoming->file_at += data.size;
    incoming->offset += data.size;
    return incoming->file_at == file->size ? finish_part(incoming) : ERR_NONE;
}

/* ---- the manifest ---------------------------------------------------------------------------- */

static bool has_empty_file(const struct manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->count; i++)
        if (manifest->files[i].size == 0)
            return true;
    return false;
}

static enum err adopt_manifest(struct incoming *incoming)
{
    uint8_t id[HASH_SIZE];
    hash_of(bytes_span(&incoming->text), id);
    if (memcmp(id, incoming->id, HASH_SIZE) != 0)
        return ERR_CORRUPT;
    TRY(manifest_decode(bytes_span(&incoming->text), &incoming->manifest));
    bool fits = incoming->head + manifest_size(&incoming->manifest) == incoming->size;
    return fits && !has_empty_file(&incoming->manifest) ? ERR_NONE : ERR_CORRUPT;
}

/* What comes in must never be what makes the disk full. */
static enum err check_room(const struct incoming *incoming)
{
    struct statvfs disk;
    if (statvfs(incoming->data_dir, &disk) != 0)
        return refused("disk_not_measured", incoming->data_dir);
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return free_bytes >= incoming->size + incoming->spare_bytes ? ERR_NONE : ERR_NOSPACE;
}

static enum err finish_manifest(struct incoming *incoming)
{
    char path[PATH_BYTES_MAX];
    enum err err = adopt_manifest(incoming);
    if (err == ERR_CORRUPT) {
        log_error("snapshot_manifest_damaged", kv_u64("bytes", incoming->head));
        TRY(incoming_drop(incoming));
    }
    if (err == ERR_NONE)
        err = check_room(incoming);
    if (err == ERR_NOSPACE) {
        log_error("snapshot_has_no_room", kv_u64("bytes", incoming->size));
        TRY(incoming_drop(incoming));
    }
    TRY(err);
    TRY(smallfile_directory(incoming->directory));
    TRY(smallfile_directory(path_in(path, incoming, "log", "")));
    TRY(artefact_write_manifest(incoming->directory, bytes_span(&incoming->text)));
    log_info("snapshot_begun", kv_u64("index", incoming->manifest.index),
             kv_u64("files", incoming->manifest.count), kv_u64("bytes", incoming->size));
    return ERR_NONE;
}

static enum err append_to_manifest(struct incoming *incoming, struct span *rest)
{
    uint64_t left = incoming->head - incoming->offset;
    struct span data = SPAN(rest->data, rest->size < left ? rest->size : (size_t)left);
    *rest = SPAN(rest->data + data.size, rest->size - data.size);
    bytes_append_span(&incoming->text, data);
    incoming->offset += data.size;
    return incoming->offset == incoming->head ? finish_manifest(incoming) : ERR_NONE;
}

/* ---- going on after an interruption -----------------------------------------------------------
 */

static uint64_t size_of(const char *path)
{
    struct stat at;
    return stat(path, &at) == 0 ? (uint64_t)at.st_size : 0;
}

/* What there is of the file in work is read once, for its digest. */
static enum err resume_part(struct incoming *incoming)
{
    char path[PATH_BYTES_MAX];
    SCOPED(bytes) slice = {0};
    const struct manifest_file *file = file_in_work(incoming);
    uint64_t size = size_of(path_in(path, incoming, file->name, part));
    if (size == 0 || size >= file->size)
        return ERR_NONE; /* from its start */
    TRY(open_part(incoming));
    while (incoming->file_at < size) {
        bytes_clear(&slice);
        uint64_t left = size - incoming->file_at;
        size_t wanted = left < ARTEFACT_SLICE_MAX ? (size_t)left : ARTEFACT_SLICE_MAX;
        ssize_t got =
            pread(incoming->fd, bytes_reserve(&slice, wanted), wanted, (off_t)incoming->file_at);
        if (got <= 0)
            return refused("file_not_read", path);
        digest_add(&incoming->digest, SPAN(slice.data, (size_t)got));
        incoming->file_at += (uint64_t)got;
    }
    incoming->offset += size;
    return ERR_NONE;
}

static enum err resume(struct incoming *incoming)
{
    char path[PATH_BYTES_MAX];
    incoming->head = incoming->offset = incoming->text.size;
    hash_of(bytes_span(&incoming->text), incoming->id);
    incoming->size = incoming->head + manifest_size(&incoming->manifest);
    incoming->active = true;
    for (; incoming->file < incoming->manifest.count; incoming->file++) {
        const struct manifest_file *file = file_in_work(incoming);
        if (size_of(path_in(path, incoming, file->name, "")) != file->size)
            break;
        incoming->offset += file->size;
    }
    if (incoming->file < incoming->manifest.count)
        TRY(resume_part(incoming));
    log_info("snapshot_resumed", kv_u64("index", incoming->manifest.index),
             kv_u64("offset", incoming->offset), kv_u64("bytes", incoming->size));
    incoming->resumed++;
    return ERR_NONE;
}

enum err incoming_open(struct incoming *incoming, const char *data_dir, uint64_t spare_bytes)
{
    char path[PATH_BYTES_MAX];
    size_t room = strlen(data_dir) + 16;
    assert(incoming->directory == NULL);
    incoming->data_dir = data_dir;
    incoming->spare_bytes = spare_bytes;
    incoming->directory = bytes_zeroed(1, room);
    snprintf(incoming->directory, room, "%s/incoming", data_dir);
    enum err err = artefact_read_file(path_in(path, incoming, ARTEFACT_MANIFEST, ""),
                                      MANIFEST_BYTES_MAX, &incoming->text);
    if (err == ERR_NONE)
        err = manifest_decode(bytes_span(&incoming->text), &incoming->manifest);
    if (err == ERR_NONE && !has_empty_file(&incoming->manifest))
        return resume(incoming);
    return incoming_drop(incoming);
}

void incoming_close(struct incoming *incoming)
{
    forget(incoming);
    bytes_free(incoming->directory);
    *incoming = (struct incoming){0};
}

/* ---- a slice ----------------------------------------------------------------------------------
 */

static bool is_sound(const struct incoming_slice *slice)
{
    return slice->id.size == HASH_SIZE && slice->head > 0 && slice->head <= MANIFEST_BYTES_MAX &&
           slice->size > slice->head && slice->size <= INT64_MAX && slice->offset <= slice->size &&
           slice->data.size <= slice->size - slice->offset;
}

static bool is_same(const struct incoming *incoming, const struct incoming_slice *slice)
{
    return incoming->active && memcmp(incoming->id, slice->id.data, HASH_SIZE) == 0;
}

static enum err begin(struct incoming *incoming, const struct incoming_slice *slice)
{
    TRY(incoming_drop(incoming));
    incoming->active = true;
    memcpy(incoming->id, slice->id.data, HASH_SIZE);
    incoming->head = slice->head;
    incoming->size = slice->size;
    return ERR_NONE;
}

enum err incoming_write(struct incoming *incoming, const struct incoming_slice *slice)
{
    if (!is_sound(slice))
        return ERR_BAD_REQUEST;
    if (!is_same(incoming, slice))
        TRY(begin(incoming, slice));
    if (slice->offset != incoming->offset || slice->data.size == 0)
        return ERR_NONE;
    if (!digest_fits(slice->digest, slice->data))
        return ERR_CORRUPT;
    incoming->slices++;
    incoming->bytes += slice->data.size;
    struct span rest = slice->data;
    while (rest.size > 0) { /* a slice may end one file and begin the next */
        bool in_head = incoming->offset < incoming->head;
        TRY(in_head ? append_to_manifest(incoming, &rest) : append_to_file(incoming, &rest));
    }
    return ERR_NONE;
}

bool incoming_whole(const struct incoming *incoming)
{
    return incoming->active && incoming->offset == incoming->size;
}
