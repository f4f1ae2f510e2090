/* journal_test.c - the log on disk: append, replace, roll, restart, crash points. */
#include "storage/journal.h"
#include "storage/seal.h"
#include "storage/state.h"
#include "tests/unit/storage_kit.h"

#include <glob.h>
#include <unistd.h>

enum { BIG = 4 << 20, BIGS_A_FILE = 16 };

struct bench {
    struct kit kit;
    struct recovery recovery;
    struct journal journal;
};

static void bench_open(struct bench *bench)
{
    CHECK(recovery_run(&bench->recovery, bench->kit.dir) == ERR_NONE);
    journal_open(&bench->journal, &bench->recovery, NULL);
    if (bench->journal.ballot->term < 9)
        CHECK(ballot_vote(bench->journal.ballot, 9, 0, SPAN("", 0)) == ERR_NONE);
}

static void bench_shut(struct bench *bench)
{
    journal_close(&bench->journal);
    recovery_close(&bench->recovery);
}

static void bench_reopen(struct bench *bench)
{
    bench_shut(bench);
    bench_open(bench);
}

static struct bench *bench_make(void)
{
    struct bench *bench = bytes_zeroed(1, sizeof *bench);
    bench->kit = kit_make();
    bench_open(bench);
    return bench;
}

static void bench_drop(struct bench *bench)
{
    bench_shut(bench);
    kit_drop(&bench->kit);
    bytes_free(bench);
}

static enum err write_all(struct journal *journal, struct span records)
{
    while (records.size > 0) {
        size_t taken;
        uint64_t first;
        TRY(journal_write(journal, records, &taken, &first));
        records = SPAN(records.data + taken, records.size - taken);
    }
    return ERR_NONE;
}

