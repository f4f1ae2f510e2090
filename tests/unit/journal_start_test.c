/* journal_start_test.c - what a start makes of a log whose beginning, state, index or rows are gone
 * or damaged. */
#include "storage/seal.h"
#include "storage/state.h"
#include "tests/unit/journal_kit.h"

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
          T(an_index_without_its_segment_is_swept))
