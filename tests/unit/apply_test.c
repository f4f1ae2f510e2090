/* apply: entries become ids, outcomes and effects; the same everywhere, once each. */
#include "storage/apply.h"

#include "apply_kit.h"

static void ids_are_dense_and_log_indexes_are_not(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 1, "a", "x");
    assert_int_equal(bench.effect.first_id, 1);
    assert_int_equal(run(&bench, kit_noop(&bench.kit)), ERR_NONE);
    put(&bench, 2, 3, "a", "y");
    assert_int_equal(bench.effect.first_id, 2);
    assert_int_equal(bench.effect.last_id, 4);
    assert_int_equal(bench.effect.index, 4);
    put(&bench, 3, 1, "b", "z");
    assert_int_equal(bench.effect.first_id, 5);
    assert_int_equal(bench.apply.at.history, 4711);
    assert_memory_equal(bench.apply.at.cluster, "the cluster id..", 16);
    bench_close(&bench);
}

/* A record that imports these changes. */
static struct span kit_import(struct bench *bench, uint64_t txid, const struct change *changes,
                              uint32_t count)
{
    struct bytes body = {0};
    struct entry entry = {.kind = ENTRY_IMPORT, .born = bench->apply.at.ts};
    change_body_begin(&body, count);
    for (uint32_t i = 0; i < count; i++)
        change_body_add(&body, &changes[i]);
    entry.body = bytes_span(&body);
    kit_txid(txid, entry.txid);
    struct span record = kit_append(&bench->kit, &entry);
    bytes_close(&body);
    return record;
}

enum { IMPORTED = 3 };

/* Three changes as another log would give them: times 10, 10, 20. */
static void make_imported(struct change changes[IMPORTED], uint8_t hashes[IMPORTED][HASH_SIZE])
{
    static const uint64_t times[IMPORTED] = {10, 10, 20};
    uint8_t before[HASH_SIZE] = {0};
    for (uint32_t i = 0; i < IMPORTED; i++) {
        changes[i] = (struct change){.type = i, .id = i + 1, .ts = times[i]};
        changes[i].tags.at[changes[i].tags.count++] = SPAN_TEXT("old");
        changes[i].data = SPAN_TEXT("text");
        change_hash(before, i + 1, times[i], &changes[i], hashes[i]);
        changes[i].hash = SPAN(hashes[i], HASH_SIZE);
        memcpy(before, hashes[i], sizeof before);
    }
}

