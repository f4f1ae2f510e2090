/* quorum_test.c - majorities of small clusters. */
#include "consensus/quorum.h"
#include "tests/unit/test.h"

TEST(a_majority_is_more_than_half)
{
    CHECK(quorum_size(1) == 1);
    CHECK(quorum_size(2) == 2);
    CHECK(quorum_size(3) == 2);
    CHECK(quorum_size(4) == 3);
    CHECK(quorum_size(5) == 3);
}

TEST(nobody_is_no_quorum)
{
    CHECK(quorum_value(NULL, 0) == 0);
}

TEST(the_value_is_what_a_majority_reached)
{
    CHECK(quorum_value((uint64_t[]){7}, 1) == 7);
    CHECK(quorum_value((uint64_t[]){7, 3}, 2) == 3);
    CHECK(quorum_value((uint64_t[]){0, 9, 4}, 3) == 4);
    CHECK(quorum_value((uint64_t[]){5, 5, 1, 1}, 4) == 1);
    CHECK(quorum_value((uint64_t[]){1, 2, 3, 4, 5}, 5) == 3);
}

static struct members voters(uint32_t count)
{
    struct members members = {.count = count};
    for (uint32_t i = 0; i < count; i++)
        members.at[i].node = i + 1;
    return members;
}

TEST(while_joint_both_majorities_must_have_it)
{
    struct members members = voters(5); /* 0 1 2 vote now, 2 3 4 vote next */
    members.at[3].now = members.at[4].now = MEMBER_LEARNER;
    members.at[0].next = members.at[1].next = MEMBER_NONE;
    uint64_t values[MEMBERS_MAX] = {9, 9, 9, 5, 3};
    CHECK(quorum_agreed(&members, values) == 9); /* not joint: only who votes now */
    members.joint = true;
    CHECK(quorum_agreed(&members, values) == 5);
    values[0] = values[1] = 1;
    CHECK(quorum_agreed(&members, values) == 1);
    CHECK(quorum_agrees(&members, 1 | 4 | 8) && !quorum_agrees(&members, 1 | 2 | 8));
    CHECK(!quorum_agrees(&members, 4 | 8 | 16) && !quorum_agrees(&members, 1 | 2 | 4));
}

TEST(learners_never_count)
{
    struct members members = voters(5);
    for (uint32_t i = 1; i < 5; i++)
        members.at[i].now = members.at[i].next = i < 3 ? MEMBER_LEARNER : MEMBER_REPLICA;
    CHECK(quorum_agrees(&members, 1));
    CHECK(!quorum_agrees(&members, 2 | 4 | 8 | 16));
}

TEST_MAIN(T(a_majority_is_more_than_half), T(nobody_is_no_quorum),
          T(the_value_is_what_a_majority_reached), T(while_joint_both_majorities_must_have_it),
          T(learners_never_count))
