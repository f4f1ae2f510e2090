/* members.c - encodes and decodes the list of members. */
#include "protocol/members.h"

#include <assert.h>

enum { LAYOUT_VOTERS = 1, LAYOUT_ROLES = 2, LAYOUT_PARENT = 3, VOTER_SIZE = 50, MEMBER_SIZE = 60 };

static const char *const role_names[MEMBER_ROLES] = {"voter", "learner", "replica", "none"};

const char *member_role_name(enum member_role role)
{
    return role < MEMBER_ROLES ? role_names[role] : "?";
}

void members_copy_endpoint(char to[MEMBERS_ENDPOINT_MAX], const char *from, size_t size)
{
    if (size >= MEMBERS_ENDPOINT_MAX)
        size = MEMBERS_ENDPOINT_MAX - 1;
    memset(to, 0, MEMBERS_ENDPOINT_MAX);
    if (size > 0)
        memcpy(to, from, size);
}

void members_add(struct members *members, const struct member *member)
{
    assert(members->count < MEMBERS_MAX);
    uint32_t at = members->count++;
    for (; at > 0 && memcmp(members->at[at - 1].key, member->key, MEMBERS_KEY_SIZE) > 0; at--)
        members->at[at] = members->at[at - 1];
    members->at[at] = *member;
}

void members_drop(struct members *members, uint32_t at)
{
    assert(at < members->count);
    members->count--;
    memmove(&members->at[at], &members->at[at + 1], (members->count - at) * sizeof *members->at);
}

int members_find(const struct members *members, const uint8_t key[MEMBERS_KEY_SIZE])
{
    for (uint32_t i = 0; i < members->count; i++)
        if (memcmp(members->at[i].key, key, MEMBERS_KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

uint32_t members_count(const struct members *members, enum member_role role)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < members->count; i++)
        count += members->at[i].now == role;
    return count;
}

static void encode_number(struct bytes *out, uint64_t number)
{
    uint8_t bytes[8];
    save_u64(bytes, number);
    bytes_append(out, bytes, sizeof bytes);
}

static void encode_text(struct bytes *out, const char *text)
{
    uint8_t size[2];
    save_u16(size, (uint16_t)strlen(text));
    bytes_append(out, size, sizeof size);
    bytes_append(out, text, strlen(text));
}

void members_encode(const struct members *members, struct bytes *out)
{
    uint8_t *head = bytes_reserve(out, MEMBERS_HEADER_SIZE);
    memset(head, 0, MEMBERS_HEADER_SIZE);
    memcpy(head, members->cluster, MEMBERS_CLUSTER_SIZE);
    save_u64(head + 16, members->history);
    head[24] = members->parent != 0 ? LAYOUT_PARENT : LAYOUT_ROLES;
    head[25] = (uint8_t)members->count;
    head[26] = members->joint;
    out->size += MEMBERS_HEADER_SIZE;
    if (members->parent != 0)
        encode_number(out, members->parent);
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        uint8_t fixed[MEMBER_SIZE] = {0};
        memcpy(fixed, member->key, MEMBERS_KEY_SIZE);
        save_u64(fixed + 32, member->node);
        save_u64(fixed + 40, member->incarnation);
        save_u64(fixed + 48, member->changed);
        fixed[56] = (uint8_t)member->now;
        fixed[57] = (uint8_t)member->next;
        fixed[58] = (uint8_t)member->wish;
        bytes_append(out, fixed, sizeof fixed);
        encode_text(out, member->endpoint);
        encode_text(out, member->api);
        encode_text(out, member->name);
    }
}

/* Takes the first `size` bytes off `*rest`; NULL: they are not there. */
static const uint8_t *take(struct span *rest, size_t size)
{
    const uint8_t *at = rest->data;
    if (rest->size < size)
        return NULL;
    rest->data += size;
    rest->size -= size;
    return at;
}

/* `text` is zeroed and has room for `room` bytes, the zero included. */
static enum err decode_text(struct span *rest, char *text, size_t room)
{
    const uint8_t *head = take(rest, 2);
    size_t size = head ? load_u16(head) : 0;
    if (head == NULL || size >= room)
        return ERR_BAD_MESSAGE;
    const uint8_t *from = take(rest, size);
    if (from == NULL || (size > 0 && memchr(from, 0, size) != NULL))
        return ERR_BAD_MESSAGE;
    if (size > 0)
        memcpy(text, from, size);
    return ERR_NONE;
}

