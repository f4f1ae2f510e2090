/* scrub: one bit is flipped in each place where something is stored; it is found, never shown, and
 * what is sealed is mended. */
#include "protocol/message.h"
#include "protocol/link.h"

static enum err kit_on_mend_at(void *owner, uint32_t neighbour, const struct message *message);
#define KIT_KEEPER_HANDLERS ON(MEND_AT, kit_on_mend_at)

#include "rooms_kit.h"

#include "common/service.h"
#include "storage/filedigest.h"
#include "storage/seal.h"
#include "storage/smallfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PART_ENTRIES = 500, PARTS = 4 };
enum { FOUND_MS = 10000 }; /* a pass takes about a second */

static uint64_t mend_from, mend_to, mend_answers;

static enum err kit_on_mend_at(void *owner, uint32_t neighbour, const struct message *message)
{
    mend_from = message->mend_at.from;
    mend_to = message->mend_at.to;
    mend_answers++;
    return ERR_NONE;
}

/* Gives keeper records (or none), and takes what it wants. */
static void mend(struct kit_house *house, struct span entries)
{
    struct message message = {.type = MESSAGE_MEND, .mend = {entries}};
    uint64_t before = mend_answers;
    assert_int_equal(link_send(&house->to_keeper, 0, &message), ERR_NONE);
    KIT_WAIT(house, mend_answers > before);
}

/* Does keeper want records of another server by now? */
static bool wants(struct kit_house *house)
{
    mend(house, SPAN(NULL, 0));
    return mend_from != 0;
}

static void load(struct kit_house *house, struct log_kit *kit)
{
    size_t from = kit->records.size;
    for (uint64_t i = 0; i < PART_ENTRIES; i++) {
        char data[64];
        snprintf(data, sizeof data, "this is change number %06u", (unsigned)kit->last + 1);
        kit_put(kit, kit->last + 1, 1, 1, "t", data);
    }
    kit_store(house, SPAN(kit->records.data + from, kit->records.size - from));
    kit_commit(house, kit->last, 1);
    KIT_WAIT(house, house->applied == kit->last);
}

/* Four parts of which three are sealed. */
static void furnish(struct kit_house *house, struct log_kit *kit)
{
    char index[160];
    *kit = (struct log_kit){.term = 1, .ts = 1000};
    kit_house_open(house);
    kit_start(house);
    for (uint32_t part = 0; part < PARTS; part++) {
        if (part > 0)
            kit_roll(house);
        load(house, kit);
    }
    snprintf(index, sizeof index, "%s.index", house->paths[PARTS - 2]);
    KIT_WAIT(house, access(index, F_OK) == 0);
}

static void drop(struct kit_house *house, struct log_kit *kit)
{
    kit_close(kit);
    kit_house_close(house);
}

/* Flips a bit of a text, wherever it stands in the file. False: it is not in it. */
static bool flip(const char *path, const char *text)
{
    FILE *file = fopen(path, "r+b");
    struct bytes all = {0};
    bool found = false;
    if (file == NULL)
        return false;
    for (int byte = fgetc(file); byte != EOF; byte = fgetc(file))
        bytes_append(&all, &(uint8_t){(uint8_t)byte}, 1);
    uint8_t *at = all.size ? memmem(all.data, all.size, text, strlen(text)) : NULL;
    for (; at != NULL; found = true) {
        fseek(file, (long)(at - all.data) + 2, SEEK_SET);
        fputc(at[2] ^ 4, file);
        at = memmem(at + 1, all.size - (size_t)(at + 1 - all.data), text, strlen(text));
    }
    fclose(file);
    bytes_close(&all);
    return found;
}

static bool flip_beside(const char *path, const char *suffix, const char *text)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return flip(name, text);
}

static bool is_there(const char *path, const char *suffix)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return access(name, F_OK) == 0;
}

static struct span records_of(const struct log_kit *kit, uint64_t first, uint64_t last)
{
    struct span rest = bytes_span(&kit->records), record;
    const uint8_t *begin = NULL, *end = NULL;
    while (entry_next(&rest, &record)) {
        if (entry_index_of(record) == first)
            begin = record.data;
        if (entry_index_of(record) <= last)
            end = record.data + record.size;
    }
    return SPAN(begin, (size_t)(end - begin));
}

static bool reads(struct kit_house *house, uint64_t id)
{
    struct message_read read = {.since = id - 1, .exact = true};
    const struct message_page *page = kit_read(house, read, NULL);
    if (page->error.size > 0) {
        assert_true(span_is(page->error, "E_CORRUPT"));
        assert_int_equal(page->rows.size, 0); /* never a wrong byte */
        return false;
    }
    return page->count == 1;
}

