/* endpoints_test.c - which node is asked. */
#include "client/endpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECK(condition) assert_true(condition)

static struct endpoints three_ready(void)
{
    struct endpoints endpoints;
    endpoints_begin(&endpoints, 3, 0);
    for (uint32_t slot = 0; slot < 3; slot++)
        endpoints_ready(&endpoints, slot);
    return endpoints;
}

static void nothing_is_chosen_before_a_hello(void **state)
{
    struct endpoints endpoints;
    uint32_t slot;
    endpoints_begin(&endpoints, 2, 0);
    CHECK(!endpoints_choose(&endpoints, false, 2, &slot));
    CHECK(endpoints_hello_due(&endpoints, 0, 5) == 0);
    endpoints_hello_sent(&endpoints, 0, 5);
    CHECK(endpoints_hello_due(&endpoints, 0, 5) == 1);
    CHECK(endpoints_hello_due(&endpoints, 0, 5 + ENDPOINTS_HELLO_MS) == 0);
    endpoints_ready(&endpoints, 1);
    CHECK(endpoints_choose(&endpoints, false, 2, &slot) && slot == 1);
}

static void one_node_stays_until_it_is_avoided(void **state)
{
    struct endpoints endpoints = three_ready();
    uint32_t slot;
    CHECK(endpoints_choose(&endpoints, false, 3, &slot) && slot == 0);
    CHECK(endpoints_choose(&endpoints, false, 3, &slot) && slot == 0);
    CHECK(endpoints_choose(&endpoints, false, 0, &slot) && slot == 1);
    CHECK(endpoints_choose(&endpoints, false, 3, &slot) && slot == 1);
}

static void spreading_takes_turns(void **state)
{
    struct endpoints endpoints = three_ready();
    uint32_t slot, seen[3] = {0};
    for (int i = 0; i < 30; i++) {
        CHECK(endpoints_choose(&endpoints, true, 3, &slot));
        seen[slot]++;
    }
    CHECK(seen[0] == 10 && seen[1] == 10 && seen[2] == 10);
}

static void a_silent_node_is_out_until_its_hello(void **state)
{
    struct endpoints endpoints = three_ready();
    uint32_t slot;
    endpoints_silent(&endpoints, 0, 100);
    CHECK(endpoints_choose(&endpoints, false, 3, &slot) && slot == 1);
    CHECK(endpoints_hello_due(&endpoints, 0, 100) == 0);
    endpoints_ready(&endpoints, 0);
    endpoints_silent(&endpoints, 1, 100);
    endpoints_silent(&endpoints, 2, 100);
    CHECK(endpoints_choose(&endpoints, false, 3, &slot) && slot == 0);
}

static void an_avoided_node_is_taken_if_it_is_alone(void **state)
{
    struct endpoints endpoints = three_ready();
    uint32_t slot;
    endpoints_silent(&endpoints, 1, 0);
    endpoints_silent(&endpoints, 2, 0);
    CHECK(endpoints_choose(&endpoints, false, 0, &slot) && slot == 0);
}

static void a_foreign_node_is_never_used(void **state)
{
    struct endpoints endpoints;
    uint32_t slot;
    endpoints_begin(&endpoints, 1, 0);
    endpoints_foreign(&endpoints, 0);
    endpoints_ready(&endpoints, 0);
    CHECK(!endpoints_choose(&endpoints, false, 1, &slot));
    CHECK(endpoints_hello_due(&endpoints, 0, 1000) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_chosen_before_a_hello),
        cmocka_unit_test(one_node_stays_until_it_is_avoided),
        cmocka_unit_test(spreading_takes_turns),
        cmocka_unit_test(a_silent_node_is_out_until_its_hello),
        cmocka_unit_test(an_avoided_node_is_taken_if_it_is_alone),
        cmocka_unit_test(a_foreign_node_is_never_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
