#include "storage/view.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/worker.h"
#include "protocol/link.h"
#include "storage/apply.h"
#include "storage/backlog.h"
#include "storage/memory.h"
#include "storage/overlay.h"
#include "storage/replay.h"
#include "storage/state.h"
#include "storage/watchers.h"

#include <assert.h>

enum { NOBODY = LINK_NEIGHBOURS_MAX, SLICE_ENTRIES = 4096, DRAIN_ITEMS = 256 };
enum { TELL_MS = 100, TELL_ENTRIES = 4096 };
enum { GIVE_WAY_ENTRIES = 4 /* some ten microseconds of work */, NEAR_ENTRIES = 1024 };

/* A FEED stays below 8 MiB: this, and one effect of a largest body with its links. */
#define SLICE_BYTES MiB(2)

struct view {
    struct storage_room *room;
    struct loop loop;
    struct link link;
    struct apply apply;
    struct overlay overlay;
    struct backlog backlog;
    struct replay replay;
    struct state state; /* read only */
    bool ready;         /* the state is loaded, and agrees with the log */
    bool more;          /* something is left for the next turn */
    bool told;          /* consensus knows applied and durable index */
    bool tell_due, tell_armed;
    uint32_t tell_timer;
    uint64_t told_index;
    uint32_t consensus; /* neighbour, or NOBODY */
    struct watchers watchers;
    uint64_t durable_index;
    struct bytes effects, special; /* of the slice in work */
};

/* ---- where outcomes are found --------------------------------------------------------------- */

/* The two places an outcome can be: not yet written, or in state.db. */
static enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct view *view = owner;
    const struct outcome *fresh = overlay_find(&view->overlay, index);
    if (fresh != NULL) {
        *out = *fresh;
        return ERR_NONE;
    }
    enum err err = state_outcome(&view->state, index, out);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

static enum err find_term(void *owner, uint64_t index, uint64_t *term)
{
    struct view *view = owner;
    return replay_term(&view->replay, index, term);
}

static void stop(struct view *view, const char *event, enum err err)
{
    log_error(event, kv_err(err), kv_u64("applied", view->apply.at.index));
    /* An entry of an unknown kind must never be skipped, and a restart will not help. */
    loop_stop(&view->loop, err == ERR_VERSION ? EXIT_CORRUPTION : service_exit_code(err));
}

/* ---- the start ------------------------------------------------------------------------------ */

static enum err load_state(struct view *view)
{
    TRY(memory_load(storage_home(view->room), &view->state, &view->apply));
    if (view->apply.at.index > backlog_last(&view->backlog))
        return ERR_CORRUPT;
    backlog_applied(&view->backlog, view->apply.at.index);
    return ERR_NONE;
}

/* ---- what view says ------------------------------------------------------------------------- */

/* Consensus needs it only to push back when apply falls behind: now and then is enough. */
static void tell_applied(struct view *view)
{
    struct message message = {.type = MESSAGE_APPLIED};
    if (view->told || view->consensus == NOBODY)
        return;
    if (!view->tell_due && view->apply.at.index - view->told_index < TELL_ENTRIES) {
        if (!view->tell_armed)
            loop_move_timer(&view->loop, view->tell_timer, TELL_MS);
        view->tell_armed = true;
        return;
    }
    view->tell_due = false;
    view->told_index = view->apply.at.index;
    message.applied.index = view->apply.at.index;
    message.applied.durable_index = view->durable_index;
    view->told = link_send(&view->link, view->consensus, &message) != ERR_BUSY;
    view->more = view->more || !view->told;
}

/* ---- applying ------------------------------------------------------------------------------- */

static enum err apply_record(struct view *view, struct span record)
{
    const struct apply_source source = {find_outcome, view};
    size_t before = view->effects.size;
    struct entry entry;
    TRY(entry_decode(record, &entry));
    TRY(apply_entry(&view->apply, &entry, &source, &view->effects));
    if (view->effects.size > before)
        return overlay_note(&view->overlay,
                            SPAN(view->effects.data + before, view->effects.size - before),
                            entry.index);
    if (entry.kind == ENTRY_FOUNDING || entry.kind == ENTRY_CONFIG)
        bytes_append_span(&view->special, record);
    return ERR_NONE;
}

static bool slice_full(const struct view *view, uint64_t first)
{
    return view->effects.size + view->special.size >= SLICE_BYTES ||
           view->apply.at.index + 1 - first >= SLICE_ENTRIES;
}

/* Where nobody waits for it, as on most followers, what does leave somebody waiting goes first. Who
 * is behind does not give way, or it would fall back for ever on a machine that is full. */
