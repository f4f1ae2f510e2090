/* segment_test.c - one file of the log. */
#include "storage/segment.h"
#include "tests/unit/storage_kit.h"

static struct segment *make(struct kit *kit, uint32_t rows)
{
    struct segment *segment = bytes_zeroed(1, sizeof *segment);
    SCOPED(bytes) records = {0};
    CHECK(segment_open(segment, kit_path(kit, "00000007-00000000000000aa.db")) == ERR_NONE);
    CHECK(store_begin(&segment->store) == ERR_NONE);
    for (uint32_t i = 0; i < rows; i++) {
        bytes_clear(&records);
        kit_add(kit, i % 10 == 0 ? ENTRY_CONFIG : ENTRY_DATA, 1, 100, &records);
        CHECK(segment_append(segment, bytes_span(&records)) == ERR_NONE);
    }
    CHECK(store_commit(&segment->store) == ERR_NONE);
    return segment;
}

TEST(names_are_read_back_and_others_refused)
{
    char name[SEGMENT_NAME_MAX];
    uint32_t number;
    uint64_t suffix;
    segment_name(12, 0xabcdef, name);
    CHECK(segment_name_parse(name, &number, &suffix));
    CHECK(number == 12);
    CHECK(suffix == 0xabcdef);
    CHECK(!segment_name_parse("", &number, &suffix));
    CHECK(!segment_name_parse("00000012-0000000000abcdef.db-wal", &number, &suffix));
    CHECK(!segment_name_parse("12-0000000000abcdef.db", &number, &suffix));
    CHECK(!segment_name_parse("00000012-0000000000abcdef.db.damaged", &number, &suffix));
}

TEST(records_come_back_as_they_were_within_the_bound)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 50);
    SCOPED(bytes) out = {0};
    uint64_t last;
    CHECK(segment->number == 7);
    CHECK(segment->first == 1);
    CHECK(segment->last == 50);
    CHECK(segment->bytes == 50 * 228);
    CHECK(segment_read(segment, 11, 40, 228 * 5 + 10, &out, &last) == ERR_NONE);
    CHECK(last == 15);
    CHECK(out.size == 228 * 5);
    CHECK(entry_index_of(bytes_span(&out)) == 11);
    bytes_clear(&out);
    CHECK(segment_read(segment, 49, 400, 1, &out, &last) == ERR_NONE);
    CHECK(last == 49); /* at least one */
    CHECK(segment_read(segment, 51, 60, 1000, &out, &last) == ERR_NOT_FOUND);
    CHECK(segment_read(segment, 0, 60, 1000, &out, &last) == ERR_NOT_FOUND);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(a_changed_byte_is_noticed)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 20);
    SCOPED(bytes) out = {0};
    uint64_t last;
    CHECK(store_run(&segment->store,
                    "UPDATE log SET record = substr(record, 1, 227) || x'00' WHERE idx = 7") ==
          ERR_NONE);
    CHECK(segment_read(segment, 1, 20, 100000, &out, &last) == ERR_CORRUPT);
    CHECK(last == 6);
    CHECK(out.size == 6 * 228);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(a_hole_is_noticed)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 20);
    CHECK(store_run(&segment->store, "DELETE FROM log WHERE idx = 9") == ERR_NONE);
    segment_close(segment);
    CHECK(segment_open(segment, kit_path(&kit, "00000007-00000000000000aa.db")) == ERR_CORRUPT);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(rows_follow_one_another)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 3);
    SCOPED(bytes) record = {0};
    kit.next = 9;
    kit_add(&kit, ENTRY_DATA, 1, 10, &record);
    CHECK(store_begin(&segment->store) == ERR_NONE);
    CHECK(segment_append(segment, bytes_span(&record)) == ERR_GAP);
    store_rollback(&segment->store);
    segment_free(segment);
    kit_drop(&kit);
}

/* Eight records, one of them `odd` places too far. */
static enum err append_eight(struct kit *kit, struct segment *segment, uint32_t odd)
{
    SCOPED(bytes) records = {0};
    struct span batch[SEGMENT_BATCH], rest, record;
    for (uint32_t i = 0; i < SEGMENT_BATCH; i++) {
        kit->next += i == odd;
        kit_add(kit, i == 3 ? ENTRY_CONFIG : ENTRY_DATA, 1, 10 * i, &records);
    }
    rest = bytes_span(&records);
    for (uint32_t i = 0; entry_next(&rest, &record); i++)
        batch[i] = record;
    CHECK(store_begin(&segment->store) == ERR_NONE);
    enum err err = segment_append_batch(segment, batch);
    if (err == ERR_NONE)
        CHECK(store_commit(&segment->store) == ERR_NONE);
    else
        store_rollback(&segment->store);
    return err;
}

