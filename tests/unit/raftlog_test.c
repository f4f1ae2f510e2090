/* raftlog_test.c - terms, bytes, truncation and eviction of the log in memory. */
#include "consensus/raftlog.h"
#include "protocol/entry.h"
#include "tests/unit/test.h"

static struct bytes scratch;

static void propose(struct raftlog *log, uint64_t term, uint32_t size)
{
    struct bytes record = {0};
    uint8_t *body = bytes_zeroed(1, size + 1);
    struct entry entry = {.kind = ENTRY_DATA, .change_count = 1, .body = SPAN(body, size)};
    entry_encode(&entry, &record);
    raftlog_propose(log, bytes_span(&record), term, log->last_ts + 1, 0);
    bytes_close(&record);
    bytes_free(body);
}

static void fill(struct raftlog *log, const uint64_t *terms, uint64_t count, uint32_t size)
{
    raftlog_reset(log, 0);
    for (uint64_t i = 0; i < count; i++)
        propose(log, terms[i], size);
}

TEST(an_empty_log_knows_index_zero)
{
    struct raftlog log = {0};
    raftlog_reset(&log, 0);
    CHECK(log.last == 0 && raftlog_last_term(&log) == 0);
    CHECK(raftlog_knows(&log, 0) && raftlog_term(&log, 0) == 0);
    CHECK(!raftlog_knows(&log, 1));
    raftlog_close(&log);
}

TEST(terms_and_hashes_follow_the_entries)
{
    struct raftlog log = {0};
    fill(&log, (uint64_t[]){1, 1, 3, 3, 7}, 5, 10);
    CHECK(raftlog_term(&log, 2) == 1);
    CHECK(raftlog_term(&log, 3) == 3);
    CHECK(raftlog_term(&log, 5) == 7);
    CHECK(entry_follows(raftlog_record(&log, 5), entry_hash_of(raftlog_record(&log, 4))));
    CHECK(!entry_follows(raftlog_record(&log, 5), entry_hash_of(raftlog_record(&log, 3))));
    CHECK(raftlog_find(&log, 4, 2) == 2);
    CHECK(raftlog_find(&log, 5, 6) == 4);
    CHECK(raftlog_find(&log, 5, 9) == 5);
    CHECK(raftlog_find(&log, 2, 0) == 0);
    raftlog_close(&log);
}

TEST(truncation_forgets_the_end)
{
    struct raftlog log = {0};
    fill(&log, (uint64_t[]){1, 1, 3, 3, 7}, 5, 100);
    raftlog_truncate(&log, 2);
    CHECK(log.last == 2 && raftlog_last_term(&log) == 1);
    CHECK(memcmp(log.last_hash, entry_hash_of(raftlog_record(&log, 2)), HASH_SIZE) == 0);
    propose(&log, 4, 100);
    CHECK(raftlog_term(&log, 3) == 4);
    CHECK(raftlog_held_bytes(&log) == 3 * (ENTRY_HEADER_SIZE + 100));
    raftlog_truncate(&log, 0);
    CHECK(log.last == 0 && log.has_hash);
    propose(&log, 9, 1);
    CHECK(raftlog_term(&log, 1) == 9);
    raftlog_close(&log);
}

TEST(eviction_keeps_terms_and_not_bytes)
{
    struct raftlog log = {0};
    uint64_t terms[100];
    for (int i = 0; i < 100; i++)
        terms[i] = 1 + (uint64_t)i / 10;
    fill(&log, terms, 100, 872); /* records of 1000 bytes */
    raftlog_evict(&log, 50, 20000);
    CHECK(log.held == 51);
    raftlog_evict(&log, 99, 20000);
    CHECK(log.held == 81 && raftlog_held_bytes(&log) == 20000);
    CHECK(raftlog_term(&log, 5) == 1);
    CHECK(raftlog_bytes(&log, 80, 90) == UINT64_MAX);
    CHECK(raftlog_bytes(&log, 81, 90) == 10000);
    CHECK(raftlog_bytes(&log, 91, 90) == 0);
    raftlog_close(&log);
}

TEST(records_come_in_order_across_chunks)
{
    struct raftlog log = {0};
    uint64_t terms[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, last, index = 1;
    fill(&log, terms, 9, 1 << 20); /* three to a chunk */
    while (index <= 9) {
        struct span rest = raftlog_records(&log, index, 3 << 20, &scratch, &last), record;
        while (entry_next(&rest, &record)) {
            CHECK(entry_index_of(record) == index && entry_intact(record));
            index++;
        }
        CHECK(rest.size == 0 && last == index - 1);
    }
    raftlog_close(&log);
    bytes_close(&scratch);
}

TEST(at_least_one_record_is_lent)
{
    struct raftlog log = {0};
    uint64_t last;
    fill(&log, (uint64_t[]){1, 1}, 2, 500);
    CHECK(raftlog_records(&log, 1, 1, &scratch, &last).size == ENTRY_HEADER_SIZE + 500);
    CHECK(last == 1);
    raftlog_close(&log);
}

TEST(skipped_records_leave_their_terms)
{
    struct raftlog log = {0}, source = {0};
    fill(&source, (uint64_t[]){1, 2, 2, 5}, 4, 10);
    raftlog_reset(&log, 1);
    CHECK(!raftlog_knows(&log, 1));
    raftlog_skip(&log, raftlog_record(&source, 2));
    raftlog_skip(&log, raftlog_record(&source, 3));
    raftlog_append(&log, raftlog_record(&source, 4));
    CHECK(log.held == 4 && log.last == 4 && log.known_from == 2);
    CHECK(raftlog_term(&log, 3) == 2 && raftlog_term(&log, 4) == 5);
    raftlog_truncate(&log, 2);
    CHECK(log.held == 3 && !log.has_hash);
    raftlog_close(&log);
    raftlog_close(&source);
}

TEST(many_small_records_grow_the_ring)
{
    struct raftlog log = {0};
    raftlog_reset(&log, 0);
    for (int i = 0; i < 5000; i++)
        propose(&log, 1, 8);
    for (uint64_t i = 1; i <= 5000; i++)
        CHECK(entry_index_of(raftlog_record(&log, i)) == i);
    raftlog_close(&log);
}

TEST_MAIN(T(an_empty_log_knows_index_zero), T(terms_and_hashes_follow_the_entries),
          T(truncation_forgets_the_end), T(eviction_keeps_terms_and_not_bytes),
          T(records_come_in_order_across_chunks), T(at_least_one_record_is_lent),
          T(skipped_records_leave_their_terms), T(many_small_records_grow_the_ring))
