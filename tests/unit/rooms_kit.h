/* rooms_kit.h - view and keeper as the process runs them; the test plays journal,
 * consensus and api. */
#ifndef TESTS_UNIT_ROOMS_KIT_H
#define TESTS_UNIT_ROOMS_KIT_H

#include "common/clock.h"
#include "log_kit.h"
#include "protocol/effect.h"
#include "protocol/link.h"
#include "ready_kit.h"
#include "storage/keeper.h"
#include "storage/segment.h"
#include "storage/state.h"
#include "storage/storage.h"
#include "storage/view.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What else a test wants to hear of keeper. */
#ifndef KIT_KEEPER_HANDLERS
#define KIT_KEEPER_HANDLERS
#endif

enum { KIT_PARTS_MAX = 16 };

struct kit_house {
    char directory[64];
    struct service_base base;
    struct rooms rooms;
    struct storage_segment segments[KIT_PARTS_MAX];
    struct storage_found found;
    struct storage_room room;
    sem_t ready;
    struct worker view, keeper;
    bool running;
    /* journal */
    struct segment *writers[KIT_PARTS_MAX];
    char paths[KIT_PARTS_MAX][128];
    uint64_t firsts[KIT_PARTS_MAX];
    uint32_t parts, handed, gone; /* parts whose files were cut */
    uint64_t last;                /* log index stored */
    uint64_t vouched_index, vouched_term, vouched_ms;
    /* consensus and api */
    struct loop loop;
    struct link to_view, to_keeper;
    uint64_t applied, durable, fed_index, fed_changes, fed_refusals, watching;
    uint64_t feeds, fed_bodies;
    bool fed_whole;
    struct effect fed; /* the last one; links and body are gone */
    struct bytes page_rows;
    struct message page;
    uint64_t pages, sealed;
    struct bytes fetched;
    uint64_t fetches;
    char fetch_error[32];
    struct bytes cut_body;
    uint64_t cut_answers;
    struct holders holders; /* as told */
    struct rules rules;
    uint64_t holders_told;
};

static inline void kit_take_lists(struct kit_house *house, struct span holders, struct span rules)
{
    assert(holders_load(holders, &house->holders) == ERR_NONE);
    assert(rules_load(rules, &house->rules) == ERR_NONE);
    house->holders_told++;
}

static inline enum err kit_on_applied(void *owner, uint32_t neighbour,
                                      const struct message *message)
{
    struct kit_house *house = owner;
    house->applied = message->applied.index;
    house->durable = message->applied.durable_index;
    return ERR_NONE;
}

static inline enum err kit_on_watching(void *owner, uint32_t neighbour,
                                       const struct message *message)
{
    struct kit_house *house = owner;
    house->fed_index = message->watching.applied_index;
    kit_take_lists(house, message->watching.holders, message->watching.rules);
    house->watching++;
    return ERR_NONE;
}

static inline enum err kit_on_feed(void *owner, uint32_t neighbour, const struct message *message)
{
    struct kit_house *house = owner;
    struct span rest = message->feed.effects;
    house->feeds++;
    house->fed_whole = message->feed.whole;
    if (message->feed.lists_changed)
        kit_take_lists(house, message->feed.holders, message->feed.rules);
    while (effect_next(&rest, &house->fed)) {
        if (house->fed.body.size > 0)
            house->fed_bodies++;
        if (house->fed.err == ERR_NONE && house->fed.links.size > 0)
            house->fed_changes += house->fed.change_count;
        else
            house->fed_refusals++;
    }
    assert(rest.size == 0);
    assert(message->feed.applied_index >= house->fed_index);
    house->fed_index = message->feed.applied_index;
    return ERR_NONE;
}

static inline enum err kit_on_page(void *owner, uint32_t neighbour, const struct message *message)
{
    struct kit_house *house = owner;
    bytes_clear(&house->page_rows);
    bytes_append_span(&house->page_rows, message->page.rows);
    house->page = *message;
    struct span error = message->page.error; /* lent by the frame: keep the constant instead */
    if (error.size > 0)
        house->page.page.error =
            SPAN_TEXT(err_name(err_by_name((const char *)error.data, error.size)));
    house->pages++;
    return ERR_NONE;
}

static inline enum err kit_on_fetched(void *owner, uint32_t neighbour,
                                      const struct message *message)
{
    struct kit_house *house = owner;
    bytes_clear(&house->fetched);
    bytes_append_span(&house->fetched, message->fetched.entries);
    snprintf(house->fetch_error, sizeof house->fetch_error, "%.*s",
             (int)message->fetched.error.size, (const char *)message->fetched.error.data);
    house->fetches++;
    return ERR_NONE;
}

static inline enum err kit_on_cut_at(void *owner, uint32_t neighbour, const struct message *message)
{
    struct kit_house *house = owner;
    bytes_clear(&house->cut_body);
    bytes_append_span(&house->cut_body, message->cut_at.body);
    house->cut_answers++;
    return ERR_NONE;
}

