/* api.c - opens the links, keeps the standing of the node, hands asks on. */
#include "api/api.h"

#include "api/shell.h"
#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <stdio.h>
#include <sys/resource.h>

enum { PROGRESS_MS = 400, TAG_ANSWER_MS = 1000, EXPIRE_MS = 200, MEMORY_MAX = 2 << 10 /* MiB */ };

#define OPTION(name, kind, preset, min, max, sentence)                             \
    {                                                                              \
        "api", #name, kind, offsetof(struct api, name), preset, min, max, sentence \
    }

static const struct option options[] = {
    OPTION(listen, OPTION_ENDPOINT, "tcp://127.0.0.1:7600", 0, 0, "where clients ask"),
    OPTION(stream, OPTION_ENDPOINT, "tcp://127.0.0.1:7601", 0, 0, "where clients follow"),
    OPTION(plain, OPTION_FLAG, "no", 0, 0,
           "yes: clients are not encrypted and not checked, also beyond loopback"),
    OPTION_END,
};

/* ---- answers ----------------------------------------------------------------------------------
 */

void api_answer(struct api *api, const struct door_route *route, uint64_t request,
                struct message *message)
{
    message->request = request;
    door_answer(&api->door, route, message);
}

void api_refuse(struct api *api, const struct door_route *route, uint64_t request, enum err err,
                const char *detail)
{
    struct message message;
    answer_failed(&api->standing, err, detail, &message);
    api_answer(api, route, request, &message);
}

void api_refuse_quota(struct api *api, const struct door_route *route, uint64_t request,
                      uint64_t wait_ms)
{
    struct message message;
    answer_failed(&api->standing, ERR_QUOTA, api->quota.detail, &message);
    message.failed.retry_after_ms = wait_ms;
    api_answer(api, route, request, &message);
}

uint64_t api_contact_ms(const struct api *api)
{
    return api->base.loop.now_ms - api->contact_ms;
}

/* ---- from clients -----------------------------------------------------------------------------
 */

static void on_hello(struct api *api, const struct door_route *route, const struct message *message)
{
    struct message answer;
    answer_hello(&api->standing, api->stream_endpoint, &api->texts, &answer);
    api_answer(api, route, message->request, &answer);
}

typedef void ask_handler(struct api *api, const struct door_route *route,
                         const struct message *message);

static ask_handler *const asks[] = {
    [MESSAGE_HELLO] = on_hello,          [MESSAGE_PUT] = writes_put,
    [MESSAGE_GET] = reads_get,           [MESSAGE_LIST] = reads_list,
    [MESSAGE_HEAD] = reads_head,         [MESSAGE_STATUS] = status_ask,
    [MESSAGE_SETTINGS] = reads_settings, [MESSAGE_NODE] = operate_node,
    [MESSAGE_MEMBERS] = members_ask,     [MESSAGE_BACKUP] = backup_ask,
    [MESSAGE_SCAN] = reads_scan,         [MESSAGE_ESTIMATE] = estimate_ask,
    [MESSAGE_HOLDERS] = reads_holders,   [MESSAGE_RULES] = reads_rules,
};

static void on_ask(void *owner, const struct door_route *route, const struct message *message)
{
    struct api *api = owner;
    assert(message->type < COUNT_OF(asks) && asks[message->type] != NULL);
    if (api->operate.stopping && message->type != MESSAGE_STATUS)
        operate_refuse(api, route, message->request);
    else
        asks[message->type](owner, route, message);
}

static void on_refuse(void *owner, const struct door_route *route, uint64_t request, enum err err,
                      const char *field)
{
    char detail[128];
    snprintf(detail, sizeof detail, "%s: wrong kind of value, or over its limit",
             field != NULL ? field : "");
    api_refuse(owner, route, request, err, field != NULL ? detail : NULL);
}

/* ---- the stream -------------------------------------------------------------------------------
 */

static void on_emit(void *owner, struct span topic, struct span body)
{
    struct api *api = owner;
    door_publish(&api->door, topic, body);
}

