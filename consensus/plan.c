/* plan.c - wishes, and the steps to them. */
#include "consensus/plan.h"

#include <stdio.h>

#define REFUSE(err, ...) (snprintf(why, MEMBEROP_WHY_MAX, __VA_ARGS__), err)

int plan_find(const struct members *members, const struct memberop *op)
{
    if (op->has_key)
        return members_find(members, op->key);
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].node == op->node && member_lives(&members->at[i]))
            return (int)i;
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].node == op->node)
            return (int)i;
    return -1;
}

static bool is_live(const struct members *members, int at)
{
    return at >= 0 && member_lives(&members->at[at]);
}

static bool is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "tcp://127.", 10) == 0 || strncmp(endpoint, "tcp://[::1]", 11) == 0 ||
           strncmp(endpoint, "tcp://localhost:", 16) == 0;
}

/* R116: an address of this machine only is none for the others; and two cannot share one. */
static enum err check_endpoint(const struct members *members, const char *endpoint, int own,
                               char why[MEMBEROP_WHY_MAX])
{
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *other = &members->at[i];
        if ((int)i == own || !member_lives(other) || !other->endpoint[0])
            continue;
        if (strcmp(other->endpoint, endpoint) == 0)
            return REFUSE(ERR_BAD_REQUEST, "%s is the address of another member", endpoint);
        if (is_loopback(endpoint) && !is_loopback(other->endpoint))
            return REFUSE(ERR_BAD_REQUEST,
                          "%s is reached from its own machine only, but there is a member at %s; "
                          "give an address that all of them can reach",
                          endpoint, other->endpoint);
    }
    return ERR_NONE;
}

static uint32_t count_wishes(const struct members *members, enum member_role role)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->count; i++)
        count += members->at[i].wish == role;
    return count;
}

static enum err check_counts(const struct members *members, char why[MEMBEROP_WHY_MAX])
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < members->count; i++)
        live += member_lives(&members->at[i]);
    if (count_wishes(members, MEMBER_VOTER) == 0)
        return REFUSE(ERR_BAD_REQUEST, "nobody would be left to vote; add a voter first");
    if (count_wishes(members, MEMBER_VOTER) > MEMBERS_VOTERS_MAX)
        return REFUSE(ERR_LIMIT, "at most %d members may vote; add it with role=replica",
                      MEMBERS_VOTERS_MAX);
    if (live > MEMBERS_LIVE_MAX)
        return REFUSE(ERR_LIMIT, "at most %d members; remove one first", MEMBERS_LIVE_MAX);
    return ERR_NONE;
}

static void be(struct member *member, enum member_role role, enum member_role wish, uint64_t index)
{
    if (member->now == role && member->wish == wish)
        return;
    member->now = member->next = role;
    member->wish = wish;
    member->changed = index;
}

static void wish(struct member *member, enum member_role role, uint64_t index)
{
    if (member->wish == role)
        return;
    member->wish = role;
    member->changed = index;
}

/* A voter keeps its vote until a joint configuration takes it; all others change at once. */
static void take_role(struct member *member, enum member_role role, uint64_t index)
{
    if (member->now == MEMBER_VOTER)
        wish(member, role, index);
    else if (role == MEMBER_VOTER)
        be(member, MEMBER_LEARNER, MEMBER_VOTER, index);
    else
        be(member, role, role, index);
}

static void take_texts(struct member *member, const struct memberop *op)
{
    if (op->endpoint[0])
        memcpy(member->endpoint, op->endpoint, sizeof member->endpoint);
    if (op->api[0])
        memcpy(member->api, op->api, sizeof member->api);
    if (op->name[0])
        memcpy(member->name, op->name, sizeof member->name);
}

/* Of those that were removed, the oldest is forgotten where room is needed. */
static void make_room(struct members *members)
{
    int oldest = -1;
    for (uint32_t i = 0; i < members->count; i++)
        if (!member_lives(&members->at[i]) &&
            (oldest < 0 || members->at[i].changed < members->at[oldest].changed))
            oldest = (int)i;
    if (members->count == MEMBERS_MAX && oldest >= 0)
        members_drop(members, (uint32_t)oldest);
}

static enum err check_identity(const struct members *members, const struct memberop *op,
                               char why[MEMBEROP_WHY_MAX])
{
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *other = &members->at[i];
        bool same_key = memcmp(other->key, op->key, MEMBERS_KEY_SIZE) == 0;
        if (member_lives(other) && same_key != (other->node == op->node))
            return REFUSE(ERR_CLONE,
                          same_key ? "the key at %s belongs to another node id"
                                   : "the node id of %s is that of a member with another key: "
                                     "an identity was copied",
                          op->endpoint);
    }
    return ERR_NONE;
}

static enum err take_add(struct members *members, const struct memberop *op, uint64_t index,
                         char why[MEMBEROP_WHY_MAX])
{
    int at = members_find(members, op->key);
    TRY(check_identity(members, op, why));
    TRY(check_endpoint(members, op->endpoint, at, why));
    if (is_live(members, at) && members->at[at].now == MEMBER_VOTER &&
        members->at[at].incarnation != op->incarnation) {
        wish(&members->at[at], MEMBER_NONE, index); /* its old directory goes first (I18) */
        return ERR_NONE;
    }
    if (is_live(members, at)) {
        struct member *member = &members->at[at];
        if (member->incarnation != op->incarnation)
            member->changed = index;
        member->incarnation = op->incarnation;
        take_texts(member, op);
        take_role(member, op->role, index);
        return ERR_NONE;
    }
    if (at >= 0)
        members_drop(members, (uint32_t)at);
    make_room(members);
    if (members->count == MEMBERS_MAX)
        return REFUSE(ERR_LIMIT, "at most %d members; remove one first", MEMBERS_LIVE_MAX);
    struct member member = {.node = op->node, .incarnation = op->incarnation, .changed = index};
    memcpy(member.key, op->key, sizeof member.key);
    take_texts(&member, op);
    member.now = member.next = op->role == MEMBER_VOTER ? MEMBER_LEARNER : op->role;
    member.wish = op->role;
    members_add(members, &member);
    return ERR_NONE;
}

