#include "storage/logrow.h"

#include "common/log.h"
#include "storage/seal.h"

enum { CHECK_BYTES = 1 << 20, CONFIGS_KEPT = 2 };

static bool is_named(const struct recovery *recovery, uint32_t slot)
{
    return strcmp(recovery->logdir.files[slot].name, recovery->ballot.newest) == 0;
}

static void keep_segment(struct recovery *recovery, const struct logdir_file *file,
                         const struct segment *segment)
{
    struct storage_found *found = &recovery->found;
    found->segments =
        bytes_resize(found->segments, found->segment_count + 1, sizeof *found->segments);
    found->segments[found->segment_count++] =
        (struct storage_segment){.path = logdir_join(&recovery->logdir, file->name),
                                 .number = file->number,
                                 .first = segment->first,
                                 .last = segment->last,
                                 .sealed = file->sealed,
                                 .indexed = file->indexed};
}

static enum err read_last(struct recovery *recovery, struct segment *segment)
{
    SCOPED(bytes) record = {0};
    uint64_t last;
    TRY(segment_read(segment, segment->last, segment->last, CHECK_BYTES, &record, &last));
    recovery->last_term = entry_term_of(bytes_span(&record));
    memcpy(recovery->last_hash, entry_hash_of(bytes_span(&record)), HASH_SIZE);
    return ERR_NONE;
}

/* Does the segment continue the log as known so far, without a hole, by its hash? */
static enum err check_joint(struct recovery *recovery, struct segment *segment)
{
    SCOPED(bytes) record = {0};
    uint64_t last;
    if (segment->first == 0)
        return ERR_NONE;
    if (segment->first != recovery->found.last_index + 1)
        return ERR_GAP;
    TRY(segment_read(segment, segment->first, segment->first, CHECK_BYTES, &record, &last));
    bool follows = entry_follows(bytes_span(&record), recovery->last_hash);
    return follows ? ERR_NONE : ERR_CORRUPT;
}

static enum err note_configs(struct recovery *recovery, struct segment *segment)
{
    SCOPED(bytes) newer = {0};
    uint32_t count;
    TRY(segment_configs(segment, UINT64_MAX, CONFIGS_KEPT, &newer, &count));
    if (count == 0)
        return ERR_NONE;
    bytes_append_span(&newer, bytes_span(&recovery->old_configs));
    bytes_clear(&recovery->old_configs);
    bytes_append_span(&recovery->old_configs, bytes_span(&newer));
    recovery->old_config_count += count;
    return ERR_NONE;
}

/* What the oldest writer continues. */
static void note_base(struct recovery *recovery)
{
    recovery->base_index = recovery->found.last_index;
    recovery->base_term = recovery->last_term;
    memcpy(recovery->base_hash, recovery->last_hash, HASH_SIZE);
}

/* What was before this file is cut, or cannot be read: it says itself what that ended with. */
static enum err adopt_base(struct recovery *recovery, const struct logdir_file *file,
                           struct segment *segment)
{
    SCOPED(segment_base) base = {0};
    enum err err = segment_base(segment, &base);
    if (err == ERR_NOT_FOUND)
        return ERR_GAP;
    TRY(err);
    if (recovery->bridged && base.index != recovery->found.last_index)
        return ERR_CORRUPT;
    recovery->bridged = false;
    recovery->found.last_index = base.index;
    recovery->last_term = base.term;
    memcpy(recovery->last_hash, base.hash, HASH_SIZE);
    bytes_clear(&recovery->old_configs);
    bytes_append_span(&recovery->old_configs, bytes_span(&base.configs));
    if (!file->sealed)
        note_base(recovery);
    return entry_count(bytes_span(&base.configs), &recovery->old_config_count);
}

static enum err join(struct recovery *recovery, const struct logdir_file *file,
                     struct segment *segment)
{
    if (recovery->bridged || (recovery->found.segment_count == 0 && segment->first > 1))
        TRY(adopt_base(recovery, file, segment));
    TRY(check_joint(recovery, segment));
    if (segment->first != 0)
        TRY(read_last(recovery, segment));
    if (file->sealed)
        TRY(note_configs(recovery, segment));
    keep_segment(recovery, file, segment);
    if (segment->last != 0)
        recovery->found.last_index = segment->last;
    return ERR_NONE;
}

static enum err join_sealed(struct recovery *recovery, const struct logdir_file *file,
                            const char *path)
{
    SCOPED(segment) segment = {0};
    TRY(segment_open_sealed(&segment, path));
    if (segment.first == 0)
        return ERR_CORRUPT;
    return join(recovery, file, &segment);
}

