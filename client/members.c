/* members.c - who belongs to the cluster, and that it be otherwise. */
#include "client/client.h"

#include "protocol/wire.h"

/* Where a text field of a row goes. */
static const struct {
    const char *name;
    size_t offset, room;
} texts[] = {
#define AT(field)                                                                       \
    {                                                                                   \
#field, offsetof(struct ca_member, field), sizeof((struct ca_member *)0)->field \
    }
    AT(node), AT(name), AT(peer), AT(api), AT(key), AT(role), AT(wish), AT(state),
#undef AT
};

static void take_field(struct ca_member *member, struct span name, const struct wire_value *value)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (value->kind == WIRE_TEXT && span_is(name, texts[i].name))
            client_copy_text((char *)member + texts[i].offset, texts[i].room, value->bytes);
    if (value->kind == WIRE_BOOL && span_is(name, "leader"))
        member->leader = value->flag;
    if (value->kind != WIRE_U64)
        return;
    if (span_is(name, "incarnation"))
        member->incarnation = value->number;
    else if (span_is(name, "changed"))
        member->changed = value->number;
    else if (span_is(name, "match"))
        member->match = value->number;
    else if (span_is(name, "percent"))
        member->percent = (uint32_t)value->number;
    else if (span_is(name, "silent_ms")) {
        member->silent_ms = value->number;
        member->has_progress = true;
    }
}

static enum err take_row(struct span *rest, struct ca_member *member)
{
    struct wire_value map, name, value;
    struct span whole;
    if (!wire_next(rest, &map) || map.kind != WIRE_MAP)
        return ERR_BAD_MESSAGE;
    for (uint64_t i = 0; i < map.number; i++) {
        if (!wire_next(rest, &name) || name.kind != WIRE_TEXT || !wire_take(rest, &whole) ||
            !wire_next(&whole, &value))
            return ERR_BAD_MESSAGE;
        take_field(member, name.bytes, &value);
    }
    return ERR_NONE;
}

static enum err take_members(void *into, const struct message *answer)
{
    const struct message_members_told *told = &answer->members_told;
    struct ca_members *members = into;
    struct wire_value array;
    struct span rest = told->members;
    *members = (struct ca_members){.done = told->done,
                                   .joint = told->joint,
                                   .stale = told->stale,
                                   .index = told->index,
                                   .since = told->since};
    client_copy_text(members->waits_for, sizeof members->waits_for, told->detail);
    if (!wire_next(&rest, &array) || array.kind != WIRE_ARRAY || array.number > CA_MEMBERS_MAX)
        return ERR_BAD_MESSAGE;
    members->count = (uint32_t)array.number;
    for (uint32_t i = 0; i < members->count; i++)
        TRY(take_row(&rest, &members->at[i]));
    return ERR_NONE;
}

enum ca_code ca_members(struct ca *ca, const char *const *wishes, size_t count, uint32_t wait_ms,
                        uint64_t since, struct ca_members *members)
{
    *members = (struct ca_members){0};
    if (count > CA_WISHES_MAX)
        return client_fail(ca, CA_USAGE, ERR_LIMIT, "at most 16 wishes at a time");
    struct ask *ask = client_ask_open(ca, MESSAGE_MEMBERS);
    if (ask == NULL)
        return client_no_memory(ca);
    for (size_t i = 0; i < count; i++)
        ask->message.members.ops.at[i] = client_text(wishes[i]);
    ask->message.members.ops.count = (uint32_t)count;
    ask->message.members.wait_ms = wait_ms < 60000 ? wait_ms : 60000;
    ask->message.members.since = since;
    ask->patience_ms = ca->options.patience_ms + wait_ms;
    return client_wait_for(ca, ask, take_members, members);
}
