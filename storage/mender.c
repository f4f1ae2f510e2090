#include "storage/mender.h"

#include "common/log.h"
#include "storage/smallfile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096, ROWS_BYTES = 256 << 10, CONFIGS_WANTED = 2 };

/* ---- begin and end -------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    char *copy = bytes_zeroed(1, strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

static void forget(struct mender *mender)
{
    segment_free(mender->copy);
    filedigest_close(&mender->file);
    seal_close(&mender->seal);
    bytes_free(mender->path);
    bytes_free(mender->copy_path);
    mender->copy = NULL;
    mender->path = mender->copy_path = NULL;
    mender->wants = false;
}

void mender_close(struct mender *mender)
{
    forget(mender);
    *mender = (struct mender){0};
}

/* It cannot be done now; perhaps later. */
static void give_up(struct mender *mender, uint64_t now_ms, const char *why)
{
    log_error("segment_not_mended", kv_text("path", mender->path), kv_text("why", why),
              kv_u64("index", mender->next));
    mender->not_before_ms = now_ms + MENDER_RETRY_MS;
    forget(mender);
}

static struct shelf_part *find_damaged(const struct shelf *shelf)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++)
        if (shelf->parts[slot]->damaged && shelf->parts[slot]->indexed)
            return shelf->parts[slot];
    return NULL;
}

/* The part in work; NULL: it was cut meanwhile. */
static struct shelf_part *part_in_work(const struct mender *mender, const struct shelf *shelf)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++)
        if (shelf->parts[slot]->damaged && strcmp(shelf->parts[slot]->path, mender->path) == 0)
            return shelf->parts[slot];
    return NULL;
}

/* LOG/mend/NAME: no start takes it for a part of the log. */
static enum err open_copy(struct mender *mender)
{
    char path[PATH_BYTES_MAX], *name;
    snprintf(path, sizeof path, "%s", mender->path);
    name = strrchr(path, '/');
    assert(name != NULL);
    snprintf(name, sizeof path - (size_t)(name - path), "/mend");
    TRY(smallfile_directory(path));
    snprintf(path + strlen(path), sizeof path - strlen(path), "%s", mender->path + (name - path));
    TRY(segment_remove(path));
    mender->copy_path = copy_text(path);
    mender->copy = bytes_zeroed(1, sizeof *mender->copy);
    return segment_open(mender->copy, path);
}

/* What the file goes on from: it says so itself, or the file before it does by its end. */
static enum err find_base(struct shelf *shelf, struct shelf_part *part, struct segment_base *base)
{
    SCOPED(bytes) record = {0};
    enum err err = shelf_base(shelf, part, base);
    if (err == ERR_NONE && base->index + 1 == part->first)
        return ERR_NONE;
    segment_base_close(base);
    if (part->first == 1)
        return ERR_NONE;
    struct shelf_part *before = shelf_part_of(shelf, part->first - 1);
    if (before == NULL)
        return ERR_CORRUPT;
    TRY(shelf_read(shelf, before->last, before->last, 1, &record));
    base->index = before->last;
    base->term = entry_term_of(bytes_span(&record));
    memcpy(base->hash, entry_hash_of(bytes_span(&record)), HASH_SIZE);
    uint32_t count;
    TRY(segment_configs(before->reader, UINT64_MAX, CONFIGS_WANTED, &base->configs, &count));
    SCOPED(segment_base) older = {0};
    err = shelf_base(shelf, before, &older);
    if (err != ERR_NOT_FOUND) /* a file of an earlier build says nothing */
        TRY(err);
    struct span rest = bytes_span(&older.configs), config;
    for (; count < CONFIGS_WANTED && entry_next(&rest, &config); count++)
        bytes_append_span(&base->configs, config);
    return ERR_NONE;
}

static enum err begin(struct mender *mender, struct shelf *shelf, uint64_t now_ms)
{
    SCOPED(segment_base) base = {0};
    struct shelf_part *part = find_damaged(shelf);
    mender->path = copy_text(part->path);
    mender->first = mender->next = part->first;
    mender->last = part->last;
    enum err err = find_base(shelf, part, &base);
    if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
        give_up(mender, now_ms, "what it goes on from cannot be read either");
        return ERR_NONE;
    }
    TRY(err);
    memcpy(mender->hash, base.hash, HASH_SIZE);
    TRY(open_copy(mender));
    TRY(store_begin(&mender->copy->store));
    TRY(segment_note_base(mender->copy, &base));
    return store_commit(&mender->copy->store);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Appends what follows, and says how many that were. */
static enum err append(struct mender *mender, struct span records, uint32_t *count)
{
    struct span record;
    *count = 0;
    TRY(store_begin(&mender->copy->store));
    while (mender->next <= mender->last && entry_next(&records, &record)) {
        if (entry_index_of(record) < mender->next)
            continue;
        if (entry_index_of(record) != mender->next || !entry_intact(record) ||
            !entry_follows(record, mender->hash))
            break;
        TRY(segment_append(mender->copy, record));
        memcpy(mender->hash, entry_hash_of(record), HASH_SIZE);
        mender->next++;
        ++*count;
    }
    return store_commit(&mender->copy->store);
}