static inline void kit_commit(struct kit_house *house, uint64_t index, uint64_t term)
{
    struct message commit = {.type = MESSAGE_COMMIT};
    commit.commit.index = index;
    commit.commit.term = term;
    house->vouched_index = index;
    house->vouched_term = term;
    house->vouched_ms = clock_now_ms();
    link_tell(&house->to_view, 0, &commit);
}

/* One turn; says the last COMMIT again now and then, as consensus does: on a slow machine a
 * link may have been down. */
static inline void kit_turn(struct kit_house *house)
{
    struct room_item *item;
    loop_turn(&house->loop, 5);
    if (house->vouched_index > house->applied && clock_now_ms() - house->vouched_ms > 200)
        kit_commit(house, house->vouched_index, house->vouched_term);
    while ((item = queue_pop(&house->rooms.journal)) != NULL) {
        uint64_t durable = item->index;
        assert(item->kind == ROOM_DURABLE);
        room_item_free(item);
        while (house->handed + 1 < house->parts &&
               house->firsts[house->handed + 1] - 1 <= durable) {
            if (house->writers[house->handed] == NULL) { /* sealed by a life before */
                house->handed++;
                continue;
            }
            struct room_item *seal = bytes_zeroed(1, sizeof *seal);
            seal->kind = ROOM_SEAL;
            seal->segment = house->writers[house->handed];
            house->writers[house->handed++] = NULL;
            queue_push(&house->rooms.keeper, seal, 1);
        }
    }
}

/* Turns until the condition holds; ends the test after a generous time. */
#define KIT_WAIT(house, condition) KIT_WAIT_FOR(house, 60000, condition)

