/* stream_test.c - following, against small nodes that lose, lie still and die. */
#include "tests/unit/client_kit.h"

static bool next_is(struct ca_follow *follow, uint64_t id)
{
    const struct ca_row *row;
    enum ca_code code = ca_follow_next(follow, 10000, &row);
    if (code != CA_OK || row->id != id) {
        print_error("wanted %llu, got code %d id %llu\n", (unsigned long long)id, (int)code,
                    row != NULL ? (unsigned long long)row->id : 0);
        return false;
    }
    return true;
}

static bool becomes_live(struct ca_follow *follow)
{
    const struct ca_row *row;
    for (uint64_t end = clock_now_ms() + 5000; clock_now_ms() < end;) {
        if (ca_follow_live(follow))
            return true;
        if (ca_follow_next(follow, 20, &row) != CA_AGAIN)
            return false;
    }
    return false;
}

TEST(a_follower_gets_everything_in_order)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "old", "red", NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    for (uint64_t id = 1; id <= 5; id++)
        CHECK(next_is(follow, id));
    CHECK(becomes_live(follow));
    int lists = atomic_load(&stage->nodes[0].lists_seen);
    for (uint64_t id = 6; id <= 20; id++) {
        CHECK(put_text(stage->ca, "new", "red", NULL) == CA_OK);
        CHECK(next_is(follow, id));
    }
    CHECK(atomic_load(&stage->nodes[0].lists_seen) == lists); /* all from the stream */
    CHECK(strncmp(ca_follow_cursor(follow), "ca1.", 4) == 0);
    stage_close(stage);
}

TEST(lost_events_are_healed)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {.now = true};
    struct ca_follow *follow;
    CHECK(put_text(stage->ca, "old", NULL, NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(becomes_live(follow));
    atomic_store(&stage->nodes[0].lose_events, 3);
    for (int i = 0; i < 5; i++)
        CHECK(put_text(stage->ca, "new", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 6; id++)
        CHECK(next_is(follow, id));
    CHECK(ca_follow_healed(follow) == 1);
    atomic_store(&stage->nodes[0].lose_events, 1); /* the last one: only progress tells */
    CHECK(put_text(stage->ca, "last", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 7));
    CHECK(ca_follow_healed(follow) == 2);
    stage_close(stage);
}

TEST(tags_are_followed_any_of_in_order)
{
    struct stage *stage = stage_open(1, 5000);
    const char *tags[] = {"red", "blue"}, *all[] = {"red", "green", "blue"};
    struct ca_follow_options options = {.tags = tags, .tag_count = 2};
    struct ca_follow *follow, *one;
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    options.tag_count = 1;
    CHECK(ca_follow_open(stage->ca, &options, &one) == CA_OK);
    CHECK(becomes_live(follow) && becomes_live(one));
    for (int i = 0; i < 9; i++)
        CHECK(put_text(stage->ca, "new", all[i % 3], NULL) == CA_OK);
    for (uint64_t id = 1; id <= 9; id++)
        CHECK(id % 3 == 2 || next_is(follow, id));
    CHECK(next_is(one, 1) && next_is(one, 4) && next_is(one, 7));
    ca_follow_close(follow);
    stage_close(stage);
}

TEST(a_silent_node_is_left_without_a_gap)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    warm_up(stage, 2);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(put_text(stage->ca, "one", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 1) && becomes_live(follow));
    for (int i = 0; i < 2; i++) { /* whichever it follows loses all from here on */
        atomic_store(&stage->nodes[i].no_progress, i == 0);
        atomic_store(&stage->nodes[i].lose_events, i == 0 ? 1000 : 0);
    }
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "more", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 4; id++)
        CHECK(next_is(follow, id));
    stage_close(stage);
}

TEST(a_follower_goes_on_after_its_node_was_killed)
{
    struct stage *stage = stage_open(2, 20000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    warm_up(stage, 2);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(put_text(stage->ca, "one", NULL, NULL) == CA_OK);
    CHECK(next_is(follow, 1) && becomes_live(follow));
    fake_stop(&stage->nodes[0]);
    for (int i = 0; i < 3; i++)
        CHECK(put_text(stage->ca, "more", NULL, NULL) == CA_OK);
    for (uint64_t id = 2; id <= 4; id++)
        CHECK(next_is(follow, id));
    stage_close(stage);
}

TEST(a_follower_resumes_at_its_cursor)
{
    struct stage *stage = stage_open(1, 5000);
    struct ca_follow_options options = {0};
    struct ca_follow *follow;
    char cursor[256];
    for (int i = 0; i < 4; i++)
        CHECK(put_text(stage->ca, "x", NULL, NULL) == CA_OK);
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(next_is(follow, 1) && next_is(follow, 2));
    snprintf(cursor, sizeof cursor, "%s", ca_follow_cursor(follow));
    ca_follow_close(follow);
    options.cursor = cursor;
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_OK);
    CHECK(next_is(follow, 3) && next_is(follow, 4));
    options.cursor = "nonsense";
    CHECK(ca_follow_open(stage->ca, &options, &follow) == CA_USAGE);
    stage_close(stage);
}

TEST_MAIN(T(a_follower_gets_everything_in_order), T(lost_events_are_healed),
          T(tags_are_followed_any_of_in_order), T(a_silent_node_is_left_without_a_gap),
          T(a_follower_goes_on_after_its_node_was_killed), T(a_follower_resumes_at_its_cursor))
