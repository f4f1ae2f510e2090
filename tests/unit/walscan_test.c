/* walscan_test.c - a flipped bit in the middle is found, a torn tail is tolerated. */
#include "storage/segment.h"
#include "storage/walscan.h"
#include "tests/unit/storage_kit.h"

#include <sys/stat.h>
#include <unistd.h>

enum { COMMITS = 40, FRAME = 24 + 4096, HEADER = 32 };

/* A copy of the -wal of a segment with many commits, of one or more frames each. */
static struct kit make_wal(void)
{
    struct kit kit = kit_make();
    SCOPED(segment) segment = {0};
    SCOPED(bytes) records = {0};
    char path[256];
    snprintf(path, sizeof path, "%s/00000001-00000000000000aa.db", kit.dir);
    CHECK(segment_open(&segment, path) == ERR_NONE);
    for (int i = 0; i < COMMITS; i++) {
        bytes_clear(&records);
        kit_add(&kit, ENTRY_DATA, 1, i % 3 == 0 ? 6000 : 300, &records);
        CHECK(store_begin(&segment.store) == ERR_NONE);
        CHECK(segment_append(&segment, bytes_span(&records)) == ERR_NONE);
        CHECK(store_commit(&segment.store) == ERR_NONE);
    }
    kit_shell("cp %s-wal %s/wal", path, kit.dir);
    return kit;
}

static struct walscan scan(const struct kit *kit)
{
    struct walscan found;
    CHECK(walscan_file(&found, kit_path(kit, "wal")) == ERR_NONE);
    return found;
}

static long size_of(const char *path)
{
    struct stat at;
    CHECK(stat(path, &at) == 0);
    return at.st_size;
}

TEST(a_whole_wal_is_clean)
{
    struct kit kit = make_wal();
    struct walscan found = scan(&kit);
    CHECK(found.verdict == WALSCAN_CLEAN);
    CHECK(found.commits >= COMMITS);
    CHECK(found.bad_frame == 0);
    kit_drop(&kit);
}

TEST(a_flipped_bit_before_the_last_transactions_is_damage)
{
    struct kit kit = make_wal();
    uint32_t frames = scan(&kit).frames;
    for (uint32_t frame = 0; frame + 8 < frames; frame++)
        for (long inside = 0; inside < FRAME; inside += 701) {
            long at = HEADER + (long)frame * FRAME + inside;
            kit_flip(kit_path(&kit, "wal"), at);
            struct walscan found = scan(&kit);
            CHECK(found.verdict == WALSCAN_DAMAGED);
            CHECK(found.bad_frame == frame + 1);
            kit_flip(kit_path(&kit, "wal"), at);
        }
    CHECK(scan(&kit).verdict == WALSCAN_CLEAN);
    kit_drop(&kit);
}

TEST(a_broken_header_in_front_of_frames_is_damage)
{
    struct kit kit = make_wal();
    for (long at = 0; at < HEADER; at += 3) {
        kit_flip(kit_path(&kit, "wal"), at);
        CHECK(scan(&kit).verdict == WALSCAN_DAMAGED);
        kit_flip(kit_path(&kit, "wal"), at);
    }
    kit_drop(&kit);
}

TEST(a_torn_tail_is_tolerated_at_every_length)
{
    struct kit kit = make_wal();
    long size = size_of(kit_path(&kit, "wal"));
    for (; size > 0; size -= 1777) {
        CHECK(truncate(kit_path(&kit, "wal"), size) == 0);
        CHECK(scan(&kit).verdict != WALSCAN_DAMAGED);
    }
    CHECK(truncate(kit_path(&kit, "wal"), 0) == 0);
    CHECK(scan(&kit).verdict == WALSCAN_CLEAN);
    kit_drop(&kit);
}

/* Frames of the last transaction, which nobody synced, in any order: the first is missing. */
TEST(a_hole_in_the_last_transaction_is_a_torn_tail)
{
    struct kit kit = make_wal();
    uint32_t frames = scan(&kit).frames;
    kit_flip(kit_path(&kit, "wal"), HEADER + (long)(frames - 1) * FRAME + 2000);
    CHECK(scan(&kit).verdict == WALSCAN_TORN);
    kit_drop(&kit);
}

TEST(a_missing_file_is_absent)
{
    struct walscan found;
    CHECK(walscan_file(&found, "/nonexistent/x-wal") == ERR_NONE);
    CHECK(found.verdict == WALSCAN_ABSENT);
}

TEST_MAIN(T(a_whole_wal_is_clean), T(a_flipped_bit_before_the_last_transactions_is_damage),
          T(a_broken_header_in_front_of_frames_is_damage),
          T(a_torn_tail_is_tolerated_at_every_length),
          T(a_hole_in_the_last_transaction_is_a_torn_tail), T(a_missing_file_is_absent))
