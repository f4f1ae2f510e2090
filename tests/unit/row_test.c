/* row_test.c - where a change is and when it was: by guess, by index and by time, compared with the
 * same part before it was sealed. */
#include "tests/unit/node_kit.h"

#include "storage/row.h"

enum { ROWS_MAX = 4000 };

/* What is known of each change by a walk over a part that still grows. */
struct known {
    uint64_t last, ts[ROWS_MAX];
    uint8_t hash[ROWS_MAX][HASH_SIZE];
};

static enum err read_one(struct node *node, uint64_t id, struct row_time *time,
                         uint8_t hash[HASH_SIZE])
{
    struct row_reader reader = {.shelf = &node->shelf, .records = &node->buffers.records};
    struct change change;
    return row_read(&reader, id, &change, time, hash);
}

static void learn(struct node *node, struct known *known)
{
    struct row_time time;
    *known = (struct known){.last = node->shelf.last_id};
    assert_true(known->last < ROWS_MAX);
    for (uint64_t id = 1; id <= known->last; id++) {
        assert_int_equal(read_one(node, id, &time, known->hash[id]), ERR_NONE);
        known->ts[id] = time.ts;
    }
}

/* Records with `sizes` changes in turn (0: no data), of which each tenth comes some time later; and
 * a second part with one change, so that the first one can be sealed. */
static void open_with(struct node *node, const uint32_t *sizes, uint32_t size_count,
                      uint32_t records)
{
    char data[32];
    node_open(node, 0);
    for (uint32_t part = 0; part < 2; part++) {
        begin_part(node, part);
        for (uint32_t record = 0; record < (part == 0 ? records : 1); record++) {
            uint32_t size = sizes[record % size_count];
            node->kit.ts += record % 10 == 0 ? 40 : 0;
            snprintf(data, sizeof data, "record %u.", record);
            take(node,
                 size > 0 ? kit_put(&node->kit, node->kit.last + 1, 1, size, NULL, data)
                          : kit_noop(&node->kit),
                 part);
        }
    }
}

static uint64_t since(struct node *node, uint64_t ts)
{
    struct row_reader reader = {.shelf = &node->shelf, .records = &node->buffers.records};
    uint64_t id;
    assert_int_equal(row_since(&reader, ts, &id), ERR_NONE);
    return id;
}

static void check_rows(struct node *node, const struct known *known)
{
    struct row_time time;
    uint8_t hash[HASH_SIZE];
    for (uint64_t turn = 0; turn < known->last; turn++) {
        uint64_t id = 1 + turn * 7919 % known->last;
        assert_int_equal(read_one(node, id, &time, hash), ERR_NONE);
        assert_int_equal(time.ts, known->ts[id]);
        assert_memory_equal(hash, known->hash[id], HASH_SIZE);
    }
}

static void check_times(struct node *node, const struct known *known)
{
    uint64_t id = 1;
    for (uint64_t ts = known->ts[1] - 1; ts <= known->ts[known->last] + 1; ts++) {
        while (id <= known->last && known->ts[id] < ts)
            id++;
        assert_int_equal(since(node, ts), id);
    }
}

static void check_all(struct node *node, const struct known *known)
{
    check_rows(node, known);
    check_times(node, known);
}

