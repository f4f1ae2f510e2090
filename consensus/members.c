/* members.c - encodes and decodes the list of voters. */
#include "consensus/members.h"

#include <assert.h>

enum { MEMBERS_LAYOUT = 1 };

void members_copy_endpoint(char to[RAFT_ENDPOINT_MAX], const char *from, size_t size)
{
    if (size >= RAFT_ENDPOINT_MAX)
        size = RAFT_ENDPOINT_MAX - 1;
    memset(to, 0, RAFT_ENDPOINT_MAX);
    if (size > 0)
        memcpy(to, from, size);
}

void members_add(struct members *members, const struct member *member)
{
    assert(members->count < RAFT_VOTERS_MAX);
    uint32_t at = members->count++;
    for (; at > 0 && memcmp(members->at[at - 1].key, member->key, RAFT_KEY_SIZE) > 0; at--)
        members->at[at] = members->at[at - 1];
    members->at[at] = *member;
}

int members_find(const struct members *members, const uint8_t key[RAFT_KEY_SIZE])
{
    for (uint32_t i = 0; i < members->count; i++)
        if (memcmp(members->at[i].key, key, RAFT_KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

void members_encode(const struct members *members, struct bytes *out)
{
    uint8_t *head = bytes_reserve(out, MEMBERS_HEADER_SIZE);
    memset(head, 0, MEMBERS_HEADER_SIZE);
    memcpy(head, members->cluster, CLUSTER_ID_SIZE);
    save_u64(head + 16, members->history);
    head[24] = MEMBERS_LAYOUT;
    head[25] = (uint8_t)members->count;
    out->size += MEMBERS_HEADER_SIZE;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        uint8_t fixed[MEMBERS_VOTER_SIZE];
        size_t size = strlen(member->endpoint);
        memcpy(fixed, member->key, RAFT_KEY_SIZE);
        save_u64(fixed + 32, member->node);
        save_u64(fixed + 40, member->incarnation);
        save_u16(fixed + 48, (uint16_t)size);
        bytes_append(out, fixed, sizeof fixed);
        bytes_append(out, member->endpoint, size);
    }
}

static enum err decode_voter(struct span *rest, struct member *member)
{
    if (rest->size < MEMBERS_VOTER_SIZE)
        return ERR_BAD_MESSAGE;
    size_t size = load_u16(rest->data + 48);
    if (size >= RAFT_ENDPOINT_MAX || rest->size - MEMBERS_VOTER_SIZE < size)
        return ERR_BAD_MESSAGE;
    memcpy(member->key, rest->data, RAFT_KEY_SIZE);
    member->node = load_u64(rest->data + 32);
    member->incarnation = load_u64(rest->data + 40);
    const char *endpoint = (const char *)rest->data + MEMBERS_VOTER_SIZE;
    if (size > 0 && memchr(endpoint, 0, size) != NULL)
        return ERR_BAD_MESSAGE;
    members_copy_endpoint(member->endpoint, endpoint, size);
    rest->data += MEMBERS_VOTER_SIZE + size;
    rest->size -= MEMBERS_VOTER_SIZE + size;
    return member->node == 0 ? ERR_BAD_MESSAGE : ERR_NONE;
}

enum err members_decode(struct span bytes, struct members *members)
{
    *members = (struct members){0};
    if (bytes.size < MEMBERS_HEADER_SIZE || bytes.data[24] != MEMBERS_LAYOUT)
        return ERR_BAD_MESSAGE;
    uint32_t count = bytes.data[25];
    if (count == 0 || count > RAFT_VOTERS_MAX)
        return ERR_BAD_MESSAGE;
    memcpy(members->cluster, bytes.data, CLUSTER_ID_SIZE);
    members->history = load_u64(bytes.data + 16);
    struct span rest = SPAN(bytes.data + MEMBERS_HEADER_SIZE, bytes.size - MEMBERS_HEADER_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        TRY(decode_voter(&rest, &members->at[i]));
        if (i > 0 && memcmp(members->at[i - 1].key, members->at[i].key, RAFT_KEY_SIZE) >= 0)
            return ERR_BAD_MESSAGE;
    }
    members->count = count;
    return rest.size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
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