void api_ask_tag_heads(struct api *api)
{
    struct message message = {.type = MESSAGE_TAG_HEADS};
    struct texts *tags = &message.tag_heads.tags;
    if (api->tags_asked_count > 0 || !link_is_up(&api->keeper, 0))
        return;
    tags->count = feed_unasked(&api->feed, tags->at, TEXTS_MAX);
    if (tags->count == 0)
        return;
    bytes_clear(&api->tag_names);
    for (uint32_t i = 0; i < tags->count; i++)
        bytes_append_span(&api->tag_names, tags->at[i]);
    size_t offset = 0;
    for (uint32_t i = 0; i < tags->count; i++) {
        api->tags_asked[i] = SPAN(api->tag_names.data + offset, tags->at[i].size);
        offset += tags->at[i].size;
    }
    api->tags_asked_count = tags->count;
    message.tag_heads.ticket = ++api->tag_ticket;
    api->tag_asked_ms = api->base.loop.now_ms;
    link_tell(&api->keeper, 0, &message);
}

static void on_subscribed(void *owner, struct span topic, bool on)
{
    struct api *api = owner;
    if (feed_subscribed(&api->feed, topic, on, &api->standing, api_contact_ms(api)))
        api_ask_tag_heads(api);
}

static enum err on_tag_heads(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    const struct message_tag_heads_are *are = &message->tag_heads_are;
    if (are->ticket != api->tag_ticket)
        return ERR_NONE;
    for (uint32_t i = 0; i < api->tags_asked_count && (i + 1) * 8u <= are->ids.size; i++)
        feed_tag_head(&api->feed, api->tags_asked[i], load_u64(are->ids.data + (size_t)i * 8),
                      &api->standing, api_contact_ms(api));
    api->tags_asked_count = 0;
    api_ask_tag_heads(api);
    return ERR_NONE;
}

/* An answer that was lost must not keep others waiting. */
static void forget_tag_heads(struct api *api)
{
    api->tags_asked_count = 0;
    feed_forget_asked(&api->feed);
    api_ask_tag_heads(api);
}

static void on_progress(void *owner)
{
    struct api *api = owner;
    if (api->tags_asked_count > 0 && api->base.loop.now_ms - api->tag_asked_ms > TAG_ANSWER_MS)
        forget_tag_heads(api);
    if (api->watching)
        feed_progress(&api->feed, &api->standing, api_contact_ms(api));
}

/* ---- from consensus and storage ----------------------------------------------------------------
 */

static enum err on_refused(void *owner, uint32_t neighbour, const struct message *message)
{
    writes_refused(owner, message);
    return ERR_NONE;
}

static enum err on_outcomes(void *owner, uint32_t neighbour, const struct message *message)
{
    struct effect effect;
    struct span rest = message->outcomes_are.effects;
    while (effect_next(&rest, &effect))
        writes_effect(owner, &effect);
    return rest.size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
}

static enum err on_page(void *owner, uint32_t neighbour, const struct message *message)
{
    reads_page(owner, message);
    return ERR_NONE;
}

/* ---- links up and down -------------------------------------------------------------------------
 */

static void on_consensus_up(void *owner, uint32_t neighbour)
{
    struct api *api = owner;
    struct message message = {.type = MESSAGE_FOLLOW_LEADER};
    link_tell(&api->consensus, 0, &message);
    operate_consensus_up(api);
}

static void on_view_up(void *owner, uint32_t neighbour)
{
    attention_watch(owner);
}

static void on_keeper_up(void *owner, uint32_t neighbour)
{
    api_ask_tag_heads(owner);
}

static void on_keeper_down(void *owner, uint32_t neighbour)
{
    struct api *api = owner;
    api->tags_asked_count = 0;
    feed_forget_asked(&api->feed);
    reads_storage_lost(api);
    backup_storage_lost(api);
    status_storage_lost(api);
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static link_handler *const consensus_handlers[MESSAGE_TYPE_MAX] = {
    ON(LEADER_IS, standing_on_leader), ON(REFUSED, on_refused),
    ON(COUNTED, status_counted),       ON(TRANSFERRED, operate_transferred),
    ON(READ_INDEX_IS, confirm_told),   ON(MEMBERS_ARE, members_told)};
static link_handler *const view_handlers[MESSAGE_TYPE_MAX] = {
    ON(WATCHING, standing_on_watching), ON(FEED, standing_on_feed), ON(OUTCOMES_ARE, on_outcomes)};
static link_handler *const keeper_handlers[MESSAGE_TYPE_MAX] = {ON(PAGE, on_page),
                                                                ON(TALLIED, status_tallied),
                                                                ON(KEYS_ARE, reads_keys),
                                                                ON(TAG_HEADS_ARE, on_tag_heads),
                                                                ON(SNAPSHOT_PART, backup_part),
                                                                ON(WEIGHED, estimate_weighed)};

static struct link_rules consensus_rules = {"api", consensus_handlers, on_consensus_up,
                                            standing_consensus_lost, 0};
static struct link_rules view_rules = {"api", view_handlers, on_view_up, standing_storage_lost, 0};
static struct link_rules keeper_rules = {"api", keeper_handlers, on_keeper_up, on_keeper_down, 0};
static const struct door_rules door_rules = {on_ask, on_refuse, on_subscribed};

static void on_flush(void *owner)
{
    struct api *api = owner;
    if (api->waits.count > 0) {
        reads_wake(api);
        confirm_flush(api);
    }
    attention_raise(api);
    writes_flush(api);
    operate_flush(api);
}

static void on_expire(void *owner)
{
    struct api *api = owner;
    standing_judge(api);
    writes_expire(api);
    reads_expire(api);
    operate_expire(api);
    members_expire(api);
    backup_expire(api);
    attention_lower(api);
}

static bool is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "ipc://", 6) == 0 || strncmp(endpoint, "tcp://127.", 10) == 0 ||
           strncmp(endpoint, "tcp://[::1]", 11) == 0 ||
           strncmp(endpoint, "tcp://localhost:", 16) == 0;
}

