/* plan_test.c - wishes and the steps to them, without a log. */
#include "common/keys.h"
#include "consensus/plan.h"
#include "tests/unit/test.h"

#include <stdio.h>

/* Voters 1 .. count at tcp://10.0.0.N:1. */
static struct members voters(uint32_t count)
{
    struct members members = {.cluster = "cluster"};
    for (uint8_t i = 1; i <= count; i++) {
        struct member member = {.node = i, .incarnation = 10u + i};
        memset(member.key, i, sizeof member.key);
        snprintf(member.endpoint, sizeof member.endpoint, "tcp://10.0.0.%u:1", i);
        members_add(&members, &member);
    }
    return members;
}

static struct memberop op_of(const char *text)
{
    struct memberop op;
    char why[MEMBEROP_WHY_MAX];
    enum err err = memberop_parse(SPAN_TEXT(text), &op, why);
    if (err != ERR_NONE)
        printf("%s\n", why);
    CHECK(err == ERR_NONE);
    return op;
}

/* As the server that was called back told it. */
static struct memberop add_of(uint8_t node, const char *more)
{
    char key[KEY_TEXT_SIZE], text[256];
    uint8_t bytes[MEMBERS_KEY_SIZE];
    memset(bytes, node, sizeof bytes);
    keys_print(bytes, key);
    snprintf(text, sizeof text, "add peer=tcp://10.0.0.%u:1 key=%s%s", node, key, more);
    struct memberop op = op_of(text);
    op.node = node;
    op.incarnation = 10u + node;
    return op;
}

static enum err take(struct members *members, struct memberop op, uint64_t index)
{
    char why[MEMBEROP_WHY_MAX] = "";
    enum err err = plan_take(members, &op, index, why);
    CHECK(err == ERR_NONE || why[0] != 0);
    return err;
}

static const struct member *member_of(const struct members *members, uint8_t node)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].node == node)
            return &members->at[i];
    return NULL;
}

TEST(a_new_server_learns_then_votes)
{
    struct members members = voters(3), joint, next;
    CHECK(take(&members, add_of(4, " name=four"), 7) == ERR_NONE);
    const struct member *four = member_of(&members, 4);
    CHECK(four->now == MEMBER_LEARNER && four->wish == MEMBER_VOTER && four->changed == 7);
    CHECK(strcmp(four->name, "four") == 0 && plan_pending(&members));
    CHECK(!plan_enter(&members, 0, &joint)); /* it has not caught up */
    CHECK(plan_enter(&members, 1u << 3, &joint) && joint.joint);
    plan_leave(&joint, 9, &next);
    CHECK(member_of(&next, 4)->now == MEMBER_VOTER && !next.joint && !plan_pending(&next));
    struct memberop again = add_of(4, "");
    CHECK(plan_fulfils(&next, &again) && !plan_fulfils(&joint, &again));
    members = next;
    CHECK(take(&next, again, 10) == ERR_NONE && members_same(&members, &next)); /* idempotent */
}

TEST(what_was_wished_together_changes_together)
{
    struct members members = voters(3), joint;
    CHECK(take(&members, add_of(4, ""), 7) == ERR_NONE);
    CHECK(take(&members, add_of(5, ""), 7) == ERR_NONE);
    CHECK(take(&members, op_of("remove node=2"), 7) == ERR_NONE);
    CHECK(take(&members, add_of(6, ""), 8) == ERR_NONE); /* a later wish waits for nobody */
    CHECK(!plan_enter(&members, 1u << 3, &joint));       /* 4 alone: 5 is missing, 2 stays */
    CHECK(plan_enter(&members, 1u << 5 | 1u << 3, &joint));
    CHECK(member_of(&joint, 6)->next == MEMBER_VOTER && member_of(&joint, 2)->next == MEMBER_VOTER);
    CHECK(member_of(&joint, 4)->next == MEMBER_LEARNER);
    CHECK(plan_enter(&members, 1u << 3 | 1u << 4, &joint));
    CHECK(member_of(&joint, 4)->next == MEMBER_VOTER && member_of(&joint, 2)->next == MEMBER_NONE);
}

