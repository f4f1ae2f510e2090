/* What waits in keeper is bounded under any load: a model of its rounds. */
#include "storage/pace.h"
#include "tests/unit/test.h"

enum { MIB = 1 << 20, FILE_BYTES = 64 << 20 };

TEST(nothing_waits_and_nobody_hurries)
{
    CHECK(!pace_hurries(0, 0) && pace_pieces(0, MIB) == 1);
    CHECK(!pace_hurries(PACE_FILES_MAX, PACE_BYTES_MAX) && pace_pieces(PACE_FILES_MAX, MIB) == 1);
}

TEST(who_is_behind_hurries)
{
    CHECK(pace_hurries(0, PACE_BYTES_MAX + 1));
    CHECK(pace_hurries(PACE_FILES_MAX + 1, 0));
    CHECK(pace_pieces(PACE_FILES_MAX + 1, 0) > 1);
    CHECK(pace_pieces(PACE_FILES_MAX + 1, MIB) * (uint64_t)PACE_PIECE_BYTES >= 2 * (uint64_t)MIB);
}

/* Each round brings so much of the log, for ever, and hashes what it is told to. */
static uint64_t most_files(uint64_t round_bytes)
{
    uint64_t log = 0, sealed = 0, hashed = 0, most = 0;
    for (uint32_t round = 0; round < 100000; round++) {
        log += round_bytes;
        uint64_t files = log / FILE_BYTES - sealed;
        most = files > most ? files : most;
        if (files > 0)
            hashed += pace_pieces((uint32_t)files, round_bytes) * (uint64_t)PACE_PIECE_BYTES;
        for (; files > 0 && hashed >= FILE_BYTES; files--, hashed -= FILE_BYTES)
            sealed++;
    }
    return most;
}

TEST(files_that_wait_do_not_grow_without_end)
{
    CHECK(most_files(30 << 10) <= 2);
    CHECK(most_files(200 << 10) <= 3);          /* what full load brought */
    CHECK(most_files(32 * (uint64_t)MIB) <= 4); /* sixteen of the largest items */
}

TEST_MAIN(T(nothing_waits_and_nobody_hurries), T(who_is_behind_hurries),
          T(files_that_wait_do_not_grow_without_end))
