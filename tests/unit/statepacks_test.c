/* statepacks_test.c - outcomes in state.db: packed, found, walked, expired; and those of a file of
 * version 2, which had a row for each. */
#include "storage/state.h"
#include "tests/unit/storage_kit.h"

enum { STEP = 3 }; /* indexes with gaps between them */

static struct outcome outcome_at(uint64_t n)
{
    struct outcome outcome = {.index = n * STEP,
                              .first_id = n * 2,
                              .ts = n * 10,
                              .body_hash = n * UINT64_C(0x9e3779b97f4a7c15),
                              .change_count = (uint32_t)(n % 7),
                              .err = n % 100 == 42 ? ERR_IMPORT : ERR_NONE};
    memset(outcome.txid, (int)(n & 0xff), sizeof outcome.txid);
    return outcome;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return a->index == b->index && a->first_id == b->first_id && a->ts == b->ts &&
           a->body_hash == b->body_hash && a->change_count == b->change_count && a->err == b->err &&
           memcmp(a->txid, b->txid, sizeof a->txid) == 0;
}

static void add(struct state *state, uint64_t from, uint64_t to, uint64_t floor, uint64_t keep)
{
    struct apply_mark mark = apply_begin();
    mark.floor = floor;
    CHECK(state_begin(state) == ERR_NONE);
    for (uint64_t n = from; n <= to; n++) {
        struct outcome outcome = outcome_at(n);
        CHECK(state_add_outcome(state, &outcome) == ERR_NONE);
    }
    CHECK(state_end(state, &mark, keep) == ERR_NONE);
}

struct walk {
    uint64_t next, stop, seen;
};

static enum err see(void *owner, const struct outcome *outcome)
{
    struct walk *walk = owner;
    struct outcome wanted = outcome_at(walk->next++);
    CHECK(same(outcome, &wanted));
    walk->seen++;
    return walk->next > walk->stop ? ERR_BUSY : ERR_NONE;
}

static uint64_t seen_from(struct state *state, uint64_t index, uint64_t first, uint64_t stop)
{
    struct walk walk = {.next = first, .stop = stop};
    enum err err = state_outcomes(state, index, see, &walk);
    CHECK(err == (walk.next > stop ? ERR_BUSY : ERR_NONE));
    return walk.seen;
}

