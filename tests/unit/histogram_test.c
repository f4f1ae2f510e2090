/* histogram_test.c - shares of latencies. */
#include "cmd/changeagent/histogram.c" /* the command line is in no archive */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

static void small_values_are_exact(void **state)
{
    struct histogram histogram = {0};
    for (uint64_t value = 1; value <= 60; value++)
        histogram_add(&histogram, value);
    CHECK(histogram_at(&histogram, 0.5) == 30);
    CHECK(histogram_at(&histogram, 1.0) == 60);
    CHECK(histogram.max == 60);
}

static void large_values_are_within_two_percent(void **state)
{
    struct histogram histogram = {0};
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&histogram, value);
    uint64_t p50 = histogram_at(&histogram, 0.5), p99 = histogram_at(&histogram, 0.99);
    CHECK(p50 >= 50000 && p50 <= 51000);
    CHECK(p99 >= 99000 && p99 <= 100000);
}

static void every_value_has_a_bucket(void **state)
{
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t value = (uint64_t)1 << bit;
        CHECK(bucket_of(value) < HISTOGRAM_BUCKETS);
        CHECK(top_of(bucket_of(value)) >= value);
        CHECK(bucket_of(value) == 0 || top_of(bucket_of(value) - 1) < value);
    }
    CHECK(bucket_of(UINT64_MAX) < HISTOGRAM_BUCKETS);
}

static void an_empty_one_says_nothing(void **state)
{
    struct histogram histogram = {0};
    CHECK(histogram_at(&histogram, 0.99) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(large_values_are_within_two_percent),
        cmocka_unit_test(every_value_has_a_bucket),
        cmocka_unit_test(an_empty_one_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
