/* tagfloor_test.c - the first change that a rule keeps, at every moment: the same as a query finds,
 * whether it is asked once or again and again while the log grows. */
#include "storage/cutter.h"
#include "storage/tagfloor.h"

#include "tests/unit/node_kit.h"

#define SECOND UINT64_C(1000000000)

static void add_rule(struct rules *rules, const char *tag, uint64_t keep_s)
{
    struct bytes body = {0};
    rules_encode_body(SPAN_TEXT(tag), keep_s, RULE_UNCHANGED, 1, &body);
    assert_int_equal(rules_change(rules, bytes_span(&body)), ERR_NONE);
    bytes_close(&body);
}

/* The first change with the tag that is younger than `cutoff`; 0: there is none. */
static uint64_t queried(struct node *node, const char *tag, uint64_t cutoff)
{
    uint64_t id = 0;
    const struct message_page *page =
        ask(node, (struct message_read){.since_time = cutoff + 1, .limit = 1}, tag);
    assert_int_equal(page->error.size, 0);
    return ids_of(page, &id) > 0 ? id : 0;
}

/* The first one behind an id. */
static uint64_t queried_from(struct node *node, const char *tag, uint64_t since)
{
    uint64_t id = 0;
    const struct message_page *page =
        ask(node, (struct message_read){.since = since, .limit = 1}, tag);
    assert_int_equal(page->error.size, 0);
    return ids_of(page, &id) > 0 ? id : 0;
}

static uint64_t found(struct tagfloor *floors, struct node *node, const struct rules *rules,
                      uint64_t ts)
{
    uint64_t id;
    assert_int_equal(tagfloor_find(floors, &node->shelf, rules, ts, &id), ERR_NONE);
    return id;
}

/* At all moments of the log; what was remembered says the same as what is looked for anew. */
static void check_tag(struct node *node, const char *tag, uint64_t step)
{
    struct tagfloor kept = {0};
    struct rules rules = {0};
    add_rule(&rules, tag, 1);
    for (uint64_t cutoff = 1000; cutoff <= node->kit.ts + 1; cutoff += step) {
        struct tagfloor fresh = {0};
        uint64_t id = queried(node, tag, cutoff);
        assert_int_equal(found(&fresh, node, &rules, SECOND + cutoff), id);
        assert_int_equal(found(&kept, node, &rules, SECOND + cutoff), id);
        assert_int_equal(found(&kept, node, &rules, SECOND + cutoff), id);
    }
}

static void check_all(struct node *node)
{
    static const char *const tags[] = {"third", "rare", "odd/one", "odd/*", "never", "all"};
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        check_tag(node, tags[i], 1);
        check_tag(node, tags[i], 17);
    }
}

static void what_a_rule_keeps_is_what_a_query_finds(void **state)
{
    struct node node;
    node_open(&node, 3);
    check_all(&node);
    seal_all(&node);
    check_all(&node);
    node_close(&node);
}

/* Where there was no change with the tag, one may come. */
static void the_log_grows_while_it_is_asked(void **state)
{
    struct node node;
    struct tagfloor kept = {0};
    struct rules rules = {0};
    node_open(&node, 2);
    add_rule(&rules, "rare", 1);
    begin_part(&node, 2);
    for (uint32_t i = 0; i < PART_ENTRIES; i++) {
        uint64_t cutoff = node.kit.ts - 20;
        assert_int_equal(found(&kept, &node, &rules, SECOND + cutoff),
                         queried(&node, "rare", cutoff));
        add_entry(&node, 2);
    }
    assert_int_not_equal(queried(&node, "rare", 1000), 0); /* it came, and was seen */
    node_close(&node);
}

static void the_lowest_of_all_rules_counts_and_each_has_its_own_time(void **state)
{
    struct node node;
    struct tagfloor kept = {0};
    struct rules rules = {0};
    node_open(&node, 3);
    uint64_t ts = 2 * SECOND + 1000 + 40;
    assert_int_equal(found(&kept, &node, &rules, ts), 0);
    add_rule(&rules, "third", 0); /* says nothing of how long */
    assert_int_equal(found(&kept, &node, &rules, ts), 0);
    add_rule(&rules, "rare", 2);
    uint64_t rare = queried(&node, "rare", 1040);
    assert_int_equal(found(&kept, &node, &rules, ts), rare);
    add_rule(&rules, "odd/*", 2);
    uint64_t odd = queried(&node, "odd/*", 1040);
    assert_true(odd != 0 && odd < rare);
    assert_int_equal(found(&kept, &node, &rules, ts), odd);
    add_rule(&rules, "odd/*", 1); /* none is so young */
    assert_int_equal(found(&kept, &node, &rules, ts), rare);
    add_rule(&rules, "odd/*", 365 * 86400); /* longer than the log is old */
    assert_int_equal(found(&kept, &node, &rules, ts), queried(&node, "odd/*", 0));
    node_close(&node);
}

