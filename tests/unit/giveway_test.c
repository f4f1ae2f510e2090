/* giveway_test.c - what SQLite writes goes the way that lets others run, and arrives. */
#include "storage/giveway.h"

#include "tests/unit/test.h"

#include <sched.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned yields;

/* In place of that of libc. */
int sched_yield(void)
{
    yields++;
    return 0;
}

static int rows(void *count, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    *(int *)count = atoi(values[0]);
    return 0;
}

static void write_pages(const char *path)
{
    sqlite3 *db;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "CREATE TABLE IF NOT EXISTS t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
                       " SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT zeroblob(3000)"
                       " FROM n;",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

TEST(a_thread_of_the_background_gives_way_and_no_other_one)
{
    char path[] = "/tmp/giveway-XXXXXX";
    sqlite3 *db;
    int count = 0, fd = mkstemp(path);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    CHECK(fd >= 0);
    giveway_install();
    write_pages(path);
    CHECK(yields == 0);
    giveway_here();
    write_pages(path);
    CHECK(yields >= 1000 / 16);
    vfs->xSetSystemCall(vfs, NULL, NULL);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "SELECT count(*) FROM t", rows, &count, NULL) == SQLITE_OK);
    CHECK(count == 2000);
    sqlite3_close(db);
    close(fd);
    unlink(path);
}

TEST_MAIN(T(a_thread_of_the_background_gives_way_and_no_other_one))