static void append(struct bench *bench, uint32_t count, uint64_t term, size_t body)
{
    struct bytes records = {0};
    kit_add_many(&bench->kit, count, term, body, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    bytes_close(&records);
}

static void rewind_to(struct bench *bench, uint64_t index)
{
    uint8_t hash[HASH_SIZE];
    CHECK(journal_hash_at(&bench->journal, index - 1, hash) == ERR_NONE);
    kit_rewind(&bench->kit, index, hash);
}

static void check_end(struct bench *bench, uint64_t index)
{
    CHECK(bench->journal.last_index == index);
    CHECK(memcmp(bench->journal.last_hash, bench->kit.hash, HASH_SIZE) == 0);
}

static size_t files(struct bench *bench)
{
    glob_t found;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/log/*.db", bench->kit.dir);
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

TEST(what_was_appended_is_there_after_a_restart)
{
    struct bench *bench = bench_make();
    append(bench, 100, 1, 50);
    check_end(bench, 100);
    bench_reopen(bench);
    check_end(bench, 100);
    CHECK(bench->recovery.found.may_vote);
    CHECK(bench->recovery.found.last_index == 100);
    bench_drop(bench);
}

TEST(a_conflicting_tail_is_replaced_with_all_behind_it)
{
    struct bench *bench = bench_make();
    append(bench, 10, 1, 50);
    CHECK(journal_save_mark(&bench->journal) == ERR_NONE);
    rewind_to(bench, 6);
    append(bench, 3, 2, 70);
    check_end(bench, 8);
    CHECK(bench->journal.mark.index == 5); /* lowered first */
    bench_reopen(bench);
    check_end(bench, 8);
    CHECK(bench->recovery.found.may_vote);
    bench_drop(bench);
}

TEST(the_same_entries_again_change_nothing)
{
    struct bench *bench = bench_make();
    struct bytes records = {0};
    size_t taken;
    uint64_t first;
    kit_add_many(&bench->kit, 5, 1, 20, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    append(bench, 5, 1, 20);
    CHECK(journal_write(&bench->journal, bytes_span(&records), &taken, &first) == ERR_NONE);
    CHECK(taken == records.size);
    CHECK(first == 0);
    check_end(bench, 10);
    bytes_close(&records);
    bench_drop(bench);
}

TEST(a_gap_is_refused)
{
    struct bench *bench = bench_make();
    struct bytes records = {0};
    size_t taken;
    uint64_t first;
    bench->kit.next = 2;
    kit_add(&bench->kit, ENTRY_DATA, 1, 20, &records);
    CHECK(journal_write(&bench->journal, bytes_span(&records), &taken, &first) == ERR_GAP);
    bytes_close(&records);
    bench_drop(bench);
}

TEST(only_whole_records_that_follow_are_accepted)
{
    struct kit kit = {.next = 1};
    struct bytes records = {0};
    uint8_t hash[HASH_SIZE] = {0};
    uint64_t last;
    kit_add_many(&kit, 3, 4, 20, &records);
    CHECK(journal_check(bytes_span(&records), 1, 4, hash, &last) == ERR_NONE);
    CHECK(last == 3);
    CHECK(memcmp(hash, kit.hash, HASH_SIZE) == 0);
    memset(hash, 0, HASH_SIZE);
    CHECK(journal_check(bytes_span(&records), 2, 4, hash, &last) == ERR_GAP);
    CHECK(journal_check(bytes_span(&records), 1, 3, hash, &last) == ERR_BAD_REQUEST);
    hash[0] = 1;
    CHECK(journal_check(bytes_span(&records), 1, 4, hash, &last) == ERR_CORRUPT);
    hash[0] = 0;
    CHECK(journal_check(SPAN(records.data, records.size - 1), 1, 4, hash, &last) ==
          ERR_BAD_MESSAGE);
    memset(hash, 0, HASH_SIZE);
    records.data[ENTRY_HEADER_SIZE] ^= 1;
    CHECK(journal_check(bytes_span(&records), 1, 4, hash, &last) == ERR_CORRUPT);
    bytes_close(&records);
}

TEST(a_full_file_is_followed_by_the_next)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(bench->journal.writer_count == 2);
    CHECK(bench->journal.writers[0]->last == BIGS_A_FILE);
    CHECK(bench->journal.writers[1]->first == BIGS_A_FILE + 1);
    bench_reopen(bench);
    check_end(bench, BIGS_A_FILE + 2);
    CHECK(bench->recovery.found.segment_count == 2);
    CHECK(bench->recovery.found.may_vote);
    bench_drop(bench);
}

/* The disk was full when a file was prepared; the next try drew another name. What was left of the
 * first was taken for a hole, and the node lost its vote and the file behind it. */
TEST(a_file_prepared_in_vain_is_no_hole)
{
    struct bench *bench = bench_make();
    struct segment left = {0};
    char name[SEGMENT_NAME_MAX];
    append(bench, 2 * BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(bench->journal.writer_count == 3);
    segment_name(2, 1, name);
    char *path = logdir_join(bench->journal.logdir, name);
    CHECK(segment_open(&left, path) == ERR_NONE);
    segment_close(&left);
    bench_reopen(bench);
    CHECK(bench->recovery.found.may_vote);
    check_end(bench, 2 * BIGS_A_FILE + 2);
    CHECK(access(path, F_OK) != 0);
    bytes_free(path);
    bench_drop(bench);
}

TEST(a_tail_is_replaced_across_files)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE + 3, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(files(bench) == 2);
    rewind_to(bench, 12);
    append(bench, 2, 3, 100);
    check_end(bench, 13);
    CHECK(files(bench) == 1);
    bench_reopen(bench);
    check_end(bench, 13);
    CHECK(bench->recovery.found.may_vote);
    bench_drop(bench);
}

TEST(a_file_cut_to_its_very_start_is_filled_again)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE + 3, 1, BIG - ENTRY_HEADER_SIZE);
    rewind_to(bench, BIGS_A_FILE + 1);
    append(bench, 1, 2, 100);
    CHECK(files(bench) == 2);
    bench_reopen(bench);
    check_end(bench, BIGS_A_FILE + 1);
    CHECK(bench->recovery.found.may_vote);
    bench_drop(bench);
}

/* Crash after the ballot named the older file, and again after the newer one was removed. */
TEST(no_crash_point_of_a_cut_across_files_leaves_a_hole)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    const char *path = bench->journal.writers[0]->store.path;
    CHECK(ballot_name(bench->journal.ballot, strrchr(path, '/') + 1) == ERR_NONE);
    bench_reopen(bench);
    CHECK(bench->journal.last_index == BIGS_A_FILE);
    CHECK(files(bench) == 1);
    CHECK(bench->recovery.found.may_vote);
    rewind_to(bench, 10);
    append(bench, 1, 2, 100);
    bench_reopen(bench);
    check_end(bench, 10);
    bench_drop(bench);
}

