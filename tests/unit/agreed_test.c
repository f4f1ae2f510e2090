/* agreed: settings, cuts, holders and rules change by the log alone, the same everywhere; and the
 * mark that keeps them comes back from its bytes. */
#include "apply_kit.h"
#include "protocol/wire.h"
#include "storage/retention.h"
#include "storage/statemark.h"

/* An entry that changes one setting. */
static enum err set(struct bench *bench, uint64_t txid, const char *name, uint64_t value)
{
    struct bytes body = {0};
    struct entry entry = {.kind = ENTRY_SETTINGS, .born = bench->apply.at.ts};
    wire_pack_map(&body, 1);
    wire_pack_counter(&body, name, value);
    entry.body = bytes_span(&body);
    kit_txid(txid, entry.txid);
    assert_int_equal(run(bench, kit_append(&bench->kit, &entry)), ERR_NONE);
    bytes_close(&body);
    return bench->effect.err;
}

static void settings_change_by_the_log_and_limit_what_comes_after(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 2, "a", "x");
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(set(&bench, 2, "limits.changes", 1), ERR_NONE);
    assert_int_equal(bench.effect.change_count, 0);
    assert_false(apply_is_commit(&bench.effect));
    assert_int_equal(bench.apply.at.settings_index, 3);
    assert_int_equal(bench.apply.at.last_id, 2);
    put(&bench, 3, 2, "a", "x");
    assert_int_equal(bench.effect.err, ERR_LIMIT);
    put(&bench, 4, 1, "a", "x");
    assert_int_equal(bench.effect.first_id, 3);
    assert_int_equal(set(&bench, 5, "limits.changes", 0), ERR_LIMIT);
    assert_int_equal(set(&bench, 6, "no.such", 1), ERR_BAD_REQUEST);
    assert_int_equal(bench.apply.at.settings_index, 3);
    assert_int_equal(set(&bench, 7, "limits.changes", 5), ERR_NONE);
    assert_int_equal(set(&bench, 2, "limits.changes", 1), ERR_NONE); /* told again, not done */
    assert_int_equal(bench.effect.index, 3);
    assert_int_equal(bench.apply.at.settings.changes, 5);
    assert_int_equal(set(&bench, 2, "limits.changes", 3), ERR_TXID_REUSED);
    put(&bench, 8, 5, "a", "x");
    assert_int_equal(bench.effect.err, ERR_NONE);
    bench_close(&bench);
}

/* Not refused, as a wrong value is: this version must not go on. */
static void a_higher_feature_level_stops_the_node(void **state)
{
    struct bench bench;
    struct bytes body = {0};
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    assert_int_equal(set(&bench, 1, "cluster.feature_level", SETTINGS_FEATURE_LEVEL), ERR_NONE);
    struct entry entry = {.kind = ENTRY_SETTINGS, .born = bench.apply.at.ts};
    wire_pack_map(&body, 1);
    wire_pack_counter(&body, "cluster.feature_level", SETTINGS_FEATURE_LEVEL + 1);
    entry.body = bytes_span(&body);
    kit_txid(2, entry.txid);
    uint64_t before = bench.apply.at.index;
    assert_int_equal(run(&bench, kit_append(&bench.kit, &entry)), ERR_VERSION);
    assert_int_equal(bench.apply.at.index, before);
    bytes_close(&body);
    bench_close(&bench);
}

static enum err cut(struct bench *bench, uint64_t first_id, uint64_t keep_index,
                    uint64_t settings_index)
{
    struct bytes body = {0};
    struct retention_cut cut = {first_id, keep_index, settings_index, {1}};
    struct entry entry = {.kind = ENTRY_CUT};
    retention_encode(&cut, &body);
    entry.body = bytes_span(&body);
    enum err err = run(bench, kit_append(&bench->kit, &entry));
    bytes_close(&body);
    return err;
}

