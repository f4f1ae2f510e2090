/* store_test.c - what a SQLite file must be before we write to it. */
#include "storage/store.h"
#include "storage/verdict.h"
#include "tests/unit/storage_kit.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)",
    "ALTER TABLE t ADD COLUMN w INTEGER",
};

static const struct schema first = {.name = "test",
                                    .application_id = 0x63616700,
                                    .version = 1,
                                    .steps = steps,
                                    .page_size = 4096,
                                    .cache_kib = 512,
                                    .checkpoint_pages = 100};

static struct schema second_of(void)
{
    struct schema schema = first;
    schema.version = 2;
    return schema;
}

static const char *db(const struct kit *kit)
{
    return kit_path(kit, "t.db");
}

static void fill(struct store *store, int rows)
{
    CHECK(store_begin(store) == ERR_NONE);
    for (int i = 0; i < rows; i++)
        CHECK(store_run(store, "INSERT INTO t (v) VALUES (zeroblob(3000))") == ERR_NONE);
    CHECK(store_commit(store) == ERR_NONE);
}

static int64_t count_rows(struct store *store)
{
    sqlite3_stmt *statement = NULL;
    bool row;
    CHECK(store_prepare(store, "SELECT count(*) FROM t", &statement) == ERR_NONE);
    CHECK(store_step(store, statement, &row) == ERR_NONE);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

TEST(a_new_file_has_every_setting)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    fill(&store, 3);
    CHECK(count_rows(&store) == 3);
    CHECK(access(kit_path(&kit, "t.db-wal"), F_OK) == 0);
    store_close(&store);
    CHECK(access(kit_path(&kit, "t.db-wal"), F_OK) == 0); /* kept: its absence means damage */
    kit_drop(&kit);
}

TEST(an_older_file_is_migrated_step_by_step)
{
    struct kit kit = kit_make();
    struct schema second = second_of();
    SCOPED(store) store = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    fill(&store, 2);
    store_close(&store);
    CHECK(store_open(&store, db(&kit), &second) == ERR_NONE);
    CHECK(store_run(&store, "UPDATE t SET w = 1") == ERR_NONE);
    CHECK(count_rows(&store) == 2);
    kit_drop(&kit);
}

TEST(a_newer_file_is_refused)
{
    struct kit kit = kit_make();
    struct schema second = second_of();
    SCOPED(store) store = {0};
    CHECK(store_open(&store, db(&kit), &second) == ERR_NONE);
    store_close(&store);
    CHECK(store_open(&store, db(&kit), &first) == ERR_VERSION);
    store_close(&store);
    CHECK(store_open_reader(&store, db(&kit), &first) == ERR_VERSION);
    kit_drop(&kit);
}

TEST(a_file_of_something_else_is_refused)
{
    struct kit kit = kit_make();
    struct schema other = first;
    other.application_id = 1234;
    struct store store = {0};
    CHECK(store_open(&store, db(&kit), &other) == ERR_NONE);
    store_close(&store);
    CHECK(store_open(&store, db(&kit), &first) == ERR_CORRUPT);
    store_close(&store);
    kit_shell("head -c 8192 /dev/urandom > %s/t.db; rm -f %s/t.db-*", kit.dir, kit.dir);
    CHECK(store_open(&store, db(&kit), &first) == ERR_CORRUPT);
    store_close(&store);
    kit_drop(&kit);
}

TEST(a_reader_sees_commits_and_cannot_write)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    SCOPED(store) reader = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    CHECK(store_open_reader(&reader, db(&kit), &first) == ERR_NONE);
    fill(&store, 5);
    CHECK(count_rows(&reader) == 5);
    CHECK(store_run(&reader, "DELETE FROM t") != ERR_NONE);
    CHECK(count_rows(&store) == 5);
    kit_drop(&kit);
}

TEST(a_second_exclusive_writer_is_locked_out)
{
    struct kit kit = kit_make();
    struct schema exclusive = first;
    exclusive.exclusive = true;
    SCOPED(store) store = {0};
    SCOPED(store) other = {0};
    CHECK(store_open(&store, db(&kit), &exclusive) == ERR_NONE);
    CHECK(store_open(&other, db(&kit), &exclusive) == ERR_LOCKED);
    kit_drop(&kit);
}

TEST(a_full_disk_before_the_commit_is_rolled_back)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    fill(&store, 2);
    CHECK(sqlite3_exec(store.db, "PRAGMA max_page_count = 6", NULL, NULL, NULL) == SQLITE_OK);
    CHECK(store_begin(&store) == ERR_NONE);
    enum err err = ERR_NONE;
    for (int i = 0; i < 10 && err == ERR_NONE; i++)
        err = store_run(&store, "INSERT INTO t (v) VALUES (zeroblob(3000))");
    CHECK(err == ERR_NOSPACE);
    store_rollback(&store);
    CHECK(!store.lost);
    CHECK(count_rows(&store) == 2);
    kit_drop(&kit);
}