static void a_damaged_row_of_a_sealed_file_is_given_by_another_server(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    furnish(&house, &kit);
    assert_true(flip(house.paths[1], "change number 000700"));
    assert_true(reads(&house, 699));
    assert_false(reads(&house, 700)); /* and so the scrub hurries */
    KIT_WAIT_FOR(&house, FOUND_MS, wants(&house));
    assert_int_equal(mend_from, 700); /* the rows before it are its own */
    assert_int_equal(mend_to, 2 * PART_ENTRIES);
    mend(&house, records_of(&kit, 701, 705)); /* does not follow */
    assert_int_equal(mend_from, 700);
    struct bytes wrong = {0};
    bytes_append_span(&wrong, records_of(&kit, 700, 700));
    wrong.data[ENTRY_HEADER_SIZE + 5] ^= 1;
    mend(&house, bytes_span(&wrong)); /* damaged there, too */
    assert_int_equal(mend_from, 700);
    bytes_close(&wrong);
    mend(&house, records_of(&kit, 700, 700));
    assert_int_equal(mend_from, 0); /* what is behind it is its own again */
    KIT_WAIT(&house, is_there(house.paths[1], ".damaged"));
    KIT_WAIT(&house, reads(&house, 700));
    assert_true(reads(&house, 501) && reads(&house, 1000));
    mend(&house, SPAN(NULL, 0));
    assert_int_equal(mend_from, 0);
    kit_stop(&house);
    kit_start(&house); /* sealed and indexed as any other */
    assert_true(reads(&house, 700));
    kit_stop(&house);
    drop(&house, &kit);
}

