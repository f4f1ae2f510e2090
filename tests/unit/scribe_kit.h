/* scribe_kit.h - the journal thread on a stage: a consensus that says load, vote, store, and hears
 * the answers. */
#ifndef TESTS_UNIT_SCRIBE_KIT_H
#define TESTS_UNIT_SCRIBE_KIT_H
#include "storage/scribe.h"

#include "common/clock.h"
#include "common/log.h"
#include "protocol/link.h"
#include "storage/recovery.h"
#include "tests/unit/ready_kit.h"
#include "tests/unit/storage_kit.h"

enum { LIFE = 4242, PATIENCE_MS = 10000 };

/* A storage of one thread, and a consensus of one link. */
struct stage {
    struct kit kit;
    struct service_base base;
    struct rooms rooms;
    struct recovery recovery;
    struct storage_room room;
    sem_t ready;
    struct worker worker;
    struct loop loop;
    struct link link;
    uint64_t loaded_last, loaded_term, stored_last, stored_ticket, balloted, stored_count;
    bool up, loaded, disk;
    uint64_t tail_size;
};

static inline enum err on_loaded(void *owner, uint32_t neighbour, const struct message *message)
{
    struct stage *stage = owner;
    CHECK(message->loaded.life == LIFE);
    CHECK(message->loaded.may_vote);
    stage->loaded = true;
    stage->loaded_last = message->loaded.last_index;
    stage->loaded_term = message->loaded.term;
    stage->tail_size = message->loaded.tail.size;
    return ERR_NONE;
}

static inline enum err on_balloted(void *owner, uint32_t neighbour, const struct message *message)
{
    struct stage *stage = owner;
    stage->balloted = message->balloted.ticket;
    return ERR_NONE;
}

static inline enum err on_stored(void *owner, uint32_t neighbour, const struct message *message)
{
    struct stage *stage = owner;
    CHECK(message->stored.life == LIFE);
    stage->stored_last = message->stored.last_index;
    stage->stored_ticket = message->stored.ticket;
    stage->stored_count++;
    return ERR_NONE;
}

static inline enum err on_disk(void *owner, uint32_t neighbour, const struct message *message)
{
    struct stage *stage = owner;
    stage->disk = true;
    return ERR_NONE;
}

static inline void on_up(void *owner, uint32_t neighbour)
{
    struct stage *stage = owner;
    stage->up = true;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(LOADED, on_loaded),
    ON(BALLOTED, on_balloted),
    ON(STORED, on_stored),
    ON(DISK_IS, on_disk),
};

static const struct link_rules rules = {
    .process = "consensus", .handlers = handlers, .up = on_up, .life = 1};

/* Turns until the number at `what` is `wanted`. */
static inline void await(struct stage *stage, const uint64_t *what, uint64_t wanted)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;
    while (*what != wanted && clock_now_ms() < end)
        loop_turn(&stage->loop, 10);
    CHECK(*what == wanted);
}

static inline void await_flag(struct stage *stage, const bool *what)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;
    while (!*what && clock_now_ms() < end)
        loop_turn(&stage->loop, 10);
    CHECK(*what);
}

static inline void raise_stage(struct stage *stage)
{
    char path[128];
    stage->base = (struct service_base){.data = stage->kit.dir, .run_dir = stage->kit.dir};
    CHECK(queue_open(&stage->rooms.journal, 1 << 20) == ERR_NONE);
    CHECK(queue_open(&stage->rooms.view, 64 << 20) == ERR_NONE);
    CHECK(queue_open(&stage->rooms.keeper, 1 << 20) == ERR_NONE);
    CHECK(recovery_run(&stage->recovery, stage->kit.dir) == ERR_NONE);
    CHECK(sem_init(&stage->ready, 0, 0) == 0);
    stage->room = (struct storage_room){.base = &stage->base,
                                        .life = LIFE,
                                        .rooms = &stage->rooms,
                                        .found = &stage->recovery.found,
                                        .disk_low_bytes = 1 << 20,
                                        .ready = &stage->ready,
                                        .recovery = &stage->recovery};
    CHECK(worker_start(&stage->worker, "journal", scribe_run, &stage->room) == ERR_NONE);
    kit_await_ready(&stage->ready);
    CHECK(service_path(&stage->base, "journal.ipc", path) == ERR_NONE);
    link_connect(&stage->link, &stage->loop, path, &rules, stage);
    await_flag(stage, &stage->up);
}

static inline void drain(struct queue *queue)
{
    for (struct room_item *item = queue_pop(queue); item; item = queue_pop(queue))
        room_item_free(item);
    queue_close(queue);
}

static inline void strike_stage(struct stage *stage)
{
    struct room_item *stop = bytes_zeroed(1, sizeof *stop);
    stop->kind = ROOM_STOP;
    queue_push_now(&stage->rooms.journal, stop, sizeof *stop);
    CHECK(worker_join(&stage->worker) == EXIT_DONE);
    link_close(&stage->link);
    recovery_close(&stage->recovery);
    drain(&stage->rooms.journal);
    drain(&stage->rooms.view);
    drain(&stage->rooms.keeper);
    sem_destroy(&stage->ready);
}

static inline struct stage *stage_make(void)
{
    struct stage *stage = bytes_zeroed(1, sizeof *stage);
    log_open("scribe_test", LOG_ERROR);
    stage->kit = kit_make();
    raise_stage(stage);
    return stage;
}

static inline void stage_drop(struct stage *stage)
{
    strike_stage(stage);
    kit_drop(&stage->kit);
    bytes_free(stage);
}

static inline void load(struct stage *stage)
{
    struct message message = {.type = MESSAGE_LOAD};
    stage->loaded = stage->disk = false;
    CHECK(link_send(&stage->link, 0, &message) == ERR_NONE);
    await_flag(stage, &stage->loaded);
    await_flag(stage, &stage->disk);
}

static inline void vote(struct stage *stage, uint64_t ticket, uint64_t term, uint64_t life)
{
    struct message message = {.type = MESSAGE_BALLOT};
    message.ballot.life = life;
    message.ballot.ticket = ticket;
    message.ballot.term = term;
    CHECK(link_send(&stage->link, 0, &message) == ERR_NONE);
}

static inline void store(struct stage *stage, uint64_t ticket, uint64_t life, struct span records)
{
    struct message message = {.type = MESSAGE_STORE};
    message.store.life = life;
    message.store.ticket = ticket;
    message.store.term = 1;
    message.store.entries = records;
    CHECK(link_send(&stage->link, 0, &message) == ERR_NONE);
}

/* The next item for view must hold exactly these. */
static inline void check_view(struct stage *stage, uint64_t first, uint64_t last,
                              struct span records)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;
    struct room_item *item = NULL; /* pushed just after STORED was sent */
    while ((item = queue_pop(&stage->rooms.view)) == NULL && clock_now_ms() < end)
        loop_turn(&stage->loop, 1);
    CHECK(item != NULL);
    CHECK(item->kind == ROOM_ENTRIES);
    CHECK(item->first == first);
    CHECK(item->last == last);
    CHECK(span_equal(blob_span(item->records), records));
    room_item_free(item);
}

#endif
