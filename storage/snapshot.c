/* snapshot.c - copy the state, link what is sealed, copy the rest, digest it, name it. */
#include "storage/snapshot.h"

#include "common/log.h"
#include "storage/generation.h"
#include "storage/smallfile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, COPY_BYTES = 1 << 20 };

static const char *path_in(char path[PATH_BYTES_MAX], const struct snapshot *snapshot,
                           const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", snapshot->directory, name);
    return path;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- beginning and ending ------------------------------------------------------------------- */

static void let_go(struct snapshot *snapshot)
{
    storecopy_close(&snapshot->copy);
    segment_free(snapshot->writer);
    snapshot->writer = NULL;
    filedigest_close(&snapshot->digest);
    manifest_close(&snapshot->manifest);
    artefact_close(&snapshot->ready);
    snapshot->phase = SNAPSHOT_NONE;
}

static enum err drop(struct snapshot *snapshot)
{
    let_go(snapshot);
    return generation_remove(snapshot->directory);
}

/* A snapshot must never be what makes the disk full. */
static enum err check_room(const struct snapshot *snapshot, const char *state_path)
{
    struct statvfs disk;
    struct stat state = {0};
    if (statvfs(snapshot->data_dir, &disk) != 0 || stat(state_path, &state) != 0)
        return ERR_IO;
    uint64_t wanted = (uint64_t)state.st_size + 2ull * SEGMENT_BYTES_MAX + snapshot->spare_bytes;
    return (uint64_t)disk.f_bavail * disk.f_frsize >= wanted ? ERR_NONE : ERR_NOSPACE;
}

static enum err begin(struct snapshot *snapshot, struct late *late)
{
    char path[PATH_BYTES_MAX];
    TRY(generation_remove(snapshot->directory));
    TRY(check_room(snapshot, late->state.store.path));
    TRY(smallfile_directory(snapshot->directory));
    TRY(smallfile_directory(path_in(path, snapshot, "log")));
    manifest_add(&snapshot->manifest, "state.db");
    return storecopy_begin(&snapshot->copy, &late->state.store,
                           path_in(path, snapshot, "state.db"));
}

/* ---- the sealed part of the log ------------------------------------------------------------- */

static enum err link_file(struct snapshot *snapshot, const char *from, const char *suffix,
                          const struct digest *digest)
{
    char source[PATH_BYTES_MAX], path[PATH_BYTES_MAX], name[MANIFEST_NAME_MAX];
    struct stat at;
    snprintf(source, sizeof source, "%s%s", from, suffix);
    snprintf(name, sizeof name, "log/%s%s", name_of(from), suffix);
    if (link(source, path_in(path, snapshot, name)) != 0 || stat(path, &at) != 0) {
        log_error("file_not_linked", kv_text("file", source), kv_text("text", strerror(errno)));
        return ERR_IO;
    }
    struct manifest_file *file = manifest_add(&snapshot->manifest, name);
    file->size = (uint64_t)at.st_size;
    if (digest != NULL)
        file->digest = *digest;
    return ERR_NONE;
}

/* All at once: between two pieces of work the log may be cut. */
static enum err link_sealed(struct snapshot *snapshot, const struct shelf *shelf)
{
    struct manifest *manifest = &snapshot->manifest;
    snapshot->next_row = manifest->first_index;
    for (uint32_t slot = 0; slot < shelf->count; slot++) {
        const struct shelf_part *part = shelf->parts[slot];
        if (!part->indexed || part->last > manifest->index)
            return ERR_NONE;
        TRY(link_file(snapshot, part->path, "", &part->seal.file));
        TRY(link_file(snapshot, part->path, ".index", NULL));
        snapshot->next_row = part->last + 1;
    }
    return ERR_NONE;
}

static enum err read_mark(struct snapshot *snapshot, struct apply_mark *mark)
{
    char path[PATH_BYTES_MAX];
    SCOPED(state) state = {0};
    TRY(state_open_reader(&state, path_in(path, snapshot, "state.db")));
    return state_mark(&state, mark);
}

static enum err copy_state(struct snapshot *snapshot, struct shelf *shelf)
{
    struct manifest *manifest = &snapshot->manifest;
    struct apply_mark mark;
    bool done;
    TRY(storecopy_step(&snapshot->copy, &done));
    if (!done)
        return ERR_NONE;
    storecopy_close(&snapshot->copy);
    TRY(read_mark(snapshot, &mark));
    if (mark.index == 0 || shelf->count == 0)
        return ERR_NOT_READY; /* a young node: its state was not written yet */
    memcpy(manifest->cluster, mark.cluster, sizeof manifest->cluster);
    memcpy(manifest->change_hash, mark.hash, HASH_SIZE);
    manifest->history = mark.history;
    manifest->index = mark.index;
    manifest->term = mark.term;
    manifest->last_id = mark.last_id;
    manifest->first_index = shelf->parts[0]->first;
    TRY(link_sealed(snapshot, shelf));
    snapshot->phase = SNAPSHOT_ROWS;
    return ERR_NONE;
}

/* ---- the rows of segments that are still written --------------------------------------------- */

static enum err open_writer(struct snapshot *snapshot, struct shelf *shelf)
{
    char path[PATH_BYTES_MAX], name[MANIFEST_NAME_MAX];
    SCOPED(segment_base) base = {0};
    struct shelf_part *part = shelf_part_of(shelf, snapshot->next_row);
    if (part == NULL)
        return ERR_CORRUPT;
    uint64_t end = snapshot->manifest.index;
    snapshot->writer_end = part->last < end ? part->last : end;
    snprintf(name, sizeof name, "log/%s", name_of(part->path));
    manifest_add(&snapshot->manifest, name);
    snapshot->writer = bytes_zeroed(1, sizeof *snapshot->writer);
    TRY(segment_open(snapshot->writer, path_in(path, snapshot, name)));
    enum err err = shelf_base(shelf, part, &base);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE; /* a file of an earlier build says nothing */
    TRY(err);
    TRY(store_begin(&snapshot->writer->store));
    TRY(segment_note_base(snapshot->writer, &base));
    return store_commit(&snapshot->writer->store);
}

static enum err append_records(struct snapshot *snapshot, struct span records)
{
    struct manifest *manifest = &snapshot->manifest;
    struct span record;
    while (entry_next(&records, &record)) {
        TRY(segment_append(snapshot->writer, record));
        snapshot->next_row = entry_index_of(record) + 1;
        if (entry_index_of(record) == manifest->index)
            memcpy(manifest->log_hash, entry_hash_of(record), HASH_SIZE);
    }
    return ERR_NONE;
}

static enum err copy_rows(struct snapshot *snapshot, struct shelf *shelf)
{
    SCOPED(bytes) records = {0};
    if (snapshot->writer == NULL)
        return open_writer(snapshot, shelf);
    if (snapshot->next_row > snapshot->writer_end) {
        TRY(segment_seal(snapshot->writer));
        segment_free(snapshot->writer);
        snapshot->writer = NULL;
        return ERR_NONE;
    }
    TRY(shelf_read(shelf, snapshot->next_row, snapshot->writer_end, COPY_BYTES, &records));
    TRY(store_begin(&snapshot->writer->store));
    TRY(append_records(snapshot, bytes_span(&records)));
    return store_commit(&snapshot->writer->store);
}

/* The log ends with a sealed file: the last record is not among the copied ones. */
static enum err find_log_hash(struct snapshot *snapshot, struct shelf *shelf)
{
    SCOPED(bytes) record = {0};
    uint64_t index = snapshot->manifest.index;
    TRY(shelf_read(shelf, index, index, 1, &record));
    memcpy(snapshot->manifest.log_hash, entry_hash_of(bytes_span(&record)), HASH_SIZE);
    return ERR_NONE;
}

static enum err work_on_rows(struct snapshot *snapshot, struct shelf *shelf)
{
    if (snapshot->writer != NULL || snapshot->next_row <= snapshot->manifest.index)
        return copy_rows(snapshot, shelf);
    TRY(find_log_hash(snapshot, shelf));
    snapshot->next_digest = 0;
    snapshot->phase = SNAPSHOT_DIGEST;
    return ERR_NONE;
}

/* ---- digests, and the name ------------------------------------------------------------------ */

static enum err complete(struct snapshot *snapshot, uint64_t now_ms)
{
    char path[PATH_BYTES_MAX];
    SCOPED(bytes) text = {0};
    TRY(store_sync_directory(path_in(path, snapshot, "log")));
    manifest_encode(&snapshot->manifest, &text);
    TRY(artefact_write_manifest(snapshot->directory, bytes_span(&text)));
    manifest_close(&snapshot->manifest);
    TRY(artefact_open(&snapshot->ready, snapshot->directory));
    snapshot->phase = SNAPSHOT_READY;
    snapshot->made++;
    log_info("snapshot_made", kv_u64("index", snapshot->ready.manifest.index),
             kv_u64("files", snapshot->ready.manifest.count), kv_u64("bytes", snapshot->ready.size),
             kv_u64("took_ms", now_ms - snapshot->begun_ms));
    return ERR_NONE;
}

static enum err digest_files(struct snapshot *snapshot, uint64_t now_ms)
{
    char path[PATH_BYTES_MAX];
    struct stat at;
    bool done = false;
    while (snapshot->next_digest < snapshot->manifest.count &&
           snapshot->manifest.files[snapshot->next_digest].digest.size > 0)
        snapshot->next_digest++;
    if (snapshot->next_digest == snapshot->manifest.count)
        return complete(snapshot, now_ms);
    struct manifest_file *file = &snapshot->manifest.files[snapshot->next_digest];
    if (!snapshot->digest.open) {
        if (stat(path_in(path, snapshot, file->name), &at) != 0)
            return ERR_IO;
        file->size = (uint64_t)at.st_size;
        return filedigest_begin(&snapshot->digest, path, DIGEST_SIZE);
    }
    TRY(filedigest_step(&snapshot->digest, &file->digest, &done));
    if (done)
        filedigest_close(&snapshot->digest);
    return ERR_NONE;
}

static enum err work(struct snapshot *snapshot, struct late *late, struct shelf *shelf,
                     uint64_t now_ms)
{
    switch (snapshot->phase) {
    case SNAPSHOT_STATE:
        return snapshot->copy.to == NULL ? begin(snapshot, late) : copy_state(snapshot, shelf);
    case SNAPSHOT_ROWS:
        return work_on_rows(snapshot, shelf);
    case SNAPSHOT_DIGEST:
        return digest_files(snapshot, now_ms);
    default:
        return ERR_NONE;
    }
}

/* ---- public, in header order ----------------------------------------------------------------- */

enum err snapshot_open(struct snapshot *snapshot, const char *data_dir, uint64_t spare_bytes)
{
    size_t room = strlen(data_dir) + 16;
    assert(snapshot->directory == NULL);
    snapshot->data_dir = data_dir;
    snapshot->spare_bytes = spare_bytes;
    snapshot->directory = bytes_zeroed(1, room);
    snprintf(snapshot->directory, room, "%s/snapshot", data_dir);
    if (artefact_open(&snapshot->ready, snapshot->directory) != ERR_NONE)
        return drop(snapshot);
    snapshot->phase = SNAPSHOT_READY;
    log_info("snapshot_found", kv_u64("index", snapshot->ready.manifest.index));
    return ERR_NONE;
}

void snapshot_close(struct snapshot *snapshot)
{
    let_go(snapshot);
    bytes_free(snapshot->directory);
    *snapshot = (struct snapshot){0};
}

static bool is_unused(const struct snapshot *snapshot, uint64_t now_ms)
{
    return snapshot->phase == SNAPSHOT_READY && now_ms >= snapshot->used_ms + SNAPSHOT_KEPT_MS;
}

bool snapshot_due(const struct snapshot *snapshot, uint64_t now_ms)
{
    bool making = snapshot->phase != SNAPSHOT_NONE && snapshot->phase != SNAPSHOT_READY;
    return making || is_unused(snapshot, now_ms);
}

enum err snapshot_step(struct snapshot *snapshot, struct late *late, struct shelf *shelf,
                       uint64_t now_ms)
{
    if (snapshot->used_ms == 0)
        snapshot->used_ms = now_ms; /* of an earlier life */
    if (is_unused(snapshot, now_ms))
        return drop(snapshot);
    snapshot->failed = work(snapshot, late, shelf, now_ms);
    if (snapshot->failed == ERR_NONE)
        return ERR_NONE;
    bool young = snapshot->failed == ERR_NOT_READY;
    if (!young)
        log_warn("snapshot_not_made", kv_err(snapshot->failed));
    snapshot->not_before_ms = now_ms + (young ? SNAPSHOT_YOUNG_MS : SNAPSHOT_RETRY_MS);
    return drop(snapshot);
}

/* For somebody new; one that is being read stays: who reads it must come to an end (I17). But
 * where the log behind its end was cut meanwhile, it leads nowhere, however often it is read. */
static bool is_fresh(const struct snapshot *snapshot, const struct snapshot_place *place,
                     uint64_t now_ms)
{
    uint64_t index = snapshot->ready.manifest.index;
    if (index < place->least_index)
        return false;
    return index >= place->first_index && (place->applied < index + SNAPSHOT_LAG_MAX ||
                                           now_ms < snapshot->used_ms + SNAPSHOT_IN_USE_MS);
}

static bool is_wanted(const struct snapshot *snapshot, struct span id)
{
    return id.size == 0 || span_equal(id, SPAN(snapshot->ready.id, HASH_SIZE));
}

/* Another one would end too early as well, or somebody still reads the one that does. */
static bool must_wait(const struct snapshot *snapshot, const struct snapshot_place *place,
                      uint64_t now_ms)
{
    uint64_t index = snapshot->ready.manifest.index;
    return place->written < place->least_index ||
           (snapshot->phase == SNAPSHOT_READY && index < place->least_index &&
            index >= place->first_index && now_ms < snapshot->used_ms + SNAPSHOT_IN_USE_MS);
}

enum err snapshot_ask(struct snapshot *snapshot, struct span id, const struct snapshot_place *place,
                      uint64_t now_ms, struct artefact **ready)
{
    bool there = snapshot->phase == SNAPSHOT_READY;
    if (there && is_wanted(snapshot, id) && (id.size > 0 || is_fresh(snapshot, place, now_ms))) {
        snapshot->used_ms = now_ms;
        *ready = &snapshot->ready;
        return ERR_NONE;
    }
    if (id.size > 0)
        return ERR_NOT_FOUND;
    if (must_wait(snapshot, place, now_ms))
        return ERR_NOT_READY;
    if (snapshot->phase == SNAPSHOT_NONE && now_ms < snapshot->not_before_ms)
        return snapshot->failed;
    if (there)
        let_go(snapshot);
    if (snapshot->phase == SNAPSHOT_NONE) {
        snapshot->phase = SNAPSHOT_STATE;
        snapshot->begun_ms = snapshot->used_ms = now_ms;
    }
    return ERR_NOT_READY;
}

void snapshot_was_read(struct snapshot *snapshot, uint64_t now_ms)
{
    uint64_t ago_ms = SNAPSHOT_IN_USE_MS - SNAPSHOT_READ_MS;
    snapshot->used_ms = now_ms > ago_ms ? now_ms - ago_ms : 1;
}
