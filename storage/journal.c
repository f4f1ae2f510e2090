#include "storage/journal.h"

#include "common/log.h"
#include "storage/roll.h"

#include <assert.h>
#include <unistd.h>

enum { RECORD_BYTES = ENTRY_SIZE_MAX, CONFIGS_WANTED = 2, TAIL_ROWS_MAX = 8192 };

/* ---- looking ------------------------------------------------------------------------------- */

/* The open segment that holds `index`; NULL: none does. */
static struct segment *holder(const struct journal *journal, uint64_t index)
{
    for (uint32_t i = journal->writer_count; i > 0; i--) {
        struct segment *segment = journal->writers[i - 1];
        if (segment->first != 0 && index >= segment->first && index <= segment->last)
            return segment;
    }
    return NULL;
}

static enum err read_one(struct journal *journal, uint64_t index, struct bytes *record)
{
    struct segment *segment = holder(journal, index);
    uint64_t last;
    if (segment == NULL)
        return index > journal->last_index ? ERR_GAP : ERR_TRUNCATED;
    return segment_read(segment, index, index, RECORD_BYTES, record, &last);
}

/* ---- one transaction ----------------------------------------------------------------------- */

/* Skips what is already there in the same term. */
static enum err skip_known(struct journal *journal, struct span *records)
{
    struct span rest = *records, record;
    while (rest.size > 0 && entry_index_of(rest) <= journal->last_index) {
        uint64_t term;
        uint8_t hash[HASH_SIZE];
        TRY(journal_look_up(journal, entry_index_of(rest), &term, hash));
        if (term != entry_term_of(rest) || !entry_next(&rest, &record))
            return ERR_NONE;
        *records = rest;
    }
    return ERR_NONE;
}

/* The next records that the file has room for; `*bytes`, those of the transaction, grows. */
static uint32_t gather(const struct segment *segment, struct span *rest, uint32_t rows,
                       struct span batch[SEGMENT_BATCH], size_t *bytes)
{
    size_t before = *bytes;
    uint32_t count = 0;
    while (count < SEGMENT_BATCH && count < rows && *bytes < JOURNAL_BYTES_MAX &&
           !segment_full_with(segment, count, *bytes - before) && entry_next(rest, &batch[count]))
        *bytes += batch[count++].size;
    return count;
}

static enum err insert_batch(struct segment *segment, const struct span *batch, uint32_t count)
{
    if (count == SEGMENT_BATCH)
        return segment_append_batch(segment, batch);
    for (uint32_t i = 0; i < count; i++)
        TRY(segment_append(segment, batch[i]));
    return ERR_NONE;
}

static enum err insert_rows(struct segment *segment, struct span *rest, struct span *last)
{
    struct span batch[SEGMENT_BATCH];
    size_t bytes = 0;
    uint32_t rows = 0, count;
    while ((count = gather(segment, rest, JOURNAL_ROWS_MAX - rows, batch, &bytes)) > 0) {
        TRY(insert_batch(segment, batch, count));
        *last = batch[count - 1];
        rows += count;
    }
    return ERR_NONE;
}

/* The newest configurations up to `index`, newest first: those in hand, then those of files
 * handed over. */
static enum err newest_configs(struct journal *journal, uint64_t index, struct bytes *out,
                               uint32_t *count)
{
    *count = 0;
    for (uint32_t i = journal->writer_count; i > 0 && *count < CONFIGS_WANTED; i--) {
        uint32_t here;
        TRY(segment_configs(journal->writers[i - 1], index, CONFIGS_WANTED - *count, out, &here));
        *count += here;
    }
    struct span rest = bytes_span(&journal->old_configs), record;
    for (; *count < CONFIGS_WANTED && entry_next(&rest, &record); ++*count)
        bytes_append_span(out, record);
    return ERR_NONE;
}

static enum err fill(struct journal *journal, struct segment *segment, uint64_t cut_from,
                     struct span *rest, struct span *last)
{
    if (cut_from != 0)
        TRY(segment_cut(segment, cut_from));
    else if (segment->first == 0)
        TRY(journal_note_base(journal, journal->last_index, segment));
    return insert_rows(segment, rest, last);
}

static enum err transact(struct journal *journal, uint64_t cut_from, struct span *rest)
{
    struct segment *segment = journal_newest(journal);
    struct span last = {0};
    TRY(store_begin(&segment->store));
    enum err err = fill(journal, segment, cut_from, rest, &last);
    if (err != ERR_NONE) {
        store_rollback(&segment->store);
        TRY(segment_reload(segment));
        return err;
    }
    TRY(store_commit(&segment->store));
    assert(last.size > 0);
    journal->last_index = entry_index_of(last);
    journal->last_term = entry_term_of(last);
    memcpy(journal->last_hash, entry_hash_of(last), HASH_SIZE);
    journal->transactions++;
    return ERR_NONE;
}

