/* restart_test.c - start in order, stop in reverse, back off, give up. */
#include "supervisor/restart.h"

#include "common/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { STORAGE, CONSENSUS, DISCOVERY, API, CHILDREN };

static const struct restart_rules rules = {.budget = 5,
                                           .window_ms = 60000,
                                           .delay_first_ms = 50,
                                           .delay_max_ms = 5000,
                                           .healthy_ms = 3000,
                                           .ready_ms = 10000,
                                           .silent_ms = 30000,
                                           .stop_ms = 5000};

static struct restart node;
static struct restart_outputs out;
static uint64_t now_ms;

static void feed(enum restart_input_kind kind, uint32_t child, int code)
{
    struct restart_input in = {.kind = kind, .now_ms = now_ms, .child = child, .code = code};
    restart_step(&node, &in, &out);
}

static void expect(uint32_t slot, enum restart_output_kind kind, uint32_t child)
{
    assert_true(slot < out.count);
    assert_int_equal(out.at[slot].kind, kind);
    assert_int_equal(out.at[slot].child, child);
}

static void start_all(void)
{
    now_ms = 1000000;
    restart_open(&node, &rules, CHILDREN, 4711);
    feed(RESTART_BEGIN, 0, 0);
    for (uint32_t child = 0; child < CHILDREN; child++)
        feed(RESTART_READY, child, 0);
    assert_int_equal(node.mode, MODE_UP);
}

static void each_child_waits_for_the_one_before(void **state)
{
    now_ms = 1;
    restart_open(&node, &rules, CHILDREN, 1);
    feed(RESTART_BEGIN, 0, 0);
    assert_int_equal(out.count, 1);
    expect(0, RESTART_SPAWN, STORAGE);
    for (uint32_t child = 0; child + 1 < CHILDREN; child++) {
        feed(RESTART_READY, child, 0);
        assert_int_equal(out.count, 1);
        expect(0, RESTART_SPAWN, child + 1);
    }
    feed(RESTART_READY, API, 0);
    expect(0, RESTART_UP, 0);
}

static void a_child_that_is_not_ready_in_time_is_killed_and_tried_again(void **state)
{
    now_ms = 1000;
    restart_open(&node, &rules, CHILDREN, 1);
    feed(RESTART_BEGIN, 0, 0);
    for (int i = 0; i < 9; i++) {
        now_ms += 1000;
        feed(RESTART_TICK, 0, 0);
        assert_int_equal(out.count, 0);
    }
    now_ms += 1000;
    feed(RESTART_TICK, 0, 0);
    expect(0, RESTART_KILL, STORAGE);
    feed(RESTART_DIED, STORAGE, 137);
    expect(0, RESTART_WAIT, STORAGE);
    now_ms = restart_due_ms(&node);
    feed(RESTART_TICK, 0, 0);
    expect(0, RESTART_SPAWN, STORAGE);
}

static void after_a_healthy_life_the_restart_is_immediate(void **state)
{
    start_all();
    now_ms += rules.healthy_ms;
    feed(RESTART_DIED, CONSENSUS, 137);
    expect(0, RESTART_WAIT, CONSENSUS);
    assert_int_equal(out.at[0].delay_ms, 0);
    expect(1, RESTART_SPAWN, CONSENSUS);
    feed(RESTART_READY, CONSENSUS, 0);
    assert_int_equal(out.count, 0); /* nobody else is started again */
}

static void early_deaths_double_the_delay_with_jitter(void **state)
{
    start_all();
    for (uint64_t full = 50, i = 0; i < 5; i++, full *= 2) {
        feed(RESTART_DIED, API, 111);
        expect(0, RESTART_WAIT, API);
        assert_true(out.at[0].delay_ms <= full);
        assert_true(out.at[0].delay_ms >= full - full / 4);
        now_ms += out.at[0].delay_ms - 1;
        feed(RESTART_TICK, 0, 0);
        assert_int_equal(out.count, 0);
        now_ms += 1;
        feed(RESTART_TICK, 0, 0);
        expect(0, RESTART_SPAWN, API);
        feed(RESTART_READY, API, 0);
    }
}

static void die_healthy(uint32_t child, uint64_t pause_ms)
{
    for (uint64_t slept = 0; slept < pause_ms; slept += 1000) {
        now_ms += 1000;
        feed(RESTART_TICK, 0, 0);
    }
    feed(RESTART_DIED, child, 137);
}

static void the_sixth_death_in_a_minute_stops_the_node(void **state)
{
    start_all();
    for (int i = 0; i < 5; i++) {
        die_healthy(STORAGE, 4000);
        expect(1, RESTART_SPAWN, STORAGE);
        feed(RESTART_READY, STORAGE, 0);
    }
    die_healthy(STORAGE, 4000);
    expect(0, RESTART_GIVE_UP, STORAGE);
    assert_int_equal(out.at[0].code, EXIT_RETRY);
    expect(1, RESTART_TERM, API);
}

static void deaths_spread_over_time_are_forgiven(void **state)
{
    start_all();
    for (int i = 0; i < 200; i++) {
        die_healthy(STORAGE, 13000);
        expect(1, RESTART_SPAWN, STORAGE);
        feed(RESTART_READY, STORAGE, 0);
    }
}

static void stop_all(int code)
{
    for (uint32_t child = CHILDREN; child-- > 1;) {
        if (node.children[child].phase != CHILD_ENDING)
            continue;
        feed(RESTART_DIED, child, 0);
        expect(0, RESTART_TERM, child - 1);
    }
    feed(RESTART_DIED, STORAGE, 0);
    expect(0, RESTART_END, 0);
    assert_int_equal(out.at[0].code, code);
}

