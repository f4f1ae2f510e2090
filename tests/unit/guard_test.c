/* guard_test.c - a full disk, on a small memory file system of its own (S8). Durability is
 * not judged here. Needs the right to mount; is skipped by name where that is missing. */
#include "storage/guard.h"
#include "storage/journal.h"
#include "tests/unit/storage_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

enum { MIB = 1 << 20, MARGIN_MIB = 20, LOW_MIB = 40, BALLAST_MIB = 8 };

static bool mount_small(const struct kit *kit)
{
    return mount("tmpfs", kit->dir, "tmpfs", 0, "size=96m") == 0;
}

static void unmount(struct kit *kit)
{
    CHECK(umount2(kit->dir, MNT_DETACH) == 0);
    kit_drop(kit);
}

/* Leaves `left` bytes free. */
static void fill_disk(const struct kit *kit, struct guard *guard, uint64_t left)
{
    guard_look(guard);
    int fd = open(kit_path(kit, "filler"), O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    CHECK(posix_fallocate(fd, 0, (off_t)(guard->free_bytes - left)) == 0);
    close(fd);
}

TEST(low_is_told_and_ends_by_itself)
{
    struct kit kit = kit_make();
    struct guard guard = {0};
    if (!mount_small(&kit))
        skip();
    guard_open(&guard, kit.dir, LOW_MIB * MIB, BALLAST_MIB * MIB);
    CHECK(guard.state == GUARD_ENOUGH);
    CHECK(guard.has_ballast);
    fill_disk(&kit, &guard, 30 * MIB);
    CHECK(guard_look(&guard) == GUARD_LOW);
    CHECK(guard_admits(&guard, MIB));
    CHECK(guard.has_ballast);
    CHECK(unlink(kit_path(&kit, "filler")) == 0);
    CHECK(guard_look(&guard) == GUARD_ENOUGH);
    guard_close(&guard);
    unmount(&kit);
}

TEST(a_full_disk_costs_the_ballast_once)
{
    struct kit kit = kit_make();
    struct guard guard = {0};
    if (!mount_small(&kit))
        skip();
    guard_open(&guard, kit.dir, LOW_MIB * MIB, BALLAST_MIB * MIB);
    fill_disk(&kit, &guard, MARGIN_MIB * MIB);
    CHECK(guard_admits(&guard, MIB)); /* out of the ballast */
    CHECK(!guard.has_ballast);
    CHECK(guard.state == GUARD_FULL);
    CHECK(!guard_admits(&guard, 16 * MIB));
    CHECK(unlink(kit_path(&kit, "filler")) == 0);
    CHECK(guard_look(&guard) == GUARD_ENOUGH);
    CHECK(guard.has_ballast);
    guard_close(&guard);
    unmount(&kit);
}

/* The journal on a disk that fills up: it stops before a COMMIT could fail, what it wrote is
 * there after a restart, and it goes on once there is room. */
TEST(a_journal_on_a_full_disk_loses_nothing)
{
    struct kit kit = kit_make();
    struct guard guard = {0};
    struct recovery recovery = {0};
    struct journal journal = {0};
    SCOPED(bytes) record = {0};
    size_t taken;
    uint64_t first, written = 0;
    if (!mount_small(&kit))
        skip();
    guard_open(&guard, kit.dir, LOW_MIB * MIB, BALLAST_MIB * MIB);
    CHECK(recovery_run(&recovery, kit.dir) == ERR_NONE);
    journal_open(&journal, &recovery, NULL);
    CHECK(ballot_vote(journal.ballot, 1, 1, SPAN("", 0)) == ERR_NONE);
    for (;;) {
        bytes_clear(&record);
        kit_add(&kit, ENTRY_DATA, 1, 60000, &record);
        if (!guard_admits(&guard, 4 * record.size))
            break;
        CHECK(journal_write(&journal, bytes_span(&record), &taken, &first) == ERR_NONE);
        written++;
    }
    CHECK(guard.state == GUARD_FULL);
    CHECK(written > 50);
    journal_close(&journal);
    recovery_close(&recovery);
    guard_make_way(kit.dir);
    CHECK(recovery_run(&recovery, kit.dir) == ERR_NONE);
    CHECK(recovery.found.last_index == written);
    CHECK(recovery.found.may_vote);
    recovery_close(&recovery);
    guard_close(&guard);
    unmount(&kit);
}

TEST_MAIN(T(low_is_told_and_ends_by_itself), T(a_full_disk_costs_the_ballast_once),
          T(a_journal_on_a_full_disk_loses_nothing))