static void give_way(const struct view *view, uint64_t next, uint64_t target)
{
    bool is_near = target - next < NEAR_ENTRIES;
    if (next % GIVE_WAY_ENTRIES == 0 && is_near && !watchers_are_attended(&view->watchers))
        worker_give_way();
}

/* Applies from memory, or what one read from disk gives, as far as the slice goes. */
static enum err apply_slice(struct view *view, uint64_t first, uint64_t target)
{
    struct span record, records;
    while (view->apply.at.index < target && !slice_full(view, first)) {
        uint64_t next = view->apply.at.index + 1;
        give_way(view, next, target);
        if (backlog_record(&view->backlog, next + 1, &record))
            apply_call_for(&view->apply, record);
        if (backlog_record(&view->backlog, next, &record)) {
            TRY(apply_record(view, record));
            continue;
        }
        TRY(replay_read(&view->replay, next, target, &records));
        while (!slice_full(view, first) && entry_next(&records, &record))
            TRY(apply_record(view, record));
    }
    return ERR_NONE;
}

/* To keeper: the mark of the state behind the slice, then the records that are not data. */
static void hand_to_keeper(struct view *view, uint64_t first, struct blob *effects)
{
    struct bytes records = {0};
    bytes_append(&records, &view->apply.at, sizeof view->apply.at);
    bytes_append_span(&records, bytes_span(&view->special));
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_APPLIED;
    item->first = first;
    item->last = item->index = view->apply.at.index;
    item->records = blob_copy(bytes_span(&records));
    item->effects = blob_hold(effects);
    queue_push_quiet(&view->room->rooms->keeper, item, view->effects.size + records.size);
    bytes_close(&records);
}

/* Keeper first, so that a read which follows an answer finds what was answered. */
static enum err publish(struct view *view, uint64_t first)
{
    struct blob *effects = blob_copy(bytes_span(&view->effects));
    hand_to_keeper(view, first, effects);
    enum err err = watchers_publish(&view->watchers, &view->apply.at, effects);
    (void)watchers_send(&view->watchers); /* the rest goes out in the next turns */
    blob_release(effects);
    view->told = false;
    bytes_clear(&view->effects);
    bytes_clear(&view->special);
    return err;
}

static enum err advance(struct view *view)
{
    const struct backlog_source source = {find_term, view};
    uint64_t target, first = view->apply.at.index + 1;
    TRY(backlog_target(&view->backlog, &source, &target));
    if (target < first)
        return ERR_NONE;
    TRY(apply_slice(view, first, target));
    backlog_applied(&view->backlog, view->apply.at.index);
    replay_pass(&view->replay, view->apply.at.index);
    TRY(publish(view, first));
    view->more = view->more || view->apply.at.index < target;
    return ERR_NONE;
}

/* ---- what comes in -------------------------------------------------------------------------- */

static enum err on_written(struct view *view, const struct room_item *item)
{
    view->ready = true;
    overlay_drop(&view->overlay, item->index);
    view->durable_index = item->last;
    view->told = false;
    return ERR_NONE;
}

static enum err on_item(struct view *view, const struct room_item *item)
{
    switch (item->kind) {
    case ROOM_ENTRIES:
        if (view->room->found->state_lost)
            return ERR_NONE; /* another life will apply them */
        return backlog_store(&view->backlog, item->records, item->first);
    case ROOM_LOAD:
        return load_state(view);
    case ROOM_WRITTEN:
        return on_written(view, item);
    case ROOM_STOP:
        loop_stop(&view->loop, EXIT_DONE);
        return ERR_NONE;
    default:
        assert(!"an item for another room");
        return ERR_CORRUPT;
    }
}

static uint32_t drain_queue(void *owner)
{
    struct view *view = owner;
    uint32_t found = 0;
    struct room_item *item;
    for (; found < DRAIN_ITEMS && (item = queue_pop(&view->room->rooms->view)); found++) {
        enum err err = on_item(view, item);
        room_item_free(item);
        if (err != ERR_NONE) {
            stop(view, "view_failed", err);
            return found + 1;
        }
    }
    return found;
}

/* Journal lets this thread sleep; the entries are fetched when they are to be applied. */
static void flush(void *owner)
{
    struct view *view = owner;
    bool more_items = drain_queue(view) >= DRAIN_ITEMS;
    view->more = more_items;
    if (view->ready) {
        if (watchers_send(&view->watchers)) {
            watchers_welcome(&view->watchers, &view->apply.at);
            enum err err = advance(view);
            if (err != ERR_NONE)
                stop(view, "apply_failed", err);
        }
        view->more = view->more || watchers_busy(&view->watchers);
        tell_applied(view);
    }
    queue_set_hungry(&view->room->rooms->view, backlog_is_hungry(&view->backlog));
    if (view->more)
        loop_again(&view->loop, view);
}