static int64_t number(struct state *state, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    bool row;
    CHECK(store_prepare(&state->store, sql, &statement) == ERR_NONE);
    CHECK(store_step(&state->store, statement, &row) == ERR_NONE && row);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

TEST(each_outcome_is_found_and_none_that_is_not_there)
{
    struct kit kit = kit_make();
    SCOPED(state) state = {0};
    struct outcome found;
    CHECK(state_open(&state, kit_path(&kit, "state.db")) == ERR_NONE);
    add(&state, 1, 1, 0, 0);
    add(&state, 2, 2 * PACK_ROWS + 9, 0, 0); /* one, a whole one, one that is not full */
    CHECK(number(&state, "SELECT count(*) FROM outcomes") == 4);
    for (uint64_t n = 1; n <= 2 * PACK_ROWS + 9; n++) {
        struct outcome wanted = outcome_at(n);
        CHECK(state_outcome(&state, n * STEP, &found) == ERR_NONE && same(&found, &wanted));
        CHECK(state_outcome(&state, n * STEP + 1, &found) == ERR_NOT_FOUND);
    }
    CHECK(state_outcome(&state, STEP - 1, &found) == ERR_NOT_FOUND);
    kit_drop(&kit);
}

TEST(a_walk_begins_and_ends_anywhere)
{
    struct kit kit = kit_make();
    SCOPED(state) state = {0};
    enum { LAST = 3 * PACK_ROWS };
    CHECK(state_open(&state, kit_path(&kit, "state.db")) == ERR_NONE);
    CHECK(seen_from(&state, 0, 1, LAST) == 0);
    add(&state, 1, LAST, 0, 0);
    CHECK(seen_from(&state, 0, 1, LAST + 1) == LAST);
    for (uint64_t n = 1; n <= LAST; n += 37) {
        CHECK(seen_from(&state, n * STEP, n, LAST + 1) == LAST - n + 1);
        CHECK(seen_from(&state, n * STEP - 1, n, LAST + 1) == LAST - n + 1);
        CHECK(seen_from(&state, 0, 1, n) == n); /* and the next walk is not disturbed by it */
    }
    CHECK(seen_from(&state, LAST * STEP + 1, 1, LAST) == 0);
    kit_drop(&kit);
}

TEST(packs_go_when_all_of_them_has_expired)
{
    struct kit kit = kit_make();
    SCOPED(state) state = {0};
    struct outcome found;
    enum { LAST = 4 * PACK_ROWS };
    CHECK(state_open(&state, kit_path(&kit, "state.db")) == ERR_NONE);
    add(&state, 1, LAST, 0, UINT64_MAX);
    add(&state, LAST + 1, LAST + 1, 2 * PACK_ROWS * 10, UINT64_MAX); /* the floor: pack 2's last */
    CHECK(state_outcome(&state, PACK_ROWS * STEP, &found) == ERR_NOT_FOUND);
    CHECK(state_outcome(&state, (PACK_ROWS + 1) * STEP, &found) == ERR_NONE);
    add(&state, LAST + 2, LAST + 2, LAST * 10, (2 * PACK_ROWS + 1) * STEP); /* needed from there */
    CHECK(state_outcome(&state, 2 * PACK_ROWS * STEP, &found) == ERR_NOT_FOUND);
    CHECK(state_outcome(&state, (2 * PACK_ROWS + 1) * STEP, &found) == ERR_NONE);
    kit_drop(&kit);
}

TEST(a_damaged_pack_is_seen)
{
    struct kit kit = kit_make();
    SCOPED(state) state = {0};
    struct outcome found;
    static const char *const spoils[] = {"UPDATE outcomes SET rows = CAST(substr(rows, 1, 99) || "
                                         "x'07' || substr(rows, 101) AS BLOB)",
                                         "UPDATE outcomes SET ts = ts + 1",
                                         "UPDATE outcomes SET last = last + 1"};
    CHECK(state_open(&state, kit_path(&kit, "state.db")) == ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(spoils); i++) {
        CHECK(store_run(&state.store, "DELETE FROM outcomes") == ERR_NONE);
        add(&state, 300, 309, 0, 0);
        CHECK(store_run(&state.store, spoils[i]) == ERR_NONE);
        CHECK(state_outcome(&state, 305 * STEP, &found) == ERR_CORRUPT);
        struct walk walk = {.next = 300, .stop = UINT64_MAX};
        CHECK(state_outcomes(&state, 0, see, &walk) == ERR_CORRUPT && walk.seen == 0);
    }
    kit_drop(&kit);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

/* The file as it was: its own tables, and rows of it. */
static void make_version_2(const char *path, uint64_t last, const char *spoil)
{
    struct schema schema = state_schema;
    struct store store = {0};
    char sql[512], hex[33];
    schema.version = 2;
    schema.move = NULL;
    CHECK(store_open(&store, path, &schema) == ERR_NONE && store_begin(&store) == ERR_NONE);
    for (uint64_t n = 1; n <= last; n++) {
        struct outcome o = outcome_at(n);
        uint64_t numbers[] = {o.index, o.first_id, o.ts, o.body_hash, o.change_count};
        uint32_t crc = hash_crc32c(0, SPAN(numbers, sizeof numbers));
        crc = hash_crc32c(crc, SPAN_TEXT(err_name(o.err)));
        crc = hash_crc32c(crc, SPAN(o.txid, sizeof o.txid));
        for (int i = 0; i < 16; i++)
            snprintf(hex + 2 * i, 3, "%02x", o.txid[i]);
        snprintf(sql, sizeof sql,
                 "INSERT INTO outcomes VALUES(%lld, x'%s', %s%s%s, %lld, %u, %lld, %lld, %u)",
                 (long long)o.index, hex, o.err ? "'" : "", o.err ? err_name(o.err) : "NULL",
                 o.err ? "'" : "", (long long)o.first_id, o.change_count, (long long)o.ts,
                 (long long)o.body_hash, crc);
        CHECK(store_run(&store, sql) == ERR_NONE);
    }
    if (spoil != NULL)
        CHECK(store_run(&store, spoil) == ERR_NONE);
    CHECK(store_commit(&store) == ERR_NONE);
    store_close(&store);
}

TEST(a_file_of_version_2_is_packed_at_its_first_opening)
{
    struct kit kit = kit_make();
    const char *path = kit_path(&kit, "state.db");
    enum { LAST = PACK_ROWS + 100 };
    make_version_2(path, LAST, NULL);
    for (int opening = 0; opening < 2; opening++) {
        SCOPED(state) state = {0};
        CHECK(state_open(&state, path) == ERR_NONE);
        CHECK(number(&state, "SELECT count(*) FROM outcomes") == 2);
        CHECK(number(&state, "SELECT count(*) FROM sqlite_schema WHERE name = 'old_outcomes'") ==
              0);
        CHECK(seen_from(&state, 0, 1, LAST + 1) == LAST);
    }
    kit_drop(&kit);
}

TEST(a_damaged_row_of_version_2_stops_the_move_and_nothing_is_changed)
{
    struct kit kit = kit_make();
    const char *path = kit_path(&kit, "state.db");
    make_version_2(path, 300, "UPDATE outcomes SET ts = ts + 1 WHERE idx = 600");
    struct state state = {0};
    CHECK(state_open(&state, path) == ERR_CORRUPT);
    state_close(&state);
    struct schema schema = state_schema;
    struct store store = {0};
    schema.version = 2;
    CHECK(store_open(&store, path, &schema) == ERR_NONE); /* it is of version 2 still */
    CHECK(store_run(&store, "UPDATE outcomes SET ts = ts - 1 WHERE idx = 600") == ERR_NONE);
    store_close(&store);
    CHECK(state_open(&state, path) == ERR_NONE);
    CHECK(seen_from(&state, 0, 1, 301) == 300);
    state_close(&state);
    kit_drop(&kit);
}

TEST_MAIN(T(each_outcome_is_found_and_none_that_is_not_there), T(a_walk_begins_and_ends_anywhere),
          T(packs_go_when_all_of_them_has_expired), T(a_damaged_pack_is_seen),
          T(a_file_of_version_2_is_packed_at_its_first_opening),
          T(a_damaged_row_of_version_2_stops_the_move_and_nothing_is_changed))
