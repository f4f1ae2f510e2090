#include "storage/scribe.h"

#include "common/log.h"
#include "protocol/link.h"
#include "storage/batch.h"
#include "storage/guard.h"
#include "storage/install.h"
#include "storage/journal.h"

#include <assert.h>

enum {
    TICK_MS = 250,
    MARK_MS = 1000,               /* the high-water mark is that far behind after a power cut */
    WAITING_BYTES_MAX = 64 << 20, /* held back while the disk is full */
    ROOM_KEPT = 8 << 20,          /* of the batch, between turns */
    BALLOT_BYTES = 256 << 10,     /* room one ballot may need on disk */
};

struct scribe {
    struct storage_room *room;
    struct loop loop;
    struct link link;
    struct journal journal;
    struct guard guard;
    bool has_talker; /* a consensus has loaded and is up */
    uint32_t talker;
    /* records that are checked, in order, and not on disk yet */
    struct bytes batch;
    uint64_t batch_first, batch_last;
    uint8_t batch_hash[HASH_SIZE];
    bool waits; /* for room on the disk */
    /* the answer that the batch earns */
    bool owes;
    uint64_t ticket, term, stored_last;
    /* the newest ballot, while it waits for room */
    bool ballot_waits;
    uint64_t ballot_ticket, ballot_term, ballot_vote;
    struct bytes ballot_note;
    enum guard_state told;
};

/* ---- ends ---------------------------------------------------------------------------------- */

/* The disk refused, or what it holds makes no sense: recovery must look at it (S5). */
static enum err give_up(struct scribe *scribe, enum err err)
{
    log_error("journal_gave_up", kv_err(err));
    scribe->owes = scribe->ballot_waits = false; /* nothing more is promised */
    loop_stop(&scribe->loop, err == ERR_CORRUPT ? EXIT_CORRUPTION : EXIT_STORAGE);
    return err;
}

