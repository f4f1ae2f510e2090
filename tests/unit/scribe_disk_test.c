/* scribe_disk_test.c - the journal thread on a disk that is full, or that refuses to sync: nothing
 * is acknowledged that is not there. The disk is this file's: statvfs and the syncs are ours. */
#include "tests/unit/scribe_kit.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int full, broken, shorts;

int statvfs(const char *restrict path, struct statvfs *restrict at)
{
    memset(at, 0, sizeof *at);
    at->f_frsize = at->f_bsize = 4096;
    at->f_bavail = full ? 1000 : 100000000;
    return 0;
}

static int sync_or_fail(long call, int fd)
{
    if (!broken)
        return (int)syscall(call, fd);
    errno = EIO;
    return -1;
}

/* Of small files that stay open, as the high-water mark: SQLite calls pwrite64. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    bool is_short = shorts > 0;
    shorts -= is_short;
    return syscall(SYS_pwrite64, fd, data, is_short ? size / 2 : size, at);
}

int fdatasync(int fd)
{
    return sync_or_fail(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_or_fail(SYS_fsync, fd);
}

static struct stage *make_voted(struct bytes *records)
{
    struct stage *stage = stage_make();
    load(stage);
    vote(stage, 1, 1, LIFE);
    await(stage, &stage->balloted, 1);
    kit_add_many(&stage->kit, 20, 1, 100, records);
    return stage;
}

/* S8: what waits for room is answered when it is written, and not before. */
TEST(a_full_disk_acknowledges_nothing_until_there_is_room)
{
    SCOPED(bytes) records = {0};
    struct stage *stage = make_voted(&records);
    full = 1;
    store(stage, 2, LIFE, bytes_span(&records));
    vote(stage, 3, 2, LIFE);
    for (uint64_t until = clock_now_ms() + 600; clock_now_ms() < until;)
        loop_turn(&stage->loop, 10);
    CHECK(stage->stored_ticket == 0 && stage->balloted == 1);
    full = 0;
    await(stage, &stage->stored_ticket, 2);
    await(stage, &stage->balloted, 3);
    CHECK(stage->stored_last == 20);
    stage_drop(stage);
}

/* S5: the outcome of a commit that failed is unknown; no answer claims one. */
TEST(a_failed_sync_is_never_acknowledged)
{
    SCOPED(bytes) records = {0};
    struct stage *stage = make_voted(&records);
    broken = 1;
    store(stage, 2, LIFE, bytes_span(&records));
    loop_turn(&stage->loop, 0); /* it leaves */
    int code = worker_join(&stage->worker);
    for (uint64_t until = clock_now_ms() + 200; clock_now_ms() < until;)
        loop_turn(&stage->loop, 10);
    CHECK(code == EXIT_STORAGE && stage->stored_ticket == 0);
    broken = 0;
    stage_drop(stage);
}

/* The records are on the disk: a mark that finds no room moves later, and no answer waits for it.
 */
TEST(a_mark_without_room_keeps_no_answer_back)
{
    SCOPED(bytes) records = {0};
    struct stage *stage = make_voted(&records);
    shorts = 1; /* the file is made */
    store(stage, 2, LIFE, bytes_span(&records));
    await(stage, &stage->stored_ticket, 2);
    CHECK(shorts == 0 && stage->stored_last == 20);
    shorts = 1; /* it is moved */
    bytes_clear(&records);
    kit_add_many(&stage->kit, 20, 1, 100, &records);
    store(stage, 3, LIFE, bytes_span(&records));
    await(stage, &stage->stored_ticket, 3);
    CHECK(shorts == 0 && stage->stored_last == 40);
    stage_drop(stage);
}

TEST_MAIN(T(a_full_disk_acknowledges_nothing_until_there_is_room),
          T(a_failed_sync_is_never_acknowledged), T(a_mark_without_room_keeps_no_answer_back))