TEST(a_cancel_takes_back_what_is_not_joint)
{
    struct members members = voters(3);
    CHECK(take(&members, add_of(4, ""), 7) == ERR_NONE);
    CHECK(take(&members, op_of("remove node=2"), 7) == ERR_NONE);
    CHECK(take(&members, op_of("cancel"), 8) == ERR_NONE);
    CHECK(!plan_pending(&members) && members_count(&members, MEMBER_VOTER) == 3);
    CHECK(!member_lives(member_of(&members, 4)));
    struct memberop op = add_of(4, "");
    CHECK(!plan_holds(&members, &op));
}

TEST(somebody_must_be_left_to_vote)
{
    struct members members = voters(1);
    CHECK(take(&members, op_of("remove node=1"), 5) == ERR_BAD_REQUEST);
    members = voters(1);
    CHECK(take(&members, add_of(2, ""), 5) == ERR_NONE);
    CHECK(take(&members, op_of("remove node=1"), 5) == ERR_NONE); /* the new one will */
    struct members joint;
    CHECK(!plan_enter(&members, 0, &joint));
    CHECK(plan_enter(&members, 2, &joint));
}

TEST(limits_are_told_by_name)
{
    struct members members = voters(9);
    CHECK(take(&members, add_of(10, ""), 5) == ERR_LIMIT);
    members = voters(9);
    for (uint8_t node = 10; node <= 16; node++)
        CHECK(take(&members, add_of(node, " role=replica"), 5) == ERR_NONE);
    CHECK(take(&members, add_of(17, " role=replica"), 5) == ERR_LIMIT);
}

/* Members come and go for ever: those that were removed first are forgotten. */
TEST(only_the_last_that_were_removed_are_remembered)
{
    struct members members = voters(3);
    char text[32];
    for (uint8_t node = 10; node < 60; node++) {
        CHECK(take(&members, add_of(node, " role=replica"), node) == ERR_NONE);
        char id[NODE_ID_TEXT_SIZE];
        node_id_print(node, id);
        snprintf(text, sizeof text, "remove node=%s", id);
        CHECK(take(&members, op_of(text), node) == ERR_NONE);
    }
    CHECK(members.count <= MEMBERS_MAX && member_of(&members, 59) != NULL);
    CHECK(member_of(&members, 10) == NULL && members_count(&members, MEMBER_VOTER) == 3);
}

TEST(an_address_is_reachable_and_nobody_elses)
{
    struct members members = voters(3);
    CHECK(take(&members, op_of("set node=1 peer=tcp://10.0.0.2:1"), 5) == ERR_BAD_REQUEST);
    CHECK(take(&members, op_of("set node=1 peer=tcp://localhost:1"), 5) ==
          ERR_BAD_REQUEST); /* R116 */
    CHECK(take(&members, op_of("set node=1 peer=tcp://127.0.0.1:9"), 5) == ERR_BAD_REQUEST);
    CHECK(take(&members, op_of("set node=9 name=x"), 5) == ERR_NOT_FOUND);
    CHECK(take(&members, op_of("set node=1 peer=tcp://10.0.0.9:1 api=tcp://10.0.0.9:2"), 5) ==
          ERR_NONE);
    CHECK(strcmp(member_of(&members, 1)->endpoint, "tcp://10.0.0.9:1") == 0 &&
          !plan_pending(&members));
}

TEST(a_copied_identity_is_refused)
{
    struct members members = voters(3);
    struct memberop op = add_of(4, "");
    op.node = 2; /* the id of another member */
    CHECK(take(&members, op, 5) == ERR_CLONE);
    op = add_of(2, "");
    op.node = 7; /* the key of another node id */
    CHECK(take(&members, op, 5) == ERR_CLONE);
}

/* I18: the old directory leaves the majority before the new one comes in. */
TEST(a_new_incarnation_is_admitted_in_two_steps)
{
    struct members members = voters(3), joint, next;
    struct memberop op = add_of(2, "");
    op.incarnation = 999;
    CHECK(take(&members, op, 5) == ERR_NONE);
    CHECK(member_of(&members, 2)->wish == MEMBER_NONE && member_of(&members, 2)->incarnation == 12);
    CHECK(!plan_holds(&members, &op));
    CHECK(plan_enter(&members, 0, &joint));
    plan_leave(&joint, 7, &next);
    CHECK(take(&next, op, 8) == ERR_NONE);
    CHECK(member_of(&next, 2)->now == MEMBER_LEARNER && member_of(&next, 2)->incarnation == 999);
}