static enum err on_commit(void *owner, uint32_t neighbour, const struct message *message)
{
    struct view *view = owner;
    if (view->consensus != neighbour)
        view->told = false;
    view->consensus = neighbour;
    backlog_vouch(&view->backlog, message->commit.index, message->commit.term);
    return ERR_NONE;
}

static enum err on_watch(void *owner, uint32_t neighbour, const struct message *message)
{
    watchers_add(&((struct view *)owner)->watchers, neighbour, message->watch.level);
    return ERR_NONE;
}

static enum err on_attend(void *owner, uint32_t neighbour, const struct message *message)
{
    watchers_attend(&((struct view *)owner)->watchers, neighbour, message->attend.level);
    return ERR_NONE;
}

static enum err append_outcomes(struct view *view, struct span txids, struct bytes *out)
{
    const struct apply_source source = {find_outcome, view};
    struct outcome outcome;
    for (size_t at = 0; at + TXID_SIZE <= txids.size; at += TXID_SIZE) {
        enum err err = apply_outcome(&view->apply, txids.data + at, &source, &outcome);
        if (err == ERR_NOT_FOUND)
            continue;
        TRY(err);
        struct effect effect = overlay_effect(&outcome);
        effect_encode(&effect, out);
    }
    return ERR_NONE;
}

static enum err on_outcomes(void *owner, uint32_t neighbour, const struct message *message)
{
    struct view *view = owner;
    struct message answer = {.type = MESSAGE_OUTCOMES_ARE};
    struct bytes effects = {0};
    enum err err = ERR_NONE;
    if (view->ready)
        err = append_outcomes(view, message->outcomes.txids, &effects);
    answer.outcomes_are.effects = bytes_span(&effects);
    if (err == ERR_NONE)
        link_tell(&view->link, neighbour, &answer);
    else
        stop(view, "outcome_unreadable", err);
    bytes_close(&effects);
    return err;
}

static void on_down(void *owner, uint32_t neighbour)
{
    struct view *view = owner;
    watchers_remove(&view->watchers, neighbour);
    if (view->consensus == neighbour)
        view->consensus = NOBODY;
}

static void on_tell(void *owner)
{
    struct view *view = owner;
    view->tell_due = true;
    view->tell_armed = false;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(COMMIT, on_commit),
    ON(WATCH, on_watch),
    ON(ATTEND, on_attend),
    ON(OUTCOMES, on_outcomes),
};

static enum err view_open(struct view *view, struct link_rules *rules)
{
    char path[128];
    uint8_t key[HASH_KEY_SIZE];
    struct storage_room *room = view->room;
    chance_fill(key, sizeof key);
    apply_open(&view->apply, key);
    backlog_open(&view->backlog, room->found->last_index);
    replay_open(&view->replay, room->found);
    watchers_open(&view->watchers, &view->link, &view->loop);
    *rules = (struct link_rules){
        .process = "storage", .handlers = handlers, .down = on_down, .life = room->life};
    TRY(service_path(room->base, "view.ipc", path));
    TRY(link_bind(&view->link, &view->loop, path, rules, view));
    loop_add_fd(&view->loop, queue_fd(&room->rooms->view), drain_queue, view);
    view->tell_timer = loop_add_timer(&view->loop, TELL_MS, 0, on_tell, view);
    view->tell_armed = true;
    loop_set_flush(&view->loop, flush, view);
    return ERR_NONE;
}

static void view_close(struct view *view)
{
    link_close(&view->link);
    state_close(&view->state);
    replay_close(&view->replay);
    backlog_close(&view->backlog);
    overlay_close(&view->overlay);
    apply_close(&view->apply);
    bytes_close(&view->effects);
    bytes_close(&view->special);
    watchers_close(&view->watchers);
}

int view_run(void *room)
{
    struct view *view = bytes_zeroed(1, sizeof *view);
    struct link_rules rules;
    view->room = room;
    view->consensus = NOBODY;
    enum err err = view_open(view, &rules);
    int code = service_exit_code(err);
    if (err == ERR_NONE) {
        storage_ready(room);
        code = loop_run(&view->loop);
    }
    view_close(view);
    bytes_free(view);
    return code;
}
