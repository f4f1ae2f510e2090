/* query_test.c - pages by tag expressions, log time and ranges, on open and on sealed parts;
 * compared with a walk over all changes. */
#include "tests/unit/node_kit.h"
#include "tests/unit/texts_kit.h"

enum { IDS_MAX = 1000 };

/* What a change of the kit's log is known to be: read once, without a filter. */
struct all {
    uint64_t ts[IDS_MAX];
    struct texts tags[IDS_MAX];
    struct bytes rows;
    uint64_t last;
};

static void learn(struct node *node, struct all *all)
{
    const struct message_page *page = ask(node, (struct message_read){.limit = 10000}, NULL);
    struct change change;
    uint64_t id, ts;
    *all = (struct all){.last = page->last_id};
    bytes_append_span(&all->rows, page->rows);
    struct span rest = bytes_span(&all->rows), hash;
    while (rest.size > 0) {
        size_t size = wire_size(rest);
        assert_int_equal(change_row_decode(SPAN(rest.data, size), &id, &ts, &hash, &change), 0);
        all->ts[id] = ts;
        all->tags[id] = change.tags;
        rest = SPAN(rest.data + size, rest.size - size);
    }
}

static bool wanted(const struct all *all, const struct message_read *read, uint64_t id)
{
    struct filter filter = {&read->tags, &read->all_tags, &read->no_tags};
    return id > read->since && (read->until == 0 || id <= read->until) &&
           all->ts[id] >= read->since_time &&
           (read->until_time == 0 || all->ts[id] < read->until_time) &&
           filter_matches(&filter, &all->tags[id]);
}

static uint32_t expect(const struct all *all, const struct message_read *read, uint64_t *ids)
{
    uint32_t count = 0;
    for (uint64_t id = 1; id <= all->last; id++)
        if (wanted(all, read, id))
            ids[count++] = id;
    return count;
}

/* Walks all pages forwards, then all of them backwards: both show what is expected, once. */
static void check_walks(struct node *node, const struct all *all, struct message_read read)
{
    uint64_t expected[IDS_MAX], ids[IDS_MAX];
    uint32_t count = expect(all, &read, expected), seen = 0;
    struct message_read forwards = read;
    for (bool end = false; !end;) {
        const struct message_page *page = ask(node, forwards, NULL);
        assert_int_equal(page->error.size, 0);
        uint32_t got = ids_of(page, ids);
        assert_true(seen + got <= count);
        assert_memory_equal(ids, expected + seen, got * sizeof *ids);
        seen += got;
        end = page->at_end;
        assert_int_equal(end, seen == count);
        assert_true(page->next_id >= forwards.since && page->scanned_to == page->next_id);
        forwards.since = page->next_id;
    }
    read.last = true;
    for (bool start = false; !start;) {
        const struct message_page *page = ask(node, read, NULL);
        assert_int_equal(page->error.size, 0);
        uint32_t got = ids_of(page, ids);
        assert_true(got <= count);
        assert_memory_equal(ids, expected + count - got, got * sizeof *ids);
        count -= got;
        start = page->at_start;
        assert_int_equal(start, count == 0);
        read.before = page->prev_id;
    }
}

static void check_filters(struct node *node)
{
    static const char *const lists[] = {"",      "third", "rare", "odd/*", "third odd/one",
                                        "never", "all"};
    struct all all;
    learn(node, &all);
    for (size_t any = 0; any < COUNT_OF(lists); any++)
        for (size_t every = 0; every < COUNT_OF(lists); every++)
            for (size_t none = 0; none < COUNT_OF(lists); none++)
                check_walks(node, &all,
                            (struct message_read){.tags = texts_of(lists[any]),
                                                  .all_tags = texts_of(lists[every]),
                                                  .no_tags = texts_of(lists[none]),
                                                  .limit = 40});
    bytes_close(&all.rows);
}

static void check_ranges(struct node *node)
{
    struct all all;
    learn(node, &all);
    for (uint64_t id = 1; id <= all.last; id += 23) {
        for (int shift = -1; shift <= 1; shift++) {
            uint64_t ts = all.ts[id] + (uint64_t)(int64_t)shift;
            struct message_read read = {.since_time = ts, .limit = 100};
            check_walks(node, &all, read);
            read.tags = texts_of("third");
            read.until_time = all.ts[id] + 40;
            check_walks(node, &all, read);
            read.until = id + 30;
            read.since = id / 2;
            check_walks(node, &all, read);
            uint64_t ids[IDS_MAX], newest = 0;
            for (uint64_t at = 1; at <= all.last; at++)
                newest = all.ts[at] <= ts ? at : newest;
            const struct message_page *page =
                ask(node, (struct message_read){.at_time = ts, .limit = 1}, NULL);
            assert_int_equal(ids_of(page, ids), newest > 0);
            assert_int_equal(newest > 0 ? ids[0] : 0, newest);
        }
    }
    bytes_close(&all.rows);
}

static void open_node(struct node *node, bool sealed)
{
    node_open(node, PARTS);
    if (sealed)
        seal_all(node);
}

static void filters_match_what_a_walk_finds(void **state)
{
    struct node node;
    for (int sealed = 0; sealed < 2; sealed++) {
        open_node(&node, sealed);
        check_filters(&node);
        node_close(&node);
    }
}

