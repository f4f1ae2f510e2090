#include "storage/logrow.h"

#include "common/log.h"

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

/* The oldest file: what was before it is cut, and it says itself what that ended with. */
static enum err adopt_base(struct recovery *recovery, const struct logdir_file *file,
                           struct segment *segment)
{
    SCOPED(segment_base) base = {0};
    enum err err = segment_base(segment, &base);
    if (err == ERR_NOT_FOUND)
        return ERR_GAP;
    TRY(err);
    recovery->found.last_index = base.index;
    recovery->last_term = base.term;
    memcpy(recovery->last_hash, base.hash, HASH_SIZE);
    bytes_append_span(&recovery->old_configs, bytes_span(&base.configs));
    if (!file->sealed)
        note_base(recovery);
    return entry_count(bytes_span(&base.configs), &recovery->old_config_count);
}

static enum err join(struct recovery *recovery, const struct logdir_file *file,
                     struct segment *segment)
{
    if (recovery->found.segment_count == 0 && segment->first > 1)
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

static enum err take_sealed(struct recovery *recovery, const struct logdir_file *file,
                            const char *path)
{
    SCOPED(segment) segment = {0};
    TRY(segment_open_sealed(&segment, path));
    if (segment.first == 0)
        return ERR_CORRUPT;
    return join(recovery, file, &segment);
}

static enum err take_writer(struct inquiry *inquiry, const struct logdir_file *file,
                            const char *path, bool is_last)
{
    struct recovery *recovery = inquiry->recovery;
    TRY(inquiry_scan_wal(inquiry, path, "the WAL of a segment is damaged"));
    struct segment *segment = bytes_zeroed(1, sizeof *segment);
    enum err err = segment_open(segment, path);
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
    if (segment->first != 0)
        return read_last(recovery, segment);
    recovery->last_term = recovery->base_term;
    memcpy(recovery->last_hash, recovery->base_hash, HASH_SIZE);
    struct segment *before = newest_filled(recovery);
    return before ? read_last(recovery, before) : ERR_NONE;
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

enum err logrow_check_newest(struct inquiry *inquiry)
{
    struct recovery *recovery = inquiry->recovery;
    struct segment *segment = newest_filled(recovery);
    uint64_t good;
    if (segment == NULL)
        return ERR_NONE;
    enum err err = check_records(segment, &good);
    if (err != ERR_CORRUPT && err != ERR_NOT_FOUND)
        return err;
    inquiry_blame(inquiry, "a record of the newest segment is damaged");
    return cut_damaged(recovery, segment, good);
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