TEST(what_is_no_wish_is_refused_with_its_word)
{
    static const char *const bad[] = {
        "",
        "dance",
        "add",
        "add peer=tcp://a:1",
        "remove",
        "remove node=",
        "remove node=1 name=x",
        "set node=1",
        "cancel x",
        "set node=1 peer=ipc://x",
        "set node=1 peer=tcp://:1",
        "set node=1 peer=tcp://a",
        "set node=1 peer=tcp://a:0",
        "set node=1 peer=tcp://a:99999",
        "set node=1 role=king",
        "remove key=short",
        "set node=1 name=",
        "remove node=1\nremove node=2",
        "remove node=zzzzzzzzzzzzzz",
        "cancel node=1",
        "promote",
    };
    struct memberop op;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char why[MEMBEROP_WHY_MAX] = "";
        CHECK(memberop_parse(SPAN_TEXT(bad[i]), &op, why) == ERR_BAD_REQUEST);
        CHECK(why[0] != 0);
    }
    uint8_t noise[512];
    for (uint32_t seed = 1; seed < 3000; seed++) {
        char why[MEMBEROP_WHY_MAX];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)(seed * 2654435761u >> (i % 24) ^ i * 31);
        memcpy(noise, "set node=1 peer=", seed % 2 ? 16 : 0);
        enum err err = memberop_parse(SPAN(noise, seed % sizeof noise), &op, why);
        CHECK(err == ERR_NONE || err == ERR_BAD_REQUEST);
    }
}

/* One that was removed and admitted again stands there twice for a while: who lives is meant. */
TEST(a_node_is_found_where_it_lives_else_where_it_was)
{
    struct members members = voters(3);
    members.at[0].node = 3; /* the same id, removed */
    members.at[0].now = members.at[0].next = members.at[0].wish = MEMBER_NONE;
    struct memberop op = op_of("remove node=3");
    CHECK(plan_find(&members, &op) == 2);
    members.at[2].now = members.at[2].next = members.at[2].wish = MEMBER_NONE;
    CHECK(plan_find(&members, &op) == 0);
    op = op_of("remove node=9");
    CHECK(plan_find(&members, &op) == -1 && plan_holds(&members, &op)); /* there is nobody to go */
    CHECK(take(&members, op, 5) == ERR_NONE);
}

TEST(loopback_has_many_names_and_is_fine_among_itself)
{
    struct members members = voters(2);
    CHECK(take(&members, op_of("set node=1 peer=tcp://[::1]:9"), 5) == ERR_BAD_REQUEST);
    strcpy(members.at[1].endpoint, "tcp://127.0.0.1:1");
    CHECK(take(&members, op_of("set node=1 peer=tcp://[::1]:9"), 5) == ERR_NONE);
    members.at[1].endpoint[0] = 0; /* a founder of old may have told none */
    CHECK(take(&members, op_of("set node=1 peer=tcp://localhost:8"), 5) == ERR_NONE);
    members = voters(2);
    members.at[1].now = members.at[1].next = members.at[1].wish = MEMBER_NONE;
    CHECK(take(&members, op_of("set node=1 peer=tcp://10.0.0.2:1"), 5) ==
          ERR_NONE); /* it is free */
}

TEST(an_add_at_an_address_that_is_taken_is_refused)
{
    struct members members = voters(3);
    struct memberop op = add_of(4, "");
    strcpy(op.endpoint, "tcp://10.0.0.2:1");
    CHECK(take(&members, op, 5) == ERR_BAD_REQUEST && members.count == 3);
}

/* Its directory was lost while it was learning: it learns on, as what it is now. */
TEST(a_learner_with_a_new_directory_learns_on)
{
    struct members members = voters(3);
    CHECK(take(&members, add_of(4, ""), 5) == ERR_NONE);
    struct memberop again = add_of(4, " api=tcp://10.0.0.4:2 name=four");
    again.incarnation = 444;
    CHECK(!plan_holds(&members, &again));
    CHECK(take(&members, again, 7) == ERR_NONE);
    const struct member *four = member_of(&members, 4);
    CHECK(four->incarnation == 444 && four->changed == 7 && four->now == MEMBER_LEARNER);
    CHECK(plan_holds(&members, &again));
    again.incarnation = 0; /* asked of one that has not called it back */
    CHECK(plan_holds(&members, &again));
    again.incarnation = 9;
    CHECK(!plan_holds(&members, &again));
    struct memberop other = add_of(4, " api=tcp://10.0.0.4:3");
    CHECK(!plan_holds(&members, &other));
    other = add_of(4, " name=fourth");
    CHECK(!plan_holds(&members, &other));
    other = op_of("set node=4 peer=tcp://10.0.0.44:1");
    CHECK(!plan_holds(&members, &other));
    other = op_of("set node=4 api=tcp://10.0.0.4:2 name=four");
    CHECK(plan_holds(&members, &other) && plan_fulfils(&members, &other)); /* texts hold at once */
    other = op_of("promote node=4");
    CHECK(plan_holds(&members, &other) && !plan_fulfils(&members, &other));
    other = op_of("set node=4 role=replica");
    CHECK(!plan_holds(&members, &other));
    other = op_of("set node=9 name=x");
    CHECK(!plan_holds(&members, &other));
}

