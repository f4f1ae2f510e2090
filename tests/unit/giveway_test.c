/* giveway_test.c - what SQLite writes goes the way that lets others run, and arrives. */
#include "storage/giveway.h"

#include "tests/unit/test.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rows(void *count, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    *(int *)count = atoi(values[0]);
    return 0;
}

TEST(what_is_written_in_the_background_arrives)
{
    char path[] = "/tmp/giveway-XXXXXX";
    sqlite3 *db;
    int count = 0, fd = mkstemp(path);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr before = vfs->xGetSystemCall(vfs, "pwrite64");
    CHECK(fd >= 0);
    giveway_install();
    CHECK(vfs->xGetSystemCall(vfs, "pwrite64") != before);
    giveway_here();
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "CREATE TABLE t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                       "FROM n WHERE i < 1000) INSERT INTO t SELECT zeroblob(3000) FROM n;",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
    vfs->xSetSystemCall(vfs, NULL, NULL);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, "SELECT count(*) FROM t", rows, &count, NULL) == SQLITE_OK);
    CHECK(count == 1000);
    sqlite3_close(db);
    close(fd);
    unlink(path);
}

TEST_MAIN(T(what_is_written_in_the_background_arrives))