/* A file that was prepared, or named and still empty, at the crash. */
TEST(a_prepared_file_is_removed_and_a_named_one_is_kept)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(journal_prepare(&bench->journal) == ERR_NONE);
    CHECK(files(bench) == 2);
    bench_reopen(bench);
    CHECK(files(bench) == 1);
    CHECK(journal_prepare(&bench->journal) == ERR_NONE);
    const char *spare = bench->journal.spare->store.path;
    CHECK(ballot_name(bench->journal.ballot, strrchr(spare, '/') + 1) == ERR_NONE);
    bench_reopen(bench);
    CHECK(files(bench) == 2);
    check_end(bench, BIGS_A_FILE);
    CHECK(bench->recovery.found.may_vote);
    append(bench, 1, 1, 100);
    check_end(bench, BIGS_A_FILE + 1);
    bench_drop(bench);
}

TEST(what_is_applied_is_never_cut)
{
    struct bench *bench = bench_make();
    struct bytes records = {0};
    size_t taken;
    uint64_t first;
    append(bench, 10, 1, 20);
    CHECK(journal_hand_over(&bench->journal, 8) == ERR_NONE);
    rewind_to(bench, 8);
    kit_add(&bench->kit, ENTRY_DATA, 2, 20, &records);
    CHECK(journal_write(&bench->journal, bytes_span(&records), &taken, &first) == ERR_BAD_REQUEST);
    CHECK(bench->journal.last_index == 10);
    bytes_close(&records);
    bench_drop(bench);
}

TEST(a_full_file_below_the_applied_index_is_handed_over)
{
    struct bench *bench = bench_make();
    uint8_t hash[HASH_SIZE];
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(journal_hand_over(&bench->journal, BIGS_A_FILE - 1) == ERR_NONE);
    CHECK(bench->journal.writer_count == 2);
    CHECK(journal_hand_over(&bench->journal, BIGS_A_FILE + 2) == ERR_NONE);
    CHECK(bench->journal.writer_count == 1);
    CHECK(journal_hash_at(&bench->journal, BIGS_A_FILE, hash) == ERR_NONE);
    CHECK(journal_hash_at(&bench->journal, 1, hash) == ERR_TRUNCATED);
    append(bench, 1, 1, 20);
    check_end(bench, BIGS_A_FILE + 3);
    bench_drop(bench);
}