/* Its .index as builds before version 3 wrote it: with a BLAKE2b-256 of the segment file. */
static void make_earlier(const char *path)
{
    char index_path[256];
    struct tagindex index = {0};
    SCOPED(seal) seal = {0};
    sqlite3 *db;
    assert_int_equal(seal_read(path, &seal), ERR_NONE);
    assert_int_equal(seal.file.size, DIGEST_SIZE);
    assert_int_equal(seal_load(path, &index), ERR_NONE);
    assert_int_equal(filedigest_of(path, HASH_SIZE, &seal.file, NULL), ERR_NONE);
    bytes_clear(&seal.bloom);
    assert_int_equal(seal_write(path, &index, &seal), ERR_NONE);
    tagindex_close(&index);
    snprintf(index_path, sizeof index_path, "%s.index", path);
    assert_int_equal(sqlite3_open(index_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_file_of_an_earlier_build_is_checked_by_its_longer_digest(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    furnish(&house, &kit);
    kit_stop(&house);
    make_earlier(house.paths[0]);
    make_earlier(house.paths[1]);
    assert_true(flip(house.paths[1], "change number 000700"));
    kit_start(&house);
    /* nobody reads it: the scrub finds it, and the sound one before it is sound to it */
    KIT_WAIT_FOR(&house, FOUND_MS, wants(&house));
    assert_int_equal(mend_from, 700);
    mend(&house, records_of(&kit, 700, 700));
    KIT_WAIT(&house, is_there(house.paths[1], ".damaged"));
    KIT_WAIT(&house, reads(&house, 700));
    assert_false(is_there(house.paths[0], ".damaged"));
    assert_true(is_there(house.paths[0], ".index"));
    kit_stop(&house);
    drop(&house, &kit);
}

/* Nothing can be read of it: every record is given. */
static void a_file_without_a_header_is_given_as_a_whole(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    furnish(&house, &kit);
    assert_true(flip(house.paths[0], "SQLite format 3"));
    assert_true(flip(house.paths[0], "CREATE TABLE log"));
    KIT_WAIT(&house, !reads(&house, 5) || is_there(house.paths[0], ".damaged"));
    for (uint64_t given = 0; !is_there(house.paths[0], ".damaged");) {
        KIT_WAIT_FOR(&house, FOUND_MS, wants(&house) || is_there(house.paths[0], ".damaged"));
        if (mend_from == 0)
            continue;
        assert_true(mend_from > given);
        given = mend_from;
        mend(&house, records_of(&kit, mend_from, mend_from + 99));
    }
    KIT_WAIT(&house, reads(&house, 5));
    kit_stop(&house);
    drop(&house, &kit);
}

/* Ends as after a refused write: a start must look at it. */
static void wait_for_the_end(struct kit_house *house)
{
    kit_turn(house); /* what was said last leaves */
    assert_int_equal(worker_join(&house->keeper), EXIT_STORAGE);
    assert_int_equal(kit_end(&house->rooms.view, &house->view), 0);
    kit_shut(house);
}

/* The start after it makes the index of one sealed part anew. */
static void expect_index_again(struct kit_house *house, const char *index)
{
    struct message_read read = {.since = PART_ENTRIES, .limit = 3};
    assert_int_not_equal(access(index, F_OK), 0);
    kit_start(house);
    KIT_WAIT(house, access(index, F_OK) == 0);
    const struct message_page *page = kit_read(house, read, "all");
    assert_int_equal(page->error.size, 0);
    assert_int_equal(page->count, 3);
}

static void a_damaged_index_shows_nothing_wrong_and_is_made_anew(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    furnish(&house, &kit);
    kit_stop(&house);
    kit_start(&house); /* nothing of it is in memory */
    char index[256];
    snprintf(index, sizeof index, "%s.index", house.paths[1]);
    assert_true(flip(index, "all"));
    struct message_read read = {.since = PART_ENTRIES, .limit = 3};
    const struct message_page *page = kit_read(&house, read, "all");
    assert_true(span_is(page->error, "E_CORRUPT"));
    wait_for_the_end(&house);
    expect_index_again(&house, index);
    kit_stop(&house);
    assert_int_equal(unlink(index), 0); /* one that is missing, too */
    expect_index_again(&house, index);
    kit_stop(&house);
    drop(&house, &kit);
}

/* The number that SQL gives of a file. */
static int ask_file(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *ask;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &ask, NULL), SQLITE_OK);
    int number = sqlite3_step(ask) == SQLITE_ROW ? sqlite3_column_int(ask, 0) : 0;
    assert_int_equal(sqlite3_finalize(ask), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* They make a search shorter and nothing else: what can be read is read, and nobody ends. */
static void damaged_times_of_an_index_are_left_out_of_it(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    char index[256];
    furnish(&house, &kit);
    kit_stop(&house);
    snprintf(index, sizeof index, "%s.index", house.paths[1]);
    assert_int_equal(ask_file(index, "SELECT count(*) FROM times"), 1);
    ask_file(index, "UPDATE times SET crc = crc + 1");
    kit_start(&house);
    assert_true(reads(&house, 700));
    KIT_WAIT_FOR(&house, FOUND_MS, ask_file(index, "SELECT count(*) FROM times") == 0);
    assert_true(reads(&house, 700));
    kit_stop(&house);
    drop(&house, &kit);
}

static void a_file_that_is_damaged_with_its_index_is_mended_first(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    struct message last = {.type = MESSAGE_MEND};
    char index[256];
    furnish(&house, &kit);
    kit_stop(&house);
    snprintf(index, sizeof index, "%s.index", house.paths[1]);
    assert_true(flip(house.paths[1], "change number 000700"));
    assert_true(flip(index, "all"));
    kit_start(&house);
    assert_false(reads(&house, 700));
    KIT_WAIT_FOR(&house, FOUND_MS, wants(&house));
    last.mend.entries = records_of(&kit, 700, 700);
    assert_int_equal(link_send(&house.to_keeper, 0, &last), ERR_NONE);
    wait_for_the_end(&house);
    assert_true(is_there(house.paths[1], ".damaged"));
    expect_index_again(&house, index);
    assert_true(reads(&house, 700));
    kit_stop(&house);
    drop(&house, &kit);
}

static void damage_in_the_part_that_is_written_ends_the_process(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    furnish(&house, &kit);
    const char *text = "change number 001700";
    bool in_file = flip(house.paths[PARTS - 1], text);
    bool in_wal = flip_beside(house.paths[PARTS - 1], "-wal", text);
    assert_true(in_file || in_wal);
    assert_false(reads(&house, 1700));
    wait_for_the_end(&house);
    drop(&house, &kit);
}

/* Changes a row behind the back of its checksum. */
static void spoil_state(const char *path)
{
    struct state file = {0};
    assert_int_equal(state_open(&file, path), ERR_NONE);
    assert_int_equal(
        store_run(&file.store, "UPDATE outcomes SET ts = ts + 1 WHERE 1234 BETWEEN first AND last"),
        ERR_NONE);
    state_close(&file);
}

static void expect_made_anew(struct kit_house *house, struct log_kit *kit, const char *path)
{
    assert_true(is_there(path, ".doubted"));
    kit_start(house);
    assert_false(is_there(path, ".doubted"));
    assert_int_equal(house->fed_index, 0); /* from record 1 on, as far as somebody vouches */
    kit_commit(house, kit->last, 1);
    KIT_WAIT(house, house->applied == kit->last);
    assert_true(reads(house, 1234));
}

static void a_damaged_state_is_made_anew_by_the_next_start(void **state)
{
    struct kit_house house;
    struct log_kit kit;
    char path[160];
    furnish(&house, &kit);
    snprintf(path, sizeof path, "%s/state.db", house.directory);
    KIT_WAIT(&house, house.durable == kit.last);
    spoil_state(path); /* while it is in use */
    wait_for_the_end(&house);
    expect_made_anew(&house, &kit, path);
    kit_stop(&house);
    drop(&house, &kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_row_of_a_sealed_file_is_given_by_another_server),
        cmocka_unit_test(a_file_of_an_earlier_build_is_checked_by_its_longer_digest),
        cmocka_unit_test(a_file_without_a_header_is_given_as_a_whole),
        cmocka_unit_test(a_damaged_index_shows_nothing_wrong_and_is_made_anew),
        cmocka_unit_test(damaged_times_of_an_index_are_left_out_of_it),
        cmocka_unit_test(a_file_that_is_damaged_with_its_index_is_mended_first),
        cmocka_unit_test(damage_in_the_part_that_is_written_ends_the_process),
        cmocka_unit_test(a_damaged_state_is_made_anew_by_the_next_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
