/* waits.c - slots, each with a ticket that tells its generations apart. */
#include "api/waits.h"

#include <assert.h>

static size_t size_of(const struct texts *texts)
{
    size_t size = 0;
    for (uint32_t i = 0; i < texts->count; i++)
        size += texts->at[i].size;
    return size;
}

static void copy_text(struct wait *wait, struct span from, struct span *to)
{
    *to = SPAN(wait->texts.data + wait->texts.size, from.size);
    bytes_append_span(&wait->texts, from);
}

static void copy_texts(struct wait *wait, const struct texts *from, struct texts *to)
{
    for (uint32_t i = 0; i < from->count; i++)
        copy_text(wait, from->at[i], &to->at[i]);
}

/* Room for all of it first: what lies there must not move. */
static void copy_ask(struct wait *wait, const struct request_read *ask)
{
    const struct message_read *read = &ask->read;
    struct message_read *own = &wait->ask.read;
    wait->ask = *ask;
    bytes_reserve(&wait->texts, size_of(&read->tags) + size_of(&read->all_tags) +
                                    size_of(&read->no_tags) + ask->keys.after.size +
                                    ask->keys.prefix.size + 1);
    copy_texts(wait, &read->tags, &own->tags);
    copy_texts(wait, &read->all_tags, &own->all_tags);
    copy_texts(wait, &read->no_tags, &own->no_tags);
    copy_text(wait, ask->keys.after, &wait->ask.keys.after);
    copy_text(wait, ask->keys.prefix, &wait->ask.keys.prefix);
}

enum err waits_add(struct waits *waits, const struct door_route *route, uint64_t request,
                   enum message_type verb, const struct request_read *ask, struct wait **added)
{
    uint32_t slot = 0;
    while (slot < WAITS_MAX && waits->slots[slot] != NULL)
        slot++;
    if (slot == WAITS_MAX)
        return ERR_BUSY;
    struct wait *wait = bytes_zeroed(1, sizeof *wait);
    wait->route = *route;
    wait->request = request;
    wait->verb = verb;
    wait->ticket = ++waits->sequence * WAITS_MAX + slot;
    if (ask != NULL)
        copy_ask(wait, ask);
    waits->slots[slot] = wait;
    waits->count++;
    if (slot >= waits->high)
        waits->high = slot + 1;
    *added = wait;
    return ERR_NONE;
}

void waits_remove(struct waits *waits, struct wait *wait)
{
    uint32_t slot = (uint32_t)(wait->ticket % WAITS_MAX);
    assert(waits->slots[slot] == wait);
    waits->slots[slot] = NULL;
    waits->count--;
    while (waits->high > 0 && waits->slots[waits->high - 1] == NULL)
        waits->high--;
    bytes_close(&wait->texts);
    bytes_free(wait);
}

void waits_close(struct waits *waits)
{
    for (uint32_t i = 0; i < WAITS_MAX; i++)
        if (waits->slots[i] != NULL)
            waits_remove(waits, waits->slots[i]);
}

struct wait *waits_by_ticket(struct waits *waits, uint64_t ticket)
{
    struct wait *wait = waits->slots[ticket % WAITS_MAX];
    return wait != NULL && wait->ticket == ticket ? wait : NULL;
}

bool waits_poll(const struct waits *waits)
{
    for (uint32_t i = 0; waits->count > 0 && i < waits->high; i++)
        if (waits->slots[i] != NULL && waits->slots[i]->state == WAIT_MATCH)
            return true;
    return false;
}

bool waits_matches(const struct wait *wait, const struct effect *effect)
{
    const struct message_read *read = &wait->ask.read;
    struct filter filter = {&read->tags, &read->all_tags, &read->no_tags};
    struct change_walk walk;
    struct change change;
    if (effect->err != ERR_NONE || effect->links.size == 0 ||
        effect->last_id <= wait->ask.read.since)
        return false;
    if (filter_is_empty(&filter) || effect->body.size == 0)
        return true;
    change_walk_begin(&walk, effect->body);
    while (change_walk_next(&walk, &change))
        if (filter_matches(&filter, &change.tags))
            return true;
    return false;
}