/* A wish that is there already changes nothing: no entry is written for it. */
TEST(a_wish_that_holds_changes_nothing)
{
    struct members members = voters(3), before;
    CHECK(take(&members, add_of(4, " role=replica"), 5) == ERR_NONE);
    before = members;
    CHECK(take(&members, add_of(4, " role=replica"), 9) == ERR_NONE);
    CHECK(take(&members, op_of("set node=4 role=replica"), 9) == ERR_NONE);
    CHECK(take(&members, op_of("set node=1 role=voter"), 9) == ERR_NONE);
    CHECK(members_same(&members, &before));
}

TEST(with_no_room_left_nobody_is_added)
{
    struct members members = voters(9);
    for (uint8_t node = 10; node < 10 + MEMBERS_MAX - 9; node++) {
        struct member member = {.node = node, .incarnation = 1};
        memset(member.key, node, sizeof member.key);
        member.now = member.next = member.wish = MEMBER_REPLICA;
        members_add(&members, &member);
    }
    CHECK(take(&members, add_of(99, " role=replica"), 5) == ERR_LIMIT);
}

/* Ten that would vote, or none: no such step is begun. */
TEST(no_majority_may_be_too_large_or_empty)
{
    struct members members = voters(9), joint;
    struct member ten = {.node = 10, .incarnation = 1};
    memset(ten.key, 10, sizeof ten.key);
    ten.now = ten.next = MEMBER_LEARNER;
    members_add(&members, &ten);
    CHECK(!plan_enter(&members, 1u << 9, &joint));
    members = voters(1);
    members.at[0].wish = MEMBER_NONE;
    CHECK(!plan_enter(&members, 0, &joint));
}

/* A voter that becomes a replica goes by the same steps as one that leaves. */
TEST(a_demotion_waits_for_what_was_wished_with_it)
{
    struct members members = voters(3), joint;
    CHECK(take(&members, add_of(4, ""), 7) == ERR_NONE);
    CHECK(take(&members, op_of("set node=3 role=replica"), 7) == ERR_NONE);
    CHECK(!plan_enter(&members, 0, &joint));
    CHECK(plan_enter(&members, 1u << 3, &joint));
    CHECK(member_of(&joint, 3)->next == MEMBER_REPLICA);
    CHECK(member_of(&joint, 4)->next == MEMBER_VOTER);
    CHECK(take(&members, op_of("promote node=3"), 8) == ERR_NONE); /* after all it stays */
    CHECK(member_of(&members, 3)->wish == MEMBER_VOTER);
}

TEST_MAIN(T(a_new_server_learns_then_votes), T(what_was_wished_together_changes_together),
          T(a_cancel_takes_back_what_is_not_joint), T(somebody_must_be_left_to_vote),
          T(limits_are_told_by_name), T(only_the_last_that_were_removed_are_remembered),
          T(an_address_is_reachable_and_nobody_elses), T(a_copied_identity_is_refused),
          T(a_new_incarnation_is_admitted_in_two_steps),
          T(what_is_no_wish_is_refused_with_its_word),
          T(a_node_is_found_where_it_lives_else_where_it_was),
          T(loopback_has_many_names_and_is_fine_among_itself),
          T(an_add_at_an_address_that_is_taken_is_refused),
          T(a_learner_with_a_new_directory_learns_on), T(a_wish_that_holds_changes_nothing),
          T(with_no_room_left_nobody_is_added), T(no_majority_may_be_too_large_or_empty),
          T(a_demotion_waits_for_what_was_wished_with_it))
