/* follow_test.c - the gap rule, as transcripts: what comes, and what must be done. */
#include "client/follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

/* One line of a transcript. */
struct line {
    enum { EVENT, PROGRESS, HEARD, ROW, PAGE, MOVED, SILENT } kind;
    uint64_t a,
        b; /* EVENT id prev; PROGRESS topic prev; HEARD contact; ROW id; PAGE scanned at_end */
    uint64_t now_ms;
    int verdict; /* enum follow_verdict, or true and false */
};

static int play(struct follow *follow, const struct line *line)
{
    switch (line->kind) {
    case EVENT:
        return (int)follow_event(follow, line->a, line->b, line->now_ms);
    case PROGRESS:
        return (int)follow_progress(follow, (uint32_t)line->a, line->b, line->now_ms);
    case HEARD:
        follow_heard(follow, line->a, line->now_ms);
        return 0;
    case ROW:
        return (int)follow_listed(follow, line->a);
    case PAGE:
        return follow_page_done(follow, line->a, line->b != 0, line->now_ms);
    case MOVED:
        follow_moved(follow, line->now_ms);
        return 0;
    default:
        return follow_is_silent(follow, line->now_ms);
    }
}

static void play_all(struct follow *follow, const struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int got = play(follow, &lines[i]);
        if (got != lines[i].verdict)
            fail_msg("line %zu: %d, not %d", i + 1, got, lines[i].verdict);
    }
}

#define PLAY(follow, ...)                                \
    play_all(follow, (const struct line[]){__VA_ARGS__}, \
             sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line))

static void a_list_comes_first_then_the_stream(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 0, 0);
    CHECK(follow.state == FOLLOW_HEALING);
    PLAY(&follow, {ROW, 1, 0, 0, FOLLOW_DELIVER}, {ROW, 2, 0, 0, FOLLOW_DELIVER},
         {PAGE, 2, true, 0, true}, {PROGRESS, 0, 2, 1, FOLLOW_NOTHING},
         {EVENT, 2, 1, 1, FOLLOW_NOTHING}, {EVENT, 3, 2, 1, FOLLOW_DELIVER},
         {EVENT, 3, 2, 1, FOLLOW_NOTHING}, {EVENT, 4, 3, 1, FOLLOW_DELIVER});
    CHECK(follow_is_joined(&follow));
    CHECK(follow.gaps == 0);
}

static void a_gap_is_healed_from_the_list_in_order(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 5, 0);
    PLAY(&follow, {PAGE, 5, true, 0, true}, {PROGRESS, 0, 5, 1, FOLLOW_NOTHING},
         {EVENT, 6, 5, 1, FOLLOW_DELIVER}, {EVENT, 9, 8, 1, FOLLOW_HEAL},
         {ROW, 7, 0, 0, FOLLOW_DELIVER}, {PAGE, 7, true, 1, false}, {ROW, 8, 0, 0, FOLLOW_DELIVER},
         {ROW, 9, 0, 0, FOLLOW_DELIVER}, {PAGE, 9, true, 1, true}, {EVENT, 9, 8, 1, FOLLOW_NOTHING},
         {EVENT, 10, 9, 1, FOLLOW_DELIVER});
    CHECK(follow.gaps == 1);
}

static void a_lost_last_change_is_told_by_progress(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 5, 0);
    PLAY(&follow, {PAGE, 5, true, 0, true}, {PROGRESS, 0, 5, 1, FOLLOW_NOTHING},
         {PROGRESS, 0, 6, 2, FOLLOW_HEAL}, {ROW, 6, 0, 0, FOLLOW_DELIVER},
         {PAGE, 6, true, 2, true});
    CHECK(follow.gaps == 1);
}

static void what_came_before_joining_is_bridged_and_is_no_gap(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 5, 0);
    PLAY(&follow, {PAGE, 5, true, 0, true}, {PROGRESS, 0, 8, 1, FOLLOW_HEAL},
         {ROW, 8, 0, 0, FOLLOW_DELIVER}, {PAGE, 8, true, 1, true});
    CHECK(follow.gaps == 0);
}

static void a_tag_may_skip_ids(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 0, 0);
    PLAY(&follow, {ROW, 4, 0, 0, FOLLOW_DELIVER}, {PAGE, 10, true, 0, true},
         {PROGRESS, 0, 4, 1, FOLLOW_NOTHING}, {EVENT, 20, 4, 1, FOLLOW_DELIVER},
         {EVENT, 30, 25, 1, FOLLOW_HEAL});
}

static void with_several_topics_the_list_delivers(void **state)
{
    struct follow follow;
    follow_begin(&follow, 2, 0, 0);
    PLAY(&follow, {PAGE, 0, true, 0, true}, {PROGRESS, 0, 0, 1, FOLLOW_NOTHING},
         {PROGRESS, 1, 0, 1, FOLLOW_NOTHING}, {EVENT, 2, 0, 1, FOLLOW_HEAL},
         {ROW, 1, 0, 0, FOLLOW_DELIVER}, {ROW, 2, 0, 0, FOLLOW_DELIVER}, {PAGE, 2, true, 1, true},
         {EVENT, 1, 0, 1, FOLLOW_NOTHING});
    CHECK(follow.gaps == 0);
}

static void another_node_repeats_and_lags(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 0, 0);
    PLAY(&follow, {ROW, 1, 0, 0, FOLLOW_DELIVER}, {ROW, 2, 0, 0, FOLLOW_DELIVER},
         {PAGE, 2, true, 0, true}, {PROGRESS, 0, 2, 0, FOLLOW_NOTHING}, {MOVED, 0, 0, 10, 0},
         {ROW, 2, 0, 0, FOLLOW_NOTHING}, {PAGE, 1, true, 10, true},
         {PROGRESS, 0, 1, 10, FOLLOW_NOTHING}, {EVENT, 2, 1, 10, FOLLOW_NOTHING},
         {EVENT, 3, 2, 10, FOLLOW_DELIVER});
}

static void a_node_without_progress_is_left(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 0, 0);
    PLAY(&follow, {SILENT, 0, 0, 99999, false}, /* while healing, the list watches the node */
         {PAGE, 0, true, 1000, true}, {PROGRESS, 0, 0, 1000, FOLLOW_NOTHING},
         {SILENT, 0, 0, 2999, false}, {SILENT, 0, 0, 3000, true}, {HEARD, 10, 0, 3000, 0},
         {SILENT, 0, 0, 4999, false}, {HEARD, FOLLOW_CONTACT_MS + 1, 0, 4999, 0},
         {SILENT, 0, 0, 4999, true});
}

static void a_topic_that_is_never_joined_is_noticed(void **state)
{
    struct follow follow;
    follow_begin(&follow, 1, 0, 0);
    PLAY(&follow, {PAGE, 0, true, 1000, true}, {HEARD, 0, 0, 2500, 0}, {SILENT, 0, 0, 2900, false},
         {HEARD, 0, 0, 3000, 0}, {SILENT, 0, 0, 3000, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_comes_first_then_the_stream),
        cmocka_unit_test(a_gap_is_healed_from_the_list_in_order),
        cmocka_unit_test(a_lost_last_change_is_told_by_progress),
        cmocka_unit_test(what_came_before_joining_is_bridged_and_is_no_gap),
        cmocka_unit_test(a_tag_may_skip_ids),
        cmocka_unit_test(with_several_topics_the_list_delivers),
        cmocka_unit_test(another_node_repeats_and_lags),
        cmocka_unit_test(a_node_without_progress_is_left),
        cmocka_unit_test(a_topic_that_is_never_joined_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
