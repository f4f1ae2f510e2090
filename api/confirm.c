/* confirm.c - asks consensus for read indexes: one ask at a time, shared by all reads that came
 * before it was sent. The ticket of an ask is never used twice, also not by another life of this
 * process, so an answer can never be taken for one to a later ask. The last answer serves reads
 * that may be a little old: it was true when it was asked for, whatever clocks say elsewhere. */
#include "api/shell.h"

#include "common/clock.h"

enum { AGAIN_MS = 200, PAUSE_MS = 10 };

void confirm_open(struct api *api)
{
    api->confirm.ticket = chance_u64() >> 1;
}

static bool is_open(const struct wait *wait)
{
    return wait != NULL && wait->state == WAIT_ID && wait->wants_index && !wait->index_known;
}

/* Asking again under the same ticket is allowed: who asked the last leader asks this one. */
static void send_ask(struct api *api)
{
    struct message message = {.type = MESSAGE_READ_INDEX};
    message.read_index.ticket = api->confirm.ticket;
    api->confirm.due_ms = api->base.loop.now_ms + AGAIN_MS;
    link_tell(&api->consensus, 0, &message);
}

void confirm_again(struct api *api)
{
    if (api->confirm.running)
        send_ask(api);
}

void confirm_flush(struct api *api)
{
    struct confirm *confirm = &api->confirm;
    uint64_t now = api->base.loop.now_ms;
    bool wanted = false;
    if (confirm->running && now >= confirm->due_ms)
        send_ask(api);
    if (confirm->running || now < confirm->due_ms)
        return;
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (!is_open(wait))
            continue;
        wait->index_ticket = confirm->ticket + 1;
        wanted = true;
    }
    if (!wanted)
        return;
    confirm->ticket++;
    confirm->running = true;
    confirm->asked_ms = now;
    send_ask(api);
}

enum err confirm_told(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct confirm *confirm = &api->confirm;
    const struct message_read_index_is *is = &message->read_index_is;
    if (!confirm->running || is->ticket != confirm->ticket)
        return ERR_NONE;
    confirm->running = false;
    confirm->due_ms = is->error.size > 0 ? api->base.loop.now_ms + PAUSE_MS : 0;
    if (is->error.size == 0) {
        confirm->known = true;
        confirm->known_index = is->index;
        confirm->known_ms = confirm->asked_ms;
    }
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (!is_open(wait) || wait->index_ticket != is->ticket)
            continue;
        wait->index_known = is->error.size == 0;
        wait->read_index = is->index;
    }
    return ERR_NONE;
}

bool confirm_is_done(const struct api *api, const struct wait *wait)
{
    return wait->index_known && api->standing.applied_index >= wait->read_index;
}

bool confirm_is_needed(const struct api *api, const struct request_read *ask)
{
    const struct confirm *confirm = &api->confirm;
    bool recent = confirm->known && api->base.loop.now_ms - confirm->known_ms <= ask->max_lag_ms &&
                  api->standing.applied_index >= confirm->known_index;
    return ask->linearizable && !(ask->max_lag_ms > 0 && recent);
}
