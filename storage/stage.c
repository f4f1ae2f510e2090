/* stage.c - the last look at a snapshot that has come in, and its new name. */
#include "storage/incoming.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/generation.h"
#include "storage/state.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_BYTES_MAX = 4096, RECORD_BYTES = 1 };

static const char *path_in(char path[PATH_BYTES_MAX], const char *directory, const char *name)
{
    snprintf(path, PATH_BYTES_MAX, "%s/%s", directory, name);
    return path;
}

/* The label says what the content says (I16). */
static enum err check_state(const char *directory, const struct manifest *manifest)
{
    char path[PATH_BYTES_MAX];
    SCOPED(state) state = {0};
    struct apply_mark mark;
    TRY(state_open_reader(&state, path_in(path, directory, "state.db")));
    TRY(state_mark(&state, &mark));
    bool same = mark.index == manifest->index && mark.term == manifest->term &&
                mark.last_id == manifest->last_id && mark.history == manifest->history &&
                memcmp(mark.cluster, manifest->cluster, sizeof mark.cluster) == 0 &&
                memcmp(mark.hash, manifest->change_hash, HASH_SIZE) == 0;
    return same ? ERR_NONE : ERR_CORRUPT;
}

static enum err check_last(struct segment *segment, const struct manifest *manifest)
{
    SCOPED(bytes) record = {0};
    uint64_t index = manifest->index, last;
    if (segment->last != index)
        return ERR_CORRUPT;
    enum err err = segment_read(segment, index, index, RECORD_BYTES, &record, &last);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    struct span found = bytes_span(&record);
    bool same = entry_term_of(found) == manifest->term &&
                memcmp(entry_hash_of(found), manifest->log_hash, HASH_SIZE) == 0;
    return same ? ERR_NONE : ERR_CORRUPT;
}

static enum err check_first(const char *directory, const struct manifest *manifest)
{
    char path[PATH_BYTES_MAX];
    SCOPED(segment) segment = {0};
    TRY(segment_open_sealed(&segment, path_in(path, directory, manifest->files[1].name)));
    return segment.first == manifest->first_index ? ERR_NONE : ERR_CORRUPT;
}

/* The newest file is one that can be written: in WAL mode, its -wal beside it. */
static enum err open_newest(const struct incoming *incoming, const char *name)
{
    char path[PATH_BYTES_MAX];
    SCOPED(segment) segment = {0};
    TRY(segment_open(&segment, path_in(path, incoming->directory, name)));
    return check_last(&segment, &incoming->manifest);
}

/* The log ends with a sealed file: behind it begins an empty one. */
static enum err add_newest(const struct incoming *incoming, const char *sealed,
                           char newest[SEGMENT_NAME_MAX])
{
    char path[PATH_BYTES_MAX], name[MANIFEST_NAME_MAX];
    SCOPED(segment) last = {0};
    SCOPED(segment) segment = {0};
    TRY(segment_open_sealed(&last, path_in(path, incoming->directory, sealed)));
    TRY(check_last(&last, &incoming->manifest));
    segment_name(last.number + 1, chance_u64(), newest);
    snprintf(name, sizeof name, "log/%s", newest);
    return segment_open(&segment, path_in(path, incoming->directory, name));
}

static enum err prepare(const struct incoming *incoming, char newest[SEGMENT_NAME_MAX])
{
    const struct manifest *manifest = &incoming->manifest;
    const struct manifest_file *last = &manifest->files[manifest->count - 1];
    bool ends_sealed = manifest_segment(last) == NULL;
    if (ends_sealed)
        last--;
    TRY(check_state(incoming->directory, manifest));
    TRY(check_first(incoming->directory, manifest));
    if (ends_sealed)
        return add_newest(incoming, last->name, newest);
    snprintf(newest, SEGMENT_NAME_MAX, "%s", manifest_segment(last));
    return open_newest(incoming, last->name);
}

enum err incoming_stage(struct incoming *incoming, uint64_t generation,
                        char newest[SEGMENT_NAME_MAX])
{
    char path[PATH_BYTES_MAX];
    enum err err = prepare(incoming, newest);
    if (err == ERR_CORRUPT) {
        log_error("snapshot_does_not_fit", kv_u64("index", incoming->manifest.index));
        TRY(incoming_drop(incoming));
    }
    TRY(err);
    TRY(store_sync_directory(path_in(path, incoming->directory, "log")));
    TRY(store_sync_directory(incoming->directory));
    char *home = generation_home(incoming->data_dir, generation);
    int result = rename(incoming->directory, home);
    if (result != 0)
        log_error("generation_not_named", kv_text("path", home), kv_text("text", strerror(errno)));
    bytes_free(home);
    if (result != 0)
        return ERR_IO;
    TRY(incoming_drop(incoming));
    return store_sync_directory(incoming->data_dir);
}

enum err incoming_check(const char *directory, const struct manifest *manifest, const char **name)
{
    char path[PATH_BYTES_MAX];
    SCOPED(segment) segment = {0};
    const struct manifest_file *last = &manifest->files[manifest->count - 1];
    if (manifest_segment(last) == NULL)
        last--; /* an .index */
    *name = manifest->files[0].name;
    TRY(check_state(directory, manifest));
    *name = manifest->files[1].name;
    TRY(check_first(directory, manifest));
    *name = last->name;
    TRY(segment_open_sealed(&segment, path_in(path, directory, last->name)));
    TRY(check_last(&segment, manifest));
    *name = NULL;
    return ERR_NONE;
}
