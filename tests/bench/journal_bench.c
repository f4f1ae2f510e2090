/* journal_bench.c - rows a second and commit latency of the journal alone:
 *
 *   journal_bench DIR ROWS_A_COMMIT SECONDS [BODY_BYTES]
 *
 * Records are made before the clock starts; checks are part of what is measured. */
#include "common/clock.h"
#include "common/log.h"
#include "storage/journal.h"

#include <stdio.h>
#include <stdlib.h>

enum { LATENCIES_MAX = 1 << 20 };

struct chain {
    uint64_t next;
    uint8_t hash[HASH_SIZE];
};

static void add(struct chain *chain, const uint8_t *body, size_t size, struct bytes *out)
{
    struct entry entry = {.kind = ENTRY_DATA, .change_count = 1, .body = SPAN(body, size)};
    size_t at = out->size;
    entry_encode(&entry, out);
    entry_stamp(out->data + at, chain->next, 1, chain->next, chain->hash);
    memcpy(chain->hash, entry_hash_of(SPAN(out->data + at, out->size - at)), HASH_SIZE);
    chain->next++;
}

static enum err commit(struct journal *journal, struct span records)
{
    uint8_t hash[HASH_SIZE];
    uint64_t last, first;
    memcpy(hash, journal->last_hash, HASH_SIZE);
    TRY(journal_check(records, journal->last_index + 1, 1, hash, &last));
    while (records.size > 0) {
        size_t taken;
        TRY(journal_write(journal, records, &taken, &first));
        records = SPAN(records.data + taken, records.size - taken);
    }
    return ERR_NONE;
}

static int by_size(const void *a, const void *b)
{
    return (*(const uint32_t *)a > *(const uint32_t *)b) -
           (*(const uint32_t *)a < *(const uint32_t *)b);
}

struct result {
    uint32_t *latencies, count;
    uint64_t us;
};

static enum err run(struct journal *journal, uint32_t rows, uint64_t seconds, size_t body_size,
                    struct result *result)
{
    struct chain chain = {.next = journal->last_index + 1};
    uint8_t *body = bytes_zeroed(1, body_size);
    SCOPED(bytes) batch = {0};
    memcpy(chain.hash, journal->last_hash, HASH_SIZE);
    while (result->us < seconds * 1000000 && result->count < LATENCIES_MAX) {
        bytes_clear(&batch);
        for (uint32_t i = 0; i < rows; i++)
            add(&chain, body, body_size, &batch);
        uint64_t begun = clock_now_us();
        TRY(commit(journal, bytes_span(&batch)));
        uint64_t took = clock_now_us() - begun;
        result->latencies[result->count++] = (uint32_t)took;
        result->us += took;
        if (result->count % 64 == 0)
            TRY(journal_prepare(journal));
    }
    bytes_free(body);
    return ERR_NONE;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: journal_bench DIR ROWS_A_COMMIT SECONDS [BODY_BYTES]\n");
        return 100;
    }
    uint32_t rows = (uint32_t)strtoul(argv[2], NULL, 10);
    struct recovery recovery = {0};
    struct journal journal = {0};
    struct result result = {.latencies = bytes_zeroed(LATENCIES_MAX, sizeof(uint32_t))};
    log_open("journal_bench", LOG_WARN);
    enum err err = recovery_run(&recovery, argv[1]);
    if (err == ERR_NONE) {
        journal_open(&journal, &recovery, NULL);
        err = journal.ballot->term > 0 ? ERR_NONE : ballot_vote(journal.ballot, 1, 1, SPAN("", 0));
    }
    if (err == ERR_NONE)
        err = run(&journal, rows, strtoull(argv[3], NULL, 10),
                  argc > 4 ? strtoul(argv[4], NULL, 10) : 256, &result);
    qsort(result.latencies, result.count, sizeof(uint32_t), by_size);
    if (err == ERR_NONE && result.count > 0)
        printf("rows_a_commit=%u commits=%u rows_per_s=%.0f p50_us=%u p99_us=%u max_us=%u\n", rows,
               result.count, (double)result.count * rows * 1e6 / (double)result.us,
               result.latencies[result.count / 2], result.latencies[result.count * 99 / 100],
               result.latencies[result.count - 1]);
    journal_close(&journal);
    recovery_close(&recovery);
    bytes_free(result.latencies);
    return err == ERR_NONE ? 0 : 1;
}
