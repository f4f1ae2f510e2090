/* roster_test.c - what is a sighting, and how sightings become hints. */
#include "discovery/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static struct roster roster;

static bool feed(enum roster_input_kind kind, enum source source, const char *text)
{
    struct sighting sighting;
    const char *reason;
    struct roster_output out;
    if (text != NULL)
        assert_true(source_check(SPAN_TEXT(text), &sighting, &reason));
    struct roster_input in = {kind, source, &sighting};
    roster_step(&roster, &in, &out);
    return out.send;
}

static bool round_of(enum source source, const char *const *texts, uint32_t count)
{
    feed(ROSTER_ROUND, source, NULL);
    for (uint32_t i = 0; i < count; i++)
        assert_false(feed(ROSTER_SIGHTED, source, texts[i]));
    return feed(ROSTER_DONE, source, NULL);
}

static int set_up(void **state)
{
    roster = (struct roster){0};
    return 0;
}

static void good_lines_are_sightings(void **state)
{
    struct sighting sighting;
    const char *reason;
    assert_true(source_check(SPAN_TEXT("tcp://127.0.0.1:7101"), &sighting, &reason));
    assert_true(source_check(SPAN_TEXT("tcp://[::1]:7101 " KEY), &sighting, &reason));
    assert_int_equal(sighting.endpoint_size, strlen("tcp://[::1]:7101"));
    assert_string_equal(sighting.text, "tcp://[::1]:7101 " KEY);
}

static void garbage_is_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "tcp://",
        "tcp://:7101",
        "tcp://host",
        "tcp://host:",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:123456",
        "tcp://host:7x",
        "tcp://ho\tst:7101",
        "tcp://host/a:7101",
        "ipc://run/a.ipc",
        "tcp://host:7101 ",
        "tcp://host:7101 short",
        "tcp://host:7101  " KEY,
        "tcp://host:7101 " KEY " more",
        "tcp://h\xc3\xb6st:7101",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct sighting sighting;
        const char *reason = NULL;
        assert_false(source_check(SPAN_TEXT(bad[i]), &sighting, &reason));
        assert_non_null(reason);
    }
    char longest[400];
    struct sighting sighting;
    const char *reason;
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "tcp://", 6);
    memcpy(longest + sizeof longest - 5, ":7101", 5);
    assert_false(source_check(SPAN(longest, sizeof longest), &sighting, &reason));
}

static void nothing_is_sent_before_the_link_is_up(void **state)
{
    const char *const one[] = {"tcp://a:1"};
    assert_false(round_of(SOURCE_FILE, one, 1));
    assert_true(feed(ROSTER_LINK_UP, SOURCE_STATIC, NULL));
    assert_int_equal(roster.hints.count, 1);
}

static void each_new_life_is_told_again(void **state)
{
    assert_true(feed(ROSTER_LINK_UP, SOURCE_STATIC, NULL));
    assert_true(feed(ROSTER_LINK_UP, SOURCE_STATIC, NULL));
}

static void only_a_change_is_sent(void **state)
{
    const char *const two[] = {"tcp://a:1", "tcp://b:2"};
    feed(ROSTER_LINK_UP, SOURCE_STATIC, NULL);
    assert_true(round_of(SOURCE_FILE, two, 2));
    assert_false(round_of(SOURCE_FILE, two, 2));
    assert_true(round_of(SOURCE_FILE, two, 1));
    assert_true(round_of(SOURCE_FILE, two, 0));
    assert_int_equal(roster.hints.count, 0);
}

static void each_endpoint_counts_once_and_the_list_comes_first(void **state)
{
    const char *const list[] = {"tcp://a:1 " KEY};
    const char *const file[] = {"tcp://b:2", "tcp://a:1", "tcp://b:2 " KEY};
    round_of(SOURCE_FILE, file, 3);
    round_of(SOURCE_STATIC, list, 1);
    assert_int_equal(roster.hints.count, 2);
    assert_string_equal(roster.hints.at[0].text, "tcp://a:1 " KEY);
    assert_string_equal(roster.hints.at[1].text, "tcp://b:2");
}

static void the_number_is_bounded(void **state)
{
    char text[40];
    feed(ROSTER_ROUND, SOURCE_FILE, NULL);
    for (int i = 1; i <= ROSTER_HINTS_MAX + 10; i++) {
        snprintf(text, sizeof text, "tcp://host:%d", i);
        feed(ROSTER_SIGHTED, SOURCE_FILE, text);
    }
    feed(ROSTER_DONE, SOURCE_FILE, NULL);
    assert_int_equal(roster.hints.count, ROSTER_HINTS_MAX);
    assert_int_equal(roster.seen[SOURCE_FILE].dropped, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_lines_are_sightings, set_up),
        cmocka_unit_test_setup(garbage_is_refused_with_a_reason, set_up),
        cmocka_unit_test_setup(nothing_is_sent_before_the_link_is_up, set_up),
        cmocka_unit_test_setup(each_new_life_is_told_again, set_up),
        cmocka_unit_test_setup(only_a_change_is_sent, set_up),
        cmocka_unit_test_setup(each_endpoint_counts_once_and_the_list_comes_first, set_up),
        cmocka_unit_test_setup(the_number_is_bounded, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
