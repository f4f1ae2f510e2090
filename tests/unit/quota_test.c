/* quota: what comes in under a bound, what waits and for how long; by tag and by path, each rule
 * for itself, a put as a whole. */
#include "api/quota.h"

#include "test.h"

#include <stdio.h>

#define SAME RULE_UNCHANGED

static struct bytes body;

/* A put of `count` changes with the tags; its bytes beside those of an empty put. */
static struct span put_of(uint32_t count, const char *tag, const char *other, uint32_t data_size)
{
    static uint8_t data[8192];
    bytes_clear(&body);
    change_body_begin(&body, count);
    for (uint32_t i = 0; i < count; i++) {
        struct change change = {.data = SPAN(data, data_size)};
        change.tags.at[change.tags.count++] = SPAN_TEXT(tag);
        if (other != NULL)
            change.tags.at[change.tags.count++] = SPAN_TEXT(other);
        change_body_add(&body, &change);
    }
    return bytes_span(&body);
}

static void add_rule(struct rules *rules, const char *tag, uint64_t changes_s, uint64_t bytes_s)
{
    SCOPED(bytes) wish = {0};
    rules_encode_body(SPAN_TEXT(tag), 1, changes_s, bytes_s, &wish);
    CHECK(rules_change(rules, bytes_span(&wish)) == ERR_NONE);
}

static uint64_t wait_ms;

static bool admit(struct quota *quota, uint32_t count, const char *tag, uint64_t now_ms)
{
    return quota_admit(quota, put_of(count, tag, NULL, 10), false, now_ms, &wait_ms);
}

/* As one that has waited. */
static bool admit_again(struct quota *quota, uint32_t count, const char *tag, uint64_t now_ms)
{
    return quota_admit(quota, put_of(count, tag, NULL, 10), true, now_ms, &wait_ms);
}

/* How many puts of one change come in, tried every millisecond. */
static uint32_t come_in(struct quota *quota, const char *tag, uint64_t from_ms, uint64_t to_ms)
{
    uint32_t count = 0;
    for (uint64_t now_ms = from_ms; now_ms < to_ms; now_ms++)
        while (admit_again(quota, 1, tag, now_ms))
            count++;
    return count;
}

TEST(without_a_bound_everything_comes_in)
{
    struct quota quota = {0};
    struct rules rules = {0};
    CHECK(quota_admit(&quota, put_of(1000, "a", NULL, 1), false, 1, &wait_ms));
    add_rule(&rules, "a", 0, 0); /* kept for a second, and nothing else */
    quota_follow(&quota, &rules, 1);
    CHECK(!quota.bounded && quota_admit(&quota, put_of(1000, "a", NULL, 1), false, 1, &wait_ms));
}

TEST(so_many_changes_come_in_a_second_and_no_more)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 100, 0);
    quota_follow(&quota, &rules, 5000);
    CHECK(come_in(&quota, "a", 5000, 5001) == 100); /* at once */
    CHECK(strstr(quota.detail, "tag a:") != NULL && strstr(quota.detail, "100 changes") != NULL);
    CHECK(wait_ms == QUOTA_WAIT_MIN_MS);
    CHECK(come_in(&quota, "a", 5001, 6001) == 100);
    uint32_t later = come_in(&quota, "a", 9000, 14000);
    CHECK(later >= 599 && later <= 601); /* a full bucket, and five seconds */
}

TEST(bytes_are_counted_as_they_were_sent)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 0, 10000);
    quota_follow(&quota, &rules, 1000);
    size_t size = put_of(1, "a", NULL, 2000).size;
    uint32_t count = 0;
    while (quota_admit(&quota, put_of(1, "a", NULL, 2000), false, 1000, &wait_ms))
        count++;
    CHECK(count == 5 && size > 2000); /* the fifth found something left */
    CHECK(strstr(quota.detail, "10000 bytes") != NULL);
}

/* It could never come in otherwise; the next one pays for it. */
TEST(a_put_that_is_larger_than_a_second_comes_in_whole)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 10, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(admit(&quota, 40, "a", 1000));
    CHECK(!admit(&quota, 1, "a", 1000));
    CHECK(wait_ms == 3001); /* thirty too many */
    CHECK(!admit_again(&quota, 1, "a", 4000) && admit_again(&quota, 1, "a", 4001));
    CHECK(admit_again(&quota, 1000, "a", 6000) && !admit(&quota, 1, "a", 6000));
    CHECK(wait_ms == QUOTA_WAIT_MAX_MS);
}

/* Sixty that were refused at once come back one by one, and each finds what it needs. */
TEST(who_waits_has_a_turn_of_its_own)
{
    struct quota quota = {0};
    struct rules rules = {0};
    uint64_t turn_ms[60], last_ms = 0;
    add_rule(&rules, "a", 100, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "a", 1000, 1001) == 100); /* one was refused, and has the first turn */
    for (uint32_t i = 0; i < COUNT_OF(turn_ms); i++) {
        CHECK(!admit(&quota, 1, "a", 1000));
        turn_ms[i] = 1000 + wait_ms;
        CHECK(wait_ms == (i < 4 ? QUOTA_WAIT_MIN_MS : 10 * i + 11));
    }
    CHECK(!admit(&quota, 1, "a", 1050));      /* who comes new does not pass them by */
    CHECK(admit_again(&quota, 1, "a", 1050)); /* the first */
    for (uint32_t i = 0; i < COUNT_OF(turn_ms); i++) {
        CHECK(turn_ms[i] >= last_ms && admit_again(&quota, 1, "a", turn_ms[i]));
        last_ms = turn_ms[i];
    }
    CHECK(!admit_again(&quota, 1, "a", last_ms)); /* and nothing is left for another one */
}

