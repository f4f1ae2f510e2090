/* joining_test.c - the wish to be a member, and what is learned on the way. */
#include "discovery/joining.h"

#include "protocol/wire.h"
#include "tests/unit/test.h"

#include <stdio.h>

#define KEY "0123456789012345678901234567890123456789"
#define OLD "9876543210987654321098765432109876543210"
#define ONE "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"

static void pack_pair(struct bytes *out, const char *name, const char *value)
{
    wire_pack_text(out, SPAN_TEXT(name));
    wire_pack_text(out, SPAN_TEXT(value));
}

static void pack_row(struct bytes *out, const char *peer, const char *key, const char *name,
                     const char *state, uint64_t silent_ms)
{
    wire_pack_map(out, 7);
    wire_pack_counter(out, "incarnation", strcmp(key, KEY) == 0 ? 5 : 9);
    pack_pair(out, "peer", peer);
    pack_pair(out, "key", key);
    pack_pair(out, "name", name);
    wire_pack_text(out, SPAN_TEXT("later versions say more"));
    wire_pack_array(out, 1);
    wire_pack_u64(out, 7);
    pack_pair(out, "state", state);
    wire_pack_counter(out, "silent_ms", silent_ms);
}

static struct joining begun(void)
{
    struct joining joining;
    joining_begin(&joining, "tcp://10.0.0.1:7600", "n2");
    CHECK(joining.state == JOINING_UNKNOWN);
    CHECK(joining_know(&joining, SPAN_TEXT("tcp://10.0.0.2:7602 " KEY), 5, "") == ERR_NONE);
    CHECK(joining.state == JOINING_ASKS);
    return joining;
}

/* One member at least is known from the first ask, which wishes for nothing. */
static struct joining told(void)
{
    struct joining joining = begun();
    SCOPED(bytes) rows = {0};
    char wish[JOINING_WISH_MAX];
    joining_wish(&joining, wish);
    CHECK(wish[0] == 0);
    wire_pack_array(&rows, 1);
    pack_row(&rows, "tcp://10.0.0.1:7602", ONE, "n1", "voter", 0);
    joining_answered(&joining, &(struct joining_answer){.rows = bytes_span(&rows), .done = true});
    CHECK(joining.state == JOINING_ASKS && joining.told);
    return joining;
}

static void answer(struct joining *joining, const char *error, const struct bytes *rows, bool done)
{
    joining_answered(joining, &(struct joining_answer){.error = SPAN_TEXT(error),
                                                       .detail = SPAN_TEXT("because"),
                                                       .rows = bytes_span(rows),
                                                       .done = done,
                                                       .since = 12});
}

TEST(the_wish_names_address_key_and_name)
{
    struct joining joining = told();
    char wish[JOINING_WISH_MAX];
    joining_wish(&joining, wish);
    CHECK(strcmp(wish, "add peer=tcp://10.0.0.2:7602 key=" KEY " name=n2") == 0);
    joining_begin(&joining, "tcp://10.0.0.1:7600", "two words\n");
    CHECK(strcmp(joining.name, "two_words_") == 0);
}

TEST(an_address_for_all_gives_way_to_the_detected_one)
{
    static const char *const any[] = {"tcp://*:7602 " KEY, "tcp://0.0.0.0:7602 " KEY,
                                      "tcp://[::]:7602 " KEY};
    for (size_t i = 0; i < COUNT_OF(any); i++) {
        struct joining joining;
        joining_begin(&joining, "tcp://10.0.0.1:7600", "n2");
        CHECK(joining_know(&joining, SPAN_TEXT(any[i]), 5, "10.0.0.9") == ERR_NONE);
        CHECK(strcmp(joining.self.text, "tcp://10.0.0.9:7602 " KEY) == 0);
        joining_begin(&joining, "tcp://10.0.0.1:7600", "n2");
        CHECK(joining_know(&joining, SPAN_TEXT(any[i]), 5, "") == ERR_CONFIG);
    }
    struct joining joining;
    joining_begin(&joining, "tcp://[fd00::1]:7600", "n2");
    CHECK(joining_know(&joining, SPAN_TEXT("tcp://*:7602 " KEY), 5, "fd00::9") == ERR_NONE);
    CHECK(strcmp(joining.self.text, "tcp://[fd00::9]:7602 " KEY) == 0);
}

TEST(localhost_with_a_cluster_elsewhere_is_refused_with_advice)
{
    static const char *const local[] = {"tcp://127.0.0.1:7602 " KEY, "tcp://localhost:7602 " KEY,
                                        "tcp://[::1]:7602 " KEY};
    for (size_t i = 0; i < COUNT_OF(local); i++) {
        struct joining joining;
        joining_begin(&joining, "tcp://10.0.0.1:7600", "n2");
        CHECK(joining_know(&joining, SPAN_TEXT(local[i]), 5, "") == ERR_CONFIG);
        CHECK(joining.state == JOINING_REFUSED && strstr(joining.reason, "consensus/listen"));
        joining_begin(&joining, "tcp://127.0.0.1:7600", "n2"); /* all on one machine */
        CHECK(joining_know(&joining, SPAN_TEXT(local[i]), 5, "") == ERR_NONE);
    }
}

TEST(what_is_no_address_is_refused)
{
    static const char *const wrong[] = {"", "tcp://10.0.0.2:7602", "ipc:///tmp/x " KEY,
                                        "tcp://10.0.0.2:0 " KEY, "tcp://10.0.0.2:7602 short"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct joining joining;
        joining_begin(&joining, "tcp://10.0.0.1:7600", "n2");
        CHECK(joining_know(&joining, SPAN_TEXT(wrong[i]), 5, "10.0.0.2") == ERR_CONFIG);
        CHECK(joining.state == JOINING_REFUSED && joining.reason[0] != 0);
    }
}

