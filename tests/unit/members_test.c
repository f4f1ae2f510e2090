/* members_test.c - the bytes of the founding note. */
#include "consensus/members.h"
#include "tests/unit/test.h"

static struct members sample(void)
{
    struct members members = {.cluster = "cluster", .history = 42};
    for (uint8_t i = 3; i > 0; i--) {
        struct member member = {.node = i, .incarnation = 10u + i, .endpoint = "tcp://h:1"};
        memset(member.key, i, sizeof member.key);
        members_add(&members, &member);
    }
    return members;
}

TEST(voters_stand_in_key_order)
{
    struct members members = sample();
    CHECK(members.at[0].node == 1);
    CHECK(members.at[2].node == 3);
    CHECK(members_find(&members, members.at[1].key) == 1);
    CHECK(members_find(&members, (uint8_t[RAFT_KEY_SIZE]){9}) == -1);
}

TEST(what_was_encoded_is_decoded)
{
    struct members members = sample(), back;
    struct bytes bytes = {0};
    members_encode(&members, &bytes);
    CHECK(load_u64(bytes.data + 16) == 42);
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_NONE);
    CHECK(members_same(&members, &back));
    back.at[2].incarnation++;
    CHECK(!members_same(&members, &back));
    bytes_close(&bytes);
}

TEST(broken_bytes_are_refused)
{
    struct members members = sample(), back;
    struct bytes bytes = {0};
    members_encode(&members, &bytes);
    for (size_t size = 0; size < bytes.size; size++)
        CHECK(members_decode(SPAN(bytes.data, size), &back) == ERR_BAD_MESSAGE);
    bytes.data[24] = 2; /* another layout */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes.data[24] = 1;
    bytes.data[25] = 200; /* more voters than there may be */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes.data[25] = 3;
    memset(bytes.data + MEMBERS_HEADER_SIZE, 9, RAFT_KEY_SIZE); /* out of order */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes_close(&bytes);
}

TEST_MAIN(T(voters_stand_in_key_order), T(what_was_encoded_is_decoded), T(broken_bytes_are_refused))