TEST(a_sealed_file_stands_alone)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    SCOPED(store) reader = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    fill(&store, 7);
    CHECK(store_open_reader(&reader, db(&kit), &first) == ERR_NONE);
    CHECK(count_rows(&reader) == 7);
    CHECK(store_seal(&store) == ERR_BUSY);
    CHECK(count_rows(&store) == 7);
    store_close(&reader);
    CHECK(store_seal(&store) == ERR_NONE);
    CHECK(access(kit_path(&kit, "t.db-wal"), F_OK) != 0);
    CHECK(store_open_sealed(&reader, db(&kit), &first) == ERR_NONE);
    CHECK(count_rows(&reader) == 7);
    kit_drop(&kit);
}

TEST(a_file_that_is_written_once_has_no_wal)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    SCOPED(store) reader = {0};
    struct schema once = first;
    once.once = true;
    CHECK(store_open(&store, db(&kit), &once) == ERR_NONE);
    fill(&store, 7);
    CHECK(access(kit_path(&kit, "t.db-wal"), F_OK) != 0);
    CHECK(store_seal(&store) == ERR_NONE);
    CHECK(store_open_sealed(&reader, db(&kit), &once) == ERR_NONE);
    CHECK(count_rows(&reader) == 7);
    kit_drop(&kit);
}

TEST(a_checkpoint_moves_everything_unless_a_reader_is_in_the_way)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    SCOPED(store) reader = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    CHECK(store_open_reader(&reader, db(&kit), &first) == ERR_NONE);
    CHECK(store_run(&reader, "BEGIN") == ERR_NONE);
    CHECK(count_rows(&reader) == 0);
    fill(&store, 3);
    CHECK(store_checkpoint(&store) == ERR_BUSY);
    CHECK(store_run(&reader, "COMMIT") == ERR_NONE);
    CHECK(store_checkpoint(&store) == ERR_NONE);
    kit_drop(&kit);
}

static long reads_left; /* before one is refused */

static ssize_t refused_read(int fd, void *data, size_t size, off_t at)
{
    if (reads_left-- != 0)
        return syscall(SYS_pread64, fd, data, size, at);
    errno = EIO;
    return -1;
}

static void set_reads(void *way)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    vfs->xSetSystemCall(vfs, "pread", (sqlite3_syscall_ptr)way);
    vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)way);
}

/* What SQLite calls malformed may be whole: a node must not lose its vote for a cable. */
TEST(a_read_that_the_disk_refuses_is_no_corruption)
{
    struct kit kit = kit_make();
    SCOPED(store) store = {0};
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    fill(&store, 3);
    store_close(&store);
    enum err err = ERR_IO;
    for (long whole = 0; err != ERR_NONE; whole++) {
        set_reads((void *)refused_read);
        reads_left = whole;
        err = store_open(&store, db(&kit), &first);
        CHECK(err == ERR_NONE || err == ERR_IO);
        store_close(&store);
        set_reads(NULL);
    }
    CHECK(store_open(&store, db(&kit), &first) == ERR_NONE);
    CHECK(count_rows(&store) == 3);
    store_close(&store);
    kit_drop(&kit);
}

TEST(a_full_disk_is_told_once_a_minute_and_all_else_each_time)
{
    uint64_t now = UINT64_C(1) << 60; /* another test may have filled a disk a moment ago */
    CHECK(!verdict_tells(ERR_NONE, now));
    CHECK(verdict_tells(ERR_NOSPACE, now));
    CHECK(!verdict_tells(ERR_NOSPACE, now + 250));
    CHECK(verdict_tells(ERR_IO, now + 250) && verdict_tells(ERR_CORRUPT, now + 250));
    CHECK(!verdict_tells(ERR_NOSPACE, now + 59999));
    CHECK(verdict_tells(ERR_NOSPACE, now + 60000));
    CHECK(!verdict_tells(ERR_NOSPACE, now + 60001));
}

TEST_MAIN(T(a_new_file_has_every_setting), T(an_older_file_is_migrated_step_by_step),
          T(a_newer_file_is_refused), T(a_file_of_something_else_is_refused),
          T(a_reader_sees_commits_and_cannot_write), T(a_second_exclusive_writer_is_locked_out),
          T(a_full_disk_before_the_commit_is_rolled_back), T(a_sealed_file_stands_alone),
          T(a_file_that_is_written_once_has_no_wal),
          T(a_checkpoint_moves_everything_unless_a_reader_is_in_the_way),
          T(a_read_that_the_disk_refuses_is_no_corruption),
          T(a_full_disk_is_told_once_a_minute_and_all_else_each_time))
