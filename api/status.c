/* status.c - what this node says of itself: its standing, and what each of its processes counts.
 *
 * Consensus and storage are asked each time. Who of them is too busy, or has just come to a halt,
 * is told of as it was last, and how long ago that is: `consensus_age_ms`, `storage_age_ms`. With
 * the link to it that is forgotten: who is gone counts nothing, and the next life begins at 0. */
#include "api/shell.h"

#include "protocol/wire.h"

enum { ANSWER_MS = 300 };

static uint64_t age_ms(const struct api *api, const struct counted *counted)
{
    return counted->at_ms > 0 ? api->base.loop.now_ms - counted->at_ms : 0;
}

static void pack_own_counters(const struct api *api, struct bytes *out)
{
    const struct wire_counter counters[] = {
        {"puts", api->puts},
        {"puts_done", api->puts_done},
        {"puts_refused", api->puts_refused},
        {"puts_open", api->puts_open},
        {"puts_over_quota", api->puts_over_quota},
        {"proposed_again", api->proposed_again},
        {"reads", api->reads},
        {"polls", api->polls},
        {"waiting_writes", api->session.count},
        {"waiting_reads", api->waits.count},
        {"topics", api->feed.count},
        {"asks_received", api->door.received},
        {"asks_refused", api->door.refused},
        {"answers_lost", api->door.lost},
        {"published", api->door.published},
        {"consensus_age_ms", age_ms(api, &api->of_consensus)},
        {"storage_age_ms", age_ms(api, &api->of_storage)},
    };
    wire_pack_counters(out, counters, COUNT_OF(counters));
}

static void pack_part(struct bytes *out, const char *name, const struct bytes *map)
{
    wire_pack_text(out, SPAN_TEXT(name));
    if (map->size > 0)
        bytes_append_span(out, bytes_span(map));
    else
        wire_pack_map(out, 0);
}

void status_answer(struct api *api, struct wait *wait)
{
    struct message answer;
    SCOPED(bytes) own = {0};
    SCOPED(bytes) processes = {0};
    pack_own_counters(api, &own);
    wire_pack_map(&processes, 3);
    pack_part(&processes, "api", &own);
    pack_part(&processes, "consensus", &api->of_consensus.counters);
    pack_part(&processes, "storage", &api->of_storage.counters);
    answer_status(&api->standing, api->base.name, &api->texts, &answer);
    answer.status_is.processes = bytes_span(&processes);
    answer.status_is.drained = api->operate.drained;
    answer.status_is.ready = operate_ready(api);
    api_answer(api, &wait->route, wait->request, &answer);
    waits_remove(&api->waits, wait);
}

void status_ask(struct api *api, const struct door_route *route, const struct message *message)
{
    struct wait *wait;
    struct message count = {.type = MESSAGE_COUNT}, tally = {.type = MESSAGE_TALLY};
    enum err err = waits_add(&api->waits, route, message->request, MESSAGE_STATUS, NULL, &wait);
    if (err != ERR_NONE) {
        api_refuse(api, route, message->request, err, NULL);
        return;
    }
    wait->state = WAIT_PAGE;
    wait->deadline_ms = api->base.loop.now_ms + ANSWER_MS;
    wait->has_counted = link_send(&api->consensus, 0, &count) != ERR_NONE;
    wait->has_tallied = link_send(&api->keeper, 0, &tally) != ERR_NONE;
    if (wait->has_counted && wait->has_tallied)
        status_answer(api, wait);
}

/* The counters serve every status that waits: they are of this moment. */
static void take(struct api *api, struct counted *counted, struct span counters)
{
    bytes_clear(&counted->counters);
    bytes_append_span(&counted->counters, counters);
    counted->at_ms = api->base.loop.now_ms;
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait == NULL || wait->verb != MESSAGE_STATUS)
            continue;
        wait->has_counted = wait->has_counted || counted == &api->of_consensus;
        wait->has_tallied = wait->has_tallied || counted == &api->of_storage;
        if (wait->has_counted && wait->has_tallied)
            status_answer(api, wait);
    }
}

static void forget(struct counted *counted)
{
    bytes_clear(&counted->counters);
    counted->at_ms = 0;
}

enum err status_counted(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    take(api, &api->of_consensus, message->counted.counters);
    return ERR_NONE;
}

enum err status_tallied(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    take(api, &api->of_storage, message->tallied.counters);
    return ERR_NONE;
}

void status_consensus_lost(struct api *api)
{
    forget(&api->of_consensus);
}

void status_storage_lost(struct api *api)
{
    forget(&api->of_storage);
}
