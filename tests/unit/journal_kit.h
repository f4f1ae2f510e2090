/* journal_kit.h - a log on disk for tests: written, and opened again as a start does it. */
#ifndef TESTS_UNIT_JOURNAL_KIT_H
#define TESTS_UNIT_JOURNAL_KIT_H

#include "storage/journal.h"
#include "tests/unit/storage_kit.h"

#include <glob.h>
#include <unistd.h>

enum { BIG = 4 << 20, BIGS_A_FILE = 16 };

struct bench {
    struct kit kit;
    struct recovery recovery;
    struct journal journal;
};

static inline void bench_open(struct bench *bench)
{
    CHECK(recovery_run(&bench->recovery, bench->kit.dir) == ERR_NONE);
    journal_open(&bench->journal, &bench->recovery, NULL);
    if (bench->journal.ballot->term < 9)
        CHECK(ballot_vote(bench->journal.ballot, 9, 0, SPAN("", 0)) == ERR_NONE);
}

static inline void bench_shut(struct bench *bench)
{
    journal_close(&bench->journal);
    recovery_close(&bench->recovery);
}

static inline void bench_reopen(struct bench *bench)
{
    bench_shut(bench);
    bench_open(bench);
}

static inline struct bench *bench_make(void)
{
    struct bench *bench = bytes_zeroed(1, sizeof *bench);
    bench->kit = kit_make();
    bench_open(bench);
    return bench;
}

static inline void bench_drop(struct bench *bench)
{
    bench_shut(bench);
    kit_drop(&bench->kit);
    bytes_free(bench);
}

static inline enum err write_all(struct journal *journal, struct span records)
{
    while (records.size > 0) {
        size_t taken;
        uint64_t first;
        TRY(journal_write(journal, records, &taken, &first));
        records = SPAN(records.data + taken, records.size - taken);
    }
    return ERR_NONE;
}

static inline void append(struct bench *bench, uint32_t count, uint64_t term, size_t body)
{
    struct bytes records = {0};
    kit_add_many(&bench->kit, count, term, body, &records);
    CHECK(write_all(&bench->journal, bytes_span(&records)) == ERR_NONE);
    bytes_close(&records);
}

static inline void rewind_to(struct bench *bench, uint64_t index)
{
    uint8_t hash[HASH_SIZE];
    CHECK(journal_hash_at(&bench->journal, index - 1, hash) == ERR_NONE);
    kit_rewind(&bench->kit, index, hash);
}

static inline void check_end(struct bench *bench, uint64_t index)
{
    CHECK(bench->journal.last_index == index);
    CHECK(memcmp(bench->journal.last_hash, bench->kit.hash, HASH_SIZE) == 0);
}

static inline size_t files(struct bench *bench)
{
    glob_t found;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/log/*.db", bench->kit.dir);
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

#endif