/* X1: clients are neither encrypted nor checked yet, so beyond this machine only by choice. */
static enum err check_plain(const struct api *api)
{
    if (api->plain || (is_loopback(api->listen) && is_loopback(api->stream)))
        return ERR_NONE;
    fprintf(stderr,
            "api/listen: '%s' is not on loopback, and clients are not encrypted; "
            "set api/plain = yes to allow it\n",
            is_loopback(api->listen) ? api->stream : api->listen);
    return ERR_CONFIG;
}

/* Z6: a client that never ends its message may cost this process its life, not the machine. */
static void limit_memory(void)
{
    struct rlimit limit = {(rlim_t)MEMORY_MAX << 20, (rlim_t)MEMORY_MAX << 20};
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &limit);
#else
    (void)limit;
#endif
}

static enum err connect_links(struct api *api)
{
    struct service_base *base = &api->base;
    char consensus[128], view[128], keeper[128];
    consensus_rules.life = view_rules.life = keeper_rules.life = base->life;
    TRY(service_path(base, "consensus.ipc", consensus));
    TRY(service_path(base, "view.ipc", view));
    TRY(service_path(base, "keeper.ipc", keeper));
    link_connect(&api->consensus, &base->loop, consensus, &consensus_rules, api);
    link_connect(&api->view, &base->loop, view, &view_rules, api);
    link_connect(&api->keeper, &base->loop, keeper, &keeper_rules, api);
    return ERR_NONE;
}

static enum err api_open(void *owner)
{
    struct api *api = owner;
    struct service_base *base = &api->base;
    char listen[256];
    TRY(check_plain(api));
    limit_memory();
    base->loop.now_ms = api->contact_ms = clock_now_ms();
    standing_open(api);
    session_open(&api->session);
    confirm_open(api);
    feed_open(&api->feed, on_emit, api);
    TRY(connect_links(api));
    TRY(door_open(&api->door, &base->loop, base->context, api->listen, api->stream, &door_rules,
                  api));
    loop_add_timer(&base->loop, PROGRESS_MS, PROGRESS_MS, on_progress, api);
    loop_add_timer(&base->loop, EXPIRE_MS, EXPIRE_MS, on_expire, api);
    loop_set_flush(&base->loop, on_flush, api);
    door_endpoints(&api->door, listen, api->stream_endpoint);
    service_announce(base, "api", listen);
    service_announce(base, "stream", api->stream_endpoint);
    return ERR_NONE;
}

static void api_close(void *owner)
{
    struct api *api = owner;
    link_close(&api->consensus);
    link_close(&api->view);
    link_close(&api->keeper);
    door_close(&api->door);
    session_close(&api->session);
    members_close(api);
    waits_close(&api->waits);
    feed_close(&api->feed);
    answer_texts_close(&api->texts);
    bytes_close(&api->of_consensus.counters);
    bytes_close(&api->of_storage.counters);
    bytes_close(&api->proposals);
    bytes_close(&api->tag_names);
}

const struct service api_service = {
    .name = "api",
    .about = "takes the asks of clients and publishes the live stream",
    .size = sizeof(struct api),
    .options = options,
    .open = api_open,
    .close = api_close,
    .stop = operate_stop,
};
