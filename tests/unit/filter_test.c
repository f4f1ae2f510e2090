/* filter_test.c - tag expressions: any of, all of, none of, and prefixes. */
#include "protocol/filter.h"

#include "tests/unit/test.h"
#include "tests/unit/texts_kit.h"

static bool matches(const char *any, const char *all, const char *none, const char *tags)
{
    struct texts lists[] = {texts_of(any), texts_of(all), texts_of(none), texts_of(tags)};
    struct filter filter = {&lists[0], &lists[1], &lists[2]};
    return filter_matches(&filter, &lists[3]);
}

/* R31: a truth table over three tags. Each of a, b, c is asked for, forbidden, or of no matter;
 * bit n of `has` says that a change bears tag n. */
TEST(a_truth_table_over_three_tags)
{
    static const char *const names[] = {"a ", "b ", "c "};
    for (int wanted = 0; wanted < 64; wanted++) {
        char any[8] = "", all[8] = "", none[8] = "";
        char *const lists[] = {NULL, any, all, none};
        for (int tag = 0; tag < 3; tag++)
            if (wanted >> 2 * tag & 3)
                strcat(lists[wanted >> 2 * tag & 3], names[tag]);
        for (int has = 0; has < 8; has++) {
            char tags[8] = "";
            bool one = any[0] == 0, every = true, no = true;
            for (int tag = 0; tag < 3; tag++) {
                int how = wanted >> 2 * tag & 3;
                bool is = has >> tag & 1;
                if (is)
                    strcat(tags, names[tag]);
                one = one || (how == 1 && is);
                every = every && (how != 2 || is);
                no = no && (how != 3 || !is);
            }
            CHECK(matches(any, all, none, tags) == (one && every && no));
        }
    }
}

TEST(a_prefix_is_everything_below_and_nothing_beside)
{
    CHECK(matches("coke/*", "", "", "coke/deployments"));
    CHECK(matches("coke/*", "", "", "x coke/a/b"));
    CHECK(matches("coke/*", "", "", "coke/"));
    CHECK(!matches("coke/*", "", "", "coke"));
    CHECK(!matches("coke/*", "", "", "coke2/a cokes pepsi/coke/a"));
    CHECK(matches("", "coke/*", "", "coke/b"));
    CHECK(!matches("", "", "coke/*", "coke/b other"));
    CHECK(matches("", "", "coke/*", "coke other"));
    CHECK(matches("*", "", "", "*") && !matches("*", "", "", "a")); /* a star alone is a tag */
}

TEST(terms_that_no_tag_can_fit_are_refused)
{
    const char *detail = NULL;
    struct texts empty = {0}, good = texts_of("a b/*"), bad = {.at = {SPAN("", 0)}, .count = 1};
    static char longest[FILTER_TAG_MAX + 1];
    memset(longest, 'x', sizeof longest);
    struct filter filter = {&good, &empty, &empty};
    CHECK(filter_check(&filter, &detail) == ERR_NONE && !filter_is_empty(&filter));
    filter.any = &empty;
    CHECK(filter_is_empty(&filter));
    filter.none = &bad;
    CHECK(filter_check(&filter, &detail) == ERR_BAD_REQUEST && detail != NULL);
    bad.at[0] = SPAN("a\0b", 3);
    CHECK(filter_check(&filter, &detail) == ERR_BAD_REQUEST);
    bad.at[0] = SPAN(longest, sizeof longest);
    CHECK(filter_check(&filter, &detail) == ERR_BAD_REQUEST);
    bad.at[0].size--;
    CHECK(filter_check(&filter, &detail) == ERR_NONE);
}

TEST_MAIN(T(a_truth_table_over_three_tags), T(a_prefix_is_everything_below_and_nothing_beside),
          T(terms_that_no_tag_can_fit_are_refused))
