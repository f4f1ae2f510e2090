/* status_test.c - what a node says of itself in words: what it waits for, and as whom. */
#include "tests/unit/raft_kit.h"

static struct raft_status status_of(const struct kit *kit)
{
    struct raft_status status;
    raft_status(kit->raft, &status);
    return status;
}

TEST(a_status_says_what_is_waited_for_and_as_whom)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    CHECK(status_of(&kit).waits_for[0] == 0);
    kit.raft->incoming_size = 4000000;
    kit.raft->incoming_offset = 1000000;
    const char *wait = "the leader's snapshot: 25 % of 4 MB are here";
    CHECK(strcmp(status_of(&kit).waits_for, wait) == 0);
    kit.raft->role = ROLE_OUTSIDE; /* an empty node is told of its admission by what comes */
    CHECK(strcmp(status_of(&kit).waits_for, wait) == 0);
    kit.raft->leader = RAFT_NOBODY; /* it comes no more */
    CHECK(strcmp(status_of(&kit).waits_for, wait) != 0);
    kit.raft->role = ROLE_FOLLOWER;
    kit.raft->configs[0].members.at[0].now = kit.raft->configs[0].members.at[0].next =
        MEMBER_LEARNER;
    CHECK(strcmp(status_of(&kit).role_name, "learner") == 0);
    kit_close(&kit);
}

TEST_MAIN(T(a_status_says_what_is_waited_for_and_as_whom))