static void stopping_goes_backwards_one_by_one(void **state)
{
    start_all();
    feed(RESTART_STOP, 0, 0);
    assert_int_equal(out.count, 1);
    expect(0, RESTART_TERM, API);
    feed(RESTART_STOP, 0, 0);
    assert_int_equal(out.count, 0); /* asked twice is asked once */
    stop_all(EXIT_DONE);
}

static void who_does_not_stop_is_killed(void **state)
{
    start_all();
    feed(RESTART_STOP, 0, 0);
    now_ms += rules.stop_ms - 1;
    feed(RESTART_TICK, 0, 0);
    assert_int_equal(out.count, 0);
    now_ms += 1;
    feed(RESTART_TICK, 0, 0);
    expect(0, RESTART_KILL, API);
    feed(RESTART_DIED, API, 137);
    expect(0, RESTART_TERM, DISCOVERY);
}

static void a_wrong_configuration_is_never_tried_again(void **state)
{
    start_all();
    now_ms += 100000;
    feed(RESTART_DIED, DISCOVERY, EXIT_CONFIG);
    expect(0, RESTART_GIVE_UP, DISCOVERY);
    expect(1, RESTART_TERM, API);
    feed(RESTART_DIED, API, 0);
    expect(0, RESTART_TERM, CONSENSUS);
    feed(RESTART_DIED, CONSENSUS, 0);
    feed(RESTART_DIED, STORAGE, 0);
    expect(0, RESTART_END, 0);
    assert_int_equal(out.at[0].code, EXIT_CONFIG);
}

static void corruption_is_never_tried_again(void **state)
{
    start_all();
    feed(RESTART_DIED, STORAGE, EXIT_CORRUPTION);
    expect(0, RESTART_GIVE_UP, STORAGE);
    assert_int_equal(out.at[0].code, EXIT_CORRUPTION);
    assert_int_equal(node.mode, MODE_STOPPING);
}

static void a_storage_error_is_tried_again_and_counted(void **state)
{
    start_all();
    now_ms += 4000;
    feed(RESTART_DIED, STORAGE, EXIT_STORAGE);
    expect(1, RESTART_SPAWN, STORAGE);
    assert_int_equal(node.children[STORAGE].death_count, 1);
}

static void only_who_spoke_before_can_be_silent(void **state)
{
    start_all();
    feed(RESTART_ALIVE, CONSENSUS, 0);
    for (int i = 0; i < 30; i++) {
        now_ms += 1000;
        feed(RESTART_TICK, 0, 0);
    }
    assert_int_equal(out.count, 1);
    expect(0, RESTART_KILL, CONSENSUS);
}

static void a_supervisor_that_slept_forgives_silence(void **state)
{
    start_all();
    feed(RESTART_ALIVE, CONSENSUS, 0);
    now_ms += 3600000;
    feed(RESTART_TICK, 0, 0);
    assert_int_equal(out.count, 0);
}

static void a_stop_during_the_start_ends_what_runs(void **state)
{
    now_ms = 1;
    restart_open(&node, &rules, CHILDREN, 1);
    feed(RESTART_BEGIN, 0, 0);
    feed(RESTART_READY, STORAGE, 0);
    feed(RESTART_STOP, 0, 0);
    expect(0, RESTART_TERM, CONSENSUS);
    feed(RESTART_READY, CONSENSUS, 0); /* too late */
    assert_int_equal(out.count, 0);
    stop_all(EXIT_DONE);
}

/* Any row of inputs keeps the invariants (restart_assert runs in each step) and, once
 * asked to stop, comes to its end. */
static void any_row_of_events_ends_when_asked(void **state)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t x = seed * 0x9E3779B97F4A7C15u;
        now_ms = 1000;
        restart_open(&node, &rules, CHILDREN, seed);
        feed(RESTART_BEGIN, 0, 0);
        for (int i = 0; i < 500 && node.mode != MODE_ENDED; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            now_ms += x % 900;
            uint32_t child = (x >> 20) % CHILDREN;
            bool lives = node.children[child].phase > CHILD_WAITING;
            enum restart_input_kind kind = (x >> 30) % RESTART_INPUT_COUNT;
            if (kind == RESTART_STOP && i < 400)
                kind = RESTART_TICK;
            if (kind == RESTART_DIED && (!lives || (x >> 40) % 4 != 0))
                kind = RESTART_TICK;
            feed(kind, child, 137);
        }
        feed(RESTART_STOP, 0, 0);
        for (int i = 0; i < 2 * CHILDREN && node.mode != MODE_ENDED; i++)
            for (uint32_t child = 0; child < CHILDREN; child++)
                if (node.children[child].phase == CHILD_ENDING)
                    feed(RESTART_DIED, child, 0);
        assert_int_equal(node.mode, MODE_ENDED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_child_waits_for_the_one_before),
        cmocka_unit_test(a_child_that_is_not_ready_in_time_is_killed_and_tried_again),
        cmocka_unit_test(after_a_healthy_life_the_restart_is_immediate),
        cmocka_unit_test(early_deaths_double_the_delay_with_jitter),
        cmocka_unit_test(the_sixth_death_in_a_minute_stops_the_node),
        cmocka_unit_test(deaths_spread_over_time_are_forgiven),
        cmocka_unit_test(stopping_goes_backwards_one_by_one),
        cmocka_unit_test(who_does_not_stop_is_killed),
        cmocka_unit_test(a_wrong_configuration_is_never_tried_again),
        cmocka_unit_test(corruption_is_never_tried_again),
        cmocka_unit_test(a_storage_error_is_tried_again_and_counted),
        cmocka_unit_test(only_who_spoke_before_can_be_silent),
        cmocka_unit_test(a_supervisor_that_slept_forgives_silence),
        cmocka_unit_test(a_stop_during_the_start_ends_what_runs),
        cmocka_unit_test(any_row_of_events_ends_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