static enum err copy_own(struct mender *mender, struct shelf *shelf)
{
    SCOPED(bytes) rows = {0};
    uint32_t count;
    enum err err = shelf_read(shelf, mender->next, mender->last, ROWS_BYTES, &rows);
    if (err == ERR_IO || err == ERR_NOMEM)
        return err;
    TRY(append(mender, bytes_span(&rows), &count)); /* those before the damage are good */
    mender->wants = count == 0;
    return ERR_NONE;
}

bool mender_wants(const struct mender *mender, uint64_t *from, uint64_t *to)
{
    *from = mender->next;
    *to = mender->last;
    return mender->path != NULL && mender->wants;
}

enum err mender_take(struct mender *mender, struct span records)
{
    uint32_t count;
    if (mender->path == NULL || !mender->wants)
        return ERR_NONE;
    TRY(append(mender, records, &count));
    mender->wants = count == 0;
    mender->given += count;
    return ERR_NONE;
}

/* ---- the new file takes its place -------------------------------------------------------------
 */

/* The next file was written when this one was whole. */
static enum err check_end(struct mender *mender, struct shelf *shelf, bool *follows)
{
    SCOPED(bytes) record = {0};
    *follows = true;
    if (mender->last >= shelf->applied)
        return ERR_NONE;
    enum err err = shelf_read(shelf, mender->last + 1, mender->last + 1, 1, &record);
    if (err == ERR_CORRUPT || err == ERR_NOT_FOUND)
        return ERR_NONE; /* damaged as well: it has no say */
    TRY(err);
    *follows = entry_follows(bytes_span(&record), mender->hash);
    return ERR_NONE;
}

static enum err set_old_aside(const char *path)
{
    char aside[PATH_BYTES_MAX];
    snprintf(aside, sizeof aside, "%s.damaged", path);
    if (unlink(aside) != 0 && errno != ENOENT)
        return ERR_IO;
    return link(path, aside) == 0 || errno == ENOENT ? ERR_NONE : ERR_IO;
}

static enum err put_in_place(struct mender *mender, struct shelf_part *part)
{
    shelf_rest(part);
    TRY(set_old_aside(part->path));
    return rename(mender->copy_path, part->path) == 0 ? ERR_NONE : ERR_IO;
}

/* The index was damaged as well: the next start makes it anew, of a segment that is whole. */
static enum err drop_index(struct shelf_part *part)
{
    log_error("index_damaged", kv_text("path", part->path));
    TRY(seal_remove(part->path)); /* and syncs the directory */
    return ERR_IO;
}

static enum err replace(struct mender *mender, struct shelf_part *part)
{
    struct tagindex index = {0};
    enum err loaded = seal_load(part->path, &index), err = loaded;
    bool lost = loaded == ERR_CORRUPT || loaded == ERR_NOT_FOUND;
    if (loaded == ERR_NONE || lost)
        err = put_in_place(mender, part);
    if (err == ERR_NONE && lost)
        err = drop_index(part);
    if (err == ERR_NONE) {
        part->seal.file = mender->seal.file;
        bytes_clear(&part->seal.bloom);
        err = seal_write(part->path, &index, &part->seal); /* and syncs the directory */
    }
    tagindex_close(&index);
    return err;
}

static enum err finish(struct mender *mender, struct shelf *shelf, struct shelf_part *part,
                       uint64_t now_ms)
{
    bool follows, done;
    if (mender->copy != NULL) {
        TRY(check_end(mender, shelf, &follows));
        if (!follows) {
            give_up(mender, now_ms, "the next file does not follow");
            return ERR_NONE;
        }
        TRY(segment_seal(mender->copy));
        segment_free(mender->copy);
        mender->copy = NULL;
        return filedigest_begin(&mender->file, mender->copy_path, DIGEST_SIZE);
    }
    TRY(filedigest_step(&mender->file, &mender->seal.file, &done));
    if (!done)
        return ERR_NONE;
    TRY(replace(mender, part));
    part->damaged = false;
    part->bytes = 0;
    mender->mended++;
    log_info("segment_mended", kv_text("path", part->path), kv_u64("given", mender->given));
    forget(mender);
    return ERR_NONE;
}

bool mender_due(const struct mender *mender, const struct shelf *shelf, uint64_t now_ms)
{
    if (mender->path != NULL)
        return !mender->wants;
    return now_ms >= mender->not_before_ms && find_damaged(shelf) != NULL;
}

enum err mender_step(struct mender *mender, struct shelf *shelf, uint64_t now_ms)
{
    if (mender->path == NULL)
        return begin(mender, shelf, now_ms);
    struct shelf_part *part = part_in_work(mender, shelf);
    if (part == NULL) {
        forget(mender);
        return ERR_NONE;
    }
    enum err err = mender->next <= mender->last ? copy_own(mender, shelf)
                                                : finish(mender, shelf, part, now_ms);
    if (err != ERR_NOSPACE)
        return err;
    give_up(mender, now_ms, "there is no room for the new file");
    return ERR_NONE;
}
