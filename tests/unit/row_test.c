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

/* A page from `first` on, of which the records are read in one go, and guessed at first. */
static void check_page(struct node *node, const struct known *known, uint64_t first)
{
    shelf_rest(node->shelf.parts[0]);
    const struct message_page *page =
        ask(node, (struct message_read){.since = first - 1, .limit = 1000}, NULL);
    struct span rest = page->rows, hash;
    struct change change;
    uint64_t id, ts, expected = first;
    assert_int_equal(page->error.size, 0);
    for (; rest.size > 0; expected++) {
        size_t size = wire_size(rest);
        assert_int_equal(change_row_decode(SPAN(rest.data, size), &id, &ts, &hash, &change), 0);
        assert_int_equal(id, expected);
        assert_int_equal(ts, known->ts[id]);
        assert_memory_equal(hash.data, known->hash[id], HASH_SIZE);
        rest = SPAN(rest.data + size, rest.size - size);
    }
    assert_int_equal(page->count, 1000 < known->last + 1 - first ? 1000 : known->last + 1 - first);
    assert_int_equal(expected, first + page->count);
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

/* A part that was cut in its middle, and one whose index was made anew behind the cut. */
static void the_first_id_may_be_anywhere_in_a_part(void **state)
{
    static const uint32_t single[] = {1};
    static struct known known;
    struct node node;
    open_with(&node, single, 1, 1000);
    learn(&node, &known);
    seal_and_start(&node);
    for (uint64_t first = 1; first < 800; first += 111) {
        node.shelf.first_id = first;
        for (uint64_t id = first; id <= known.last; id += 13)
            assert_int_equal(since(&node, known.ts[id]), id);
        assert_int_equal(since(&node, 1), first);
        assert_int_equal(since(&node, UINT64_MAX), known.last + 1);
    }
    node.apply.at.first_id = 300;
    memcpy(node.apply.at.cut_hash, known.hash[299], HASH_SIZE);
    flush_mark(&node.flush, &node.apply.at);
    write_state(&node);
    assert_int_equal(seal_remove(node.paths[0]), ERR_NONE);
    assert_int_equal(restart(&node), ERR_NONE);
    seal_all(&node);
    assert_int_equal(node.shelf.parts[0]->seal.first_id, 300);
    for (uint64_t id = 300; id <= known.last; id++)
        assert_int_equal(since(&node, known.ts[id]), id);
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
    for (uint64_t first = 1; first < 40; first++)
        check_page(&node, &known, first);
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

/* Damage costs the times, and nothing else of the file. */
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
        assert_false(node.shelf.parts[0]->seal.times_damaged);
        in_index(&node, damages[i]);
        assert_int_equal(restart(&node), ERR_NONE);
        assert_true(node.shelf.parts[0]->indexed);
        assert_true(node.shelf.parts[0]->seal.times_damaged);
        assert_int_equal(node.shelf.parts[0]->seal.times.size, 0);
        check_all(&node, &known);
        node_close(&node);
    }
}

/* Seals so many changes, each of which has its id as its time, and reads what is kept of that. */
static void seal_synthetic(const char *path, uint64_t count, int more, struct seal *read)
{
    static const uint8_t zeros[HASH_SIZE];
    struct seal seal = {.first_index = 1, .last_index = count, .file.size = DIGEST_SIZE};
    struct tagindex index = {0};
    tagindex_open(&index, 1, zeros);
    for (uint64_t id = 1; id <= count; id++) {
        tagindex_add_run(&index, id);
        tagindex_add_change(&index, id, zeros);
    }
    memset(bytes_reserve(&index.times, 8), 0, 8);
    index.times.size += (size_t)(8 * more);
    assert_int_equal(seal_write(path, &index, &seal), ERR_NONE);
    assert_int_equal(seal_read(path, read), ERR_NONE);
    tagindex_close(&index);
    seal_close(&seal);
}

/* More of them than a page holds are in several rows; each is there, or none is believed. */
static void times_of_a_large_part_are_all_there_or_none(void **state)
{
    enum { COUNT = 3 * (SEAL_HASH_BLOCK / 8) * TAGINDEX_TIMES_EACH - 5 };
    struct node node = {0}; /* a place for the file */
    struct seal seal = {0};
    char command[128];
    strcpy(node.directory, "/tmp/row_test_XXXXXX");
    assert_non_null(mkdtemp(node.directory));
    snprintf(node.paths[0], sizeof node.paths[0], "%s/segment", node.directory);
    seal_synthetic(node.paths[0], COUNT, 0, &seal);
    assert_int_equal(seal.times.size, 3 * SEAL_HASH_BLOCK);
    for (uint64_t slot = 0; slot < seal.times.size / 8; slot++)
        assert_int_equal(load_u64(seal.times.data + 8 * slot), 1 + slot * TAGINDEX_TIMES_EACH);
    seal_close(&seal);
    in_index(&node, "DELETE FROM times WHERE first = 3840");
    assert_int_equal(seal_read(node.paths[0], &seal), ERR_NONE);
    assert_true(seal.times_damaged && seal.times.size == 0);
    for (int more = -1; more <= 1; more += 2) {
        seal_close(&seal);
        seal_synthetic(node.paths[0], 1000, more, &seal);
        assert_true(seal.times_damaged && seal.times.size == 0);
    }
    seal_close(&seal);
    snprintf(command, sizeof command, "rm -rf %s", node.directory);
    assert_int_equal(system(command), 0);
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
        cmocka_unit_test(times_of_a_large_part_are_all_there_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