static enum err write_part(struct journal *journal, struct span *rest)
{
    uint64_t first = entry_index_of(*rest), cut_from = 0;
    if (first > journal->last_index + 1)
        return ERR_GAP;
    if (first <= journal->last_index) {
        TRY(roll_back(journal, first));
        cut_from = first;
    }
    /* a segment that this cut empties to its very start is filled again, not rolled */
    bool stays = cut_from != 0 && cut_from <= journal_newest(journal)->last;
    if (!stays && segment_full(journal_newest(journal)))
        TRY(roll_forward(journal));
    return transact(journal, stays ? cut_from : 0, rest);
}

/* ---- handing over -------------------------------------------------------------------------- */

static enum err keep_configs(struct journal *journal, struct segment *segment)
{
    SCOPED(bytes) found = {0};
    uint32_t count;
    TRY(segment_configs(segment, UINT64_MAX, CONFIGS_WANTED, &found, &count));
    bytes_append_span(&found, bytes_span(&journal->old_configs));
    bytes_clear(&journal->old_configs);
    bytes_append_span(&journal->old_configs, bytes_span(&found));
    journal->old_config_count += count;
    return ERR_NONE;
}

static enum err hand_over_oldest(struct journal *journal)
{
    struct segment *oldest = journal->writers[0];
    uint64_t term;
    uint8_t hash[HASH_SIZE];
    TRY(keep_configs(journal, oldest));
    TRY(journal_look_up(journal, oldest->last, &term, hash));
    journal->base_index = oldest->last;
    journal->base_term = term;
    memcpy(journal->base_hash, hash, HASH_SIZE);
    journal->writer_count--;
    memmove(journal->writers, journal->writers + 1,
            journal->writer_count * sizeof *journal->writers);
    roll_tell_keeper(journal, ROOM_SEAL, oldest->store.path, oldest->first, oldest);
    return ERR_NONE;
}

/* ---- the mark ------------------------------------------------------------------------------ */

/* Made durably where missing, so that later ones need no more than a write. */
static enum err open_mark(struct journal *journal)
{
    enum err err = witness_open_mark(journal->data_dir, &journal->mark_fd);
    if (err != ERR_NOT_FOUND)
        return err;
    TRY(witness_write_mark(journal->data_dir, &journal->mark));
    return witness_open_mark(journal->data_dir, &journal->mark_fd);
}

/* ---- public, in header order ---------------------------------------------------------------- */

void journal_open(struct journal *journal, struct recovery *recovery, struct queue *keeper)
{
    assert(journal->writers == NULL);
    assert(recovery->writer_count > 0);
    *journal = (struct journal){.data_dir = recovery->data_dir,
                                .logdir = &recovery->logdir,
                                .ballot = &recovery->ballot,
                                .keeper = keeper,
                                .writers = recovery->writers,
                                .writer_count = recovery->writer_count,
                                .last_index = recovery->found.last_index,
                                .last_term = recovery->last_term,
                                .base_index = recovery->base_index,
                                .base_term = recovery->base_term,
                                .applied = recovery->found.applied_index,
                                .mark = recovery->mark,
                                .old_configs = recovery->old_configs,
                                .old_config_count = recovery->old_config_count};
    memcpy(journal->last_hash, recovery->last_hash, HASH_SIZE);
    memcpy(journal->base_hash, recovery->base_hash, HASH_SIZE);
    recovery->writers = NULL;
    recovery->writer_count = 0;
    recovery->old_configs = (struct bytes){0};
}

void journal_close(struct journal *journal)
{
    for (uint32_t i = 0; i < journal->writer_count; i++)
        segment_free(journal->writers[i]);
    bytes_free(journal->writers);
    segment_free(journal->spare);
    if (journal->mark_fd > 0)
        close(journal->mark_fd);
    bytes_close(&journal->old_configs);
    *journal = (struct journal){0};
}

enum err journal_look_up(struct journal *journal, uint64_t index, uint64_t *term,
                         uint8_t hash[HASH_SIZE])
{
    SCOPED(bytes) record = {0};
    if (index == journal->base_index) {
        *term = journal->base_term;
        memcpy(hash, journal->base_hash, HASH_SIZE);
        return ERR_NONE;
    }
    TRY(read_one(journal, index, &record));
    *term = entry_term_of(bytes_span(&record));
    memcpy(hash, entry_hash_of(bytes_span(&record)), HASH_SIZE);
    return ERR_NONE;
}

enum err journal_note_base(struct journal *journal, uint64_t index, struct segment *segment)
{
    SCOPED(segment_base) base = {.index = index};
    uint32_t count;
    TRY(journal_look_up(journal, index, &base.term, base.hash));
    TRY(newest_configs(journal, index, &base.configs, &count));
    return segment_note_base(segment, &base);
}

