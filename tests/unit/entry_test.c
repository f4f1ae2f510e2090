/* entry_test.c - records keep their bytes, their checksum and their chain. */
#include "protocol/entry.h"

#include "tests/unit/test.h"

static const uint8_t start[HASH_SIZE];

static void make(struct bytes *out, const char *body)
{
    struct entry entry = {.kind = ENTRY_DATA,
                          .flags = 3,
                          .clock_error = 20,
                          .change_count = 2,
                          .born = 9,
                          .only_in_term = 4,
                          .deadline = 5,
                          .body = SPAN_TEXT(body)};
    memset(entry.txid, 0xaa, sizeof entry.txid);
    memset(entry.writer, 0xbb, sizeof entry.writer);
    entry_encode(&entry, out);
}

TEST(a_record_reads_back_as_written)
{
    SCOPED(bytes) out = {0};
    struct entry back;
    make(&out, "body");
    entry_stamp(out.data, 7, 2, 1000, start);
    CHECK(out.size == ENTRY_HEADER_SIZE + 4);
    CHECK(entry_decode(bytes_span(&out), &back) == ERR_NONE);
    CHECK(back.kind == ENTRY_DATA && back.flags == 3 && back.clock_error == 20 &&
          back.change_count == 2);
    CHECK(back.index == 7 && back.term == 2 && back.ts == 1000 && back.born == 9);
    CHECK(back.only_in_term == 4 && back.deadline == 5 && span_is(back.body, "body"));
    CHECK(entry_index_of(bytes_span(&out)) == 7 && entry_term_of(bytes_span(&out)) == 2);
    CHECK(entry_ts_of(bytes_span(&out)) == 1000 && entry_txid_of(bytes_span(&out))[0] == 0xaa);
}

/* R13: a flipped bit in any stored byte is found by the checksum or by the chain. */
TEST(every_flipped_bit_is_found)
{
    SCOPED(bytes) out = {0};
    make(&out, "some body");
    entry_stamp(out.data, 1, 1, 5, start);
    CHECK(entry_intact(bytes_span(&out)) && entry_follows(bytes_span(&out), start));
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!entry_intact(bytes_span(&out)));
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(the_chain_depends_on_what_came_before)
{
    SCOPED(bytes) one = {0};
    SCOPED(bytes) two = {0};
    make(&one, "a");
    make(&two, "b");
    entry_stamp(one.data, 1, 1, 5, start);
    entry_stamp(two.data, 2, 1, 6, entry_hash_of(bytes_span(&one)));
    CHECK(entry_follows(bytes_span(&two), entry_hash_of(bytes_span(&one))));
    CHECK(!entry_follows(bytes_span(&two), start));
}

TEST(records_are_walked_and_broken_ones_are_seen)
{
    SCOPED(bytes) out = {0};
    struct span rest, record;
    uint32_t count;
    make(&out, "first");
    make(&out, "");
    rest = bytes_span(&out);
    CHECK(entry_count(rest, &count) == ERR_NONE && count == 2);
    CHECK(entry_next(&rest, &record) && record.size == ENTRY_HEADER_SIZE + 5);
    CHECK(entry_next(&rest, &record) && record.size == ENTRY_HEADER_SIZE);
    CHECK(!entry_next(&rest, &record) && rest.size == 0);
    CHECK(entry_count(SPAN(out.data, out.size - 1), &count) == ERR_BAD_MESSAGE);
    save_u32(out.data + 8, ENTRY_BODY_MAX + 1);
    CHECK(entry_size(bytes_span(&out)) == 0);
}

TEST(an_unknown_version_is_refused)
{
    SCOPED(bytes) out = {0};
    struct entry back;
    make(&out, "x");
    out.data[0] = 2;
    CHECK(entry_decode(bytes_span(&out), &back) == ERR_VERSION);
}

/* Test vectors: the hashes of the published algorithms. */
TEST(hashes_are_the_published_ones)
{
    struct hash_state state;
    uint8_t hash[HASH_SIZE];
    CHECK(hash_crc32c(0, SPAN("123456789", 9)) == 0xe3069283u);
    hash_begin(&state);
    hash_add(&state, SPAN("a", 1));
    hash_add(&state, SPAN("bc", 2));
    hash_end(&state, hash);
    CHECK(hash[0] == 0xbd && hash[1] == 0xdd && hash[2] == 0x81 && hash[3] == 0x3c);
}

TEST(the_bound_of_a_clock_error_is_never_below_it)
{
    uint8_t record[ENTRY_HEADER_SIZE] = {0};
    for (uint64_t error = 1; error < (uint64_t)1 << 62; error = error * 3 + 1) {
        entry_set_clock_error(record, error);
        CHECK(entry_clock_error_ns(record[3]) > error);
        CHECK(entry_clock_error_ns(record[3]) / 2 <= error);
    }
    entry_set_clock_error(record, 0);
    CHECK(record[3] == 0 && entry_clock_error_ns(0) == 0);
    entry_set_clock_error(record, UINT64_MAX);
    CHECK(record[3] == 0); /* no bound at all */
    CHECK(entry_clock_error_ns(200) == 0);
}

TEST_MAIN(T(the_bound_of_a_clock_error_is_never_below_it), T(a_record_reads_back_as_written),
          T(every_flipped_bit_is_found), T(the_chain_depends_on_what_came_before),
          T(records_are_walked_and_broken_ones_are_seen), T(an_unknown_version_is_refused),
          T(hashes_are_the_published_ones))
