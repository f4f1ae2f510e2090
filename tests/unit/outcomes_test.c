/* outcomes, overlay and backlog: the tables in memory under view. */
#include "storage/outcomes.h"

#include "log_kit.h"
#include "storage/backlog.h"
#include "storage/overlay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool has(const struct outcomes *outcomes, uint64_t print, uint64_t wanted)
{
    uint64_t index;
    uint32_t cursor = 0;
    while (outcomes_next(outcomes, print, &cursor, &index)) {
        if (index == wanted)
            return true;
    }
    return false;
}

static void a_table_keeps_the_window_and_nothing_else(void **state)
{
    struct outcomes outcomes = {0};
    uint64_t floor = 0;
    outcomes_open(&outcomes, (const uint8_t[16]){1});
    outcomes.max = 1500;
    for (uint64_t i = 1; i <= 20000; i++) {
        outcomes_add(&outcomes, i % 700, i, i * 10); /* prints collide on purpose */
        floor = outcomes_expire(&outcomes, floor, i * 10);
        if (i % 977 != 0 || i < 3000)
            continue;
        assert_int_equal(outcomes_count(&outcomes), 1500);
        assert_int_equal(floor, (i - 1500) * 10 + 1);
        for (uint64_t back = 0; back < 1500; back++)
            assert_true(has(&outcomes, (i - back) % 700, i - back));
        assert_false(has(&outcomes, (i - 1500) % 700, i - 1500));
        assert_false(has(&outcomes, i % 700 | UINT64_C(1) << 60, i)); /* alike but for its top */
    }
    outcomes_close(&outcomes);
}

static void room_that_was_made_before_loses_nothing(void **state)
{
    struct outcomes outcomes = {0};
    outcomes_open(&outcomes, (const uint8_t[16]){1});
    outcomes.max = 5000;
    outcomes_add(&outcomes, 3, 1, 10);
    outcomes_expect(&outcomes, 4000);
    assert_int_equal(outcomes.ring_size, 4096);
    for (uint64_t i = 2; i <= 4096; i++)
        outcomes_add(&outcomes, i % 700, i, i * 10);
    assert_int_equal(outcomes.ring_size, 4096);
    assert_true(has(&outcomes, 3, 1));
    assert_true(has(&outcomes, 4096 % 700, 4096));
    outcomes_expect(&outcomes, 10);         /* never less than there is */
    outcomes_expect(&outcomes, UINT64_MAX); /* nor more than the window */
    assert_int_equal(outcomes.ring_size, 1 << 19);
    assert_int_equal(outcomes_count(&outcomes), 4096);
    for (uint64_t i = 2; i <= 4096; i++)
        assert_true(has(&outcomes, i % 700, i));
    outcomes_close(&outcomes);
}

/* Who tells a log anew without its state keeps every print: more than the window holds. */
static void a_table_that_nothing_leaves_grows_on(void **state)
{
    enum { ROWS = 4300000, TOGETHER = 100 };
    struct outcomes outcomes = {0};
    outcomes_open(&outcomes, (const uint8_t[16]){1});
    for (uint64_t i = 1; i <= ROWS; i += TOGETHER) {
        struct outcome_key rows[TOGETHER];
        for (uint64_t j = 0; j < TOGETHER; j++)
            rows[j] = (struct outcome_key){(i + j) * 0x9e3779b97f4a7c15u, i + j, i + j};
        outcomes_add_all(&outcomes, rows, TOGETHER);
    }
    assert_int_equal(outcomes_count(&outcomes), ROWS);
    for (uint64_t i = 1; i <= ROWS; i += 1009)
        assert_true(has(&outcomes, i * 0x9e3779b97f4a7c15u, i));
    assert_false(has(&outcomes, UINT64_C(ROWS + 1) * 0x9e3779b97f4a7c15u, ROWS + 1));
    outcomes.max = ROWS;
    assert_int_equal(outcomes_expire(&outcomes, ROWS / 2, ROWS), ROWS / 2);
    assert_int_equal(outcomes_count(&outcomes), ROWS / 2 + 1);
    for (uint64_t i = 1; i <= ROWS; i += 1009)
        assert_int_equal(has(&outcomes, i * 0x9e3779b97f4a7c15u, i), i >= ROWS / 2);
    outcomes_close(&outcomes);
}

static void the_floor_never_falls(void **state)
{
    struct outcomes outcomes = {0};
    outcomes_open(&outcomes, (const uint8_t[16]){1});
    assert_int_equal(outcomes_expire(&outcomes, 500, 10), 500);
    assert_int_equal(outcomes_expire(&outcomes, 500, OUTCOMES_AGE_NS + 600), 600);
    outcomes_close(&outcomes);
}