static enum err decode_parent(struct span *rest, struct members *members)
{
    const uint8_t *bytes = take(rest, 8);
    members->parent = bytes ? load_u64(bytes) : 0;
    return members->parent != 0 && members->parent != members->history ? ERR_NONE : ERR_BAD_MESSAGE;
}

static enum err decode_voter(struct span *rest, struct member *member)
{
    const uint8_t *fixed = take(rest, VOTER_SIZE - 2);
    if (fixed == NULL)
        return ERR_BAD_MESSAGE;
    memcpy(member->key, fixed, MEMBERS_KEY_SIZE);
    member->node = load_u64(fixed + 32);
    member->incarnation = load_u64(fixed + 40);
    return decode_text(rest, member->endpoint, sizeof member->endpoint);
}

static enum err decode_member(struct span *rest, struct member *member)
{
    const uint8_t *fixed = take(rest, MEMBER_SIZE);
    if (fixed == NULL || fixed[56] >= MEMBER_ROLES || fixed[57] >= MEMBER_ROLES ||
        fixed[58] >= MEMBER_ROLES)
        return ERR_BAD_MESSAGE;
    memcpy(member->key, fixed, MEMBERS_KEY_SIZE);
    member->node = load_u64(fixed + 32);
    member->incarnation = load_u64(fixed + 40);
    member->changed = load_u64(fixed + 48);
    member->now = (enum member_role)fixed[56];
    member->next = (enum member_role)fixed[57];
    member->wish = (enum member_role)fixed[58];
    TRY(decode_text(rest, member->endpoint, sizeof member->endpoint));
    TRY(decode_text(rest, member->api, sizeof member->api));
    return decode_text(rest, member->name, sizeof member->name);
}

/* Both majorities exist and are small enough, and without joint there is only one. */
static enum err check_roles(const struct members *members)
{
    uint32_t now = 0, next = 0, live = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        if (!members->joint && member->now != member->next)
            return ERR_BAD_MESSAGE;
        now += member->now == MEMBER_VOTER;
        next += member->next == MEMBER_VOTER;
        live += member_lives(member);
    }
    bool fits = now > 0 && next > 0 && now <= MEMBERS_VOTERS_MAX && next <= MEMBERS_VOTERS_MAX &&
                live <= MEMBERS_LIVE_MAX;
    return fits ? ERR_NONE : ERR_BAD_MESSAGE;
}

enum err members_decode(struct span bytes, struct members *members)
{
    *members = (struct members){0};
    if (bytes.size < MEMBERS_HEADER_SIZE || bytes.data[26] > 1)
        return ERR_BAD_MESSAGE;
    uint8_t layout = bytes.data[24];
    uint32_t count = bytes.data[25];
    if (layout < LAYOUT_VOTERS || layout > LAYOUT_PARENT || count > MEMBERS_MAX)
        return ERR_BAD_MESSAGE;
    memcpy(members->cluster, bytes.data, MEMBERS_CLUSTER_SIZE);
    members->history = load_u64(bytes.data + 16);
    members->joint = bytes.data[26];
    struct span rest = SPAN(bytes.data + MEMBERS_HEADER_SIZE, bytes.size - MEMBERS_HEADER_SIZE);
    if (layout == LAYOUT_PARENT)
        TRY(decode_parent(&rest, members));
    for (uint32_t i = 0; i < count; i++) {
        struct member *member = &members->at[i];
        TRY(layout == LAYOUT_VOTERS ? decode_voter(&rest, member) : decode_member(&rest, member));
        if (member->node == 0 ||
            (i > 0 && memcmp(members->at[i - 1].key, member->key, MEMBERS_KEY_SIZE) >= 0))
            return ERR_BAD_MESSAGE;
    }
    members->count = count;
    return rest.size == 0 ? check_roles(members) : ERR_BAD_MESSAGE;
}

bool members_same(const struct members *a, const struct members *b)
{
    struct bytes one = {0}, two = {0};
    members_encode(a, &one);
    members_encode(b, &two);
    bool same = span_equal(bytes_span(&one), bytes_span(&two));
    bytes_close(&one);
    bytes_close(&two);
    return same;
}
