/* verifylog.c - segments, their rows, their indexes; see verify.h. */
#include "storage/verify.h"

#include "common/log.h"
#include "storage/filedigest.h"
#include "storage/sealread.h"
#include "storage/walscan.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- one record ------------------------------------------------------------------------------ */

static enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct verify *verify = owner;
    const struct outcome *row = overlay_find(&verify->overlay, index);
    if (row == NULL)
        return ERR_CORRUPT;
    *out = *row;
    return ERR_NONE;
}

static void take_effects(struct verify *verify, uint64_t index)
{
    struct span rest = bytes_span(&verify->effects);
    struct effect effect;
    while (effect_next(&rest, &effect)) {
        if (overlay_is_outcome(&effect, index)) {
            struct outcome outcome = overlay_outcome(&effect);
            overlay_add(&verify->overlay, &outcome);
        }
        if (apply_is_commit(&effect) && verify->has_index &&
            tagindex_add(&verify->index, &effect) != ERR_NONE)
            verify->has_index = false;
    }
}

static void apply_record(struct verify *verify, const char *file, struct span record)
{
    struct apply_source source = {find_outcome, verify};
    struct entry entry;
    bytes_clear(&verify->effects);
    enum err err = entry_decode(record, &entry);
    if (err == ERR_NONE)
        err = apply_entry(&verify->apply, &entry, &source, &verify->effects);
    if (err != ERR_NONE) {
        verify_blame(verify, file, err, "log entry %" PRIu64 " cannot be applied", entry.index);
        verify->exact = false;
        return;
    }
    take_effects(verify, entry.index);
    verify_mark(verify);
}

static void take_record(struct verify *verify, const char *file, struct span record)
{
    uint64_t index = entry_index_of(record), term = entry_term_of(record);
    if (verify->has_hash && !entry_follows(record, verify->log_hash))
        verify_blame(verify, file, ERR_CORRUPT, "log entry %" PRIu64 " does not follow by its hash",
                     index);
    if (term < verify->last_term)
        verify_blame(verify, file, ERR_CORRUPT, "the term falls at log entry %" PRIu64, index);
    verify->last_term = term;
    verify->last_index = index;
    verify->has_hash = true;
    memcpy(verify->log_hash, entry_hash_of(record), HASH_SIZE);
    if (verify->exact)
        apply_record(verify, file, record);
}

/* ---- one segment ----------------------------------------------------------------------------- */

static void check_structure(struct verify *verify, const char *file, struct store *store)
{
    sqlite3_stmt *check = NULL;
    bool row = false;
    enum err err = store_prepare(store, "PRAGMA integrity_check(1)", &check);
    if (err == ERR_NONE)
        err = store_step(store, check, &row);
    const char *text = row ? (const char *)sqlite3_column_text(check, 0) : "no answer";
    if (err != ERR_NONE || text == NULL || strcmp(text, "ok") != 0)
        verify_blame(verify, file, err == ERR_NONE ? ERR_CORRUPT : err, "SQLite says: %s",
                     err == ERR_NONE && text != NULL ? text : err_name(err));
    sqlite3_finalize(check);
}

static void read_rows(struct verify *verify, const char *file, struct segment *segment)
{
    SCOPED(bytes) records = {0};
    uint64_t last;
    if (verify->last_index != 0 && segment->first != verify->last_index + 1) {
        verify_blame(verify, file, ERR_CORRUPT,
                     "it begins with log entry %" PRIu64 ", %" PRIu64 " is missing", segment->first,
                     verify->last_index + 1);
        verify->has_hash = verify->exact = false;
    }
    for (uint64_t next = segment->first; next <= segment->last; next = last + 1) {
        bytes_clear(&records);
        enum err err = segment_read(segment, next, segment->last, MiB(1), &records, &last);
        struct span rest = bytes_span(&records), record;
        while (entry_next(&rest, &record))
            take_record(verify, file, record);
        progress_show(&verify->progress, verify->last_index, 0, "log entries");
        if (err == ERR_NONE)
            continue;
        verify_blame(verify, file, err, "log entry %" PRIu64 " is damaged",
                     last < next ? next : last + 1);
        verify->has_hash = verify->exact = false;
        verify->last_index = segment->last;
        return;
    }
}

static void check_digest(struct verify *verify, const char *file, const struct seal *seal)
{
    struct digest found;
    enum err err = filedigest_of(file, seal->file.size, &found, NULL);
    if (err != ERR_NONE)
        verify_blame(verify, file, err, "it cannot be read");
    else if (!digest_equal(&found, &seal->file))
        verify_blame(verify, file, ERR_CORRUPT, "its bytes are not those that were sealed");
}

static bool same_index(const struct tagindex *a, const struct tagindex *b)
{
    return a->first_id == b->first_id && a->next_id == b->next_id && a->run_count == b->run_count &&
           a->tags.count == b->tags.count &&
           span_equal(bytes_span(&a->hashes), bytes_span(&b->hashes)) &&
           (a->times.size == 0 || span_equal(bytes_span(&a->times), bytes_span(&b->times))) &&
           span_equal(SPAN(a->runs, a->run_count * sizeof *a->runs),
                      SPAN(b->runs, b->run_count * sizeof *b->runs));
}

static enum err load_index(const char *file, const struct seal *seal, struct tagindex *index)
{
    SCOPED(sealread) read = {0};
    TRY(sealread_open(&read, file, seal));
    return sealread_load(&read, index);
}

