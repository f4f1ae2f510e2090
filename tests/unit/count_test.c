/* count_test.c - how many changes match and how large they are: compared with a walk over all rows,
 * on open and on sealed parts. */
#include "storage/count.h"
#include "tests/unit/node_kit.h"
#include "tests/unit/texts_kit.h"

enum { MANY = 8192, MANY_A_PUT = 1024 };

static struct message_weighed weigh(struct node *node, struct message_weigh ask)
{
    struct message_weighed weighed;
    count_read(&node->shelf, &ask, &node->buffers, &weighed);
    return weighed;
}

/* Goes on until the end of the range, and sums up. */
static struct message_weighed weigh_all(struct node *node, struct message_weigh ask, uint32_t *asks)
{
    struct message_weighed sum = {.exact = true};
    for (*asks = 0; !sum.at_end; ++*asks) {
        struct message_weighed part = weigh(node, ask);
        assert_int_equal(part.error.size, 0);
        assert_true(part.at_end || part.scanned_to > ask.since);
        sum.count += part.count;
        sum.bytes += part.bytes;
        sum.exact = sum.exact && part.exact;
        sum.at_end = part.at_end;
        sum.scanned_to = ask.since = part.scanned_to;
    }
    return sum;
}

/* The same from the pages of a list. */
static struct message_weighed walk(struct node *node, const struct message_weigh *like)
{
    struct message_weighed sum = {.exact = true};
    struct message_read read = {.since = like->since,
                                .until = like->until,
                                .tags = like->tags,
                                .all_tags = like->all_tags,
                                .no_tags = like->no_tags,
                                .since_time = like->since_time,
                                .until_time = like->until_time,
                                .limit = 10000};
    for (bool end = false; !end;) {
        const struct message_page *page = ask(node, read, NULL);
        sum.count += page->count;
        sum.bytes += page->rows.size;
        end = page->at_end;
        read.since = page->next_id;
    }
    return sum;
}

static void check(struct node *node, struct message_weigh ask)
{
    uint32_t asks;
    struct message_weighed known = walk(node, &ask), sum;
    for (int exact = 0; exact < 2; exact++) {
        ask.exact = exact;
        sum = weigh_all(node, ask, &asks);
        assert_int_equal(sum.count, known.count);
        assert_int_equal(sum.bytes, known.bytes); /* so few are all read */
        assert_true(sum.exact);
    }
}

static void check_filters(struct node *node)
{
    static const char *const lists[] = {"",      "third", "rare", "odd/*", "third odd/one",
                                        "never", "all"};
    uint64_t last = node->apply.at.last_id;
    for (size_t any = 0; any < COUNT_OF(lists); any++)
        for (size_t every = 0; every < COUNT_OF(lists); every++)
            for (size_t none = 0; none < COUNT_OF(lists); none++) {
                struct message_weigh ask = {.tags = texts_of(lists[any]),
                                            .all_tags = texts_of(lists[every]),
                                            .no_tags = texts_of(lists[none])};
                check(node, ask);
                ask.since = last / 3;
                ask.until = last - 20;
                check(node, ask);
            }
}

static void check_ranges(struct node *node)
{
    uint64_t last = node->apply.at.last_id, ts = node->apply.at.ts;
    for (uint64_t since = 0; since <= last; since += 19)
        for (uint64_t until = 0; until <= last + 30; until += 37) {
            check(node, (struct message_weigh){.since = since, .until = until});
            check(node, (struct message_weigh){
                            .since = since, .until = until, .tags = texts_of("third")});
        }
    for (uint64_t time = ts - 220; time < ts + 10; time += 17)
        check(node, (struct message_weigh){
                        .since_time = time, .until_time = time + 90, .tags = texts_of("odd/*")});
}

static void counts_are_what_a_walk_finds(void **state)
{
    struct node node;
    for (int sealed = 0; sealed < 2; sealed++) {
        node_open(&node, PARTS);
        if (sealed)
            seal_all(&node);
        check_filters(&node);
        check_ranges(&node);
        node_close(&node);
    }
}

/* Changes of 0 to 900 bytes in a rhythm, behind those of the kit, in one part. */
static void add_many(struct node *node)
{
    char data[1000];
    struct bytes body = {0};
    memset(data, 'x', sizeof data);
    for (uint32_t at = 0; at < MANY; at += MANY_A_PUT) {
        bytes_clear(&body);
        change_body_begin(&body, MANY_A_PUT);
        for (uint32_t i = 0; i < MANY_A_PUT; i++) {
            struct change change = {.data = SPAN(data, i % 4 * 300)};
            change.tags.at[change.tags.count++] = SPAN_TEXT(i % 2 ? "many/odd" : "many/even");
            change_body_add(&body, &change);
        }
        uint64_t n = node->kit.last + 1;
        take(node, kit_raw(&node->kit, n, 1, bytes_span(&body)), 0);
    }
    bytes_close(&body);
}

static void many_are_counted_exactly_and_weighed_by_some(void **state)
{
    static const char *const lists[] = {"", "many/*", "many/even", "many/odd third"};
    struct node node;
    node_open(&node, 1);
    add_many(&node);
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct message_weigh ask = {.tags = texts_of(lists[i])};
        struct message_weighed known = walk(&node, &ask);
        uint32_t asks;
        struct message_weighed sum = weigh_all(&node, ask, &asks);
        assert_int_equal(asks, 1);
        assert_int_equal(sum.count, known.count);
        assert_true(sum.count >= MANY / 2);
        assert_false(sum.exact);
        assert_true(sum.bytes > known.bytes * 95 / 100);
        assert_true(sum.bytes < known.bytes * 105 / 100);
        ask.exact = true;
        sum = weigh_all(&node, ask, &asks);
        assert_int_equal(sum.count, known.count);
        assert_int_equal(sum.bytes, known.bytes);
        assert_true(sum.exact);
        assert_true(asks > 1 &&
                    asks <= 1 + sum.count / COUNT_ROWS_MAX + sum.bytes / COUNT_BYTES_MAX);
    }
    node_close(&node);
}

