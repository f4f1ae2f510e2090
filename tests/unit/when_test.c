/* when_test.c - times as people write them. */
#include "cmd/changeagent/when.c" /* the command line is in no archive */

#include "common/bytes.h"
#include "tests/unit/test.h"

#define NOW    1700000000000000000ull
#define SECOND 1000000000ull

static uint64_t parse(const char *text)
{
    uint64_t ns;
    return when_parse(text, NOW, &ns) ? ns : 0;
}

TEST(words_and_durations_count_from_now)
{
    CHECK(parse("now") == NOW);
    CHECK(parse("-2h") == NOW - 7200 * SECOND);
    CHECK(parse("-1h30m") == NOW - 5400 * SECOND);
    CHECK(parse("-500ms") == NOW - SECOND / 2);
    CHECK(parse("+1d") == NOW + 86400 * SECOND);
    CHECK(parse("-2w") == NOW - 14 * 86400 * SECOND);
}

TEST(dates_are_utc_unless_they_say_otherwise)
{
    CHECK(parse("2023-11-14T22:13:20Z") == NOW);
    CHECK(parse("2023-11-14T22:13:20") == NOW);
    CHECK(parse("2023-11-14 22:13:20.25Z") == NOW + SECOND / 4);
    CHECK(parse("2023-11-14T23:13:20+01:00") == NOW);
    CHECK(parse("2023-11-14T16:43:20-05:30") == NOW);
    CHECK(parse("2023-11-14") == NOW - (22 * 3600 + 13 * 60 + 20) * SECOND);
    CHECK(parse("@1700000000") == NOW && parse("@1700000000.000000001") == NOW + 1);
    CHECK(parse("1700000000000000000") == NOW);
}

TEST(a_length_of_time_stands_alone)
{
    uint64_t s;
    CHECK(when_seconds("90s", &s) && s == 90);
    CHECK(when_seconds("1h30m", &s) && s == 5400);
    static const char *const wrong[] = {
        "", "h", "90", "-1h", "1h ", "1x", "0s", "1500ms", "99999999999999w"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK(!when_seconds(wrong[i], &s));
}

TEST(garbage_is_no_time)
{
    static const char *const wrong[] = {"",
                                        "yesterday",
                                        "-",
                                        "-2",
                                        "-2x",
                                        "-2hh",
                                        "2h",
                                        "-99999999999999w",
                                        "@",
                                        "@1.",
                                        "12a",
                                        "2023-13-01",
                                        "2023-11-14T",
                                        "2023-11-14T22:13:20+1",
                                        "2023-11-14T22:13:20+25:00",
                                        "1969-12-31",
                                        "99999999999999999999999",
                                        "2023-11-14x"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK(parse(wrong[i]) == 0);
}

TEST_MAIN(T(a_length_of_time_stands_alone), T(words_and_durations_count_from_now),
          T(dates_are_utc_unless_they_say_otherwise), T(garbage_is_no_time))