TEST(the_members_are_learned_from_every_answer)
{
    struct joining joining = told();
    SCOPED(bytes) rows = {0};
    wire_pack_array(&rows, 4);
    pack_row(&rows, "tcp://10.0.0.1:7602", ONE, "n1", "voter", 0);
    pack_row(&rows, "tcp://10.0.0.7:7602", OLD, "n7", "removed", 0);
    pack_row(&rows, "nonsense", "nonsense", "n8", "voter", 0);
    pack_row(&rows, "tcp://10.0.0.2:7602", KEY, "n2", "syncing", 0);
    answer(&joining, "", &rows, false);
    CHECK(joining.state == JOINING_ASKS && joining.since == 12);
    CHECK(joining.member_count == 2);
    CHECK(strcmp(joining.members[0].text, "tcp://10.0.0.1:7602 " ONE) == 0);
    answer(&joining, "", &rows, true);
    CHECK(joining.state == JOINING_DONE);
}

/* The leader heard this node before its disk was lost, and takes the wish for fulfilled. */
TEST(a_member_of_another_incarnation_has_not_joined)
{
    struct joining joining = told();
    SCOPED(bytes) rows = {0};
    joining.incarnation = 6;
    wire_pack_array(&rows, 1);
    pack_row(&rows, "tcp://10.0.0.2:7602", KEY, "n2", "voter", 0);
    answer(&joining, "", &rows, true);
    CHECK(joining.state == JOINING_ASKS && joining.since == 0);
    joining.incarnation = 5;
    answer(&joining, "", &rows, true);
    CHECK(joining.state == JOINING_DONE);
}

TEST(a_refusal_is_asked_again_but_for_a_clone_or_another_history)
{
    struct joining joining = told();
    SCOPED(bytes) none = {0};
    answer(&joining, "E_NO_LEADER", &none, false);
    CHECK(joining.state == JOINING_ASKS && joining.since == 0 && !joining.told);
    CHECK(strcmp(joining.reason, "E_NO_LEADER: because") == 0);
    answer(&joining, "E_CLONE", &none, false);
    CHECK(joining.state == JOINING_REFUSED);
    joining = told();
    answer(&joining, "E_HISTORY", &none, false);
    CHECK(joining.state == JOINING_REFUSED);
}

/* The disk was lost with the keys: a new member, and the dead one of this name and address goes. */
TEST(the_dead_one_before_this_is_removed_first)
{
    struct joining joining = told();
    char wish[JOINING_WISH_MAX];
    SCOPED(bytes) rows = {0};
    wire_pack_array(&rows, 2);
    pack_row(&rows, "tcp://10.0.0.1:7602", ONE, "n1", "voter", 0);
    pack_row(&rows, "tcp://10.0.0.2:7602", OLD, "n2", "voter", 60000);
    answer(&joining, "", &rows, false);
    joining_wish(&joining, wish);
    CHECK(strcmp(wish, "remove key=" OLD) == 0 && joining.since == 0);
    answer(&joining, "", &rows, false); /* not gone yet */
    CHECK(joining.since == 12);
    bytes_clear(&rows);
    wire_pack_array(&rows, 2);
    pack_row(&rows, "tcp://10.0.0.1:7602", ONE, "n1", "voter", 0);
    pack_row(&rows, "tcp://10.0.0.2:7602", OLD, "n2", "removed", 60000);
    answer(&joining, "", &rows, true); /* the removal is done, not the joining */
    CHECK(joining.state == JOINING_ASKS && joining.since == 0);
    joining_wish(&joining, wish);
    CHECK(strncmp(wish, "add peer=", 9) == 0);
}

TEST(one_that_lives_or_bears_another_name_is_left_alone)
{
    struct joining joining = told();
    SCOPED(bytes) rows = {0};
    wire_pack_array(&rows, 4);
    pack_row(&rows, "tcp://10.0.0.2:7602", OLD, "n2", "voter", 4000);
    pack_row(&rows, "tcp://10.0.0.2:7602", OLD, "n3", "voter", 60000);
    pack_row(&rows, "tcp://10.0.0.4:7602", OLD, "n2", "voter", 60000);
    pack_row(&rows, "tcp://10.0.0.2:7602", KEY, "n2", "voter", 60000);
    answer(&joining, "", &rows, false);
    CHECK(joining.replaces[0] == 0);
}

TEST(hostile_rows_end_nothing)
{
    static const uint8_t claims[] = {0xdd, 0x7f, 0xff, 0xff, 0xff};
    SCOPED(bytes) rows = {0};
    wire_pack_array(&rows, 1);
    pack_row(&rows, "tcp://10.0.0.1:7602", ONE, "n1", "voter", 0);
    for (size_t size = 0; size < rows.size; size++) {
        struct joining joining = begun();
        joining_answered(&joining, &(struct joining_answer){.rows = SPAN(rows.data, size)});
        CHECK(joining.member_count == 0 && joining.state == JOINING_ASKS);
    }
    struct joining joining = begun();
    joining_answered(&joining, &(struct joining_answer){.rows = SPAN(claims, sizeof claims)});
    CHECK(joining.member_count == 0);
}

TEST_MAIN(T(the_wish_names_address_key_and_name),
          T(an_address_for_all_gives_way_to_the_detected_one),
          T(localhost_with_a_cluster_elsewhere_is_refused_with_advice),
          T(what_is_no_address_is_refused), T(the_members_are_learned_from_every_answer),
          T(a_member_of_another_incarnation_has_not_joined),
          T(a_refusal_is_asked_again_but_for_a_clone_or_another_history),
          T(the_dead_one_before_this_is_removed_first),
          T(one_that_lives_or_bears_another_name_is_left_alone), T(hostile_rows_end_nothing))