static void an_import_keeps_ids_times_and_hashes(void **state)
{
    struct bench bench;
    struct change changes[IMPORTED];
    uint8_t hashes[IMPORTED][HASH_SIZE];
    bench_open(&bench, 1);
    make_imported(changes, hashes);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    assert_int_equal(run(&bench, kit_import(&bench, 1, changes, 2)), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(bench.effect.last_id, 2);
    assert_int_equal(run(&bench, kit_import(&bench, 1, changes, 2)), ERR_NONE);
    assert_int_equal(bench.effect.last_id, 2); /* the same write again: the first outcome */
    assert_int_equal(bench.apply.at.last_id, 2);
    assert_int_equal(run(&bench, kit_import(&bench, 2, changes + 2, 1)), ERR_NONE);
    assert_int_equal(bench.apply.at.change_ts, 20);
    assert_memory_equal(bench.apply.at.hash, hashes[2], HASH_SIZE);
    put(&bench, 3, 1, "new", "x");
    assert_int_equal(bench.effect.first_id, 4);
    assert_int_equal(bench.apply.at.change_ts, bench.apply.at.ts);
    bench_close(&bench);
}

static void an_import_that_does_not_follow_is_refused(void **state)
{
    for (int fault = 0; fault < 5; fault++) {
        struct bench bench;
        struct change changes[IMPORTED];
        uint8_t hashes[IMPORTED][HASH_SIZE];
        bench_open(&bench, 1);
        make_imported(changes, hashes);
        assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
        if (fault == 0)
            put(&bench, 7, 1, "a", "x"); /* the place is taken */
        else if (fault == 1)
            changes[1].id = 3;
        else if (fault == 2)
            changes[1].data = SPAN_TEXT("test");
        else if (fault == 3)
            changes[2].ts = 9; /* time falls */
        else
            changes[2].ts = UINT64_C(1) << 40; /* ahead of the entry */
        if (fault > 2)
            change_hash(hashes[1], 3, changes[2].ts, &changes[2], hashes[2]);
        uint64_t before = bench.apply.at.last_id;
        assert_int_equal(run(&bench, kit_import(&bench, 1, changes, IMPORTED)), ERR_NONE);
        assert_int_equal(bench.effect.err, ERR_IMPORT);
        assert_int_equal(bench.apply.at.last_id, before);
        bench_close(&bench);
    }
}

static void the_hash_chain_and_previous_ids_are_told(void **state)
{
    struct bench bench;
    struct effect_link link;
    struct change_walk walk;
    struct change change;
    uint8_t hash[HASH_SIZE] = {0};
    bench_open(&bench, 1);
    put(&bench, 1, 2, "a", "x");
    change_walk_begin(&walk, bench.effect.body);
    for (uint64_t id = 1; change_walk_next(&walk, &change); id++) {
        change_hash(hash, id, bench.effect.ts, &change, hash);
        assert_true(effect_link_next(&bench.effect.links, &link));
        assert_memory_equal(hash, link.hash, HASH_SIZE);
        assert_int_equal(link.tag_count, 2);
        assert_int_equal(load_u64(link.previous), id - 1);
        assert_int_equal(load_u64(link.previous + 8), id - 1);
    }
    assert_memory_equal(hash, bench.apply.at.hash, HASH_SIZE);
    put(&bench, 2, 1, "b", "x");
    assert_true(effect_link_next(&bench.effect.links, &link));
    assert_int_equal(load_u64(link.previous), 2);     /* all */
    assert_int_equal(load_u64(link.previous + 8), 0); /* b: its first */
    bench_close(&bench);
}

static void a_duplicate_gets_the_first_outcome_and_no_id(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    put(&bench, 7, 2, "a", "x");
    struct effect first = bench.effect;
    put(&bench, 8, 1, "a", "x");
    put(&bench, 7, 2, "a", "x");
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(bench.effect.first_id, first.first_id);
    assert_int_equal(bench.effect.last_id, first.last_id);
    assert_int_equal(bench.effect.index, first.index);
    assert_int_equal(bench.effect.ts, first.ts);
    assert_false(apply_is_commit(&bench.effect));
    assert_int_equal(bench.apply.at.last_id, 3);
    assert_int_equal(bench.apply.at.index, 3);
    assert_int_equal(outcomes_count(&bench.apply.outcomes), 2);
    bench_close(&bench);
}

/* What is called for may be replaced before it is committed: its fingerprint is its own alone. */
static void what_was_called_for_may_never_come(void **state)
{
    struct bench plain, hasty, other;
    struct bench *all[] = {&plain, &hasty, &other};
    for (uint32_t i = 0; i < 3; i++) {
        bench_open(all[i], 1);
        assert_int_equal(run(all[i], kit_founding(&all[i]->kit)), ERR_NONE);
    }
    for (uint64_t txid = 1; txid <= 4; txid++) {
        struct bytes body = {0};
        kit_body(&body, 1, "tag", "data");
        apply_call_for(&hasty.apply, kit_raw(&other.kit, 100 + txid, 1, bytes_span(&body)));
        struct span record = kit_raw(&hasty.kit, txid, 1, bytes_span(&body));
        if (txid % 2 == 0)
            apply_call_for(&hasty.apply, record);
        assert_int_equal(run(&hasty, record), ERR_NONE);
        assert_int_equal(run(&plain, kit_raw(&plain.kit, txid, 1, bytes_span(&body))), ERR_NONE);
        bytes_close(&body);
    }
    assert_memory_equal(hasty.apply.at.hash, plain.apply.at.hash, HASH_SIZE);
    for (uint64_t txid = 1; txid <= 4; txid++) {
        put(&hasty, txid, 1, "tag", "data");
        assert_int_equal(hasty.effect.first_id, txid); /* again, and known */
        put(&plain, txid, 1, "tag", "data");
    }
    put(&hasty, 101, 1, "tag", "data");
    assert_int_equal(hasty.effect.first_id, 5); /* the one that never came is new */
    for (uint32_t i = 0; i < 3; i++)
        bench_close(all[i]);
}

static void another_body_under_a_txid_is_refused_and_changes_no_row(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    put(&bench, 7, 1, "a", "x");
    put(&bench, 7, 1, "a", "other");
    assert_int_equal(bench.effect.err, ERR_TXID_REUSED);
    assert_int_equal(bench.apply.at.last_id, 1);
    put(&bench, 7, 1, "a", "x"); /* the first outcome still stands */
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(bench.effect.first_id, 1);
    assert_int_equal(outcomes_count(&bench.apply.outcomes), 1);
    bench_close(&bench);
}

static void broken_bodies_are_refused_by_name_and_for_ever(void **state)
{
    static const char garbage[] = "\xc1\xff not msgpack";
    struct bench bench;
    bench_open(&bench, 1);
    struct span bodies[] = {SPAN_TEXT(garbage), SPAN(NULL, 0), SPAN("\x80", 1),
                            SPAN("\xdd\xff\xff\xff\xff", 5)};
    for (uint64_t i = 0; i < COUNT_OF(bodies); i++) {
        for (int again = 0; again < 2; again++) {
            assert_int_equal(run(&bench, kit_raw(&bench.kit, 100 + i, 1, bodies[i])), ERR_NONE);
            assert_int_not_equal(bench.effect.err, ERR_NONE);
            assert_int_equal(err_outcome(bench.effect.err), err_outcome(ERR_BAD_REQUEST));
            assert_int_equal(bench.effect.index, i * 2 + 1);
        }
    }
    put(&bench, 100, 1, "a", "fine now, but not under this txid");
    assert_int_equal(bench.effect.err, ERR_TXID_REUSED);
    assert_int_equal(bench.apply.at.last_id, 0);
    bench_close(&bench);
}

static void the_floor_divides_known_from_expired(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    bench.apply.outcomes.max = 3;
    for (uint64_t txid = 1; txid <= 3; txid++)
        put(&bench, txid, 1, "a", "x"); /* ts 1001, 1002, 1003 */
    assert_int_equal(bench.apply.at.floor, 0);
    put(&bench, 4, 1, "a", "x");
    assert_int_equal(bench.apply.at.floor, 1002);
    assert_int_equal(outcomes_count(&bench.apply.outcomes), 3);
    /* The row is gone: a retry with the old `born` is open, never done twice. */
    assert_int_equal(run(&bench, kit_put(&bench.kit, 1, 1001, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_OUTCOME_EXPIRED);
    assert_int_equal(bench.apply.at.last_id, 4);
    /* At the floor the lookup is complete: a new write may take effect. */
    assert_int_equal(run(&bench, kit_put(&bench.kit, 5, 1002, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(bench.effect.first_id, 5);
    /* Without `born` nothing is known of the past. */
    assert_int_equal(run(&bench, kit_put(&bench.kit, 6, 0, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_OUTCOME_EXPIRED);
    assert_int_equal(outcomes_count(&bench.apply.outcomes), 3);
    bench_close(&bench);
}

/* Also while nothing has expired yet: who tells no time of birth may come from any time. */
static void an_unborn_write_is_never_done(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_put(&bench.kit, 6, 0, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_OUTCOME_EXPIRED);
    assert_int_equal(bench.apply.at.last_id, 0);
    bench_close(&bench);
}

/* Two txids with one fingerprint: the second is a write of its own. */
static void a_fingerprint_is_verified_on_a_hit(void **state)
{
    struct bench bench;
    struct outcome outcome;
    uint8_t txid[16];
    bench_open(&bench, 1);
    const struct apply_source source = {find_outcome, &bench};
    put(&bench, 1, 1, "a", "x");
    kit_txid(2, txid);
    outcomes_add(&bench.apply.outcomes, outcomes_print(&bench.apply.outcomes, txid), 1, 1001);
    assert_int_equal(apply_outcome(&bench.apply, txid, &source, &outcome), ERR_NOT_FOUND);
    put(&bench, 2, 1, "a", "y");
    assert_int_equal(bench.effect.err, ERR_NONE);
    assert_int_equal(bench.effect.first_id, 2);
    bench_close(&bench);
}

static void old_outcomes_expire_by_log_time(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    bench.apply.outcomes.age_ns = 100;
    assert_int_equal(run(&bench, kit_put(&bench.kit, 1, 1000, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.ts, 1001);
    bench.kit.ts = 1100;
    put(&bench, 1, 1, "a", "x"); /* at 1101 the floor is 1001: still known */
    assert_int_equal(bench.effect.first_id, 1);
    assert_int_equal(run(&bench, kit_put(&bench.kit, 1, 1001, 1, "a", "x")), ERR_NONE);
    assert_int_equal(bench.apply.at.floor, 1002);
    assert_int_equal(bench.effect.err, ERR_OUTCOME_EXPIRED);
    bench_close(&bench);
}

static void what_is_not_known_yet_is_refused_or_stops(void **state)
{
    struct bench bench;
    struct bytes body = {0};
    bench_open(&bench, 1);
    kit_body(&body, 1, "a", "x");
    struct entry entry = {.kind = ENTRY_DATA, .born = 1, .deadline = 5, .body = bytes_span(&body)};
    assert_int_equal(run(&bench, kit_append(&bench.kit, &entry)), ERR_NONE);
    assert_int_equal(bench.effect.err, ERR_UNSUPPORTED);
    struct entry unknown = {.kind = (enum entry_kind)77};
    assert_int_equal(run(&bench, kit_append(&bench.kit, &unknown)), ERR_VERSION);
    bytes_close(&body);
    bench_close(&bench);
}

static void holes_second_foundings_and_lost_outcomes_stop(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_CORRUPT);
    assert_int_equal(run(&bench, kit_noop(&bench.kit)), ERR_GAP);
    bench_close(&bench);
    bench_open(&bench, 1);
    put(&bench, 1, 1, "a", "x");
    bench.lost = ERR_IO; /* an unverified hit is never a duplicate, and never new */
    assert_int_equal(run(&bench, kit_put(&bench.kit, 1, 1, 1, "a", "x")), ERR_IO);
    bench_close(&bench);
}

/* Restored, or begun anew by force: ids, chain and outcomes go on. */
static void a_later_founding_begins_a_new_history(void **state)
{
    struct bench bench;
    uint8_t note[24] = "the cluster id..", hash[HASH_SIZE];
    struct entry founding = {.kind = ENTRY_FOUNDING, .body = SPAN(note, sizeof note)};
    const struct apply_mark *at = &bench.apply.at;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    assert_int_equal(at->parent, 0);
    put(&bench, 1, 3, "a", "x");
    memcpy(hash, at->hash, sizeof hash);
    save_u64(note + 16, 4712);
    assert_int_equal(run(&bench, kit_append(&bench.kit, &founding)), ERR_NONE);
    assert_true(at->history == 4712 && at->parent == 4711 && at->fork_id == 3 && at->last_id == 3);
    assert_memory_equal(at->hash, hash, sizeof hash);
    assert_int_equal(run(&bench, kit_put(&bench.kit, 1, 1, 3, "a", "x")), ERR_NONE);
    assert_int_equal(bench.effect.first_id, 1); /* the outcome of before */
    put(&bench, 2, 1, "a", "y");
    assert_true(at->last_id == 4 && at->fork_id == 3);
    save_u64(note + 16, 4713);
    note[0] = 'T'; /* another cluster */
    assert_int_equal(run(&bench, kit_append(&bench.kit, &founding)), ERR_CORRUPT);
    bench_close(&bench);
}

static void the_key_of_the_hash_tables_decides_nothing(void **state)
{
    struct bench a, b;
    bench_open(&a, 1);
    bench_open(&b, 200);
    a.apply.outcomes.max = b.apply.outcomes.max = 50;
    for (uint64_t i = 0; i < 500; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%u", (unsigned)(i % 17));
        put(&a, i % 90, 1 + i % 3, tag, i % 7 ? "x" : "y");
        put(&b, i % 90, 1 + i % 3, tag, i % 7 ? "x" : "y");
        assert_int_equal(a.effects.size, b.effects.size);
        assert_memory_equal(a.effects.data, b.effects.data, a.effects.size);
    }
    assert_memory_equal(&a.apply.at, &b.apply.at, sizeof a.apply.at);
    bench_close(&a);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_dense_and_log_indexes_are_not),
        cmocka_unit_test(an_import_keeps_ids_times_and_hashes),
        cmocka_unit_test(an_import_that_does_not_follow_is_refused),
        cmocka_unit_test(the_hash_chain_and_previous_ids_are_told),
        cmocka_unit_test(a_duplicate_gets_the_first_outcome_and_no_id),
        cmocka_unit_test(what_was_called_for_may_never_come),
        cmocka_unit_test(another_body_under_a_txid_is_refused_and_changes_no_row),
        cmocka_unit_test(broken_bodies_are_refused_by_name_and_for_ever),
        cmocka_unit_test(the_floor_divides_known_from_expired),
        cmocka_unit_test(an_unborn_write_is_never_done),
        cmocka_unit_test(a_fingerprint_is_verified_on_a_hit),
        cmocka_unit_test(old_outcomes_expire_by_log_time),
        cmocka_unit_test(what_is_not_known_yet_is_refused_or_stops),
        cmocka_unit_test(holes_second_foundings_and_lost_outcomes_stop),
        cmocka_unit_test(a_later_founding_begins_a_new_history),
        cmocka_unit_test(the_key_of_the_hash_tables_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