static void a_cut_only_ever_raises_what_is_cut(void **state)
{
    struct bench bench;
    const struct apply_mark *at = &bench.apply.at;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 9, "a", "x");
    assert_int_equal(at->first_id, 1);
    assert_int_equal(cut(&bench, 5, 2, 0), ERR_NONE);
    assert_int_equal(at->first_id, 5);
    assert_int_equal(at->keep_index, 2);
    assert_int_equal(at->cut_hash[0], 1);
    assert_int_equal(cut(&bench, 4, 1, 0), ERR_NONE); /* of another leader, who was behind */
    assert_int_equal(at->first_id, 5);
    assert_int_equal(at->keep_index, 2);
    assert_int_equal(cut(&bench, 11, 2, 0), ERR_NONE); /* of what is not there */
    assert_int_equal(cut(&bench, 6, 99, 0), ERR_NONE); /* of entries that are not there */
    assert_int_equal(at->first_id, 5);
    assert_int_equal(set(&bench, 2, "retention.min_records", 100), ERR_NONE);
    assert_int_equal(cut(&bench, 7, 3, 0), ERR_NONE); /* by settings that hold no more */
    assert_int_equal(at->first_id, 5);
    assert_int_equal(cut(&bench, 10, 3, at->settings_index), ERR_NONE);
    assert_int_equal(at->first_id, 10); /* all of it */
    struct entry broken = {.kind = ENTRY_CUT, .body = SPAN("short", 5)};
    assert_int_equal(run(&bench, kit_append(&bench.kit, &broken)), ERR_NONE);
    assert_int_equal(at->first_id, 10);
    put(&bench, 3, 1, "a", "x");
    assert_int_equal(bench.effect.first_id, 10);
    bench_close(&bench);
}

/* An entry that sets a holder for a minute, or with 0 removes it. */
static enum err hold(struct bench *bench, uint64_t txid, const char *name, uint64_t from)
{
    struct bytes body = {0};
    struct entry entry = {.kind = ENTRY_HOLDER, .born = bench->apply.at.ts};
    holders_encode_body(SPAN_TEXT(name), from, from > 0 ? 60 : 0, &body);
    entry.body = bytes_span(&body);
    kit_txid(txid, entry.txid);
    assert_int_equal(run(bench, kit_append(&bench->kit, &entry)), ERR_NONE);
    bytes_close(&body);
    return bench->effect.err;
}

static void a_holder_is_an_ask_and_makes_earlier_cuts_void(void **state)
{
    struct bench bench;
    const struct apply_mark *at = &bench.apply.at;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 9, "a", "x");
    assert_int_equal(hold(&bench, 2, "c", 4), ERR_NONE);
    assert_int_equal(bench.effect.change_count, 0);
    assert_int_equal(at->settings_index, 3);
    assert_int_equal(at->last_id, 9);
    assert_int_equal(at->holders.at[0].until, at->ts + 60000000000);
    assert_int_equal(cut(&bench, 6, 2, 0), ERR_NONE); /* decided before it was here */
    assert_int_equal(at->first_id, 1);
    assert_int_equal(cut(&bench, 4, 2, 3), ERR_NONE);
    assert_true(at->first_id == 4 && at->holders.count == 1);
    assert_int_equal(hold(&bench, 3, "d", 3), ERR_TRUNCATED);
    assert_int_equal(hold(&bench, 4, "d", 11), ERR_AHEAD);
    assert_int_equal(hold(&bench, 5, "d", 0), ERR_NOT_FOUND);
    assert_int_equal(hold(&bench, 6, "d d", 5), ERR_BAD_REQUEST);
    assert_int_equal(at->settings_index, 3);
    assert_int_equal(hold(&bench, 7, "d", 10), ERR_NONE);
    uint64_t renewed = at->settings_index;
    assert_int_equal(hold(&bench, 2, "c", 4), ERR_NONE); /* told again, not done */
    assert_int_equal(bench.effect.index, 3);
    assert_int_equal(at->settings_index, renewed);
    assert_int_equal(hold(&bench, 2, "c", 5), ERR_TXID_REUSED);
    assert_int_equal(cut(&bench, 8, 2, renewed),
                     ERR_NONE); /* the disk came first: not its any more */
    assert_true(at->first_id == 8 && at->holders.count == 1 && at->holders.at[0].from == 10);
    assert_int_equal(hold(&bench, 8, "d", 0), ERR_NONE);
    assert_int_equal(at->holders.count, 0);
    bench_close(&bench);
}

/* An entry that says how long changes of a tag are kept; RULE_UNCHANGED removes. */
static enum err rule(struct bench *bench, uint64_t txid, const char *tag, uint64_t keep_s)
{
    struct bytes body = {0};
    struct entry entry = {.kind = ENTRY_RULE, .born = bench->apply.at.ts};
    rules_encode_body(SPAN_TEXT(tag), keep_s, RULE_UNCHANGED, RULE_UNCHANGED, &body);
    entry.body = bytes_span(&body);
    kit_txid(txid, entry.txid);
    assert_int_equal(run(bench, kit_append(&bench->kit, &entry)), ERR_NONE);
    bytes_close(&body);
    return bench->effect.err;
}

