/* What waits in keeper is bounded under any load: a model of its rounds. */
#include "storage/pace.h"
#include "tests/unit/test.h"

enum { FILE_KIB = 65536, PIECE_KIB = 64 };

TEST(nothing_waits_and_nobody_hurries)
{
    struct pace pace = pace_of(0, 0);
    CHECK(!pace.hurry && pace.pieces == 1);
    pace = pace_of(PACE_FILES_MAX, PACE_BYTES_MAX);
    CHECK(!pace.hurry && pace.pieces == 1);
}

TEST(who_is_behind_hurries)
{
    CHECK(pace_of(0, PACE_BYTES_MAX + 1).hurry);
    CHECK(pace_of(0, PACE_BYTES_MAX + 1).pieces == 1);
    CHECK(pace_of(PACE_FILES_MAX + 1, 0).hurry);
    CHECK(pace_of(PACE_FILES_MAX + 1, 0).pieces > 1);
}

/* Each round brings so much of the log, for ever; a round hashes what it is told to. */
static uint32_t most_files(uint32_t round_kib)
{
    uint64_t log_kib = 0, sealed = 0, hashed_kib = 0;
    uint32_t most = 0;
    for (uint32_t round = 0; round < 200000; round++) {
        log_kib += round_kib;
        uint32_t files = (uint32_t)(log_kib / FILE_KIB - sealed);
        most = files > most ? files : most;
        for (uint32_t piece = pace_of(files, 0).pieces; files > 0 && piece > 0; piece--)
            hashed_kib += PIECE_KIB;
        if (hashed_kib >= FILE_KIB) {
            sealed++;
            hashed_kib = 0;
        }
    }
    return most;
}

TEST(files_that_wait_do_not_grow_without_end)
{
    CHECK(most_files(30) <= 1);
    CHECK(most_files(200) <= 3); /* what full load brought */
    CHECK(most_files(2000) <= 18);
}

TEST_MAIN(T(nothing_waits_and_nobody_hurries), T(who_is_behind_hurries),
          T(files_that_wait_do_not_grow_without_end))