TEST(eight_records_go_in_one_statement)
{
    struct kit kit = kit_make();
    SCOPED(bytes) out = {0};
    uint64_t last;
    uint32_t configs;
    struct segment *segment = make(&kit, 0);
    CHECK(append_eight(&kit, segment, 4) == ERR_GAP && segment->last == 0);
    kit.next = 1;
    CHECK(append_eight(&kit, segment, SEGMENT_BATCH) == ERR_NONE);
    CHECK(append_eight(&kit, segment, SEGMENT_BATCH) == ERR_NONE);
    CHECK(segment->first == 1 && segment->last == 16);
    CHECK(segment->bytes == 2 * (8 * 128 + 280));
    CHECK(segment_read(segment, 1, 16, 100000, &out, &last) == ERR_NONE && last == 16);
    CHECK(out.size == segment->bytes);
    CHECK(segment_configs(segment, 16, 5, &out, &configs) == ERR_NONE && configs == 2);
    CHECK(!segment_full_with(segment, SEGMENT_ENTRIES_MAX - 17, 0));
    CHECK(segment_full_with(segment, SEGMENT_ENTRIES_MAX - 16, 0));
    CHECK(segment_full_with(segment, 0, SEGMENT_BYTES_MAX - segment->bytes));
    for (uint32_t odd = 0; odd < SEGMENT_BATCH; odd++) {
        uint64_t next = kit.next;
        CHECK(append_eight(&kit, segment, odd) == ERR_GAP);
        CHECK(segment->last == 16);
        kit.next = next;
    }
    CHECK(append_eight(&kit, segment, SEGMENT_BATCH) == ERR_NONE);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(a_rolled_back_cut_leaves_all)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 20);
    CHECK(store_begin(&segment->store) == ERR_NONE);
    CHECK(segment_cut(segment, 5) == ERR_NONE);
    CHECK(segment->last == 4);
    CHECK(segment->bytes == 4 * 228);
    store_rollback(&segment->store);
    CHECK(segment_reload(segment) == ERR_NONE);
    CHECK(segment->last == 20);
    CHECK(segment->bytes == 20 * 228);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(configurations_are_found_newest_first)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 35);
    SCOPED(bytes) out = {0};
    uint32_t count;
    CHECK(segment_configs(segment, 30, 2, &out, &count) == ERR_NONE);
    CHECK(count == 2);
    CHECK(entry_index_of(bytes_span(&out)) == 21);
    CHECK(entry_index_of(SPAN(out.data + 228, 228)) == 11);
    segment_free(segment);
    kit_drop(&kit);
}

TEST(a_reader_beside_the_writer_and_a_sealed_one)
{
    struct kit kit = kit_make();
    struct segment *segment = make(&kit, 10);
    SCOPED(segment) reader = {0};
    SCOPED(bytes) out = {0};
    uint64_t last;
    const char *path = kit_path(&kit, "00000007-00000000000000aa.db");
    CHECK(segment_open_reader(&reader, path) == ERR_NONE);
    CHECK(reader.last == 10);
    CHECK(segment_seal(segment) == ERR_BUSY);
    segment_close(&reader);
    CHECK(segment_seal(segment) == ERR_NONE);
    CHECK(segment_open_sealed(&reader, path) == ERR_NONE);
    CHECK(segment_read(&reader, 1, 10, 100000, &out, &last) == ERR_NONE);
    CHECK(last == 10);
    segment_free(segment);
    kit_drop(&kit);
}

TEST_MAIN(T(names_are_read_back_and_others_refused),
          T(records_come_back_as_they_were_within_the_bound), T(a_changed_byte_is_noticed),
          T(a_hole_is_noticed), T(rows_follow_one_another), T(eight_records_go_in_one_statement),
          T(eight_records_go_in_one_statement), T(a_rolled_back_cut_leaves_all),
          T(configurations_are_found_newest_first), T(a_reader_beside_the_writer_and_a_sealed_one))
