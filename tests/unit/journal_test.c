/* journal_test.c - the log on disk: append, replace, roll, restart, crash points. */
#include "tests/unit/journal_kit.h"

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

TEST_MAIN(T(what_was_appended_is_there_after_a_restart),
          T(a_conflicting_tail_is_replaced_with_all_behind_it),
          T(the_same_entries_again_change_nothing), T(a_gap_is_refused),
          T(only_whole_records_that_follow_are_accepted), T(a_file_prepared_in_vain_is_no_hole),
          T(a_full_file_is_followed_by_the_next), T(a_tail_is_replaced_across_files),
          T(a_file_cut_to_its_very_start_is_filled_again),
          T(no_crash_point_of_a_cut_across_files_leaves_a_hole),
          T(a_prepared_file_is_removed_and_a_named_one_is_kept), T(what_is_applied_is_never_cut),
          T(a_full_file_below_the_applied_index_is_handed_over),
          T(the_last_two_configurations_are_found), T(the_tail_ends_at_the_last_entry))