static void must(struct scribe *scribe, enum err err)
{
    if (err != ERR_NONE && err != ERR_NOSPACE)
        (void)give_up(scribe, err);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void answer_stored(struct scribe *scribe)
{
    struct message message = {.type = MESSAGE_STORED};
    if (!scribe->owes || !scribe->has_talker)
        return;
    message.stored.life = scribe->room->life;
    message.stored.ticket = scribe->ticket;
    message.stored.term = scribe->term;
    message.stored.last_index = scribe->stored_last;
    scribe->owes = link_send(&scribe->link, scribe->talker, &message) == ERR_BUSY;
    link_push(&scribe->link); /* consensus counts it while view is given the entries */
}

static void tell_disk(struct scribe *scribe)
{
    struct message message = {.type = MESSAGE_DISK_IS};
    if (!scribe->has_talker)
        return;
    message.disk_is.state = scribe->guard.state;
    message.disk_is.free_bytes = scribe->guard.free_bytes;
    scribe->told = scribe->guard.state;
    link_tell(&scribe->link, scribe->talker, &message);
}

/* Records up to `size` of the batch, from `first` on, are on disk: view may have them. */
static void hand_to_view(struct scribe *scribe, uint64_t first, size_t from, size_t size)
{
    struct span written = SPAN(scribe->batch.data + from, size - from);
    if (first == 0 || written.size == 0)
        return;
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_ENTRIES;
    item->first = first;
    item->last = scribe->journal.last_index;
    item->records = blob_copy(written);
    queue_push_quiet(&scribe->room->rooms->view, item, sizeof *item + written.size);
}

/* ---- the batch ----------------------------------------------------------------------------- */

static void clear_batch(struct scribe *scribe)
{
    if (scribe->batch.room > ROOM_KEPT)
        bytes_close(&scribe->batch);
    bytes_clear(&scribe->batch);
}

/* One transaction after the other until all is on disk. *first: see journal_write. */
static enum err write_all(struct scribe *scribe, uint64_t *first, size_t *done)
{
    *first = 0;
    for (*done = 0; *done < scribe->batch.size;) {
        struct span rest = SPAN(scribe->batch.data + *done, scribe->batch.size - *done);
        size_t part = rest.size < JOURNAL_BYTES_MAX ? rest.size : JOURNAL_BYTES_MAX, taken;
        uint64_t from;
        if (!guard_admits(&scribe->guard, 4 * part)) /* WAL and file, and their overhead */
            return ERR_NOSPACE;
        TRY(journal_write(&scribe->journal, rest, &taken, &from));
        *first = *first == 0 ? from : *first;
        *done += taken;
        TRY(journal_move_mark(&scribe->journal));
    }
    return ERR_NONE;
}

/* Returns ERR_NONE if the batch is empty afterwards. */
static enum err write_batch(struct scribe *scribe)
{
    uint64_t first;
    size_t done;
    if (scribe->batch.size == 0)
        return ERR_NONE;
    enum err err = write_all(scribe, &first, &done);
    scribe->waits = err == ERR_NOSPACE;
    if (err != ERR_NONE && err != ERR_NOSPACE)
        return give_up(scribe, err);
    if (err == ERR_NONE)
        answer_stored(scribe);
    if (done > 0)
        hand_to_view(scribe, first, first ? batch_offset(bytes_span(&scribe->batch), first) : 0,
                     done);
    if (err == ERR_NOSPACE && done > 0) {
        batch_drop(&scribe->batch, done);
        scribe->batch_first = entry_index_of(bytes_span(&scribe->batch));
    }
    if (err != ERR_NOSPACE)
        clear_batch(scribe);
    if (err == ERR_NOSPACE && scribe->told != scribe->guard.state)
        tell_disk(scribe);
    return err;
}

/* A batch that waits for room is cut in memory, if newer records replace its end. */
static void cut_batch(struct scribe *scribe, uint64_t first)
{
    if (first <= scribe->batch_first)
        clear_batch(scribe);
    else
        scribe->batch.size = batch_offset(bytes_span(&scribe->batch), first);
}

/* The hash that a record `first` must follow, here or on disk. */
static enum err hash_before(struct scribe *scribe, uint64_t first, uint8_t hash[HASH_SIZE])
{
    struct span rest = bytes_span(&scribe->batch), record;
    if (rest.size == 0)
        return journal_hash_at(&scribe->journal, first - 1, hash);
    if (first == scribe->batch_last + 1) {
        memcpy(hash, scribe->batch_hash, HASH_SIZE);
        return ERR_NONE;
    }
    while (entry_next(&rest, &record))
        memcpy(hash, entry_hash_of(record), HASH_SIZE);
    return entry_index_of(record) + 1 == first ? ERR_NONE : ERR_GAP;
}

static enum err add_to_batch(struct scribe *scribe, struct span records)
{
    uint64_t first = entry_index_of(records), last;
    uint8_t hash[HASH_SIZE];
    if (first == 0)
        return ERR_GAP;
    if (scribe->batch.size > 0 && first != scribe->batch_last + 1 &&
        write_batch(scribe) != ERR_NONE && scribe->batch.size > 0)
        cut_batch(scribe, first);
    TRY(hash_before(scribe, first, hash));
    TRY(journal_check(records, first, scribe->journal.ballot->term, hash, &last));
    if (scribe->batch.size == 0)
        scribe->batch_first = first;
    bytes_append_span(&scribe->batch, records);
    memcpy(scribe->batch_hash, hash, HASH_SIZE);
    scribe->batch_last = last;
    return ERR_NONE;
}

static void flush(void *owner)
{
    struct scribe *scribe = owner;
    if (!scribe->waits && !scribe->loop.stopped && write_batch(scribe) == ERR_NONE)
        answer_stored(scribe); /* of records that were there already */
}

/* ---- asks ---------------------------------------------------------------------------------- */

static enum err on_load(void *owner, uint32_t neighbour, const struct message *ask)
{
    struct scribe *scribe = owner;
    SCOPED(bytes) configs = {0};
    SCOPED(bytes) tail = {0};
    (void)!write_batch(scribe); /* of the conversation before */
    clear_batch(scribe);
    scribe->waits = scribe->owes = scribe->ballot_waits = false;
    if (scribe->loop.stopped)
        return ERR_CLOSED;
    scribe->talker = neighbour;
    scribe->has_talker = true;
    enum err err = batch_read(&scribe->journal, &configs, &tail);
    if (err != ERR_NONE)
        return give_up(scribe, err);
    struct message message = {.type = MESSAGE_LOADED};
    batch_loaded(scribe->room, &scribe->journal, &configs, &tail, &message);
    TRY(link_send(&scribe->link, neighbour, &message));
    tell_disk(scribe);
    return ERR_NONE;
}

/* Only the consensus that has loaded, and only for this life of storage (I4). */
static enum err check_talk(const struct scribe *scribe, uint32_t neighbour, uint64_t life)
{
    bool ours = scribe->has_talker && neighbour == scribe->talker && life == scribe->room->life;
    return ours ? ERR_NONE : ERR_CLOSED;
}

/* Full disk: the ballot is kept and written when there is room. Until then nothing is promised,
 * and consensus sends no other. */
static enum err write_ballot(struct scribe *scribe)
{
    struct message answer = {.type = MESSAGE_BALLOTED};
    enum err err = ERR_NOSPACE;
    if (guard_admits(&scribe->guard, BALLOT_BYTES))
        err = ballot_vote(scribe->journal.ballot, scribe->ballot_term, scribe->ballot_vote,
                          bytes_span(&scribe->ballot_note));
    scribe->ballot_waits = err == ERR_NOSPACE;
    if (err == ERR_NOSPACE)
        return ERR_NONE;
    if (err != ERR_NONE)
        return give_up(scribe, err);
    answer.balloted.life = scribe->room->life;
    answer.balloted.ticket = scribe->ballot_ticket;
    return link_send(&scribe->link, scribe->talker, &answer);
}

static enum err on_ballot(void *owner, uint32_t neighbour, const struct message *ask)
{
    struct scribe *scribe = owner;
    const struct message_ballot *ballot = &ask->ballot;
    TRY(check_talk(scribe, neighbour, ballot->life));
    scribe->ballot_ticket = ballot->ticket;
    scribe->ballot_term = ballot->term;
    scribe->ballot_vote = ballot->vote;
    bytes_clear(&scribe->ballot_note);
    bytes_append_span(&scribe->ballot_note, ballot->note);
    return write_ballot(scribe);
}

static enum err on_store(void *owner, uint32_t neighbour, const struct message *ask)
{
    struct scribe *scribe = owner;
    const struct message_store *store = &ask->store;
    TRY(check_talk(scribe, neighbour, store->life));
    if (store->entries.size < ENTRY_HEADER_SIZE)
        return ERR_BAD_MESSAGE;
    TRY(add_to_batch(scribe, store->entries));
    scribe->owes = true;
    scribe->ticket = store->ticket;
    scribe->term = store->term;
    scribe->stored_last = scribe->batch_last;
    if (scribe->batch.size > WAITING_BYTES_MAX)
        return give_up(scribe, ERR_NOSPACE);
    if (!scribe->waits && scribe->batch.size >= JOURNAL_BYTES_MAX)
        (void)!write_batch(scribe);
    return ERR_NONE;
}

static void on_down(void *owner, uint32_t neighbour)
{
    struct scribe *scribe = owner;
    if (scribe->has_talker && neighbour == scribe->talker)
        scribe->has_talker = false;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(LOAD, on_load),
    ON(BALLOT, on_ballot),
    ON(STORE, on_store),
};

/* ---- the queue and the clock ---------------------------------------------------------------- */

static void stop(struct scribe *scribe)
{
    (void)!write_batch(scribe);
    must(scribe, journal_save_mark(&scribe->journal));
    if (!scribe->loop.stopped)
        loop_stop(&scribe->loop, EXIT_DONE);
}

/* No STORE comes between; what would be answered from here on belongs to a life that is over. */
static void install(struct scribe *scribe, const struct room_item *item)
{
    (void)!write_batch(scribe);
    if (scribe->loop.stopped)
        return;
    enum err err = install_item(&scribe->journal, item, !scribe->waits);
    scribe->owes = scribe->owes && err != ERR_NONE;
    if (err == ERR_NONE)
        loop_stop(&scribe->loop, EXIT_RETRY);
    else if (err == ERR_IO)
        (void)give_up(scribe, err);
}

static uint32_t on_queue(void *owner)
{
    struct scribe *scribe = owner;
    uint32_t found = 0;
    struct room_item *item;
    for (; (item = queue_pop(&scribe->room->rooms->journal)) != NULL; found++) {
        if (item->kind == ROOM_DURABLE)
            must(scribe, journal_hand_over(&scribe->journal, item->index));
        else if (item->kind == ROOM_INSTALL)
            install(scribe, item);
        else if (item->kind == ROOM_STOP)
            stop(scribe);
        room_item_free(item);
    }
    return found;
}

static void on_tick(void *owner)
{
    struct scribe *scribe = owner;
    guard_look(&scribe->guard);
    if (scribe->ballot_waits && scribe->has_talker)
        (void)!write_ballot(scribe);
    if (scribe->waits)
        (void)!write_batch(scribe);
    if (scribe->told != scribe->guard.state)
        tell_disk(scribe);
    must(scribe, journal_tend(&scribe->journal, scribe->guard.state == GUARD_ENOUGH));
}

static void on_mark(void *owner)
{
    struct scribe *scribe = owner;
    must(scribe, journal_save_mark(&scribe->journal));
}

/* ---- the thread ---------------------------------------------------------------------------- */

static enum err scribe_open(struct scribe *scribe, const struct link_rules *rules)
{
    struct storage_room *room = scribe->room;
    char path[128];
    journal_open(&scribe->journal, room->recovery, &room->rooms->keeper);
    guard_open(&scribe->guard, room->base->data, room->disk_low_bytes, room->ballast_bytes);
    TRY(service_path(room->base, "journal.ipc", path));
    TRY(link_bind(&scribe->link, &scribe->loop, path, rules, scribe));
    loop_add_fd(&scribe->loop, queue_fd(&room->rooms->journal), on_queue, scribe);
    loop_add_timer(&scribe->loop, TICK_MS, TICK_MS, on_tick, scribe);
    loop_add_timer(&scribe->loop, MARK_MS, MARK_MS, on_mark, scribe);
    loop_set_flush(&scribe->loop, flush, scribe);
    return ERR_NONE;
}

static void scribe_close(struct scribe *scribe)
{
    link_close(&scribe->link);
    journal_close(&scribe->journal);
    guard_close(&scribe->guard);
    bytes_close(&scribe->batch);
    bytes_close(&scribe->ballot_note);
    bytes_free(scribe);
}

int scribe_run(void *owner)
{
    struct scribe *scribe = bytes_zeroed(1, sizeof *scribe);
    scribe->room = owner;
    struct link_rules rules = {
        .process = "storage", .handlers = handlers, .down = on_down, .life = scribe->room->life};
    enum err err = scribe_open(scribe, &rules);
    int code = service_exit_code(err);
    if (err == ERR_NONE) {
        storage_ready(scribe->room);
        code = loop_run(&scribe->loop);
    }
    scribe_close(scribe);
    return code;
}