static void times_and_ranges_find_what_a_walk_finds(void **state)
{
    struct node node;
    for (int sealed = 0; sealed < 2; sealed++) {
        open_node(&node, sealed);
        check_ranges(&node);
        node_close(&node);
    }
}

static void reverse_turns_the_rows_and_nothing_else(void **state)
{
    struct node node;
    uint64_t up[IDS_MAX], down[IDS_MAX];
    open_node(&node, true);
    const struct message_page *page =
        ask(&node, (struct message_read){.last = true, .limit = 7}, "third");
    uint32_t count = ids_of(page, up);
    assert_int_equal(count, 7);
    page = ask(&node, (struct message_read){.reverse = true, .limit = 7}, "third");
    assert_int_equal(ids_of(page, down), count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(down[i], up[count - 1 - i]);
    assert_int_equal(page->prev_id, up[0]);
    assert_true(page->at_end);
    node_close(&node);
}

static void headers_alone_tell_the_size_of_the_data(void **state)
{
    struct node node;
    struct change change;
    struct span hash;
    uint64_t id, ts;
    open_node(&node, true);
    const struct message_page *page = ask(&node, (struct message_read){.limit = 1}, NULL);
    struct bytes whole = {0};
    bytes_append_span(&whole, page->rows);
    assert_int_equal(change_row_decode(bytes_span(&whole), &id, &ts, &hash, &change), ERR_NONE);
    uint64_t size = change.data.size;
    assert_true(size > 0);
    page = ask(&node, (struct message_read){.limit = 1, .headers_only = true}, NULL);
    assert_int_equal(change_row_decode(page->rows, &id, &ts, &hash, &change), ERR_NONE);
    assert_int_equal(change.data.size, 0);
    assert_int_equal(change.size, size);
    assert_int_equal(change.tags.count > 0, true);
    bytes_close(&whole);
    node_close(&node);
}

/* R35: without a match the cursor moves all the same. */
static void a_tag_without_a_match_moves_the_cursor_to_the_head(void **state)
{
    struct node node;
    open_node(&node, true);
    const struct message_page *page = ask(&node, (struct message_read){.limit = 1}, "never used");
    assert_int_equal(page->count, 0);
    assert_true(page->at_end && page->at_start);
    assert_int_equal(page->next_id, node.apply.at.last_id);
    for (uint32_t part = 1; part + 1 < PARTS; part++)
        assert_null(node.shelf.parts[part]->opened); /* by the Bloom filters alone */
    page = ask(&node, (struct message_read){.limit = 1}, "nowhere/*");
    assert_int_equal(page->next_id, node.apply.at.last_id);
    for (uint32_t part = 1; part + 1 < PARTS; part++)
        assert_null(node.shelf.parts[part]->opened);
    node_close(&node);
}

/* A bound on the work is no silent omission: the page says how far it looked. */
static void a_search_that_is_cut_short_says_so(void **state)
{
    struct node node;
    open_node(&node, false);
    struct texts any = texts_of("third"), all = texts_of("odd/*"), none = {0};
    struct match match = {.shelf = &node.shelf, .filter = {&any, &all, &none}};
    uint64_t found;
    match.steps = MATCH_STEPS_MAX - 3;
    assert_int_equal(match_next(&match, 0, UINT64_MAX, &found), ERR_NONE);
    if (found == 0) {
        assert_true(match.stopped);
        assert_true(match.reached > 0 && match.reached < node.apply.at.last_id);
    }
    match_close(&match);
    node_close(&node);
}

/* What was cut is an error, never a jump. */
static void below_the_first_id_is_truncated(void **state)
{
    struct node node;
    open_node(&node, true);
    uint64_t first = 100, ts;
    struct all all;
    learn(&node, &all);
    ts = all.ts[first];
    node.shelf.first_id = first;
    static const struct message_read wrong[] = {
        {.limit = 1}, {.since = 98}, {.before = 50}, {.before = 100}, {.last = true, .until = 99}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_true(span_is(ask(&node, wrong[i], NULL)->error, "E_TRUNCATED"));
    const struct message_page *page = ask(&node, (struct message_read){.since_time = 1}, NULL);
    assert_true(span_is(page->error, "E_TRUNCATED"));
    page = ask(&node, (struct message_read){.since_time = ts + 1}, NULL);
    assert_int_equal(page->error.size, 0);
    page = ask(&node, (struct message_read){.since = 99, .limit = 1}, NULL);
    assert_int_equal(page->error.size, 0);
    assert_false(page->at_start);
    page = ask(&node, (struct message_read){.last = true, .limit = 10000}, NULL);
    assert_int_equal(page->error.size, 0);
    assert_int_equal(page->prev_id, first);
    assert_false(page->at_start); /* there was more */
    bytes_close(&all.rows);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_what_a_walk_finds),
        cmocka_unit_test(times_and_ranges_find_what_a_walk_finds),
        cmocka_unit_test(reverse_turns_the_rows_and_nothing_else),
        cmocka_unit_test(headers_alone_tell_the_size_of_the_data),
        cmocka_unit_test(a_tag_without_a_match_moves_the_cursor_to_the_head),
        cmocka_unit_test(a_search_that_is_cut_short_says_so),
        cmocka_unit_test(below_the_first_id_is_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
