/* reads.c - get, list, head: asked, waited for, answered. */
#include "api/shell.h"

#include "protocol/wire.h"

#include <assert.h>

enum { READ_ANSWER_MS = 10000 };

static uint64_t now_ms(const struct api *api)
{
    return api->base.loop.now_ms;
}

void reads_ask(struct api *api, struct wait *wait)
{
    struct message message = {.type = MESSAGE_READ, .read = wait->ask.read};
    message.read.ticket = wait->ticket;
    if (wait->ask.has_since_hash)
        message.read.since_hash = SPAN(wait->ask.since_hash, HASH_SIZE);
    if (wait->ask.by_key) {
        message = (struct message){.type = MESSAGE_SCAN_KEYS, .scan_keys = wait->ask.keys};
        message.scan_keys.ticket = wait->ticket;
    }
    if (wait->ask.weighs)
        estimate_message(wait, &message);
    wait->state = WAIT_PAGE;
    wait->deadline_ms = now_ms(api) + READ_ANSWER_MS;
    if (link_send(&api->keeper, 0, &message) == ERR_NONE)
        return;
    api_refuse(api, &wait->route, wait->request, ERR_NOT_READY, "storage is starting");
    waits_remove(&api->waits, wait);
}

static void begin(struct api *api, const struct door_route *route, uint64_t request,
                  enum message_type verb, const struct request_read *ask)
{
    struct wait *wait;
    api->reads++;
    enum err err = waits_add(&api->waits, route, request, verb, ask, &wait);
    if (err != ERR_NONE) {
        api_refuse(api, route, request, err, NULL);
        return;
    }
    wait->poll_until_ms = ask->block_ms > 0 ? now_ms(api) + ask->block_ms : 0;
    wait->ask.linearizable = confirm_is_needed(api, ask);
    wait->wants_index = wait->ask.linearizable || ask->wait_for > api->standing.last_id;
    if (!wait->wants_index) {
        reads_ask(api, wait);
        return;
    }
    wait->state = WAIT_ID;
    wait->deadline_ms = now_ms(api) + WAITS_ID_MS;
}

void reads_take(struct api *api, const struct door_route *route, const struct message *message,
                struct refusal refusal, const struct request_read *ask)
{
    if (refusal.err != ERR_NONE)
        api_refuse(api, route, message->request, refusal.err, refusal.detail);
    else
        begin(api, route, message->request, message->type, ask);
}

void reads_get(struct api *api, const struct door_route *route, const struct message *message)
{
    struct request_read ask;
    struct refusal refusal = request_get(&api->standing, &message->get, &ask);
    reads_take(api, route, message, refusal, &ask);
}

void reads_list(struct api *api, const struct door_route *route, const struct message *message)
{
    struct request_read ask;
    struct refusal refusal = request_list(&api->standing, &message->list, &ask);
    reads_take(api, route, message, refusal, &ask);
}

void reads_scan(struct api *api, const struct door_route *route, const struct message *message)
{
    struct request_read ask;
    struct refusal refusal = request_scan(&api->standing, &message->scan, &ask);
    reads_take(api, route, message, refusal, &ask);
}

static void answer_head_now(struct api *api, const struct door_route *route, uint64_t request)
{
    struct message answer;
    answer_head(&api->standing, &api->texts, &answer);
    api_answer(api, route, request, &answer);
}

void reads_head(struct api *api, const struct door_route *route, const struct message *message)
{
    struct request_read ask;
    struct refusal refusal = request_head(&api->standing, &message->head, &ask);
    if (refusal.err != ERR_NONE)
        api_refuse(api, route, message->request, refusal.err, refusal.detail);
    else if (!confirm_is_needed(api, &ask) && ask.wait_for <= api->standing.last_id)
        answer_head_now(api, route, message->request);
    else
        begin(api, route, message->request, MESSAGE_HEAD, &ask);
}

typedef void answer_known(const struct standing *standing, struct answer_texts *texts,
                          struct message *out);

/* What was applied here last is known: nothing is waited for. */
static void answer_from_here(struct api *api, const struct door_route *route, uint64_t request,
                             answer_known *make)
{
    struct message answer;
    struct refusal refusal = request_readable(&api->standing);
    if (refusal.err != ERR_NONE) {
        api_refuse(api, route, request, refusal.err, refusal.detail);
        return;
    }
    make(&api->standing, &api->texts, &answer);
    api_answer(api, route, request, &answer);
}

void reads_settings(struct api *api, const struct door_route *route, const struct message *message)
{
    answer_from_here(api, route, message->request, answer_settings);
}

void reads_holders(struct api *api, const struct door_route *route, const struct message *message)
{
    answer_from_here(api, route, message->request, answer_holders);
}

void reads_rules(struct api *api, const struct door_route *route, const struct message *message)
{
    answer_from_here(api, route, message->request, answer_rules);
}

/* ---- pages ------------------------------------------------------------------------------------
 */

