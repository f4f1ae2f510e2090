#include "storage/keeper.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/worker.h"
#include "protocol/link.h"
#include "storage/courier.h"
#include "storage/cutter.h"
#include "storage/giveway.h"
#include "storage/late.h"
#include "storage/pace.h"
#include "storage/reader.h"
#include "storage/tally.h"
#include "storage/upkeep.h"

#include <assert.h>

enum { TICK_MS = 200 };

/* Below the limit of FETCHED with one largest entry behind it. */
#define FETCH_BYTES KiB(960)

struct keeper {
    struct storage_room *room;
    struct loop loop;
    struct link link;
    struct late late;
    struct shelf shelf;
    struct upkeep upkeep;
    struct courier courier;
    struct reader reader;
    struct tagfloor floors;
    uint64_t applied_bytes, applied_entries; /* counters */
    uint64_t fetches;
};

static void stop(struct keeper *keeper, const char *event, enum err err)
{
    log_error(event, kv_err(err), kv_u64("written", keeper->late.written));
    loop_stop(&keeper->loop, service_exit_code(err));
}

/* ---- what keeper says to the other threads -------------------------------------------------- */

/* Never waits: view and journal may be waiting for this thread. */
static void say(struct queue *queue, enum room_kind kind, uint64_t index, uint64_t last)
{
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = kind;
    item->index = index;
    item->last = last;
    queue_push_now(queue, item, sizeof *item);
}

static void say_written(struct keeper *keeper)
{
    say(&keeper->room->rooms->view, ROOM_WRITTEN, keeper->late.written, keeper->late.durable);
}

static enum err write_now(struct keeper *keeper)
{
    TRY(late_flush(&keeper->late, &keeper->shelf, clock_now_ms()));
    say_written(keeper);
    return ERR_NONE;
}

static enum err make_durable(struct keeper *keeper)
{
    TRY(late_checkpoint(&keeper->late, clock_now_ms()));
    say_written(keeper);
    say(&keeper->room->rooms->journal, ROOM_DURABLE, keeper->late.durable, 0);
    return ERR_NONE;
}

/* The one piece of work that is most due; false: nothing is. */
static enum err work(struct keeper *keeper, bool *worked)
{
    uint64_t now_ms = keeper->loop.now_ms;
    *worked = true;
    if (keeper->late.lost)
        return courier_work(&keeper->courier, now_ms, worked);
    if (late_flush_due(&keeper->late, now_ms))
        return write_now(keeper);
    if (upkeep_wants_checkpoint(&keeper->shelf, &keeper->late, now_ms))
        return make_durable(keeper);
    TRY(upkeep_work(&keeper->upkeep, &keeper->shelf, &keeper->late, now_ms, worked));
    if (*worked)
        return ERR_NONE;
    return courier_work(&keeper->courier, now_ms, worked);
}

/* ---- what comes from view and journal ------------------------------------------------------- */

static enum err on_applied(struct keeper *keeper, const struct room_item *item)
{
    struct apply_mark at;
    struct span rest = blob_span(item->records), record;
    assert(rest.size >= sizeof at);
    memcpy(&at, rest.data, sizeof at);
    rest = SPAN(rest.data + sizeof at, rest.size - sizeof at);
    if (!keeper->late.flush.waiting)
        keeper->late.flushed_ms = keeper->loop.now_ms;
    while (entry_next(&rest, &record))
        flush_add_config(&keeper->late.flush, record);
    TRY(late_take(&keeper->late, &keeper->shelf, blob_span(item->effects)));
    flush_mark(&keeper->late.flush, &at);
    TRY(shelf_cut(&keeper->shelf, at.first_id, at.cut_hash));
    shelf_advance(&keeper->shelf, at.index);
    keeper->applied_entries += item->last - item->first + 1;
    keeper->applied_bytes += item->effects->size;
    return at.last_id == keeper->shelf.last_id ? ERR_NONE : ERR_CORRUPT;
}

static void on_seal(struct keeper *keeper, struct room_item *item)
{
    if (shelf_take(&keeper->shelf, item->segment))
        item->segment = NULL;
    else
        log_warn("segment_unknown", kv_text("path", item->segment->store.path));
    segment_free(item->segment);
}

static enum err on_item(struct keeper *keeper, struct room_item *item)
{
    switch (item->kind) {
    case ROOM_APPLIED:
        return on_applied(keeper, item);
    case ROOM_SEGMENT:
        shelf_add(&keeper->shelf, item->path, item->first);
        break;
    case ROOM_GONE:
        upkeep_forget(&keeper->upkeep, item->path);
        shelf_gone(&keeper->shelf, item->path);
        break;
    case ROOM_SEAL:
        on_seal(keeper, item);
        break;
    case ROOM_REFUSED:
        return courier_refused(&keeper->courier, (enum err)item->index);
    case ROOM_STOP:
        loop_stop(&keeper->loop, EXIT_DONE);
        break;
    default:
        assert(!"an item for another room");
    }
    return ERR_NONE;
}