static void check_index(struct verify *verify, const char *file, const struct segment *segment)
{
    struct seal seal = {0};
    struct tagindex index = {0};
    char name[4200];
    snprintf(name, sizeof name, "%s.index", file);
    enum err err = seal_read(file, &seal);
    if (err == ERR_NONE)
        err = load_index(file, &seal, &index);
    if (err != ERR_NONE)
        verify_blame(verify, name, err, "it cannot be read: %s", err_name(err));
    else if (seal.times_damaged)
        verify_blame(verify, name, ERR_CORRUPT, "the times in it are damaged");
    else if (seal.first_index != segment->first || seal.last_index != segment->last)
        verify_blame(verify, name, ERR_CORRUPT, "it belongs to other log entries");
    else if (verify->exact && verify->has_index && !same_index(&index, &verify->index))
        verify_blame(verify, name, ERR_CORRUPT, "it does not say what the log says");
    if (err == ERR_NONE)
        check_digest(verify, file, &seal);
    tagindex_close(&index);
    seal_close(&seal);
}

static void begin_index(struct verify *verify)
{
    tagindex_close(&verify->index);
    verify->has_index = verify->exact;
    if (verify->exact)
        tagindex_open(&verify->index, verify->apply.at.last_id + 1, verify->apply.at.hash);
}

/* What is known of the entry before its first one, against what the file says of it. */
static bool agrees(const struct verify *verify, const struct segment_base *base)
{
    return !verify->has_hash || base->index != verify->last_index ||
           (base->term == verify->last_term &&
            memcmp(base->hash, verify->log_hash, HASH_SIZE) == 0);
}

/* Without it, or with a false one, the log cannot begin with this file (logrow.c). */
static void check_base(struct verify *verify, const char *file, struct segment *segment)
{
    SCOPED(segment_base) base = {0};
    if (segment->first <= 1)
        return;
    enum err err = segment_base(segment, &base);
    if (err != ERR_NONE)
        verify_blame(verify, file, err, "it does not say what it goes on from: %s", err_name(err));
    else if (base.index + 1 != segment->first || !agrees(verify, &base))
        verify_blame(verify, file, ERR_CORRUPT, "it does not go on from what it says");
    else if (verify->last_index == 0) { /* of the entry before it this is all that is left */
        verify->has_hash = true;
        verify->last_term = base.term;
        memcpy(verify->log_hash, base.hash, HASH_SIZE);
    }
}

static void check_wal(struct verify *verify, const char *file)
{
    char wal[4200];
    struct walscan scan;
    snprintf(wal, sizeof wal, "%s-wal", file);
    enum err err = walscan_file(&scan, wal);
    if (err != ERR_NONE || scan.verdict == WALSCAN_DAMAGED)
        verify_blame(verify, wal, err == ERR_NONE ? ERR_CORRUPT : err,
                     "frame %u is bad, and %u whole transactions stand behind it", scan.bad_frame,
                     scan.later_commits);
}

static void check_file(struct verify *verify, const struct logdir_file *file, const char *path)
{
    SCOPED(segment) segment = {0};
    uint64_t before = verify->faults;
    if (!file->sealed)
        check_wal(verify, path);
    enum err err =
        file->sealed ? segment_open_sealed(&segment, path) : segment_open_reader(&segment, path);
    if (err != ERR_NONE) {
        verify_blame(verify, path, err, "it cannot be opened: %s", err_name(err));
        verify->has_hash = verify->exact = false;
        return;
    }
    check_structure(verify, path, &segment.store);
    if (verify->last_index == 0)
        verify->exact = segment.first == 1; /* of a log that was cut apply has not seen the begin */
    begin_index(verify);
    check_base(verify, path, &segment);
    if (segment.first != 0)
        read_rows(verify, path, &segment);
    if (verify->first_index == 0)
        verify->first_index = segment.first;
    if (file->indexed)
        check_index(verify, path, &segment);
    if (verify->faults == before)
        printf("ok   %s: log entries %" PRIu64 " to %" PRIu64 "%s\n", path, segment.first,
               segment.last, file->indexed ? ", indexed" : "");
}

/* ---- the row --------------------------------------------------------------------------------- */

/* Names that were never in the ballot, or not any more: the next start removes them. */
static bool is_named(const struct verify *verify, uint32_t slot)
{
    uint32_t number;
    uint64_t suffix;
    const struct logdir_file *file = &verify->logdir.files[slot];
    if (!verify->has_ballot || !segment_name_parse(verify->ballot.newest, &number, &suffix))
        return true;
    return file->number < number || strcmp(file->name, verify->ballot.newest) == 0;
}

static void check_newest(struct verify *verify)
{
    const char *newest = verify->ballot.newest;
    if (!verify->has_ballot || newest[0] == '\0')
        return;
    for (uint32_t slot = 0; slot < verify->logdir.count; slot++) {
        const struct logdir_file *file = &verify->logdir.files[slot];
        if (strcmp(file->name, newest) != 0)
            continue;
        if (!file->has_wal)
            verify_blame(verify, newest, ERR_CORRUPT, "the newest segment has lost its -wal");
        return;
    }
    verify_blame(verify, newest, ERR_CORRUPT, "the newest segment is missing");
}

void verify_log(struct verify *verify)
{
    check_newest(verify);
    for (uint32_t slot = 0; slot < verify->logdir.count; slot++) {
        char *path = logdir_join(&verify->logdir, verify->logdir.files[slot].name);
        if (is_named(verify, slot))
            check_file(verify, &verify->logdir.files[slot], path);
        else
            printf("left %s: prepared and never used\n", path);
        bytes_free(path);
    }
    tagindex_close(&verify->index);
}