/* A sealed file is damaged where a start must read it. Nothing in it was ever promised alone: it
 * keeps its place, by what its .index says of it, and is mended later (mender.h). */
static enum err bridge(struct recovery *recovery, const struct logdir_file *file, const char *path)
{
    SCOPED(seal) seal = {0};
    struct storage_found *found = &recovery->found;
    enum err err = seal_read(path, &seal);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    if (found->segment_count > 0 && seal.first_index != found->last_index + 1)
        return ERR_GAP;
    struct segment stand_in = {.first = seal.first_index, .last = seal.last_index};
    log_error("segment_damaged", kv_text("path", path), kv_u64("first", seal.first_index));
    keep_segment(recovery, file, &stand_in);
    found->segments[found->segment_count - 1].damaged = true;
    found->last_index = seal.last_index;
    recovery->bridged = true;
    return ERR_NONE;
}

static enum err take_sealed(struct recovery *recovery, const struct logdir_file *file,
                            const char *path)
{
    uint32_t before = recovery->found.segment_count;
    enum err err = join_sealed(recovery, file, path);
    bool untouched = recovery->found.segment_count == before;
    bool damaged = err == ERR_CORRUPT || err == ERR_NOT_FOUND;
    return damaged && untouched && file->indexed ? bridge(recovery, file, path) : err;
}

/* A file that was prepared when the disk was full, and never used: another one has its number. */
static bool is_double(const struct recovery *recovery, const struct logdir_file *file)
{
    uint32_t same = 0;
    for (uint32_t i = 0; i < recovery->logdir.count; i++)
        same += recovery->logdir.files[i].number == file->number;
    return same > 1;
}

static enum err take_writer(struct inquiry *inquiry, const struct logdir_file *file,
                            const char *path, bool is_last)
{
    struct recovery *recovery = inquiry->recovery;
    TRY(inquiry_scan_wal(inquiry, path, "the WAL of a segment is damaged"));
    struct segment *segment = bytes_zeroed(1, sizeof *segment);
    enum err err = segment_open(segment, path);
    if (err == ERR_NONE && segment->first == 0 && !is_last && is_double(recovery, file)) {
        segment_free(segment);
        return segment_remove(path);
    }
    if (err == ERR_NONE && segment->first == 0 && !is_last)
        err = ERR_GAP;
    if (err == ERR_NONE)
        err = join(recovery, file, segment);
    if (err != ERR_NONE) {
        segment_free(segment);
        return err;
    }
    recovery->writers = bytes_resize(recovery->writers, recovery->writer_count + 1, sizeof segment);
    recovery->writers[recovery->writer_count++] = segment;
    return ERR_NONE;
}

static enum err take_file(struct inquiry *inquiry, uint32_t slot)
{
    struct recovery *recovery = inquiry->recovery;
    bool is_last = slot + 1 == recovery->logdir.count;
    struct logdir_file *file = &recovery->logdir.files[slot];
    file->sealed = file->sealed && !is_last && recovery->writer_count == 0;
    if (!file->sealed && recovery->writer_count == 0)
        note_base(recovery);
    char *path = logdir_join(&recovery->logdir, file->name);
    enum err err = file->sealed ? take_sealed(recovery, file, path)
                                : take_writer(inquiry, file, path, is_last);
    bytes_free(path);
    return err;
}

/* ---- the entries that were written last ------------------------------------------------------ */

static struct segment *newest_filled(const struct recovery *recovery)
{
    for (uint32_t i = recovery->writer_count; i > 0; i--)
        if (recovery->writers[i - 1]->first != 0)
            return recovery->writers[i - 1];
    return NULL;
}

/* *good: the last index up to which every record is whole. */
static enum err check_records(struct segment *segment, uint64_t *good)
{
    SCOPED(bytes) records = {0};
    for (*good = segment->first - 1; *good < segment->last;) {
        uint64_t last;
        bytes_clear(&records);
        enum err err =
            segment_read(segment, *good + 1, segment->last, CHECK_BYTES, &records, &last);
        if (last > *good)
            *good = last;
        TRY(err);
    }
    return ERR_NONE;
}

/* Term and hash of the end, where the newest files hold nothing. */
static enum err end_before(struct recovery *recovery)
{
    recovery->last_term = recovery->base_term;
    memcpy(recovery->last_hash, recovery->base_hash, HASH_SIZE);
    struct segment *before = newest_filled(recovery);
    return before ? read_last(recovery, before) : ERR_NONE;
}

