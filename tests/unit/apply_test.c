/* apply: entries become ids, outcomes and effects; the same everywhere, once each. */
#include "storage/apply.h"

#include "log_kit.h"
#include "protocol/wire.h"
#include "storage/retention.h"
#include "storage/statemark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct bench {
    struct apply apply;
    struct overlay overlay;
    struct log_kit kit;
    struct bytes effects;
    struct effect effect; /* of the last write */
    enum err lost;        /* what the source answers when told to fail */
};

static enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct bench *bench = owner;
    if (bench->lost != ERR_NONE)
        return bench->lost;
    const struct outcome *row = overlay_find(&bench->overlay, index);
    if (row == NULL)
        return ERR_CORRUPT;
    *out = *row;
    return ERR_NONE;
}

static void bench_open(struct bench *bench, uint8_t key_byte)
{
    uint8_t key[HASH_KEY_SIZE];
    memset(key, key_byte, sizeof key);
    *bench = (struct bench){.kit = {.term = 1, .ts = 1000}};
    apply_open(&bench->apply, key);
}

static void bench_close(struct bench *bench)
{
    apply_close(&bench->apply);
    overlay_close(&bench->overlay);
    kit_close(&bench->kit);
    bytes_close(&bench->effects);
}

static enum err run(struct bench *bench, struct span record)
{
    const struct apply_source source = {find_outcome, bench};
    struct entry entry;
    assert_int_equal(entry_decode(record, &entry), ERR_NONE);
    bytes_clear(&bench->effects);
    enum err err = apply_entry(&bench->apply, &entry, &source, &bench->effects);
    struct span rest = bytes_span(&bench->effects);
    if (err == ERR_NONE && entry_is_ask(entry.kind)) {
        assert_true(effect_next(&rest, &bench->effect));
        if (apply_is_outcome(&bench->effect, entry.index)) {
            struct outcome outcome = overlay_outcome(&bench->effect);
            overlay_add(&bench->overlay, &outcome);
        }
    }
    assert_int_equal(rest.size, 0);
    return err;
}

static void put(struct bench *bench, uint64_t txid, uint32_t count, const char *tag,
                const char *data)
{
    uint64_t born = bench->apply.at.ts ? bench->apply.at.ts : 1;
    assert_int_equal(run(bench, kit_put(&bench->kit, txid, born, count, tag, data)), ERR_NONE);
}

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

/* All of the mark comes back, with holders and without, in the first history and in a later one. */
static void the_mark_comes_back_from_its_bytes(void **state)
{
    struct bench bench;
    bench_open(&bench, 1);
    assert_int_equal(run(&bench, kit_founding(&bench.kit)), ERR_NONE);
    put(&bench, 1, 9, "a", "x");
    for (uint32_t round = 0; round < 4; round++) {
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
        size_t size = statemark_encode(&bench.apply.at, content);
        assert_int_equal(statemark_decode(SPAN(content, size), &back), ERR_NONE);
        assert_memory_equal(&back, &bench.apply.at, sizeof back);
        size_t fewest = size - sizeof(struct settings); /* an older version may have had none */
        assert_int_equal(statemark_decode(SPAN(content, fewest - 1), &back), ERR_CORRUPT);
        assert_int_equal(statemark_decode(SPAN(content, fewest), &back), ERR_NONE);
    }
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_dense_and_log_indexes_are_not),
        cmocka_unit_test(an_import_keeps_ids_times_and_hashes),
        cmocka_unit_test(an_import_that_does_not_follow_is_refused),
        cmocka_unit_test(the_hash_chain_and_previous_ids_are_told),
        cmocka_unit_test(a_duplicate_gets_the_first_outcome_and_no_id),
        cmocka_unit_test(another_body_under_a_txid_is_refused_and_changes_no_row),
        cmocka_unit_test(broken_bodies_are_refused_by_name_and_for_ever),
        cmocka_unit_test(the_floor_divides_known_from_expired),
        cmocka_unit_test(an_unborn_write_is_never_done),
        cmocka_unit_test(a_fingerprint_is_verified_on_a_hit),
        cmocka_unit_test(old_outcomes_expire_by_log_time),
        cmocka_unit_test(what_is_not_known_yet_is_refused_or_stops),
        cmocka_unit_test(holes_second_foundings_and_lost_outcomes_stop),
        cmocka_unit_test(a_later_founding_begins_a_new_history),
        cmocka_unit_test(settings_change_by_the_log_and_limit_what_comes_after),
        cmocka_unit_test(a_higher_feature_level_stops_the_node),
        cmocka_unit_test(a_cut_only_ever_raises_what_is_cut),
        cmocka_unit_test(a_holder_is_an_ask_and_makes_earlier_cuts_void),
        cmocka_unit_test(the_mark_comes_back_from_its_bytes),
        cmocka_unit_test(the_key_of_the_hash_tables_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
