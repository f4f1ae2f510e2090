/* members.c - the verb members: who belongs to the cluster, and who shall.
 *
 * Consensus answers each ask at once with how things stand, and keeps nothing; so what somebody
 * waits for is asked again and again, by whichever leader there is then. */
#include "api/shell.h"

enum { LIST_MS = 2000, WAIT_MS_MAX = 60000, AGAIN_MS = 150, OPS_MAX = 16 };

static uint64_t now_ms(const struct api *api)
{
    return api->base.loop.now_ms;
}

static void forget(struct member_ask *ask)
{
    bytes_close(&ask->ops);
    *ask = (struct member_ask){0};
}

static void ask_consensus(struct api *api, struct member_ask *ask)
{
    struct message message = {.type = MESSAGE_MEMBERS_ASK};
    size_t at = 0;
    for (uint32_t i = 0; i < ask->count; at += ask->sizes[i++])
        message.members_ask.ops.at[i] = SPAN(ask->ops.data + at, ask->sizes[i]);
    message.members_ask.ops.count = ask->count;
    message.members_ask.ticket = ask->ticket;
    message.members_ask.since = ask->since;
    ask->asked_ms = now_ms(api);
    link_tell(&api->consensus, 0, &message);
}

static void refuse(struct api *api, struct member_ask *ask, enum err err, struct span detail)
{
    char text[512];
    size_t size = detail.size < sizeof text ? detail.size : sizeof text - 1;
    memcpy(text, detail.data, detail.size > 0 ? size : 0);
    text[size] = '\0';
    api_refuse(api, &ask->route, ask->request, err, size > 0 ? text : NULL);
    forget(ask);
}

static void answer(struct api *api, struct member_ask *ask, const struct message_members_are *are)
{
    struct message message = {.type = MESSAGE_MEMBERS_TOLD};
    struct message_members_told *told = &message.members_told;
    told->done = are->done;
    told->detail = are->detail;
    told->since = are->since;
    told->index = are->index;
    told->joint = are->joint;
    told->stale = are->error.size > 0;
    told->members = are->members;
    told->born = api->standing.ts;
    api_answer(api, &ask->route, ask->request, &message);
    forget(ask);
}

static struct member_ask *free_place(struct api *api)
{
    for (uint32_t i = 0; i < MEMBER_ASKS_MAX; i++)
        if (api->member_asks[i].ticket == 0)
            return &api->member_asks[i];
    return NULL;
}

void members_ask(struct api *api, const struct door_route *route, const struct message *message)
{
    const struct message_members *members = &message->members;
    struct member_ask *ask = free_place(api);
    if (ask == NULL || members->ops.count > OPS_MAX || members->wait_ms > WAIT_MS_MAX) {
        api_refuse(api, route, message->request, ask == NULL ? ERR_BUSY : ERR_LIMIT,
                   ask == NULL ? NULL : "at most 16 ops, and 60000 ms of waiting");
        return;
    }
    bool lists = members->ops.count == 0;
    *ask = (struct member_ask){.route = *route,
                               .request = message->request,
                               .ticket = ++api->member_ticket,
                               .since = members->since,
                               .count = members->ops.count,
                               .deadline_ms = now_ms(api) + (lists ? LIST_MS : members->wait_ms)};
    for (uint32_t i = 0; i < ask->count; i++) {
        ask->sizes[i] = (uint16_t)members->ops.at[i].size;
        bytes_append_span(&ask->ops, members->ops.at[i]);
    }
    ask_consensus(api, ask);
}

/* Nobody leads: a list shows what this node knows. */
static bool is_stale_list(const struct member_ask *ask, enum err err)
{
    return ask->count == 0 && err == ERR_NO_LEADER;
}

enum err members_told(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    const struct message_members_are *are = &message->members_are;
    enum err err = are->error.size > 0 ? err_by_name((const char *)are->error.data, are->error.size)
                                       : ERR_NONE;
    for (uint32_t i = 0; i < MEMBER_ASKS_MAX; i++) {
        struct member_ask *ask = &api->member_asks[i];
        if (ask->ticket != are->ticket || ask->ticket == 0)
            continue;
        bool waits = now_ms(api) < ask->deadline_ms;
        if (are->since != 0)
            ask->since = are->since;
        if (is_stale_list(ask, err) || (err == ERR_NONE && (are->done || !waits)))
            answer(api, ask, are);
        else if (err != ERR_NONE && (!err_retryable(err) || !waits))
            refuse(api, ask, err, are->detail);
    }
    return ERR_NONE;
}

void members_expire(struct api *api)
{
    for (uint32_t i = 0; i < MEMBER_ASKS_MAX; i++) {
        struct member_ask *ask = &api->member_asks[i];
        if (ask->ticket == 0)
            continue;
        if (now_ms(api) > ask->deadline_ms + LIST_MS) /* not even the last look was answered */
            refuse(api, ask, api->standing.leader == 0 ? ERR_NO_LEADER : ERR_TIMEOUT, SPAN("", 0));
        else if (now_ms(api) >= ask->asked_ms + AGAIN_MS)
            ask_consensus(api, ask);
    }
}

void members_close(struct api *api)
{
    for (uint32_t i = 0; i < MEMBER_ASKS_MAX; i++)
        forget(&api->member_asks[i]);
}