enum err journal_read(struct journal *journal, uint64_t from, size_t bytes_max, struct bytes *out)
{
    struct segment *segment = holder(journal, from);
    uint64_t last;
    if (segment == NULL)
        return from > journal->last_index ? ERR_GAP : ERR_TRUNCATED;
    return segment_read(segment, from, segment->last, bytes_max, out, &last);
}

enum err journal_hash_at(struct journal *journal, uint64_t index, uint8_t hash[HASH_SIZE])
{
    uint64_t term;
    if (index > journal->last_index)
        return ERR_GAP;
    if (index != journal->last_index)
        return journal_look_up(journal, index, &term, hash);
    memcpy(hash, journal->last_hash, HASH_SIZE);
    return ERR_NONE;
}

enum err journal_check(struct span records, uint64_t first, uint64_t term_max,
                       uint8_t hash[HASH_SIZE], uint64_t *last)
{
    struct span rest = records, record;
    *last = first - 1;
    while (entry_next(&rest, &record)) {
        if (entry_index_of(record) != *last + 1)
            return ERR_GAP;
        if (entry_term_of(record) > term_max)
            return ERR_BAD_REQUEST;
        if (!entry_intact(record))
            return ERR_CORRUPT;
        if (record.data == records.data && !entry_follows(record, hash))
            return ERR_CORRUPT;
        memcpy(hash, entry_hash_of(record), HASH_SIZE);
        (*last)++;
    }
    return rest.size == 0 && *last >= first ? ERR_NONE : ERR_BAD_MESSAGE;
}

enum err journal_write(struct journal *journal, struct span records, size_t *taken, uint64_t *first)
{
    struct span rest = records;
    *taken = 0;
    *first = 0;
    TRY(skip_known(journal, &rest));
    if (rest.size > 0) {
        uint64_t from = entry_index_of(rest);
        TRY(write_part(journal, &rest));
        *first = from;
    }
    *taken = records.size - rest.size;
    return ERR_NONE;
}

enum err journal_hand_over(struct journal *journal, uint64_t index)
{
    if (index > journal->applied)
        journal->applied = index;
    while (journal->writer_count > 1 && journal_newest(journal)->first != 0 &&
           journal->writers[0]->last <= journal->applied)
        TRY(hand_over_oldest(journal));
    return ERR_NONE;
}

enum err journal_prepare(struct journal *journal)
{
    const struct segment *segment = journal_newest(journal);
    bool half_full =
        segment->bytes > SEGMENT_BYTES_MAX / 2 ||
        (segment->first != 0 && segment->last - segment->first > SEGMENT_ENTRIES_MAX / 2);
    return half_full && journal->spare == NULL ? roll_prepare(journal) : ERR_NONE;
}

enum err journal_tend(struct journal *journal, bool room)
{
    if (room)
        TRY(journal_prepare(journal));
    return journal_hand_over(journal, 0);
}

enum err journal_move_mark(struct journal *journal)
{
    struct witness_mark mark = {journal->last_index, journal->last_term};
    if (mark.index == journal->mark.index && mark.term == journal->mark.term)
        return ERR_NONE;
    enum err err = journal->mark_fd == 0 ? open_mark(journal) : ERR_NONE;
    if (err == ERR_NONE)
        err = witness_move_mark(journal->mark_fd, &mark);
    if (err == ERR_NOSPACE)
        return ERR_NONE; /* it stays where it is until there is room */
    TRY(err);
    journal->mark = mark;
    journal->mark_moved = true;
    return ERR_NONE;
}

enum err journal_save_mark(struct journal *journal)
{
    TRY(journal_move_mark(journal));
    if (!journal->mark_moved)
        return ERR_NONE;
    TRY(witness_sync_mark(journal->mark_fd));
    journal->mark_moved = false;
    return ERR_NONE;
}

enum err journal_tail(struct journal *journal, size_t bytes_max, struct bytes *out)
{
    struct segment *segment = holder(journal, journal->last_index);
    size_t start = out->size;
    if (segment == NULL)
        return ERR_NONE;
    for (uint64_t rows = TAIL_ROWS_MAX;; rows = rows > 1 ? rows / 2 : 1) {
        uint64_t held = segment->last - segment->first + 1, last;
        uint64_t from = segment->last + 1 - (rows < held ? rows : held);
        out->size = start;
        TRY(segment_read(segment, from, segment->last, bytes_max, out, &last));
        if (last == segment->last)
            return ERR_NONE;
    }
}

enum err journal_configs(struct journal *journal, struct bytes *out)
{
    SCOPED(bytes) found = {0};
    struct span records[CONFIGS_WANTED];
    uint32_t total, count = 0;
    TRY(newest_configs(journal, UINT64_MAX, &found, &total));
    struct span rest = bytes_span(&found);
    while (count < total && entry_next(&rest, &records[count]))
        count++;
    while (count > 0)
        bytes_append_span(out, records[--count]);
    return ERR_NONE;
}