/* Takes in at most `max` items and says how many there were. */
static enum err take_items(struct keeper *keeper, uint32_t max, uint32_t *count)
{
    struct room_item *item;
    enum err err = ERR_NONE;
    struct queue *queue = &keeper->room->rooms->keeper;
    for (*count = 0; *count < max && err == ERR_NONE && (item = queue_pop(queue)); ++*count) {
        err = on_item(keeper, item);
        worker_give_way();
        room_item_free(item);
    }
    return err;
}

/* One round: some items, then some work. */
static uint32_t drain_queue(void *owner)
{
    struct keeper *keeper = owner;
    uint32_t count, files = shelf_unsealed(&keeper->shelf);
    uint64_t before = keeper->applied_bytes;
    bool worked = true;
    worker_hurry(pace_hurries(files, queue_bytes(&keeper->room->rooms->keeper)));
    enum err err = take_items(keeper, PACE_ITEMS, &count);
    uint32_t pieces = pace_pieces(files, keeper->applied_bytes - before);
    for (; pieces > 0 && worked && err == ERR_NONE && !keeper->loop.stopped; pieces--)
        err = work(keeper, &worked);
    worker_give_way();
    if (err != ERR_NONE)
        stop(keeper, "keeper_failed", err);
    return count + worked;
}

/* Wakes the loop: what is due by time is looked for in each round. */
static void tick(void *owner)
{
    struct keeper *keeper = owner;
    loop_again(&keeper->loop, keeper);
}

/* ---- asks ----------------------------------------------------------------------------------- */

static enum err take_all(struct keeper *keeper)
{
    uint32_t count;
    enum err err = take_items(keeper, UINT32_MAX, &count);
    if (err != ERR_NONE)
        stop(keeper, "keeper_failed", err);
    return err;
}

static enum err on_read(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    TRY(take_all(keeper));
    bool weighs = message->type == MESSAGE_WEIGH;
    if (weighs ? reader_weigh(&keeper->reader, neighbour, &message->weigh)
               : reader_read(&keeper->reader, neighbour, &message->read))
        upkeep_hurry(&keeper->upkeep, "read_corrupt",
                     weighs ? message->weigh.since : message->read.since);
    return ERR_NONE;
}

static enum err on_scan_keys(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    TRY(take_all(keeper));
    if (reader_scan(&keeper->reader, neighbour, &message->scan_keys))
        upkeep_hurry(&keeper->upkeep, "collection_corrupt", message->scan_keys.limit);
    return ERR_NONE;
}

static enum err on_fetch(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    const struct message_fetch *fetch = &message->fetch;
    struct message answer = {.type = MESSAGE_FETCHED};
    SCOPED(bytes) entries = {0};
    TRY(take_all(keeper));
    size_t bytes = fetch->bytes < FETCH_BYTES ? (size_t)fetch->bytes : FETCH_BYTES;
    enum err err = shelf_read(&keeper->shelf, fetch->from, fetch->to, bytes, &entries);
    answer.fetched.ticket = fetch->ticket;
    answer.fetched.from = fetch->from;
    if (err == ERR_NONE)
        answer.fetched.entries = bytes_span(&entries);
    else
        answer.fetched.error = SPAN_TEXT(err_name(err));
    if (err == ERR_CORRUPT)
        upkeep_hurry(&keeper->upkeep, "fetch_corrupt", fetch->from);
    link_tell(&keeper->link, neighbour, &answer);
    keeper->fetches++;
    return ERR_NONE;
}

static enum err on_snapshot_read(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    return courier_read(&keeper->courier, neighbour, &message->snapshot_read, clock_now_ms());
}

static enum err on_snapshot_write(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    enum err err = courier_write(&keeper->courier, neighbour, &message->snapshot_write);
    if (err != ERR_NONE)
        stop(keeper, "snapshot_not_written", err);
    return err;
}

static enum err on_may_cut(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    TRY(take_all(keeper));
    if (keeper->late.lost)
        return ERR_NONE;
    if (cutter_answer(&keeper->shelf, &keeper->floors, &keeper->late.flush.at, message,
                      &keeper->link, neighbour) == ERR_CORRUPT)
        upkeep_hurry(&keeper->upkeep, "cut_met_damage", keeper->shelf.first_id);
    return ERR_NONE;
}

static enum err on_mend(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    if (keeper->late.lost)
        return ERR_NONE; /* the snapshot has what is damaged, too */
    enum err err = upkeep_mend(&keeper->upkeep, &keeper->shelf, clock_now_ms(), message,
                               &keeper->link, neighbour);
    if (err != ERR_NONE)
        stop(keeper, "not_mended", err);
    return ERR_NONE;
}

static enum err on_tag_heads(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    TRY(take_all(keeper));
    return reader_tag_heads(&keeper->reader, neighbour, &message->tag_heads);
}

