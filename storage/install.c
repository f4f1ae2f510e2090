#include "storage/install.h"

#include "common/log.h"
#include "storage/generation.h"

#include <stdio.h>

enum { PATH_BYTES_MAX = 4096, CARRY_BYTES = 1 << 20 };

/* The tail that is carried over, on its way. */
struct carry {
    struct journal *journal;
    char log[PATH_BYTES_MAX]; /* directory of the new log */
    char newest[SEGMENT_NAME_MAX];
    struct segment segment;
};

static enum err open_segment(struct carry *carry)
{
    char path[PATH_BYTES_MAX + SEGMENT_NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", carry->log, carry->newest);
    return segment_open(&carry->segment, path);
}

/* Where a file ends is a function of the log alone, here too. */
static enum err roll(struct carry *carry)
{
    uint32_t number = carry->segment.number + 1;
    segment_close(&carry->segment);
    logdir_new_name(number, carry->newest);
    return open_segment(carry);
}

static enum err append(struct carry *carry, struct span records, uint64_t *next)
{
    struct span record;
    while (!segment_full(&carry->segment) && entry_next(&records, &record)) {
        TRY(segment_append(&carry->segment, record));
        (*next)++;
    }
    return ERR_NONE;
}

static enum err carry_some(struct carry *carry, uint64_t *next)
{
    SCOPED(bytes) records = {0};
    if (segment_full(&carry->segment))
        TRY(roll(carry));
    TRY(journal_read(carry->journal, *next, CARRY_BYTES, &records));
    TRY(store_begin(&carry->segment.store));
    if (carry->segment.first == 0)
        TRY(journal_note_base(carry->journal, *next - 1, &carry->segment));
    TRY(append(carry, bytes_span(&records), next));
    return store_commit(&carry->segment.store);
}

static enum err carry_all(struct carry *carry, uint64_t next)
{
    TRY(open_segment(carry));
    if (carry->segment.last != 0 && carry->segment.last + 1 != next)
        return ERR_GAP;
    while (next <= carry->journal->last_index)
        TRY(carry_some(carry, &next));
    return ERR_NONE;
}

/* Entries behind the snapshot that this node has acknowledged stay, if they follow from it. */
static enum err carry_tail(struct journal *journal, const struct install *install,
                           char newest[SEGMENT_NAME_MAX])
{
    struct carry carry = {.journal = journal};
    char *home = generation_home(journal->data_dir, install->generation);
    snprintf(carry.log, sizeof carry.log, "%s/log", home);
    bytes_free(home);
    snprintf(carry.newest, sizeof carry.newest, "%s", install->newest);
    enum err err = carry_all(&carry, install->index + 1);
    segment_close(&carry.segment);
    memcpy(newest, carry.newest, SEGMENT_NAME_MAX);
    TRY(err);
    log_info("tail_carried", kv_u64("from", install->index + 1),
             kv_u64("last", journal->last_index));
    return ERR_NONE;
}

/* *follows: the own log goes on behind the snapshot. */
static enum err compare(struct journal *journal, const struct install *install, bool *follows)
{
    uint8_t hash[HASH_SIZE];
    uint64_t term;
    *follows = false;
    if (install->index >= journal->last_index)
        return ERR_NONE;
    if (install->index < journal->base_index)
        return ERR_NOT_READY; /* what it would have to carry over was handed to keeper */
    TRY(journal_look_up(journal, install->index, &term, hash));
    *follows = term == install->term;
    return ERR_NONE;
}

enum err install_generation(struct journal *journal, const struct install *install)
{
    const struct witness_mark nothing = {0};
    char newest[SEGMENT_NAME_MAX];
    bool follows;
    if (install->index <= journal->applied)
        return ERR_BAD_REQUEST;
    if (journal->ballot->term < install->term)
        return ERR_NOT_READY;
    snprintf(newest, sizeof newest, "%s", install->newest);
    TRY(compare(journal, install, &follows));
    if (follows)
        TRY(carry_tail(journal, install, newest));
    /* The mark must be true of the old log and of the new one until the ballot has decided. */
    TRY(witness_write_mark(journal->data_dir, &nothing));
    journal->mark = nothing;
    TRY(ballot_install(journal->ballot, install->generation, newest));
    log_info("snapshot_installed", kv_u64("generation", install->generation),
             kv_u64("index", install->index), kv_u64("term", install->term),
             kv_u64("dropped", follows || journal->last_index < install->index
                                   ? 0
                                   : journal->last_index - install->index));
    return ERR_NONE;
}

enum err install_item(struct journal *journal, const struct room_item *item, bool has_room)
{
    const struct install install = {item->first, item->index, item->last, item->path};
    enum err err = has_room ? install_generation(journal, &install) : ERR_NOSPACE;
    if (err == ERR_NONE || err == ERR_IO || journal->keeper == NULL)
        return err;
    struct room_item *refused = bytes_zeroed(1, sizeof *refused);
    refused->kind = ROOM_REFUSED;
    refused->index = (uint64_t)err;
    queue_push_now(journal->keeper, refused, sizeof *refused);
    return err;
}