static enum err cut_damaged(struct recovery *recovery, struct segment *segment, uint64_t good)
{
    struct storage_found *found = &recovery->found;
    TRY(store_begin(&segment->store));
    TRY(segment_cut(segment, good + 1));
    TRY(store_commit(&segment->store));
    found->last_index = good;
    for (uint32_t i = 0; i < found->segment_count; i++)
        if (found->segments[i].number == segment->number) {
            found->segments[i].first = segment->first;
            found->segments[i].last = segment->last;
        }
    return segment->first != 0 ? read_last(recovery, segment) : end_before(recovery);
}

/* The files of the writers from this one on are set aside. */
static void give_up_behind(struct inquiry *inquiry, uint32_t writer)
{
    struct recovery *recovery = inquiry->recovery;
    while (recovery->writer_count > writer) {
        segment_free(recovery->writers[--recovery->writer_count]);
        bytes_free(recovery->found.segments[--recovery->found.segment_count].path);
        inquiry->keep--;
    }
}

/* Its pages are so damaged that it cannot even be cut. */
static enum err give_up_file(struct inquiry *inquiry, uint32_t writer)
{
    struct recovery *recovery = inquiry->recovery;
    recovery->found.last_index = recovery->writers[writer]->first - 1;
    give_up_behind(inquiry, writer);
    return end_before(recovery);
}

/* ---- public, in header order ---------------------------------------------------------------- */

enum err logrow_trim(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    struct logdir *logdir = &recovery->logdir;
    if (inquiry->had_ballot)
        TRY(logdir_remove_newer(logdir, recovery->ballot.newest));
    if (recovery->ballot.newest[0] == '\0')
        return ERR_NONE;
    if (logdir->count == 0 || !is_named(recovery, logdir->count - 1))
        inquiry_blame(inquiry, "the newest segment is missing");
    else if (!logdir->files[logdir->count - 1].has_wal)
        inquiry_blame(inquiry, "the WAL of the newest segment is missing");
    return ERR_NONE;
}

enum err logrow_take(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    for (inquiry->keep = 0; inquiry->keep < recovery->logdir.count; inquiry->keep++) {
        enum err err = take_file(inquiry, inquiry->keep);
        if (err == ERR_GAP)
            inquiry_blame(inquiry, "the log has a hole");
        else if (err == ERR_CORRUPT || err == ERR_NOT_FOUND)
            inquiry_blame(inquiry, "a segment is damaged");
        else
            TRY(err);
        if (err != ERR_NONE)
            return ERR_NONE;
    }
    return ERR_NONE;
}

enum err logrow_check_writers(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    for (uint32_t i = 0; i < recovery->writer_count; i++) {
        struct segment *segment = recovery->writers[i];
        uint64_t good;
        if (segment->first == 0)
            continue;
        enum err err = check_records(segment, &good);
        if (err == ERR_NONE)
            continue;
        if (err != ERR_CORRUPT && err != ERR_NOT_FOUND)
            return err;
        inquiry_blame(inquiry, "a record of a segment is damaged");
        give_up_behind(inquiry, i + 1);
        err = cut_damaged(recovery, segment, good);
        return err == ERR_CORRUPT ? give_up_file(inquiry, i) : err;
    }
    return ERR_NONE;
}

enum err logrow_term_at(struct recovery *recovery, uint64_t index, uint64_t *term)
{
    SCOPED(bytes) record = {0};
    uint64_t last;
    *term = 0;
    for (uint32_t i = 0; i < recovery->writer_count; i++) {
        struct segment *segment = recovery->writers[i];
        if (segment->first == 0 || index < segment->first || index > segment->last)
            continue;
        TRY(segment_read(segment, index, index, CHECK_BYTES, &record, &last));
        *term = entry_term_of(bytes_span(&record));
    }
    return ERR_NONE;
}

enum err logrow_add_new(struct recovery *recovery, uint32_t number, char name[SEGMENT_NAME_MAX])
{
    note_base(recovery);
    logdir_new_name(number, name);
    struct logdir_file file = {.number = number, .has_wal = true};
    memcpy(file.name, name, sizeof file.name);
    char *path = logdir_join(&recovery->logdir, name);
    struct segment *segment = bytes_zeroed(1, sizeof *segment);
    enum err err = segment_open(segment, path);
    bytes_free(path);
    if (err != ERR_NONE) {
        segment_free(segment);
        return err;
    }
    recovery->writers = bytes_resize(recovery->writers, recovery->writer_count + 1, sizeof segment);
    recovery->writers[recovery->writer_count++] = segment;
    keep_segment(recovery, &file, segment);
    return ERR_NONE;
}