static void an_overlay_forgets_what_is_written(void **state)
{
    struct overlay overlay = {0};
    for (uint64_t i = 1; i <= 5000; i++) {
        struct outcome outcome = {.index = i * 2, .first_id = i};
        overlay_add(&overlay, &outcome);
        if (i % 500 == 0)
            overlay_drop(&overlay, (i - 100) * 2);
    }
    assert_int_equal(overlay_count(&overlay), 100);
    assert_null(overlay_find(&overlay, 4900 * 2));
    assert_null(overlay_find(&overlay, 4901 * 2 + 1));
    assert_int_equal(overlay_find(&overlay, 4901 * 2)->first_id, 4901);
    overlay_close(&overlay);
}

/* ---- backlog -------------------------------------------------------------------------------- */

static enum err disk_term(void *owner, uint64_t index, uint64_t *term)
{
    *term = *(uint64_t *)owner;
    return ERR_NONE;
}

static void store(struct backlog *backlog, uint64_t first, uint64_t count, uint64_t term,
                  enum err expected)
{
    struct log_kit kit = {.last = first - 1, .term = term};
    for (uint64_t i = 0; i < count; i++)
        kit_noop(&kit);
    struct blob *blob = blob_copy(bytes_span(&kit.records));
    assert_int_equal(backlog_store(backlog, blob, first), expected);
    blob_release(blob);
    kit_close(&kit);
}

static uint64_t target_of(struct backlog *backlog)
{
    uint64_t term = 3, target;
    const struct backlog_source source = {disk_term, &term};
    assert_int_equal(backlog_target(backlog, &source, &target), ERR_NONE);
    return target;
}

static void only_a_vouched_and_stored_entry_is_a_target(void **state)
{
    struct backlog backlog = {0};
    backlog_open(&backlog, 0);
    store(&backlog, 1, 10, 5, ERR_NONE);
    assert_int_equal(target_of(&backlog), 0);
    backlog_vouch(&backlog, 4, 5);
    backlog_vouch(&backlog, 8, 6);  /* another term than the stored one */
    backlog_vouch(&backlog, 12, 5); /* not stored */
    assert_int_equal(target_of(&backlog), 4);
    backlog_applied(&backlog, 4);
    assert_int_equal(target_of(&backlog), 4);
    store(&backlog, 7, 6, 6, ERR_NONE); /* a new leader replaces 7 and above */
    assert_int_equal(backlog_last(&backlog), 12);
    assert_int_equal(target_of(&backlog), 8); /* 12 bears term 6 now, not 5 */
    backlog_vouch(&backlog, 12, 6);
    assert_int_equal(target_of(&backlog), 12);
    store(&backlog, 4, 1, 7, ERR_CORRUPT);  /* applied */
    store(&backlog, 14, 1, 7, ERR_CORRUPT); /* a hole */
    backlog_close(&backlog);
}

static void entries_on_disk_are_asked_for_their_term(void **state)
{
    struct backlog backlog = {0};
    struct span record;
    backlog_open(&backlog, 20);
    backlog_applied(&backlog, 5);
    backlog_vouch(&backlog, 15, 2);
    assert_int_equal(target_of(&backlog), 5);
    backlog_vouch(&backlog, 15, 3);
    assert_int_equal(target_of(&backlog), 15);
    store(&backlog, 18, 5, 4, ERR_NONE);
    assert_int_equal(backlog_last(&backlog), 22);
    assert_false(backlog_record(&backlog, 17, &record));
    assert_true(backlog_record(&backlog, 18, &record));
    backlog_applied(&backlog, 19);
    assert_false(backlog_record(&backlog, 19, &record));
    assert_true(backlog_record(&backlog, 20, &record));
    backlog_close(&backlog);
}

static void pairs_are_bounded(void **state)
{
    struct backlog backlog = {0};
    backlog_open(&backlog, 0);
    for (uint64_t i = 1; i <= 500; i++)
        backlog_vouch(&backlog, i, 9);
    assert_true(backlog.pair_count <= BACKLOG_PAIRS_MAX);
    store(&backlog, 1, 500, 9, ERR_NONE);
    assert_int_equal(target_of(&backlog), 500); /* the newest one is never dropped */
    backlog_close(&backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_keeps_the_window_and_nothing_else),
        cmocka_unit_test(room_that_was_made_before_loses_nothing),
        cmocka_unit_test(a_table_that_nothing_leaves_grows_on),
        cmocka_unit_test(the_floor_never_falls),
        cmocka_unit_test(an_overlay_forgets_what_is_written),
        cmocka_unit_test(only_a_vouched_and_stored_entry_is_a_target),
        cmocka_unit_test(entries_on_disk_are_asked_for_their_term),
        cmocka_unit_test(pairs_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