static enum err on_tally(void *owner, uint32_t neighbour, const struct message *message)
{
    struct keeper *keeper = owner;
    const struct wire_counter counters[] = {
        {"applied_index", keeper->shelf.applied},
        {"written_index", keeper->late.written},
        {"durable_index", keeper->late.durable},
        {"last_id", keeper->shelf.last_id},
        {"applied_entries", keeper->applied_entries},
        {"applied_bytes", keeper->applied_bytes},
        {"flushes", keeper->late.flushes},
        {"checkpoints", keeper->late.checkpoints},
        {"segments", keeper->shelf.count},
        {"segments_cut", keeper->shelf.dropped},
        {"scrub_passes", keeper->upkeep.scrub.passes},
        {"scrub_damage", keeper->upkeep.scrub.damage},
        {"segments_mended", keeper->upkeep.mender.mended},
        {"records_given", keeper->upkeep.mender.given},
        {"sealed", keeper->upkeep.sealer.sealed},
        {"waiting_rows", keeper->late.flush.rows},
        {"queue_view_bytes", queue_bytes(&keeper->room->rooms->view)},
        {"queue_keeper_bytes", queue_bytes(&keeper->room->rooms->keeper)},
        {"reads", keeper->reader.reads},
        {"rows_read", keeper->reader.rows},
        {"fetches", keeper->fetches},
        {"refused", keeper->link.refused},
        {"snapshots_made", keeper->courier.snapshot.made},
        {"snapshot_bytes_read", keeper->courier.snapshot.bytes},
        {"snapshot_bytes_written", keeper->courier.incoming.bytes},
        {"snapshots_resumed", keeper->courier.incoming.resumed},
    };
    tally_send(counters, COUNT_OF(counters), &keeper->link, neighbour);
    return ERR_NONE;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(READ, on_read),
    ON(WEIGH, on_read),
    ON(SCAN_KEYS, on_scan_keys),
    ON(FETCH, on_fetch),
    ON(TALLY, on_tally),
    ON(MAY_CUT, on_may_cut),
    ON(MEND, on_mend),
    ON(TAG_HEADS, on_tag_heads),
    ON(SNAPSHOT_READ, on_snapshot_read),
    ON(SNAPSHOT_WRITE, on_snapshot_write),
};

static enum err keeper_open(struct keeper *keeper, struct link_rules *rules)
{
    char path[128];
    struct storage_room *room = keeper->room;
    *rules = (struct link_rules){.process = "storage", .handlers = handlers, .life = room->life};
    TRY(late_open(&keeper->late, storage_home(room), room->found));
    if (!keeper->late.lost)
        say(&room->rooms->view, ROOM_LOAD, 0, 0); /* beside what is to do here */
    TRY(late_join(&keeper->late, &keeper->shelf, room->found));
    const struct courier_desk desk = {room, &keeper->link, &keeper->late, &keeper->shelf};
    TRY(courier_open(&keeper->courier, &desk));
    if (!keeper->late.lost)
        say_written(keeper); /* view waits for it: state and log agree */
    say(&room->rooms->journal, ROOM_DURABLE, keeper->late.durable, 0);
    TRY(service_path(room->base, "keeper.ipc", path));
    TRY(link_bind(&keeper->link, &keeper->loop, path, rules, keeper));
    loop_add_fd(&keeper->loop, queue_fd(&room->rooms->keeper), drain_queue, keeper);
    loop_add_timer(&keeper->loop, TICK_MS, TICK_MS, tick, keeper);
    return ERR_NONE;
}

/* The last words: what was applied is written, and durable where nobody is in the way. */
static int finish(struct keeper *keeper, int code)
{
    if (code != EXIT_DONE || keeper->late.lost)
        return code;
    enum err err = late_flush(&keeper->late, &keeper->shelf, clock_now_ms());
    if (err == ERR_NONE)
        err = late_checkpoint(&keeper->late, clock_now_ms());
    return service_exit_code(err);
}

static void keeper_close(struct keeper *keeper)
{
    link_close(&keeper->link);
    upkeep_close(&keeper->upkeep);
    courier_close(&keeper->courier);
    shelf_close(&keeper->shelf);
    late_close(&keeper->late);
    reader_close(&keeper->reader);
}

int keeper_run(void *room)
{
    struct keeper *keeper = bytes_zeroed(1, sizeof *keeper);
    struct link_rules rules;
    giveway_here();
    keeper->room = room;
    keeper->reader =
        (struct reader){.late = &keeper->late, .shelf = &keeper->shelf, .link = &keeper->link};
    enum err err = keeper_open(keeper, &rules);
    int code = service_exit_code(err);
    if (err == ERR_NONE) {
        storage_ready(room);
        code = finish(keeper, loop_run(&keeper->loop));
    } else {
        log_error("keeper_not_opened", kv_err(err));
    }
    keeper_close(keeper);
    bytes_free(keeper);
    return code;
}