/* An empty page at the end of the log, and the client wants to wait. */
static bool must_poll(const struct api *api, const struct wait *wait,
                      const struct message_page *page)
{
    return wait->poll_until_ms > now_ms(api) && page->error.size == 0 && page->count == 0 &&
           page->at_end && wait->ask.read.before == 0;
}

/* What was applied while storage read is not missed: the page says how far it looked. */
static void park(struct api *api, struct wait *wait, const struct message_page *page)
{
    api->polls++;
    if (page->last_id < api->standing.last_id) {
        reads_ask(api, wait);
        return;
    }
    wait->state = WAIT_MATCH;
    wait->deadline_ms = wait->poll_until_ms;
}

void reads_page(struct api *api, const struct message *message)
{
    const struct message_page *page = &message->page;
    struct wait *wait = waits_by_ticket(&api->waits, page->ticket);
    struct message answer;
    if (wait == NULL || wait->state != WAIT_PAGE)
        return;
    if (wait->verb == MESSAGE_PUT) {
        writes_page(api, wait, page);
        return;
    }
    if (must_poll(api, wait, page)) {
        park(api, wait, page);
        return;
    }
    answer_page(&api->standing, wait->verb, page, &api->texts, &answer);
    api_answer(api, &wait->route, wait->request, &answer);
    waits_remove(&api->waits, wait);
}

enum err reads_keys(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct wait *wait = waits_by_ticket(&api->waits, message->keys_are.ticket);
    struct message answer;
    if (wait == NULL || wait->state != WAIT_PAGE || !wait->ask.by_key)
        return ERR_NONE;
    answer_keys(&api->standing, wait->verb, &message->keys_are, &api->texts, &answer);
    api_answer(api, &wait->route, wait->request, &answer);
    waits_remove(&api->waits, wait);
    return ERR_NONE;
}

void reads_effect(struct api *api, const struct effect *effect)
{
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait != NULL && wait->state == WAIT_MATCH && waits_matches(wait, effect))
            wait->deadline_ms = 0; /* reads_wake asks storage, once per turn */
    }
}

/* What was waited for is here: a head is answered, the rest asks storage. */
static void arrive(struct api *api, struct wait *wait)
{
    if (wait->ask.now)
        wait->ask.read.since = api->standing.last_id;
    if (wait->verb != MESSAGE_HEAD) {
        reads_ask(api, wait);
        return;
    }
    answer_head_now(api, &wait->route, wait->request);
    waits_remove(&api->waits, wait);
}

static bool is_here(const struct api *api, const struct wait *wait)
{
    return wait->ask.wait_for <= api->standing.last_id &&
           (!wait->ask.linearizable || confirm_is_done(api, wait));
}

/* The position lies above all that any node can have shown before the ask. */
static bool is_ahead(const struct api *api, const struct wait *wait)
{
    return confirm_is_done(api, wait) && wait->ask.read.since > api->standing.last_id;
}

static void refuse(struct api *api, struct wait *wait, enum err err)
{
    api_refuse(api, &wait->route, wait->request, err, NULL);
    waits_remove(&api->waits, wait);
}

void reads_wake(struct api *api)
{
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait == NULL)
            continue;
        if (wait->state == WAIT_ID && is_here(api, wait))
            arrive(api, wait);
        else if (wait->state == WAIT_ID && is_ahead(api, wait))
            refuse(api, wait, ERR_AHEAD);
        else if (wait->state == WAIT_MATCH && wait->deadline_ms == 0)
            reads_ask(api, wait);
    }
}

/* ---- ends -------------------------------------------------------------------------------------
 */

/* What does not come: an id above the head, the word of a majority, or what it says is there. */
static void give_up_on_id(struct api *api, struct wait *wait)
{
    if (confirm_is_done(api, wait))
        refuse(api, wait, ERR_AHEAD);
    else
        refuse(api, wait, wait->index_known ? ERR_BEHIND : ERR_NO_QUORUM);
}

static void end(struct api *api, struct wait *wait)
{
    if (wait->state == WAIT_ID) {
        give_up_on_id(api, wait);
    } else if (wait->verb == MESSAGE_STATUS) {
        status_answer(api, wait);
    } else if (wait->state == WAIT_MATCH) {
        reads_ask(api, wait); /* the poll's time is over: the page that comes is the answer */
    } else {
        api_refuse(api, &wait->route, wait->request,
                   wait->verb == MESSAGE_PUT ? ERR_OPEN : ERR_TIMEOUT, NULL);
        waits_remove(&api->waits, wait);
    }
}

void reads_expire(struct api *api)
{
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait != NULL && wait->deadline_ms <= now_ms(api))
            end(api, wait);
    }
}

void reads_storage_lost(struct api *api)
{
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait == NULL || wait->verb == MESSAGE_STATUS)
            continue;
        api_refuse(api, &wait->route, wait->request,
                   wait->verb == MESSAGE_PUT ? ERR_OPEN : ERR_NOT_READY, "storage was restarted");
        waits_remove(&api->waits, wait);
    }
}