TEST(the_last_two_configurations_are_found)
{
    struct bench *bench = bench_make();
    struct bytes records = {0}, configs = {0};
    kit_add(&bench->kit, ENTRY_FOUNDING, 1, 30, &records);
    kit_add_many(&bench->kit, 3, 1, 30, &records);
    kit_add(&bench->kit, ENTRY_CONFIG, 1, 30, &records);
    kit_add(&bench->kit, ENTRY_CONFIG, 1, 30, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    CHECK(journal_configs(&bench->journal, &configs) == ERR_NONE);
    struct span rest = bytes_span(&configs), record;
    CHECK(entry_next(&rest, &record));
    CHECK(entry_index_of(record) == 5);
    CHECK(entry_next(&rest, &record));
    CHECK(entry_index_of(record) == 6);
    CHECK(rest.size == 0);
    bytes_close(&records);
    bytes_close(&configs);
    bench_drop(bench);
}

TEST(the_tail_ends_at_the_last_entry)
{
    struct bench *bench = bench_make();
    struct bytes tail = {0};
    append(bench, 1000, 1, 100);
    CHECK(journal_tail(&bench->journal, 50000, &tail) == ERR_NONE);
    struct span rest = bytes_span(&tail), record;
    uint64_t last = 0;
    CHECK(tail.size <= 50000);
    CHECK(tail.size > 20000);
    while (entry_next(&rest, &record))
        last = entry_index_of(record);
    CHECK(last == 1000);
    bytes_close(&tail);
    bench_drop(bench);
}

/* The first file went, as after a cut. */
static void lose_first_file(struct bench *bench)
{
    char path[512];
    snprintf(path, sizeof path, "%s", bench->journal.writers[0]->store.path);
    bench_shut(bench);
    CHECK(segment_remove(path) == ERR_NONE);
}

/* A file says what it goes on from: index, term, hash, and who votes. */
TEST(the_log_may_begin_at_any_file)
{
    struct bench *bench = bench_make();
    struct bytes records = {0}, configs = {0};
    uint8_t hash[HASH_SIZE], base[HASH_SIZE];
    uint64_t term;
    kit_add(&bench->kit, ENTRY_FOUNDING, 1, 30, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    append(bench, 2 * BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    uint64_t joint = bench->journal.writers[0]->last;
    CHECK(journal_hash_at(&bench->journal, joint, base) == ERR_NONE);
    lose_first_file(bench);
    bench_open(bench);
    CHECK(bench->recovery.found.may_vote);
    CHECK(bench->recovery.found.first_index == joint + 1);
    check_end(bench, 2 * BIGS_A_FILE + 3);
    CHECK(journal_look_up(&bench->journal, joint, &term, hash) == ERR_NONE);
    CHECK(term == 1 && memcmp(hash, base, HASH_SIZE) == 0);
    CHECK(journal_hash_at(&bench->journal, joint - 1, hash) == ERR_TRUNCATED);
    CHECK(journal_configs(&bench->journal, &configs) == ERR_NONE);
    CHECK(configs.size > 0 && entry_index_of(bytes_span(&configs)) == 1);
    lose_first_file(bench); /* and once more: what it said was handed on */
    bench_open(bench);
    bytes_clear(&configs);
    CHECK(journal_configs(&bench->journal, &configs) == ERR_NONE);
    CHECK(configs.size > 0 && entry_index_of(bytes_span(&configs)) == 1);
    rewind_to(bench, bench->recovery.found.first_index);
    append(bench, 1, 2, 100); /* all that is left is replaced */
    bench_reopen(bench);
    check_end(bench, 2 * BIGS_A_FILE + 2);
    CHECK(bench->recovery.found.may_vote);
    bytes_close(&records);
    bytes_close(&configs);
    bench_drop(bench);
}

static void check_damaged(struct bench *bench)
{
    bench_open(bench);
    CHECK(!bench->recovery.found.may_vote);
    bench_drop(bench);
}

/* Files at the beginning that went by no cut: the state knows of none, or the file says nothing. */
TEST(a_beginning_that_is_lost_is_no_cut)
{
    struct bench *bench = bench_make();
    struct state state = {0};
    struct apply_mark mark = apply_begin();
    char path[512];
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    snprintf(path, sizeof path, "%s", kit_path(&bench->kit, "state.db"));
    CHECK(state_open(&state, path) == ERR_NONE);
    CHECK(state_begin(&state) == ERR_NONE);
    mark.index = BIGS_A_FILE + 2;
    mark.keep_index = BIGS_A_FILE; /* the joint is not covered */
    CHECK(state_end(&state, &mark, 0) == ERR_NONE);
    state_close(&state);
    lose_first_file(bench);
    check_damaged(bench);

    bench = bench_make();
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(store_run(&bench->journal.writers[1]->store, "DELETE FROM base") == ERR_NONE);
    lose_first_file(bench);
    check_damaged(bench);

    bench = bench_make();
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(store_run(&bench->journal.writers[1]->store, "UPDATE base SET term = 2") == ERR_NONE);
    lose_first_file(bench);
    check_damaged(bench);
}

/* After a cut the log cannot make a lost state anew: the node keeps log and vote, and says so. */
TEST(a_state_that_is_lost_after_a_cut_costs_no_vote)
{
    struct bench *bench = bench_make();
    append(bench, BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    lose_first_file(bench);
    bench_open(bench);
    uint64_t first = bench->recovery.found.first_index;
    CHECK(first > 1);
    CHECK(bench->recovery.found.may_vote);
    CHECK(bench->recovery.found.state_lost);
    CHECK(bench->recovery.found.applied_index == first - 1); /* what was cut was committed */
    CHECK(bench->journal.last_index == BIGS_A_FILE + 2);
    bench_drop(bench);
    bench = bench_make();
    append(bench, 5, 1, 100);
    bench_reopen(bench);
    CHECK(!bench->recovery.found.state_lost); /* nothing was cut: the log makes it */
    bench_drop(bench);
}

/* The node died after the file of a cut segment went, and before its index did. */
TEST(an_index_without_its_segment_is_swept)
{
    struct bench *bench = bench_make();
    append(bench, 1, 1, 20);
    kit_shell("touch %s/log/00000007-0123456789abcdef.db.index%s", bench->kit.dir, "");
    bench_reopen(bench);
    CHECK(access(kit_path(&bench->kit, "log/00000007-0123456789abcdef.db.index"), F_OK) != 0);
    check_end(bench, 1);
    bench_drop(bench);
}

static void path_of(const struct bench *bench, uint32_t writer, char path[512])
{
    snprintf(path, 512, "%s", bench->journal.writers[writer]->store.path);
}

/* Three files: record 1 and sixteen large ones, sixteen more, two. */
static struct bench *bench_of_three(void)
{
    struct bench *bench = bench_make();
    struct bytes records = {0};
    kit_add(&bench->kit, ENTRY_FOUNDING, 1, 30, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    append(bench, 2 * BIGS_A_FILE + 2, 1, BIG - ENTRY_HEADER_SIZE);
    CHECK(bench->journal.writer_count == 3);
    bytes_close(&records);
    return bench;
}

/* What was acknowledged is not there any more: wherever it was, while it was not sealed (I18). */
TEST(damage_in_any_file_that_is_not_sealed_is_found_by_a_start)
{
    struct bench *bench = bench_of_three();
    char path[512];
    path_of(bench, 1, path);
    bench_shut(bench);
    kit_flip(path, (10 << 20) + 2000);
    bench_open(bench);
    CHECK(!bench->recovery.found.may_vote);
    CHECK(bench->journal.last_index > BIGS_A_FILE + 1);
    CHECK(bench->journal.last_index < 2 * BIGS_A_FILE + 1);
    CHECK(files(bench) == 2 && bench->journal.writer_count == 2);
    bench_reopen(bench);
    CHECK(!bench->recovery.found.may_vote);
    bench_drop(bench);
}

/* A page that leads nowhere: not even what is before it can be kept. */
TEST(a_file_that_cannot_be_cut_is_given_up_as_a_whole)
{
    struct bench *bench = bench_of_three();
    char path[512];
    path_of(bench, 1, path);
    bench_shut(bench);
    kit_flip(path, 10 << 20);
    bench_open(bench);
    CHECK(!bench->recovery.found.may_vote);
    CHECK(bench->journal.last_index == BIGS_A_FILE + 1);
    CHECK(files(bench) == 1);
    bench_reopen(bench);
    CHECK(bench->journal.last_index == BIGS_A_FILE + 1);
    bench_drop(bench);
}

/* A sealed file that cannot be read costs no vote: the files around it say what it was. */
TEST(a_sealed_file_that_cannot_be_read_keeps_its_place)
{
    static const uint8_t zeros[HASH_SIZE];
    struct bench *bench = bench_of_three();
    struct segment segment = {0};
    struct tagindex index = {0};
    struct seal seal = {.first_index = 1, .last_index = BIGS_A_FILE + 1, .file.size = DIGEST_SIZE};
    struct bytes configs = {0};
    char path[512];
    path_of(bench, 0, path);
    bench_shut(bench);
    CHECK(segment_open(&segment, path) == ERR_NONE);
    CHECK(segment_seal(&segment) == ERR_NONE);
    tagindex_open(&index, 1, zeros);
    CHECK(seal_write(path, &index, &seal) == ERR_NONE);
    kit_flip(path, 3);
    bench_open(bench);
    CHECK(bench->recovery.found.may_vote);
    CHECK(bench->recovery.found.segment_count == 3);
    CHECK(bench->recovery.found.segments[0].damaged);
    CHECK(bench->recovery.found.segments[0].last == BIGS_A_FILE + 1);
    check_end(bench, 2 * BIGS_A_FILE + 3);
    CHECK(journal_configs(&bench->journal, &configs) == ERR_NONE);
    CHECK(configs.size > 0 && entry_index_of(bytes_span(&configs)) == 1);
    bench_shut(bench);
    CHECK(seal_remove(path) == ERR_NONE); /* without its index nobody knows what it was */
    bench_open(bench);
    CHECK(!bench->recovery.found.may_vote);
    tagindex_close(&index);
    seal_close(&seal);
    bytes_close(&configs);
    bench_drop(bench);
}

TEST_MAIN(T(a_file_that_cannot_be_cut_is_given_up_as_a_whole),
          T(damage_in_any_file_that_is_not_sealed_is_found_by_a_start),
          T(a_sealed_file_that_cannot_be_read_keeps_its_place), T(the_log_may_begin_at_any_file),
          T(a_beginning_that_is_lost_is_no_cut), T(a_state_that_is_lost_after_a_cut_costs_no_vote),
          T(an_index_without_its_segment_is_swept), T(what_was_appended_is_there_after_a_restart),
          T(a_conflicting_tail_is_replaced_with_all_behind_it),
          T(the_same_entries_again_change_nothing), T(a_gap_is_refused),
          T(only_whole_records_that_follow_are_accepted), T(a_file_prepared_in_vain_is_no_hole),
          T(a_full_file_is_followed_by_the_next), T(a_tail_is_replaced_across_files),
          T(a_file_cut_to_its_very_start_is_filled_again),
          T(no_crash_point_of_a_cut_across_files_leaves_a_hole),
          T(a_prepared_file_is_removed_and_a_named_one_is_kept), T(what_is_applied_is_never_cut),
          T(a_full_file_below_the_applied_index_is_handed_over),
          T(the_last_two_configurations_are_found), T(the_tail_ends_at_the_last_entry))