#define KIT_WAIT_FOR(house, ms, condition)                              \
    do {                                                                \
        uint64_t begin_ = clock_now_ms();                               \
        while (!(condition)) {                                          \
            kit_turn(house);                                            \
            if (clock_now_ms() - begin_ > (ms)) {                       \
                fprintf(stderr, "waited in vain for %s\n", #condition); \
                abort();                                                \
            }                                                           \
        }                                                               \
    } while (0)

static inline void kit_start(struct kit_house *house)
{
    static link_handler *const view_handlers[MESSAGE_TYPE_MAX] = {
        ON(APPLIED, kit_on_applied), ON(WATCHING, kit_on_watching), ON(FEED, kit_on_feed)};
    static link_handler *const keeper_handlers[MESSAGE_TYPE_MAX] = {
        ON(PAGE, kit_on_page), ON(FETCHED, kit_on_fetched), ON(CUT_AT, kit_on_cut_at),
        KIT_KEEPER_HANDLERS};
    static struct link_rules view_rules, keeper_rules;
    view_rules = (struct link_rules){"kit", view_handlers, NULL, NULL, chance_u64()};
    keeper_rules = (struct link_rules){"kit", keeper_handlers, NULL, NULL, chance_u64()};
    char path[128];
    house->base.data = house->base.run_dir = house->directory;
    sem_init(&house->ready, 0, 0);
    house->found.segments = house->segments + house->gone;
    house->found.segment_count = house->parts - house->gone;
    house->found.first_index = house->firsts[house->gone];
    house->found.last_index = house->last;
    house->room = (struct storage_room){.base = &house->base,
                                        .life = chance_u64(),
                                        .rooms = &house->rooms,
                                        .found = &house->found,
                                        .ready = &house->ready};
    assert(queue_open(&house->rooms.journal, MiB(64)) == ERR_NONE);
    assert(queue_open(&house->rooms.view, MiB(64)) == ERR_NONE);
    assert(queue_open(&house->rooms.keeper, MiB(64)) == ERR_NONE);
    house->applied = house->durable = house->fed_index = house->fed_changes = 0;
    house->fed_refusals = house->watching = house->vouched_index = 0;
    assert(worker_start(&house->keeper, "keeper", keeper_run, &house->room) == ERR_NONE);
    assert(worker_start(&house->view, "view", view_run, &house->room) == ERR_NONE);
    kit_await_ready(&house->ready);
    kit_await_ready(&house->ready);
    assert(service_path(&house->base, "view.ipc", path) == ERR_NONE);
    link_connect(&house->to_view, &house->loop, path, &view_rules, house);
    assert(service_path(&house->base, "keeper.ipc", path) == ERR_NONE);
    link_connect(&house->to_keeper, &house->loop, path, &keeper_rules, house);
    house->running = true;
    KIT_WAIT(house, link_is_up(&house->to_view, 0) && link_is_up(&house->to_keeper, 0));
    struct message watch = {.type = MESSAGE_WATCH};
    assert(link_send(&house->to_view, 0, &watch) == ERR_NONE);
    KIT_WAIT(house, house->watching == 1);
}

static inline int kit_end(struct queue *queue, struct worker *worker)
{
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_STOP;
    queue_push(queue, item, 1);
    return worker_join(worker);
}

/* Both threads have ended: tells recovery's findings for the next start. */
static inline void kit_shut(struct kit_house *house)
{
    struct room_item *item;
    link_close(&house->to_view);
    link_close(&house->to_keeper);
    struct queue *queues[] = {&house->rooms.journal, &house->rooms.view, &house->rooms.keeper};
    for (size_t i = 0; i < COUNT_OF(queues); i++) {
        while ((item = queue_pop(queues[i])) != NULL)
            room_item_free(item);
        queue_close(queues[i]);
    }
    for (uint32_t part = 0; part < house->parts; part++) {
        char index[160];
        struct segment reader = {0};
        if (part == house->gone && access(house->paths[part], F_OK) != 0)
            house->gone++;
        if (part < house->gone)
            continue;
        snprintf(index, sizeof index, "%s.index", house->paths[part]);
        bool indexed = access(index, F_OK) == 0;
        house->segments[part] = (struct storage_segment){
            .path = house->paths[part],
            .number = part + 1,
            .first = house->firsts[part],
            .last = part + 1 < house->parts ? house->firsts[part + 1] - 1 : house->last,
            .sealed = indexed,
            .indexed = indexed};
        if (!indexed && house->writers[part] == NULL && part + 1 < house->parts) {
            house->writers[part] = bytes_zeroed(1, sizeof *house->writers[part]);
            assert(segment_open(house->writers[part], house->paths[part]) == ERR_NONE);
            house->handed = part < house->handed ? part : house->handed;
        }
        segment_close(&reader);
    }
    house->running = false;
}

/* Stops both threads in order. */
static inline void kit_stop(struct kit_house *house)
{
    assert(kit_end(&house->rooms.view, &house->view) == 0);
    assert(kit_end(&house->rooms.keeper, &house->keeper) == 0);
    kit_shut(house);
}

static inline void kit_roll(struct kit_house *house)
{
    char name[SEGMENT_NAME_MAX], path[128];
    uint32_t part = house->parts;
    assert(part < KIT_PARTS_MAX);
    segment_name(part + 1, 77 + part, name);
    snprintf(path, sizeof path, "%s/%s", house->directory, name);
    memcpy(house->paths[part], path, sizeof path);
    house->writers[part] = bytes_zeroed(1, sizeof *house->writers[part]);
    assert(segment_open(house->writers[part], house->paths[part]) == ERR_NONE);
    house->firsts[part] = house->last + 1;
    house->parts++;
    if (!house->running) {
        house->segments[part] =
            (struct storage_segment){.path = house->paths[part], .number = part + 1};
        return;
    }
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_SEGMENT;
    item->first = house->firsts[part];
    item->path = bytes_zeroed(1, 128);
    memcpy(item->path, house->paths[part], 128);
    queue_push(&house->rooms.keeper, item, 1);
}

static inline void kit_house_open(struct kit_house *house)
{
    *house = (struct kit_house){0};
    strcpy(house->directory, "/tmp/rooms_XXXXXX");
    assert(mkdtemp(house->directory) != NULL);
    kit_roll(house);
}

static inline void kit_house_close(struct kit_house *house)
{
    char command[128];
    for (uint32_t part = 0; part < house->parts; part++)
        segment_free(house->writers[part]);
    bytes_close(&house->page_rows);
    bytes_close(&house->fetched);
    bytes_close(&house->cut_body);
    snprintf(command, sizeof command, "rm -rf %s", house->directory);
    int rc = system(command);
    assert(rc == 0);
}

/* Makes records durable in the newest segment and tells view. */
static inline void kit_store(struct kit_house *house, struct span records)
{
    struct segment *segment = house->writers[house->parts - 1];
    struct span rest = records, record;
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_ENTRIES;
    item->first = house->last + 1;
    assert(store_begin(&segment->store) == ERR_NONE);
    while (entry_next(&rest, &record)) {
        assert(segment_append(segment, record) == ERR_NONE);
        house->last = item->last = entry_index_of(record);
    }
    assert(store_commit(&segment->store) == ERR_NONE);
    item->records = blob_copy(records);
    queue_push(&house->rooms.view, item, records.size);
}

static inline const struct message_page *kit_read(struct kit_house *house, struct message_read read,
                                                  const char *tag)
{
    struct message ask = {.type = MESSAGE_READ};
    uint64_t before = house->pages;
    ask.read = read;
    if (tag != NULL)
        ask.read.tags.at[ask.read.tags.count++] = SPAN_TEXT(tag);
    assert(link_send(&house->to_keeper, 0, &ask) == ERR_NONE);
    KIT_WAIT(house, house->pages > before);
    house->page.page.rows = bytes_span(&house->page_rows);
    return &house->page.page;
}

/* Stores `count` puts of one change with 2 tags. */
static inline void kit_fill(struct kit_house *house, struct log_kit *kit, uint64_t count)
{
    size_t from = kit->records.size;
    for (uint64_t i = 0; i < count; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%u", (unsigned)(kit->last % 10));
        kit_put(kit, kit->last + 1, 1, 1, tag, "some data");
    }
    kit_store(house, SPAN(kit->records.data + from, kit->records.size - from));
    kit_turn(house);
}

#endif
