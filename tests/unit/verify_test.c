/* What verify says of the files of a log: it is held to what each of them claims. */
#include "storage/verify.h"
#include "tests/unit/journal_kit.h"
#include "tests/unit/log_kit.h"

enum { PUT_BYTES = 3 << 20, PUTS = 23 }; /* a file is full with 64 MiB */

/* The faults of the log in `dir`, the first in `first`. */
static uint64_t faults_of(const char *dir, char first[512])
{
    const uint8_t key[HASH_KEY_SIZE] = {1};
    struct verify verify = {.data = dir};
    apply_open(&verify.apply, key);
    CHECK(logdir_open(&verify.logdir, dir) == ERR_NONE);
    verify_log(&verify);
    memcpy(first, verify.first, sizeof verify.first);
    apply_close(&verify.apply);
    overlay_close(&verify.overlay);
    bytes_close(&verify.effects);
    logdir_close(&verify.logdir);
    return verify.faults;
}

static void expect_fault(const char *dir, const char *words)
{
    char first[512];
    CHECK(faults_of(dir, first) == 1);
    if (strstr(first, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, first);
}

static void expect_none(const char *dir)
{
    char first[512] = "";
    if (faults_of(dir, first) != 0)
        fail_msg("%s", first);
}

static struct bench *two_files(void)
{
    struct bench *bench = bench_make();
    struct log_kit log = {.term = 9, .ts = 1};
    char *text = bytes_zeroed(1, PUT_BYTES + 1);
    memset(text, 'x', PUT_BYTES);
    kit_founding(&log);
    for (uint32_t i = 0; i < PUTS; i++)
        kit_put(&log, i + 1, 1, 1, "some", text);
    CHECK(write_all(&bench->journal, bytes_span(&log.records)) == ERR_NONE);
    CHECK(files(bench) == 2);
    bytes_free(text);
    kit_close(&log);
    return bench;
}

TEST(a_file_says_what_it_goes_on_from)
{
    struct bench *bench = two_files();
    struct segment *second = journal_newest(&bench->journal);
    expect_none(bench->kit.dir);
    CHECK(store_run(&second->store, "UPDATE base SET idx = idx + 1") == ERR_NONE);
    expect_fault(bench->kit.dir, "it does not say what it goes on from: E_CORRUPT");
    CHECK(store_run(&second->store, "DELETE FROM base") == ERR_NONE);
    expect_fault(bench->kit.dir, "it does not say what it goes on from: E_NOT_FOUND");
    CHECK(journal_note_base(&bench->journal, second->first - 2, second) == ERR_NONE);
    expect_fault(bench->kit.dir, "it does not go on from what it says");
    CHECK(journal_note_base(&bench->journal, second->first - 1, second) == ERR_NONE);
    expect_none(bench->kit.dir);
    bench_drop(bench);
}

TEST(a_file_goes_on_from_the_entry_before_it_and_no_other)
{
    struct bench *bench = two_files();
    SCOPED(segment_base) base = {0};
    struct segment *second = journal_newest(&bench->journal);
    CHECK(segment_base(second, &base) == ERR_NONE);
    base.term--;
    CHECK(segment_note_base(second, &base) == ERR_NONE);
    expect_fault(bench->kit.dir, "it does not go on from what it says");
    base.term++;
    base.hash[0] ^= 1;
    CHECK(segment_note_base(second, &base) == ERR_NONE);
    expect_fault(bench->kit.dir, "it does not go on from what it says");
    bench_drop(bench);
}

TEST(a_log_that_was_cut_goes_on_from_what_its_first_file_says)
{
    struct bench *bench = two_files();
    SCOPED(segment_base) base = {0};
    struct segment *second = journal_newest(&bench->journal);
    CHECK(unlink(bench->journal.writers[0]->store.path) == 0);
    expect_none(bench->kit.dir);
    CHECK(segment_base(second, &base) == ERR_NONE);
    base.hash[0] ^= 1;
    CHECK(segment_note_base(second, &base) == ERR_NONE);
    expect_fault(bench->kit.dir, "log entry 24 does not follow by its hash");
    bench_drop(bench);
}

TEST_MAIN(T(a_file_says_what_it_goes_on_from),
          T(a_file_goes_on_from_the_entry_before_it_and_no_other),
          T(a_log_that_was_cut_goes_on_from_what_its_first_file_says))
