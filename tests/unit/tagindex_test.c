/* tagindex, seal, state, query: what keeper writes and serves, on real files. */
#include "tests/unit/node_kit.h"

/* Every id that bears the tag, by a walk with a limit nothing exceeds. */
static uint32_t all_of(struct node *node, const char *tag, uint64_t *ids)
{
    const struct message_page *page = ask(node, (struct message_read){.limit = 10000}, tag);
    assert_int_equal(page->error.size, 0);
    assert_true(page->at_start);
    assert_true(page->at_end);
    assert_int_equal(page->scanned_to, node->apply.at.last_id);
    return ids_of(page, ids);
}

/* Seals an index of records with `sizes` changes in turn and `last` in the last one, and finds each
 * id in it, upwards and downwards. */
static void check_runs(const uint32_t *sizes, uint32_t size_count, uint32_t records, uint32_t last,
                       bool uneven)
{
    static const uint8_t zeros[HASH_SIZE];
    char directory[] = "/tmp/tagindex_test_XXXXXX", path[64], command[64];
    struct seal seal = {.first_index = 1, .last_index = UINT32_MAX, .file.size = DIGEST_SIZE};
    struct tagindex index = {0};
    struct sealread read = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/segment", directory);
    tagindex_open(&index, 7, zeros);
    for (uint32_t record = 0; record < records; record++) {
        uint32_t size = record + 1 == records ? last : sizes[record % size_count];
        tagindex_add_run(&index, 100 + 2 * (uint64_t)record);
        for (uint32_t i = 0; i < size; i++)
            tagindex_add_change(&index, 0, zeros);
    }
    assert_int_equal(seal_write(path, &index, &seal), ERR_NONE);
    assert_int_equal(sealread_open(&read, path, &seal), ERR_NONE);
    uint64_t count = index.next_id - index.first_id;
    for (uint64_t i = 0; i < 2 * count; i++) {
        uint64_t id = index.first_id + (i < count ? i : 2 * count - 1 - i), at, there;
        uint32_t ordinal, known;
        assert_true(tagindex_find(&index, id, &there, &known));
        assert_int_equal(sealread_find(&read, id, &at, &ordinal), ERR_NONE);
        assert_int_equal(at, there);
        assert_int_equal(ordinal, known);
    }
    assert_int_equal(read.uneven, uneven);
    sealread_close(&read);
    tagindex_close(&index);
    seal_close(&seal);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

/* Blocks of runs begin at regular ids where each record has one change, and only there. */
static void runs_are_found_in_blocks_of_every_kind(void **state)
{
    static const uint32_t single[] = {1}, mixed[] = {1, 3, 1, 1, 2}, large[] = {1024}, pair[] = {2};
    check_runs(single, 1, 3 * SEAL_RUNS_BLOCK, 1, false);
    check_runs(single, 1, 3 * SEAL_RUNS_BLOCK - 5, 1, false);
    check_runs(single, 1, 3 * SEAL_RUNS_BLOCK, 3, true); /* no block is where its last id asks */
    check_runs(single, 1, 3 * SEAL_RUNS_BLOCK - 5, 3, true);
    check_runs(mixed, COUNT_OF(mixed), 3 * SEAL_RUNS_BLOCK, 1, true);
    check_runs(pair, 1, 3 * SEAL_RUNS_BLOCK, 2, true);
    check_runs(large, 1, 4, 7, true);
}

static void check_forwards(struct node *node, const char *tag, uint64_t limit)
{
    uint64_t all[1000], ids[1000], since = 0;
    uint32_t count = all_of(node, tag, all), seen = 0;
    uint8_t hash[HASH_SIZE] = {0};
    for (;;) {
        const struct message_page *page =
            ask(node,
                (struct message_read){
                    .since = since, .limit = limit, .since_hash = SPAN(hash, sizeof hash)},
                tag);
        assert_int_equal(page->error.size, 0);
        assert_int_equal(page->at_start, seen == 0);
        uint32_t got = ids_of(page, ids);
        for (uint32_t i = 0; i < got; i++)
            assert_int_equal(ids[i], all[seen + i]);
        seen += got;
        assert_int_equal(page->at_end, seen == count);
        since = page->next_id;
        memcpy(hash, page->next_hash.data, HASH_SIZE);
        if (page->at_end)
            break;
        assert_int_equal(got, limit);
    }
    assert_int_equal(seen, count);
    assert_int_equal(since, node->apply.at.last_id);
}

static void check_backwards(struct node *node, const char *tag, uint64_t limit)
{
    uint64_t all[1000], ids[1000], before;
    uint32_t left = all_of(node, tag, all);
    before = node->apply.at.last_id + 1;
    for (;;) {
        bool newest = before == node->apply.at.last_id + 1;
        const struct message_page *page =
            ask(node, (struct message_read){.before = before, .limit = limit}, tag);
        assert_int_equal(page->error.size, 0);
        uint32_t got = ids_of(page, ids);
        assert_true(got > 0 && got <= left);
        for (uint32_t i = 0; i < got; i++)
            assert_int_equal(ids[i], all[left - got + i]);
        left -= got;
        assert_int_equal(page->at_start, left == 0);
        assert_int_equal(page->at_end, newest);
        assert_int_equal(page->prev_id, ids[0]);
        before = page->prev_id;
        if (page->at_start)
            break;
    }
    assert_int_equal(left, 0);
}

static void check_all_reads(struct node *node)
{
    static const char *const tags[] = {NULL, "all", "third", "rare"};
    uint64_t ids[1000];
    assert_int_equal(all_of(node, NULL, ids), node->apply.at.last_id);
    assert_int_equal(all_of(node, "all", ids), node->apply.at.last_id);
    assert_int_equal(all_of(node, "never used", ids), 0);
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        for (uint64_t limit = 1; limit <= 64; limit = limit * 3 + 1) {
            check_forwards(node, tags[i], limit);
            check_backwards(node, tags[i], limit);
        }
    }
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void an_index_finds_ids_and_tags(void **state)
{
    struct tagindex index = {0};
    uint8_t hash[HASH_SIZE] = {1};
    uint64_t log_index;
    uint32_t ordinal;
    tagindex_open(&index, 101, hash);
    assert_false(tagindex_find(&index, 101, &log_index, &ordinal));
    for (uint64_t n = 0; n < 300; n++) { /* records of 1, 2, 3 changes */
        tagindex_add_run(&index, 1000 + n);
        for (uint64_t i = 0; i <= n % 3; i++) {
            hash[0] = (uint8_t)index.next_id;
            tagindex_add_change(&index, 5000 + index.next_id, hash);
            if ((index.next_id - 1) % 5 == 0)
                tagindex_add_tag(&index, SPAN_TEXT("five"), 95);
        }
    }
    assert_int_equal(index.next_id, 701);
    assert_true(tagindex_find(&index, 101, &log_index, &ordinal) && log_index == 1000);
    assert_true(tagindex_find(&index, 106, &log_index, &ordinal));
    assert_int_equal(log_index, 1002);
    assert_int_equal(ordinal, 2);
    assert_true(tagindex_find(&index, 700, &log_index, &ordinal) && log_index == 1299);
    assert_false(tagindex_find(&index, 100, &log_index, &ordinal));
    assert_false(tagindex_find(&index, 701, &log_index, &ordinal));
    assert_int_equal(tagindex_hash(&index, 100)[0], 1);
    assert_int_equal(tagindex_hash(&index, 700)[0], (uint8_t)700);
    assert_null(tagindex_hash(&index, 99));
    assert_null(tagindex_hash(&index, 701));
    const struct tagindex_list *five =
        tagindex_list_at(&index, tagmap_find(&index.tags, SPAN_TEXT("five")));
    assert_int_equal(five->count, 120);
    for (uint32_t slot = 0; slot < five->count; slot++)
        assert_int_equal(index.first_id + five->offsets[slot], 105 + 5 * slot);
    assert_int_equal(tagmap_find(&index.tags, SPAN_TEXT("six")), TAGMAP_NONE);
    tagindex_close(&index);
}

static void pages_visit_each_change_once(void **state)
{
    struct node node;
    node_open(&node, 3);
    check_all_reads(&node);
    node_close(&node);
}

static void sealed_parts_read_like_open_ones(void **state)
{
    struct node node;
    uint64_t rare[4];
    node_open(&node, PARTS);
    assert_int_equal(all_of(&node, "rare", rare), 1 + (2 * PART_ENTRIES + 3) % 3);
    seal_all(&node);
    assert_int_equal(node.sealer.sealed, PARTS - 1);
    check_all_reads(&node);
    assert_int_equal(restart(&node), ERR_NONE);
    for (uint32_t part = 0; part + 1 < PARTS; part++)
        assert_null(node.shelf.parts[part]->opened); /* read when it is wanted */
    check_all_reads(&node);
    /* A Bloom filter spares the parts that lack the tag. */
    assert_int_equal(restart(&node), ERR_NONE);
    const struct message_page *page =
        ask(&node, (struct message_read){.limit = 1, .since = rare[0] - 1}, "rare");
    assert_int_equal(page->count, 1);
    assert_null(node.shelf.parts[0]->opened);
    assert_null(node.shelf.parts[1]->opened);
    assert_non_null(node.shelf.parts[2]->opened);
    node_close(&node);
}

static void the_open_part_is_made_anew_at_a_restart(void **state)
{
    struct node node;
    node_open(&node, 3);
    write_state(&node);
    assert_int_equal(restart(&node), ERR_NONE);
    assert_int_equal(node.shelf.last_id, node.apply.at.last_id);
    check_all_reads(&node);
    node_close(&node);
}

static void replay_from_zero_equals_the_live_state(void **state)
{
    struct node live;
    uint8_t live_hash[HASH_SIZE], again_hash[HASH_SIZE];
    node_open(&live, PARTS);
    write_state(&live);
    assert_int_equal(statehash_of(&live.state, live_hash), ERR_NONE);
    /* The same log, in flushes of other sizes, into an empty state. */
    struct node again = {.kit = {.term = 1}};
    uint8_t key[16] = {55};
    struct apply_mark mark = {0};
    struct span rest = bytes_span(&live.kit.records), record;
    snprintf(again.state_path, sizeof again.state_path, "%s/again.db", live.directory);
    assert_int_equal(state_open(&again.state, again.state_path), ERR_NONE);
    apply_open(&again.apply, key);
    flush_open(&again.flush, key, &mark);
    const struct apply_source source = {find_outcome, &again};
    for (uint32_t n = 1; entry_next(&rest, &record); n++) {
        struct bytes effects = {0};
        struct entry entry;
        struct effect effect;
        assert_int_equal(entry_decode(record, &entry), ERR_NONE);
        assert_int_equal(apply_entry(&again.apply, &entry, &source, &effects), ERR_NONE);
        struct span left = bytes_span(&effects);
        while (effect_next(&left, &effect))
            take_into(&again.flush, &effect);
        flush_mark(&again.flush, &again.apply.at);
        bytes_close(&effects);
        if (n % 13 == 0)
            assert_int_equal(flush_write(&again.flush, &again.state, 0), ERR_NONE);
    }
    assert_int_equal(flush_write(&again.flush, &again.state, 0), ERR_NONE);
    assert_int_equal(statehash_of(&again.state, again_hash), ERR_NONE);
    assert_memory_equal(live_hash, again_hash, HASH_SIZE);
    apply_close(&again.apply);
    flush_close(&again.flush);
    state_close(&again.state);
    assert_int_equal(state_look(live.state_path, &mark), ERR_NONE);
    assert_int_equal(mark.index, live.apply.at.index);
    assert_int_equal(state_look("/nowhere/state.db", &mark), ERR_NOT_FOUND);
    assert_int_equal(mark.index, 0);
    node_close(&live);
}

static void a_state_that_disagrees_with_the_log_is_found(void **state)
{
    struct node node;
    node_open(&node, 2);
    node.flush.at.last_id++; /* a lie in the mark */
    flush_mark(&node.flush, &node.flush.at);
    write_state(&node);
    assert_int_equal(restart(&node), ERR_CORRUPT);
    node_close(&node);
}

static void a_flipped_bit_is_never_a_wrong_byte(void **state)
{
    struct node node;
    node_open(&node, PARTS);
    seal_all(&node);
    node_damage(node.paths[0], "data 5");
    assert_int_equal(restart(&node), ERR_NONE);
    const struct message_page *page = ask(&node, (struct message_read){.limit = 3}, NULL);
    assert_int_equal(page->count, 3); /* what lies before the damage is whole */
    page = ask(&node, (struct message_read){.limit = 50}, NULL);
    assert_true(span_is(page->error, "E_CORRUPT"));
    assert_int_equal(page->rows.size, 0);
    /* A damaged index is an error, too, while it is needed; the summary is intact here. */
    char index[160];
    snprintf(index, sizeof index, "%s.index", node.paths[1]);
    node_damage(index, "third");
    assert_int_equal(restart(&node), ERR_NONE);
    page = ask(&node, (struct message_read){.since = 100, .limit = 1000}, "third");
    assert_true(span_is(page->error, "E_CORRUPT"));
    node_close(&node);
}

static void a_missing_index_is_made_anew(void **state)
{
    struct node node;
    node_open(&node, PARTS);
    seal_all(&node);
    assert_int_equal(seal_remove(node.paths[2]), ERR_NONE);
    assert_int_equal(restart(&node), ERR_NONE);
    assert_true(sealer_due(&node.sealer, &node.shelf, node.apply.at.index, 1000));
    while (sealer_due(&node.sealer, &node.shelf, node.apply.at.index, 1000))
        assert_int_equal(sealer_step(&node.sealer, &node.shelf, 1000), ERR_NONE);
    assert_int_equal(restart(&node), ERR_NONE);
    assert_true(node.shelf.parts[2]->indexed);
    check_all_reads(&node);
    node_close(&node);
}

static void positions_that_are_none_are_refused(void **state)
{
    struct node node;
    uint8_t wrong[HASH_SIZE] = {1};
    node_open(&node, 1);
    uint64_t last = node.apply.at.last_id;
    const struct message_page *page = ask(&node, (struct message_read){.since = last}, NULL);
    assert_int_equal(page->error.size, 0);
    assert_int_equal(page->count, 0);
    assert_true(page->at_end);
    assert_false(page->at_start);
    assert_int_equal(page->next_id, last);
    assert_int_equal(page->prev_id, last + 1); /* backwards from there nothing is left out */
    page = ask(&node, (struct message_read){.since = last + 1}, NULL);
    assert_true(span_is(page->error, "E_AHEAD"));
    page = ask(&node, (struct message_read){.since = 3, .since_hash = SPAN(wrong, 32)}, NULL);
    assert_true(span_is(page->error, "E_AHEAD"));
    page = ask(&node, (struct message_read){.since = last, .exact = true}, NULL);
    assert_true(span_is(page->error, "E_NOT_FOUND"));
    page = ask(&node, (struct message_read){.since = last - 1, .exact = true}, NULL);
    assert_int_equal(page->count, 1);
    page = ask(&node, (struct message_read){.limit = 100, .bytes = 1}, NULL);
    assert_int_equal(page->count, 1); /* at least one */
    page = ask(&node, (struct message_read){.limit = 100, .bytes = 1, .before = last}, NULL);
    assert_int_equal(page->count, 1);
    assert_int_equal(page->prev_id, last - 1);
    node_close(&node);
}

static void any_of_several_tags_matches_once(void **state)
{
    struct node node;
    uint64_t ids[1000], third[1000];
    node_open(&node, PARTS);
    struct message_read read = {.limit = 1000};
    read.tags.at[read.tags.count++] = SPAN_TEXT("rare");
    uint32_t expected = all_of(&node, "third", third) + all_of(&node, "rare", ids);
    const struct message_page *page = ask(&node, read, "third");
    assert_int_equal(ids_of(page, ids), expected);
    for (uint32_t i = 1; i < expected; i++)
        assert_true(ids[i - 1] < ids[i]);
    page = ask(&node, read, "all"); /* "rare" changes bear "all", too */
    assert_int_equal(ids_of(page, ids), node.apply.at.last_id);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_finds_ids_and_tags),
        cmocka_unit_test(runs_are_found_in_blocks_of_every_kind),
        cmocka_unit_test(pages_visit_each_change_once),
        cmocka_unit_test(sealed_parts_read_like_open_ones),
        cmocka_unit_test(the_open_part_is_made_anew_at_a_restart),
        cmocka_unit_test(replay_from_zero_equals_the_live_state),
        cmocka_unit_test(a_state_that_disagrees_with_the_log_is_found),
        cmocka_unit_test(a_flipped_bit_is_never_a_wrong_byte),
        cmocka_unit_test(a_missing_index_is_made_anew),
        cmocka_unit_test(positions_that_are_none_are_refused),
        cmocka_unit_test(any_of_several_tags_matches_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