/* Few of them are large: what one ask reads has a bound of bytes as well. */
static void large_changes_end_an_ask_early(void **state)
{
    enum { LARGE = 700000, PUTS = 20 };
    struct node node;
    char *data = bytes_zeroed(1, LARGE + 1);
    memset(data, 'x', LARGE);
    node_open(&node, 1);
    for (uint32_t i = 0; i < PUTS; i++) {
        uint64_t n = node.kit.last + 1;
        take(&node, kit_put(&node.kit, n, 1, 1, "large", data), 0);
    }
    struct message_weigh ask = {.tags = texts_of("large")};
    struct message_weighed one = weigh(&node, ask);
    assert_false(one.at_end);
    assert_true(one.exact);
    assert_true(one.count >= 1 && one.count <= 2 + COUNT_BYTES_MAX / LARGE);
    check(&node, ask);
    bytes_free(data);
    node_close(&node);
}

/* Looks into lists have a bound, too; what was not looked at is not counted, and the sum is whole.
 */
static void a_count_that_is_cut_short_goes_on(void **state)
{
    struct node node;
    node_open(&node, 1);
    add_many(&node);
    struct texts any = texts_of("many/even many/odd"), none = {0};
    struct match match = {.shelf = &node.shelf, .filter = {&any, &none, &none}};
    struct bytes offsets = {0};
    uint64_t first, next, sum = 0;
    struct shelf_part *part = node.shelf.parts[0];
    shelf_ids(&node.shelf, part, &first, &next);
    for (uint64_t from = first; from < next; from = match.reached + 1) {
        match.steps = MATCH_STEPS_MAX - 500;
        match.stopped = false;
        match.reached = next - 1;
        bytes_clear(&offsets);
        assert_int_equal(match_gather(&match, part, from, next - 1, &offsets), ERR_NONE);
        assert_true(match.stopped || match.reached == next - 1);
        assert_true(offsets.size / sizeof(uint32_t) <= 500);
        sum += offsets.size / sizeof(uint32_t);
    }
    assert_int_equal(sum, MANY);
    bytes_close(&offsets);
    match_close(&match);
    struct message_weigh ask = {.tags = texts_of("many/even many/odd")};
    while (ask.tags.count < TEXTS_MAX) /* each is looked for at every change */
        ask.tags.at[ask.tags.count++] = SPAN_TEXT("never");
    uint32_t asks;
    struct message_weighed all = weigh_all(&node, ask, &asks);
    assert_int_equal(all.count, MANY);
    assert_true(asks > 1);
    node_close(&node);
}

/* A range without a beginning is that of all that is kept; a named place that was cut is an error.
 */
static void what_was_cut_is_not_counted_and_never_skipped(void **state)
{
    struct node node;
    node_open(&node, PARTS);
    seal_all(&node);
    uint64_t first = 100, last = node.apply.at.last_id;
    node.shelf.first_id = first;
    struct message_weighed all = weigh(&node, (struct message_weigh){0});
    assert_int_equal(all.error.size, 0);
    assert_int_equal(all.count, last - first + 1);
    assert_int_equal(all.first_id, first);
    assert_int_equal(all.scanned_to, last);
    static const struct message_weigh cut[] = {{.since = 98}, {.since = 1}, {.since_time = 1}};
    for (size_t i = 0; i < COUNT_OF(cut); i++)
        assert_true(span_is(weigh(&node, cut[i]).error, "E_TRUNCATED"));
    assert_int_equal(weigh(&node, (struct message_weigh){.since = 99}).count, last - first + 1);
    all = weigh(&node, (struct message_weigh){.until = 99}); /* all of it was cut */
    assert_int_equal(all.count, 0);
    assert_true(all.at_end);
    node_close(&node);
}

static void what_is_none_is_refused_and_what_is_damaged_is_told(void **state)
{
    struct node node;
    node_open(&node, PARTS);
    seal_all(&node);
    uint64_t last = node.apply.at.last_id;
    assert_true(span_is(weigh(&node, (struct message_weigh){.since = last + 1}).error, "E_AHEAD"));
    struct message_weighed end = weigh(&node, (struct message_weigh){.since = last});
    assert_true(end.error.size == 0 && end.count == 0 && end.at_end);
    end = weigh(&node, (struct message_weigh){.since = 50, .until = 20});
    assert_true(end.error.size == 0 && end.count == 0 && end.at_end);
    node_damage(node.paths[0], "data 5");
    assert_int_equal(restart(&node), ERR_NONE);
    struct message_weighed damaged = weigh(&node, (struct message_weigh){0});
    assert_true(span_is(damaged.error, "E_CORRUPT"));
    assert_int_equal(damaged.count, 0);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_what_a_walk_finds),
        cmocka_unit_test(many_are_counted_exactly_and_weighed_by_some),
        cmocka_unit_test(large_changes_end_an_ask_early),
        cmocka_unit_test(a_count_that_is_cut_short_goes_on),
        cmocka_unit_test(what_was_cut_is_not_counted_and_never_skipped),
        cmocka_unit_test(what_is_none_is_refused_and_what_is_damaged_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
