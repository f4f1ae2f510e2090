/* An effect change by change, and parts that do not agree. */
#include "tests/unit/apply_kit.h"

#include "storage/told.h"

static uint32_t count_told(const struct effect *effect, enum err *end)
{
    struct told told;
    uint32_t count = 0;
    told_begin(&told, effect);
    while (told_next(&told)) {
        assert_int_equal(told.id, effect->first_id + count);
        assert_int_equal(told.link.tag_count, told.change.tags.count);
        count++;
    }
    *end = told_end(&told);
    return count;
}

static void each_change_has_its_place(void **state)
{
    struct bench bench;
    enum err end;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 1, "tag", "one");
    assert_int_equal(count_told(&bench.effect, &end), 1);
    assert_int_equal(end, ERR_NONE);
    put(&bench, 2, 3, "tag", "three");
    struct told told;
    told_begin(&told, &bench.effect);
    for (uint64_t id = 2; id <= 4; id++) {
        assert_true(told_next(&told));
        assert_int_equal(told.id, id);
        assert_int_equal(told.ts, bench.effect.ts);
        assert_int_equal(load_u64(told.link.previous), id - 1);
        assert_int_equal(told_end(&told), id == 4 ? ERR_NONE : ERR_CORRUPT);
    }
    assert_memory_equal(told.link.hash, bench.apply.at.hash, HASH_SIZE);
    assert_false(told_next(&told));
    assert_int_equal(told_end(&told), ERR_NONE);
    bench_close(&bench);
}

static void parts_that_do_not_agree_are_found(void **state)
{
    struct bench bench;
    enum err end;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 3, "tag", "three");
    const struct effect whole = bench.effect;
    size_t link = whole.links.size / 3;
    struct effect odd = whole;
    odd.last_id++;
    assert_int_equal(count_told(&odd, &end), 3);
    assert_int_equal(end, ERR_CORRUPT);
    odd = whole;
    odd.links.size -= link; /* a change without its link */
    assert_int_equal(count_told(&odd, &end), 2);
    assert_int_equal(end, ERR_CORRUPT);
    odd = whole;
    odd.links.size--; /* cut short */
    assert_int_equal(count_told(&odd, &end), 2);
    assert_int_equal(end, ERR_CORRUPT);
    struct bytes more = {0};
    bytes_append_span(&more, whole.links);
    bytes_append(&more, whole.links.data, link); /* a link without its change */
    odd = whole;
    odd.links = bytes_span(&more);
    assert_int_equal(count_told(&odd, &end), 3);
    assert_int_equal(end, ERR_CORRUPT);
    bytes_close(&more);
    const uint64_t none[8] = {0};
    uint16_t tags = load_u16(whole.links.data + HASH_SIZE);
    for (uint32_t i = 0; i < 3; i++) /* the second of other tags */
        effect_link_append(&more, whole.links.data, none, i == 1 ? tags + 1 : tags);
    odd.links = bytes_span(&more);
    assert_int_equal(count_told(&odd, &end), 1);
    assert_int_equal(end, ERR_CORRUPT);
    bytes_close(&more);
    odd = whole;
    odd.body = SPAN("no body", 7);
    assert_int_equal(count_told(&odd, &end), 0);
    assert_int_equal(end, ERR_CORRUPT);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_has_its_place),
        cmocka_unit_test(parts_that_do_not_agree_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