TEST(who_was_told_a_turn_and_does_not_come_holds_nobody_up)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 10, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "a", 1000, 1001) == 10);
    for (uint32_t i = 0; i < 10000; i++)
        CHECK(!admit(&quota, 1, "a", 1000) && wait_ms <= QUOTA_WAIT_MAX_MS);
    CHECK(wait_ms == QUOTA_WAIT_MAX_MS);
    CHECK(!admit(&quota, 1, "a", 1900) &&
          admit(&quota, 1, "a", 2001)); /* a second's worth lay idle */
}

/* As 64 threads that each wait for their put do, with a library that gives up after half a minute:
 * all get in, in turn, as long as the turn comes before that. */
TEST(nobody_waits_in_vain_while_others_pass)
{
    struct quota quota = {0};
    struct rules rules = {0};
    struct {
        uint64_t since_ms, due_ms;
        bool again;
    } writers[64] = {0};
    uint32_t done = 0;
    add_rule(&rules, "a", 3, 0);
    quota_follow(&quota, &rules, 0);
    for (uint64_t now_ms = 0; now_ms < 300000; now_ms++)
        for (size_t i = 0; i < COUNT_OF(writers); i++) {
            if (writers[i].due_ms > now_ms)
                continue;
            CHECK(now_ms - writers[i].since_ms < 30000);
            bool in =
                quota_admit(&quota, put_of(1, "a", NULL, 10), writers[i].again, now_ms, &wait_ms);
            done += in;
            writers[i].since_ms = in ? now_ms : writers[i].since_ms;
            writers[i].due_ms = in ? now_ms + 1 : now_ms + wait_ms;
            writers[i].again = !in;
        }
    CHECK(done >= 3 * 298 && done <= 3 * 301);
}

TEST(what_did_not_come_in_is_given_back)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 100, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(admit(&quota, 500, "a", 1000));
    quota_refund(&quota, put_of(500, "a", NULL, 10));
    CHECK(come_in(&quota, "a", 1000, 1001) == 100);
    for (uint32_t i = 0; i < 10; i++)
        quota_refund(&quota, put_of(500, "a", NULL, 10)); /* never more than a second's worth */
    CHECK(come_in(&quota, "a", 1000, 1001) == 100);
}

TEST(a_put_that_was_let_in_may_come_once_more)
{
    struct quota quota = {0};
    CHECK(!quota_knows(&quota, 0) && !quota_knows(&quota, 77));
    quota_note(&quota, 77);
    quota_note(&quota, 78);
    CHECK(quota_knows(&quota, 77) && !quota_knows(&quota, 77) && quota_knows(&quota, 78));
    quota_note(&quota, 5);
    quota_note(&quota, 5 + QUOTA_KNOWN);
    CHECK(!quota_knows(&quota, 5) && quota_knows(&quota, 5 + QUOTA_KNOWN));
}

TEST(each_rule_counts_for_itself)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "coke/*", 10, 0);
    add_rule(&rules, "pepsi/*", 20, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "coke/a", 1000, 1001) == 10);
    CHECK(!admit(&quota, 1, "coke/b/c", 1000)); /* all below the path are one */
    for (uint32_t i = 0; i < 1000; i++)
        CHECK(admit(&quota, 1, "coke", 1000) && admit(&quota, 1, "fanta/a", 1000));
    CHECK(!quota_admit(&quota, put_of(1, "pepsi/a", "coke/x", 1), false, 1000, &wait_ms));
    CHECK(come_in(&quota, "pepsi/a", 1000, 1001) == 20); /* what was refused took nothing */
}

/* Both bounds of one rule, and both of two that concern a put. */
TEST(the_tightest_bound_decides)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a/*", 1000, 0);
    add_rule(&rules, "a/b", 5, 1000000);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "a/b", 1000, 1001) == 5);
    CHECK(strstr(quota.detail, "a/b") != NULL);
    CHECK(come_in(&quota, "a/c", 1000, 1001) == 995);
}

TEST(only_other_rules_fill_the_buckets)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "a", 10, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "a", 1000, 1001) == 10);
    quota_follow(&quota, &rules, 1000);
    CHECK(!admit(&quota, 1, "a", 1000));
    add_rule(&rules, "a", 15, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(come_in(&quota, "a", 1000, 1001) == 15);
    add_rule(&rules, "a", 0, 0);
    quota_follow(&quota, &rules, 1000);
    CHECK(!quota.bounded && admit(&quota, 1, "a", 1000));
}

/* The largest bounds, the smallest, and a clock that stands for a year. */
TEST(no_number_is_too_large)
{
    struct quota quota = {0};
    struct rules rules = {0};
    add_rule(&rules, "large", RULE_RATE_MAX, RULE_RATE_MAX);
    add_rule(&rules, "small", 1, 1);
    quota_follow(&quota, &rules, 1000);
    for (uint64_t now_ms = 1000; now_ms < UINT64_C(1) << 62; now_ms *= 3) {
        CHECK(admit(&quota, 1024, "large", now_ms));
        CHECK(admit(&quota, 1, "small", now_ms) || now_ms < 100000);
    }
}

TEST_MAIN(T(without_a_bound_everything_comes_in), T(so_many_changes_come_in_a_second_and_no_more),
          T(bytes_are_counted_as_they_were_sent),
          T(a_put_that_is_larger_than_a_second_comes_in_whole), T(who_waits_has_a_turn_of_its_own),
          T(who_was_told_a_turn_and_does_not_come_holds_nobody_up),
          T(nobody_waits_in_vain_while_others_pass), T(what_did_not_come_in_is_given_back),
          T(a_put_that_was_let_in_may_come_once_more), T(each_rule_counts_for_itself),
          T(the_tightest_bound_decides), T(only_other_rules_fill_the_buckets),
          T(no_number_is_too_large))