static enum err take_set(struct members *members, const struct memberop *op, uint64_t index,
                         char why[MEMBEROP_WHY_MAX])
{
    int at = plan_find(members, op);
    if (!is_live(members, at))
        return REFUSE(ERR_NOT_FOUND, "there is no such member; member list names them");
    if (op->endpoint[0])
        TRY(check_endpoint(members, op->endpoint, at, why));
    take_texts(&members->at[at], op);
    if (op->has_role)
        take_role(&members->at[at], op->role, index);
    return ERR_NONE;
}

/* Voters stay, and who was to become one goes again. */
static void take_cancel(struct members *members, uint64_t index)
{
    for (uint32_t i = 0; i < members->count; i++) {
        struct member *member = &members->at[i];
        if (member->now == MEMBER_LEARNER)
            be(member, MEMBER_NONE, MEMBER_NONE, index);
        else if (member->now == MEMBER_VOTER)
            wish(member, MEMBER_VOTER, index);
    }
}

enum err plan_take(struct members *members, const struct memberop *op, uint64_t index,
                   char why[MEMBEROP_WHY_MAX])
{
    int at;
    switch (op->kind) {
    case MEMBEROP_ADD:
        TRY(take_add(members, op, index, why));
        break;
    case MEMBEROP_SET:
        TRY(take_set(members, op, index, why));
        break;
    case MEMBEROP_REMOVE:
        at = plan_find(members, op);
        if (is_live(members, at))
            take_role(&members->at[at], MEMBER_NONE, index);
        break;
    case MEMBEROP_CANCEL:
        take_cancel(members, index);
        break;
    }
    return check_counts(members, why);
}

bool plan_pending(const struct members *members)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].wish != members->at[i].now)
            return true;
    return members->joint;
}

static bool texts_hold(const struct member *member, const struct memberop *op)
{
    return (!op->endpoint[0] || strcmp(member->endpoint, op->endpoint) == 0) &&
           (!op->api[0] || strcmp(member->api, op->api) == 0) &&
           (!op->name[0] || strcmp(member->name, op->name) == 0);
}

bool plan_holds(const struct members *members, const struct memberop *op)
{
    int at = plan_find(members, op);
    const struct member *member = at >= 0 ? &members->at[at] : NULL;
    switch (op->kind) {
    case MEMBEROP_ADD:
        return is_live(members, at) && member->wish == op->role && texts_hold(member, op) &&
               (op->incarnation == 0 || member->incarnation == op->incarnation);
    case MEMBEROP_SET:
        return is_live(members, at) && texts_hold(member, op) &&
               (!op->has_role || member->wish == op->role);
    case MEMBEROP_REMOVE:
        return member == NULL || member->wish == MEMBER_NONE;
    default:
        return !plan_pending(members);
    }
}

bool plan_fulfils(const struct members *members, const struct memberop *op)
{
    int at = plan_find(members, op);
    if (members->joint || !plan_holds(members, op))
        return false;
    return at < 0 || members->at[at].now == members->at[at].wish ||
           (op->kind == MEMBEROP_SET && !op->has_role);
}

/* What was added together with a removal must have caught up before the removal. */
static bool group_is_ready(const struct members *members, uint32_t caught, uint64_t changed)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].changed == changed && members->at[i].now == MEMBER_LEARNER &&
            (caught >> i & 1) == 0)
            return false;
    return true;
}

static bool group_loses(const struct members *members, uint64_t changed)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].changed == changed && members->at[i].now == MEMBER_VOTER &&
            members->at[i].wish != MEMBER_VOTER)
            return true;
    return false;
}

static bool is_ready(const struct members *members, uint32_t at, uint32_t caught)
{
    const struct member *member = &members->at[at];
    if (member->now == member->wish)
        return false;
    if (member->now == MEMBER_VOTER)
        return group_is_ready(members, caught, member->changed);
    return (caught >> at & 1) != 0 && (!group_loses(members, member->changed) ||
                                       group_is_ready(members, caught, member->changed));
}

bool plan_enter(const struct members *members, uint32_t caught, struct members *joint)
{
    uint32_t voters = 0, steps = 0;
    *joint = *members;
    for (uint32_t i = 0; i < members->count; i++) {
        bool ready = is_ready(members, i, caught);
        steps += ready;
        if (ready)
            joint->at[i].next = members->at[i].wish;
        voters += joint->at[i].next == MEMBER_VOTER;
    }
    joint->joint = true;
    return steps > 0 && voters > 0 && voters <= MEMBERS_VOTERS_MAX;
}

void plan_leave(const struct members *joint, uint64_t index, struct members *next)
{
    *next = *joint;
    next->joint = false;
    for (uint32_t i = 0; i < next->count; i++) {
        struct member *member = &next->at[i];
        if (member->now != member->next)
            member->changed = index;
        member->now = member->next;
    }
}
