/* tagfloor_test.c - the first change that a rule keeps, at every moment: the same as a query finds,
 * whether it is asked once or again and again while the log grows. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_rule_keeps_is_what_a_query_finds),
        cmocka_unit_test(the_log_grows_while_it_is_asked),
        cmocka_unit_test(the_lowest_of_all_rules_counts_and_each_has_its_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
