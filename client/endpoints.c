/* endpoints.c - a ring of nodes, and who in it is well. */
#include "client/endpoints.h"

void endpoints_begin(struct endpoints *endpoints, uint32_t count, uint32_t first)
{
    *endpoints = (struct endpoints){.count = count, .current = first % count};
}

uint32_t endpoints_hello_due(const struct endpoints *endpoints, uint32_t from, uint64_t now_ms)
{
    for (uint32_t slot = from; slot < endpoints->count; slot++) {
        const struct endpoint *endpoint = &endpoints->at[slot];
        if (endpoint->state == ENDPOINT_UNKNOWN && now_ms >= endpoint->hello_due_ms)
            return slot;
    }
    return endpoints->count;
}

void endpoints_hello_sent(struct endpoints *endpoints, uint32_t slot, uint64_t now_ms)
{
    endpoints->at[slot].hello_due_ms = now_ms + ENDPOINTS_HELLO_MS;
}

void endpoints_ready(struct endpoints *endpoints, uint32_t slot)
{
    if (endpoints->at[slot].state != ENDPOINT_FOREIGN)
        endpoints->at[slot].state = ENDPOINT_READY;
}

void endpoints_foreign(struct endpoints *endpoints, uint32_t slot)
{
    endpoints->at[slot].state = ENDPOINT_FOREIGN;
}

void endpoints_silent(struct endpoints *endpoints, uint32_t slot, uint64_t now_ms)
{
    struct endpoint *endpoint = &endpoints->at[slot];
    if (endpoint->state != ENDPOINT_READY)
        return;
    endpoint->state = ENDPOINT_UNKNOWN;
    endpoint->hello_due_ms = now_ms;
    endpoint->silences++;
}

bool endpoints_next(const struct endpoints *endpoints, uint32_t slot, uint32_t *next)
{
    for (uint32_t step = 1; step <= endpoints->count; step++) {
        uint32_t candidate = (slot + step) % endpoints->count;
        if (endpoints->at[candidate].state == ENDPOINT_READY) {
            *next = candidate;
            return true;
        }
    }
    return false;
}

static bool usable(const struct endpoints *endpoints, uint32_t slot)
{
    return slot < endpoints->count && endpoints->at[slot].state == ENDPOINT_READY;
}

bool endpoints_choose(struct endpoints *endpoints, bool spread, uint32_t avoid, uint32_t *slot)
{
    bool stay = !spread && usable(endpoints, endpoints->current) && endpoints->current != avoid;
    if (!stay) {
        uint32_t next;
        if (!endpoints_next(endpoints, endpoints->current, &next))
            return false;
        if (next == avoid && !endpoints_next(endpoints, next, &next))
            return false;
        endpoints->current = next;
    }
    *slot = endpoints->current;
    return true;
}