static void a_rule_is_an_ask_and_makes_earlier_cuts_void(void **state)
{
    struct bench bench;
    const struct apply_mark *at = &bench.apply.at;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 9, "a", "x");
    assert_int_equal(rule(&bench, 2, "a/*", 60), ERR_NONE);
    assert_int_equal(bench.effect.change_count, 0);
    assert_true(at->settings_index == 3 && at->last_id == 9);
    assert_true(at->rules.count == 1 && at->rules.at[0].keep_s == 60);
    assert_int_equal(cut(&bench, 6, 2, 0), ERR_NONE); /* decided before it was here */
    assert_int_equal(at->first_id, 1);
    assert_int_equal(cut(&bench, 6, 2, 3), ERR_NONE);
    assert_true(at->first_id == 6 && at->rules.count == 1);
    assert_int_equal(rule(&bench, 3, "b", RULE_UNCHANGED), ERR_NOT_FOUND);
    assert_int_equal(rule(&bench, 4, "b", RULE_KEEP_S_MAX + 1), ERR_LIMIT);
    assert_int_equal(rule(&bench, 5, "", 1), ERR_BAD_REQUEST);
    assert_int_equal(at->settings_index, 3);
    assert_int_equal(rule(&bench, 6, "b", 7), ERR_NONE);
    uint64_t changed = at->settings_index;
    assert_int_equal(rule(&bench, 2, "a/*", 60), ERR_NONE); /* told again, not done */
    assert_true(bench.effect.index == 3 && at->settings_index == changed);
    assert_int_equal(rule(&bench, 2, "a/*", 61), ERR_TXID_REUSED);
    assert_int_equal(rule(&bench, 7, "a/*", RULE_UNCHANGED), ERR_NONE);
    assert_true(at->rules.count == 1 && at->rules.at[0].keep_s == 7);
    bench_close(&bench);
}

/* All of the mark comes back, with holders and rules and without, in the first history and in a
 * later one. */
static void the_mark_comes_back_from_its_bytes(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 9, "a", "x");
    for (uint32_t round = 0; round < 5; round++) {
        static uint8_t content[STATEMARK_MAX];
        struct apply_mark back = apply_begin();
        if (round == 1)
            assert_int_equal(hold(&bench, 2, "c", 4), ERR_NONE);
        if (round == 2)
            bench.apply.at.parent = 7;
        for (uint64_t i = 0; round == 3 && i < HOLDERS_MAX - 1; i++) {
            char name[16];
            snprintf(name, sizeof name, "h%llu", (unsigned long long)i);
            assert_int_equal(hold(&bench, 10 + i, name, 1 + i % 9), ERR_NONE);
        }
        for (uint64_t i = 0; round == 4 && i < RULES_MAX; i++) {
            char tag[16];
            snprintf(tag, sizeof tag, "t%llu", (unsigned long long)i);
            assert_int_equal(rule(&bench, 50 + i, tag, 1 + i), ERR_NONE);
        }
        size_t size = statemark_encode(&bench.apply.at, content);
        assert_int_equal(statemark_decode(SPAN(content, size), &back), ERR_NONE);
        assert_memory_equal(&back, &bench.apply.at, sizeof back);
        content[64 + HASH_SIZE] |= 16; /* what a later version may put there */
        assert_int_equal(statemark_decode(SPAN(content, size), &back), ERR_VERSION);
        content[64 + HASH_SIZE] &= (uint8_t)~16;
        size_t fewest = size - sizeof(struct settings); /* an older version may have had none */
        assert_int_equal(statemark_decode(SPAN(content, fewest - 1), &back), ERR_CORRUPT);
        assert_int_equal(statemark_decode(SPAN(content, fewest), &back), ERR_NONE);
    }
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_change_by_the_log_and_limit_what_comes_after),
        cmocka_unit_test(a_higher_feature_level_stops_the_node),
        cmocka_unit_test(a_cut_only_ever_raises_what_is_cut),
        cmocka_unit_test(a_holder_is_an_ask_and_makes_earlier_cuts_void),
        cmocka_unit_test(a_rule_is_an_ask_and_makes_earlier_cuts_void),
        cmocka_unit_test(the_mark_comes_back_from_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
