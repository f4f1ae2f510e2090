/* members_test.c - the bytes of the founding note. */
#include "protocol/members.h"
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
    CHECK(members_find(&members, (uint8_t[MEMBERS_KEY_SIZE]){9}) == -1);
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
    bytes.data[24] = 4; /* another layout */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes.data[24] = 2;
    bytes.data[25] = 200; /* more voters than there may be */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes.data[25] = 3;
    memset(bytes.data + MEMBERS_HEADER_SIZE, 9, MEMBERS_KEY_SIZE); /* out of order */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes_close(&bytes);
}

TEST(a_later_history_names_the_one_before)
{
    struct members members = sample(), back;
    struct bytes bytes = {0}, first = {0};
    members_encode(&members, &first);
    members.parent = 41;
    members_encode(&members, &bytes);
    CHECK(bytes.size == first.size + 8); /* the first one is written as ever */
    CHECK(members_decode(bytes_span(&first), &back) == ERR_NONE && back.parent == 0);
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_NONE && back.parent == 41);
    CHECK(members_same(&members, &back));
    for (size_t size = 0; size < bytes.size; size++)
        CHECK(members_decode(SPAN(bytes.data, size), &back) == ERR_BAD_MESSAGE);
    save_u64(bytes.data + MEMBERS_HEADER_SIZE, 42); /* its own */
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    save_u64(bytes.data + MEMBERS_HEADER_SIZE, 0);
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes_close(&bytes);
    bytes_close(&first);
}

/* As it was written before there were roles. */
TEST(the_list_of_voters_is_still_read)
{
    struct members members = sample(), back;
    struct bytes old = {0};
    uint8_t head[MEMBERS_HEADER_SIZE] = "cluster";
    save_u64(head + 16, 42);
    head[24] = 1;
    head[25] = 3;
    bytes_append(&old, head, sizeof head);
    for (uint32_t i = 0; i < 3; i++) {
        const struct member *member = &members.at[i];
        uint8_t fixed[50];
        memcpy(fixed, member->key, MEMBERS_KEY_SIZE);
        save_u64(fixed + 32, member->node);
        save_u64(fixed + 40, member->incarnation);
        save_u16(fixed + 48, (uint16_t)strlen(member->endpoint));
        bytes_append(&old, fixed, sizeof fixed);
        bytes_append(&old, member->endpoint, strlen(member->endpoint));
    }
    CHECK(members_decode(bytes_span(&old), &back) == ERR_NONE);
    CHECK(members_same(&members, &back) && members_count(&back, MEMBER_VOTER) == 3);
    for (size_t size = 0; size < old.size; size++)
        CHECK(members_decode(SPAN(old.data, size), &back) == ERR_BAD_MESSAGE);
    bytes_close(&old);
}

TEST(roles_that_contradict_are_refused)
{
    struct members members = sample(), back;
    struct bytes bytes = {0};
    members.at[0].now = members.at[0].next = MEMBER_LEARNER;
    members.at[1].next = MEMBER_NONE; /* differs, and it is not joint */
    members_encode(&members, &bytes);
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes.data[26] = 1;
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_NONE && back.joint);
    CHECK(members_count(&back, MEMBER_VOTER) == 2 && member_votes(&back.at[1]));
    members.joint = true;
    members.at[2].next = MEMBER_NONE; /* nobody would vote next */
    bytes_clear(&bytes);
    members_encode(&members, &bytes);
    CHECK(members_decode(bytes_span(&bytes), &back) == ERR_BAD_MESSAGE);
    bytes_close(&bytes);
}

TEST_MAIN(T(voters_stand_in_key_order), T(what_was_encoded_is_decoded), T(broken_bytes_are_refused),
          T(a_later_history_names_the_one_before), T(the_list_of_voters_is_still_read),
          T(roles_that_contradict_are_refused))
