#include "storage/roll.h"

#include "common/log.h"

#include <assert.h>

static const char *name_of(const struct segment *segment)
{
    const char *slash = strrchr(segment->store.path, '/');
    return slash ? slash + 1 : segment->store.path;
}

static uint64_t end_of_writers(const struct journal *journal)
{
    for (uint32_t i = journal->writer_count; i > 0; i--)
        if (journal->writers[i - 1]->first != 0)
            return journal->writers[i - 1]->last;
    return journal->base_index;
}

/* What memory says of the end of the log, read again after a cut or a rollback. */
static enum err find_end(struct journal *journal)
{
    journal->last_index = end_of_writers(journal);
    return journal_look_up(journal, journal->last_index, &journal->last_term, journal->last_hash);
}

static enum err remove_file(struct journal *journal, struct segment *segment)
{
    char *path = logdir_join(journal->logdir, name_of(segment));
    roll_tell_keeper(journal, ROOM_GONE, path, segment->first, NULL);
    segment_free(segment);
    log_info("segment_removed", kv_text("file", path));
    enum err err = segment_remove(path);
    bytes_free(path);
    return err;
}

/* Removes the files behind `slot`: named away first, then newest first, then synced, so that
 * the log has no hole at any crash point. */
static enum err fall_back(struct journal *journal, uint32_t slot)
{
    if (slot + 1 == journal->writer_count)
        return ERR_NONE;
    TRY(ballot_name(journal->ballot, name_of(journal->writers[slot])));
    while (journal->writer_count > slot + 1)
        TRY(remove_file(journal, journal->writers[--journal->writer_count]));
    TRY(store_sync_directory(journal->logdir->path));
    return find_end(journal);
}

/* The mark is lowered durably before what it vouches for goes. */
static enum err lower_mark(struct journal *journal, uint64_t from)
{
    uint8_t hash[HASH_SIZE];
    struct witness_mark mark = {.index = from - 1};
    if (journal->mark.index < from)
        return ERR_NONE;
    TRY(journal_look_up(journal, mark.index, &mark.term, hash));
    TRY(witness_write_mark(journal->data_dir, &mark));
    journal->mark = mark;
    return ERR_NONE;
}

/* ---- public, in header order ---------------------------------------------------------------- */

enum err roll_prepare(struct journal *journal)
{
    char name[SEGMENT_NAME_MAX];
    assert(journal->spare == NULL);
    logdir_new_name(journal_newest(journal)->number + 1, name);
    char *path = logdir_join(journal->logdir, name);
    struct segment *segment = bytes_zeroed(1, sizeof *segment);
    enum err err = segment_open(segment, path);
    if (err == ERR_NONE) {
        journal->spare = segment;
    } else { /* the next one gets another name: nothing of this one may stay in the row */
        segment_free(segment);
        (void)!segment_remove(path);
    }
    bytes_free(path);
    return err;
}

enum err roll_forward(struct journal *journal)
{
    if (journal->spare == NULL)
        TRY(roll_prepare(journal));
    TRY(ballot_name(journal->ballot, name_of(journal->spare)));
    journal->writers =
        bytes_resize(journal->writers, journal->writer_count + 1, sizeof journal->spare);
    journal->writers[journal->writer_count++] = journal->spare;
    journal->spare = NULL;
    journal->rolls++;
    log_info("segment_begun", kv_text("file", name_of(journal_newest(journal))),
             kv_u64("first", journal->last_index + 1));
    roll_tell_keeper(journal, ROOM_SEGMENT, journal_newest(journal)->store.path,
                     journal->last_index + 1, NULL);
    return ERR_NONE;
}

enum err roll_back(struct journal *journal, uint64_t from)
{
    uint32_t slot = journal->writer_count;
    if (from <= journal->applied) {
        log_error("cut_below_applied_refused", kv_u64("from", from),
                  kv_u64("applied", journal->applied));
        return ERR_BAD_REQUEST;
    }
    while (slot > 0 &&
           (journal->writers[slot - 1]->first == 0 || journal->writers[slot - 1]->first > from))
        slot--;
    if (slot == 0)
        return ERR_BAD_REQUEST;
    log_info("log_cut", kv_u64("from", from), kv_u64("last", journal->last_index));
    journal->cuts++;
    TRY(lower_mark(journal, from));
    return fall_back(journal, slot - 1);
}

void roll_tell_keeper(struct journal *journal, enum room_kind kind, const char *path,
                      uint64_t first, struct segment *segment)
{
    if (journal->keeper == NULL) {
        segment_free(segment);
        return;
    }
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = kind;
    item->first = first;
    item->segment = segment;
    item->path = bytes_zeroed(1, strlen(path) + 1);
    memcpy(item->path, path, strlen(path));
    queue_push_now(journal->keeper, item, sizeof *item);
}