static void in_index(struct node *node, const char *sql)
{
    char path[160];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s.index", node->paths[0]);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void seal_and_start(struct node *node)
{
    seal_all(node);
    assert_true(node->shelf.parts[0]->indexed);
    assert_int_equal(restart(node), ERR_NONE);
    assert_true(node->shelf.parts[0]->indexed);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void rows_and_times_are_those_of_the_open_part(void **state)
{
    static const uint32_t single[] = {1}, mixed[] = {1, 3, 0, 1, 2}, only[] = {0, 0, 1};
    static const struct {
        const uint32_t *sizes;
        uint32_t count, records;
    } kinds[] = {{single, 1, 4 * TAGINDEX_TIMES_EACH},
                 {single, 1, 4 * TAGINDEX_TIMES_EACH + 1},
                 {mixed, COUNT_OF(mixed), 1500},
                 {only, COUNT_OF(only), 30}};
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        static struct known known;
        struct node node;
        open_with(&node, kinds[kind].sizes, kinds[kind].count, kinds[kind].records);
        learn(&node, &known);
        check_all(&node, &known);
        seal_and_start(&node);
        check_all(&node, &known);
        node_close(&node);
    }
}

/* A part that was cut in its middle: times before it are not looked for. */
static void the_first_id_may_be_anywhere_in_a_part(void **state)
{
    static const uint32_t single[] = {1};
    struct node node;
    open_with(&node, single, 1, 1000);
    seal_and_start(&node);
    for (uint64_t first = 1; first < 800; first += 111) {
        node.shelf.first_id = first;
        assert_int_equal(since(&node, 1), first);
        assert_int_equal(since(&node, UINT64_MAX), node.shelf.last_id + 1);
    }
    node_close(&node);
}

static void what_no_part_holds_is_damage(void **state)
{
    struct shelf shelf = {.first_id = 1, .last_id = 3};
    struct row_reader reader = {.shelf = &shelf};
    uint64_t id;
    assert_int_equal(row_since(&reader, 1, &id), ERR_CORRUPT);
}

/* As many changes as records, but not one each: the guess is wrong, and is not asked again. */
static void a_wrong_guess_is_no_wrong_row(void **state)
{
    static const uint32_t sizes[] = {1, 1, 0, 2};
    static struct known known;
    struct row_time time;
    uint8_t hash[HASH_SIZE];
    struct node node;
    open_with(&node, sizes, COUNT_OF(sizes), 1000);
    learn(&node, &known);
    seal_and_start(&node);
    const struct seal *seal = &node.shelf.parts[0]->seal;
    assert_int_equal(seal->last_index - seal->first_index, seal->next_id - 1 - seal->first_id);
    assert_int_equal(read_one(&node, 1, &time, hash), ERR_NONE);
    assert_true(node.shelf.parts[0]->opened->even);
    assert_int_equal(read_one(&node, 4, &time, hash), ERR_NONE);
    assert_false(node.shelf.parts[0]->opened->even);
    assert_memory_equal(hash, known.hash[4], HASH_SIZE);
    check_all(&node, &known);
    node_close(&node);
}

/* What it saves: the rows of an even part are found without a page of runs. */
static void the_runs_of_an_even_part_are_not_read(void **state)
{
    static const uint32_t single[] = {1};
    static struct known known;
    struct node node;
    open_with(&node, single, 1, 1000);
    learn(&node, &known);
    seal_and_start(&node);
    check_rows(&node, &known);
    assert_int_equal(node.shelf.parts[0]->opened->runs.size, 0);
    node_close(&node);
}

/* And a time is found without a look at what lies further away than the next time that is kept. */
static void a_time_reads_only_near_it(void **state)
{
    static const uint32_t single[] = {1};
    static struct known known;
    struct node node;
    open_with(&node, single, 1, 4 * TAGINDEX_TIMES_EACH);
    learn(&node, &known);
    seal_and_start(&node);
    node_damage(node.paths[0], "record 512."); /* id 513, the middle */
    assert_int_equal(restart(&node), ERR_NONE);
    assert_int_equal(since(&node, known.ts[100]), 100);
    assert_int_equal(since(&node, known.ts[900]), 900);
    node_close(&node);
}

/* An .index of an earlier build has no times, nor has what was made of it. */
static void a_file_without_times_is_as_good(void **state)
{
    static const uint32_t single[] = {1};
    static struct known known;
    struct tagindex index = {0};
    struct node node;
    open_with(&node, single, 1, 1000);
    learn(&node, &known);
    seal_and_start(&node);
    assert_int_equal(node.shelf.parts[0]->seal.times.size, 4 * sizeof(uint64_t));
    in_index(&node, "DROP TABLE times");
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(restart(&node), ERR_NONE);
        struct shelf_part *part = node.shelf.parts[0];
        assert_true(part->indexed);
        assert_int_equal(part->seal.times.size, 0);
        check_all(&node, &known);
        shelf_rest(part);
        tagindex_close(&index);
        assert_int_equal(seal_load(part->path, &index), ERR_NONE);
        assert_int_equal(seal_write(part->path, &index, &part->seal), ERR_NONE);
    }
    tagindex_close(&index);
    node_close(&node);
}

/* Times that are damaged or missing are damage of the file: it is made anew. */
static void damaged_times_are_not_believed(void **state)
{
    static const char *const damages[] = {"UPDATE times SET content = zeroblob(32)",
                                          "UPDATE times SET content = substr(content, 1, 24)",
                                          "UPDATE times SET first = 8"};
    static const uint32_t single[] = {1};
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        static struct known known;
        struct node node;
        open_with(&node, single, 1, 1000);
        learn(&node, &known);
        seal_and_start(&node);
        in_index(&node, damages[i]);
        assert_int_equal(restart(&node), ERR_NONE);
        assert_false(node.shelf.parts[0]->indexed);
        check_all(&node, &known);
        node_close(&node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_times_are_those_of_the_open_part),
        cmocka_unit_test(the_first_id_may_be_anywhere_in_a_part),
        cmocka_unit_test(what_no_part_holds_is_damage),
        cmocka_unit_test(a_wrong_guess_is_no_wrong_row),
        cmocka_unit_test(the_runs_of_an_even_part_are_not_read),
        cmocka_unit_test(a_time_reads_only_near_it),
        cmocka_unit_test(a_file_without_times_is_as_good),
        cmocka_unit_test(damaged_times_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
