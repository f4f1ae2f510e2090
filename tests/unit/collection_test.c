/* collection_test.c - of each key the newest change: here, in the state, and both at once; compared
 * with a plain table. */
#include "tests/unit/node_kit.h"

enum { KEYS = 40, DATA_MAX = 64 };

/* What must be there. */
struct table {
    uint64_t id[KEYS];
    bool removed[KEYS];
};

static struct span name_of(uint32_t number, char text[16])
{
    snprintf(text, 16, "%s/%02u", number % 2 ? "odd" : "even", number);
    return SPAN_TEXT(text);
}

/* One put of one change of a key. */
static void put_key(struct node *node, struct table *table, uint32_t number, bool removes)
{
    char text[16], data[DATA_MAX];
    struct bytes body = {0};
    uint64_t n = node->kit.last + 1;
    snprintf(data, sizeof data, "value %llu", (unsigned long long)n);
    struct change change = {
        .has_key = true, .removes = removes, .key = name_of(number, text), .data = SPAN_TEXT(data)};
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    take(node, kit_raw(&node->kit, n, 1, bytes_span(&body)), 0);
    bytes_close(&body);
    table->id[number] = node->apply.at.last_id;
    table->removed[number] = removes;
}

static enum err scan(struct node *node, struct span after, const char *prefix, uint64_t limit,
                     struct bytes *rows, struct bytes *next, struct collection_page *page)
{
    *page = (struct collection_page){.after = after,
                                     .prefix = SPAN_TEXT(prefix),
                                     .limit = limit,
                                     .bytes = COLLECTION_BYTES_MAX,
                                     .rows = rows,
                                     .next = next};
    return collection_scan(&node->flush.collection, &node->state.keys, page);
}

static void check_rows(const struct table *table, struct span rows, const char *prefix,
                       uint32_t *order, uint32_t *at)
{
    struct change change;
    uint64_t id, ts;
    struct span hash;
    while (rows.size > 0) {
        char text[16];
        size_t size = wire_size(rows);
        assert_int_equal(change_row_decode(SPAN(rows.data, size), &id, &ts, &hash, &change), 0);
        while (table->id[order[*at]] == 0 || table->removed[order[*at]] ||
               memcmp(name_of(order[*at], text).data, prefix, strlen(prefix)) != 0)
            ++*at;
        assert_true(span_equal(change.key, name_of(order[*at], text)));
        assert_int_equal(id, table->id[order[*at]]);
        ++*at;
        rows = SPAN(rows.data + size, rows.size - size);
    }
}

/* All keys in order, page by page, none twice, none missing. */
static void check_scan(struct node *node, const struct table *table, const char *prefix,
                       uint64_t limit)
{
    uint32_t order[KEYS + 1], at = 0, expected = 0;
    struct bytes rows = {0}, next = {0}, after = {0};
    struct collection_page page;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < KEYS; i++) /* even/.. before odd/.. */
        order[i] = i < KEYS / 2 ? 2 * i : 2 * (i - KEYS / 2) + 1;
    order[KEYS] = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        char text[16];
        bool below = memcmp(name_of(i, text).data, prefix, strlen(prefix)) == 0;
        expected += below && table->id[i] > 0 && !table->removed[i];
    }
    do {
        assert_int_equal(scan(node, bytes_span(&after), prefix, limit, &rows, &next, &page), 0);
        assert_true(page.count <= limit);
        check_rows(table, bytes_span(&rows), prefix, order, &at);
        seen += page.count;
        bytes_clear(&after);
        bytes_append_span(&after, bytes_span(&next));
    } while (!page.at_end);
    assert_int_equal(seen, expected);
    bytes_close(&rows);
    bytes_close(&next);
    bytes_close(&after);
}

static void check_keys(struct node *node, const struct table *table)
{
    struct statekeys_row row;
    char text[16];
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(
            collection_find(&node->flush.collection, &node->state.keys, name_of(i, text), &row),
            ERR_NONE);
        assert_int_equal(row.id, table->id[i]);
        assert_int_equal(row.removed, table->removed[i]);
    }
    check_scan(node, table, "", 7);
    check_scan(node, table, "", 1000);
    check_scan(node, table, "odd/", 3);
    check_scan(node, table, "even/1", 4);
    check_scan(node, table, "nothing", 4);
}

static void a_collection_is_a_table_of_the_newest(void **state)
{
    struct node node;
    struct table table = {0};
    uint32_t chance = 12345;
    node_open(&node, 1);
    check_keys(&node, &table);
    node.filling = true;
    assert_int_equal(store_begin(&node.segments[0]->store), ERR_NONE);
    for (uint32_t i = 0; i < 600; i++) {
        chance = chance * 1103515245 + 12345;
        put_key(&node, &table, (chance >> 16) % KEYS, (chance >> 8) % 4 == 0);
        if (i % 50 == 20)
            check_keys(&node, &table);
        if (i % 97 == 50)
            write_state(&node); /* what is written and what is not are seen alike */
    }
    check_keys(&node, &table);
    write_state(&node);
    check_keys(&node, &table);
    assert_int_equal(store_commit(&node.segments[0]->store), ERR_NONE);
    node_close(&node);
}

/* R9: after put, put, delete of one key the collection is empty and the log holds three changes. */
static void a_deleted_key_is_gone_and_its_changes_stay(void **state)
{
    struct node node;
    struct table table = {0};
    struct statekeys_row row;
    char text[16];
    node_open(&node, 1);
    uint64_t before = node.apply.at.last_id;
    put_key(&node, &table, 3, false);
    put_key(&node, &table, 3, false);
    put_key(&node, &table, 3, true);
    for (int written = 0; written < 2; written++) {
        assert_int_equal(
            collection_find(&node.flush.collection, &node.state.keys, name_of(3, text), &row),
            ERR_NONE);
        assert_true(row.removed && row.id == before + 3);
        check_keys(&node, &table);
        const struct message_page *page =
            ask(&node, (struct message_read){.since = before, .limit = 10}, NULL);
        assert_int_equal(page->count, 3);
        page = ask(&node, (struct message_read){.since = before, .latest = true}, NULL);
        assert_int_equal(page->count, 1); /* R11: only the newest, which says that it is gone */
        assert_true(page->at_end);
        write_state(&node);
    }
    node_close(&node);
}

static void a_flipped_bit_is_an_error(void **state)
{
    struct node node;
    struct table table = {0};
    struct statekeys_row row;
    char text[16];
    node_open(&node, 1);
    put_key(&node, &table, 5, false);
    write_state(&node);
    assert_int_equal(
        sqlite3_exec(node.state.store.db, "UPDATE keys SET id = id + 1", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(
        collection_find(&node.flush.collection, &node.state.keys, name_of(5, text), &row),
        ERR_CORRUPT);
    node_close(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_collection_is_a_table_of_the_newest),
        cmocka_unit_test(a_deleted_key_is_gone_and_its_changes_stay),
        cmocka_unit_test(a_flipped_bit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
