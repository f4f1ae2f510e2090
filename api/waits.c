/* waits.c - slots, each with a ticket that tells its generations apart. */
#include "api/waits.h"

#include <assert.h>

static void copy_tags(struct wait *wait, const struct texts *tags)
{
    size_t offsets[TEXTS_MAX];
    for (uint32_t i = 0; i < tags->count; i++) {
        offsets[i] = wait->tags.size;
        bytes_append_span(&wait->tags, tags->at[i]);
    }
    for (uint32_t i = 0; i < tags->count; i++)
        wait->ask.read.tags.at[i] = SPAN(wait->tags.data + offsets[i], tags->at[i].size);
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
    if (ask != NULL) {
        wait->ask = *ask;
        copy_tags(wait, &ask->read.tags);
    }
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
    bytes_close(&wait->tags);
    bytes_close(&wait->counted);
    bytes_close(&wait->tallied);
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

static bool shares_tag(const struct texts *wanted, const struct texts *tags)
{
    for (uint32_t i = 0; i < wanted->count; i++)
        for (uint32_t j = 0; j < tags->count; j++)
            if (span_equal(wanted->at[i], tags->at[j]))
                return true;
    return false;
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
    const struct texts *wanted = &wait->ask.read.tags;
    struct change_walk walk;
    struct change change;
    if (effect->err != ERR_NONE || effect->links.size == 0 ||
        effect->last_id <= wait->ask.read.since)
        return false;
    if (wanted->count == 0 || effect->body.size == 0)
        return true;
    change_walk_begin(&walk, effect->body);
    while (change_walk_next(&walk, &change))
        if (shares_tag(wanted, &change.tags))
            return true;
    return false;
}