/* A leader asks by its clock, and its clock may be set right. */
static void time_goes_back_and_nothing_that_is_young_is_let_go(void **state)
{
    static const char *const tags[] = {"third", "rare", "odd/*", "all"};
    struct node node;
    node_open(&node, 3);
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        struct tagfloor kept = {0};
        struct rules rules = {0};
        add_rule(&rules, tags[i], 1);
        for (uint64_t back = 0; back < 100; back += 9) {
            uint64_t cutoff = node.kit.ts - back;
            assert_int_equal(found(&kept, &node, &rules, SECOND + node.kit.ts + 1), 0);
            assert_int_equal(found(&kept, &node, &rules, SECOND + cutoff),
                             queried(&node, tags[i], cutoff));
        }
    }
    node_close(&node);
}

/* A search that ends early, as one in a log of many files does: what it has not seen is kept, and
 * the next one goes on from there. */
static void what_was_not_looked_at_is_kept(void **state)
{
    struct node node;
    struct tagfloor kept = {.parts_max = 1};
    struct rules rules = {0};
    node_open(&node, 3); /* "rare" is in the last part only; no part has its index yet */
    add_rule(&rules, "rare", 1);
    uint64_t rare = queried(&node, "rare", 1000), before = 0, id = 0;
    for (uint32_t ask = 0; id != rare; ask++) {
        id = found(&kept, &node, &rules, SECOND + 1000);
        assert_true(id > before && id <= rare && ask < PARTS);
        assert_true((ask == 0) <= (id < rare)); /* not at once */
        before = id;
    }
    assert_int_equal(found(&kept, &node, &rules, SECOND + 1000), rare);
    node_close(&node);
}

static void what_is_cut_is_kept_by_no_rule(void **state)
{
    struct node node;
    struct tagfloor kept = {0};
    struct rules rules = {0};
    uint8_t hash[HASH_SIZE];
    node_open(&node, 3);
    add_rule(&rules, "third", 1);
    uint64_t first = found(&kept, &node, &rules, SECOND + 1000);
    assert_int_equal(shelf_hash(&node.shelf, first, hash), ERR_NONE);
    assert_int_equal(shelf_cut(&node.shelf, first + 1, hash), ERR_NONE); /* the disk came first */
    uint64_t next = found(&kept, &node, &rules, SECOND + 1000);
    assert_int_equal(next, queried_from(&node, "third", first));
    node_close(&node);
}

static void an_empty_log_is_kept_by_no_rule(void **state)
{
    struct node node;
    struct tagfloor kept = {0};
    struct rules rules = {0};
    node_open(&node, 0);
    add_rule(&rules, "third", 1);
    assert_int_equal(found(&kept, &node, &rules, SECOND + 1000), 0);
    node_close(&node);
}

/* What cannot be read is kept by age and by tag; a full disk does not wait for it to be mended. */
static void damage_does_not_keep_a_full_disk_full(void **state)
{
    struct node node;
    struct tagfloor kept = {0};
    struct retention_cut cut;
    char index[160];
    node_open(&node, PARTS);
    seal_all(&node);
    struct apply_mark at = node.apply.at;
    add_rule(&at.rules, "rare", 1);
    at.settings.min_records = 1;
    const struct message_may_cut ask = {.ts = SECOND + 1000,
                                        .last_index = at.index,
                                        .live_index = at.index,
                                        .down_index = at.index};
    snprintf(index, sizeof index, "%s.index", node.paths[2]);
    node_damage(index, "rare");
    assert_int_equal(restart(&node), ERR_NONE);
    SCOPED(bytes) none = {0}, some = {0};
    assert_int_equal(cutter_decide(&node.shelf, &kept, &at, &ask, &none), ERR_CORRUPT);
    assert_int_equal(none.size, 0);
    at.settings.max_bytes = 1;
    assert_int_equal(cutter_decide(&node.shelf, &kept, &at, &ask, &some), ERR_CORRUPT);
    assert_int_equal(retention_decode(bytes_span(&some), &cut), ERR_NONE);
    assert_true(cut.first_id > at.first_id);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_rule_keeps_is_what_a_query_finds),
        cmocka_unit_test(the_log_grows_while_it_is_asked),
        cmocka_unit_test(time_goes_back_and_nothing_that_is_young_is_let_go),
        cmocka_unit_test(what_was_not_looked_at_is_kept),
        cmocka_unit_test(what_is_cut_is_kept_by_no_rule),
        cmocka_unit_test(an_empty_log_is_kept_by_no_rule),
        cmocka_unit_test(damage_does_not_keep_a_full_disk_full),
        cmocka_unit_test(the_lowest_of_all_rules_counts_and_each_has_its_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
