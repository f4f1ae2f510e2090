/* intake_test.c - a dump in its binary form: what is written comes back, and a file that was cut,
 * flipped or made up is told from a whole one, wherever it happened. */
#include "cmd/changeagent/intake.c" /* the command line is in no archive */
#include "cmd/changeagent/parse.c"

#include "common/clock.h"
#include "tests/unit/test.h"

enum { CHANGES = 4, BEGIN_SIZE = PACK_HEAD + 4, END_SIZE = PACK_HEAD + 8 };

static const uint8_t headers[] = "\x81\xa1n\xa1v", odd[] = "\xff\x00\x8e\x43\x41\x43";
static uint8_t hashes[CHANGES][HASH_SIZE];

/* One of each: bare, with all there is, gone, and one whose data has marks in it. */
static struct change change_of(uint64_t id)
{
    struct change change = {0};
    if (id == 2)
        change = (struct change){.type = 5,
                                 .has_key = true,
                                 .key = SPAN("k", 1),
                                 .ctype = SPAN("text/plain", 10),
                                 .data = SPAN("hello", 5),
                                 .headers = SPAN(headers, 5),
                                 .tags = {.at = {SPAN("a", 1), SPAN("b/c", 3)}, .count = 2}};
    if (id == 3)
        change = (struct change){.has_key = true, .removes = true};
    if (id == 4)
        change.data = SPAN(odd, sizeof odd);
    return change;
}

static void append_change(struct bytes *out, uint64_t id)
{
    struct change change = change_of(id);
    uint8_t *hash = hashes[id - 1];
    memset(hash, (int)id, HASH_SIZE);
    pack_append(&(struct line_place){id, 1000 + id, SPAN(hash, HASH_SIZE)}, &change, out);
}

/* Where each change begins, and where the end does. */
static void whole_dump(struct bytes *out, size_t starts[CHANGES + 1])
{
    pack_begin(out);
    for (uint64_t id = 1; id <= CHANGES; id++) {
        starts[id - 1] = out->size;
        append_change(out, id);
    }
    starts[CHANGES] = out->size;
    pack_end(CHANGES, out);
}

static bool is_same(const struct ca_bytes *a, struct span b)
{
    return span_equal(SPAN(a->data, a->size), b);
}

static void check_line(const struct parse_line *line)
{
    const struct ca_row *row = &line->row;
    CHECK(row->id >= 1 && row->id <= CHANGES && row->ts == 1000 + row->id);
    struct change change = change_of(row->id);
    CHECK(row->type == change.type && row->has_key == change.has_key);
    CHECK(row->removes == change.removes && row->tag_count == change.tags.count);
    for (uint32_t i = 0; i < row->tag_count; i++)
        CHECK(is_same(&row->tags[i], change.tags.at[i]));
    CHECK(is_same(&row->key, change.key) && is_same(&row->ctype, change.ctype));
    CHECK(is_same(&row->data, change.data) && is_same(&row->headers, change.headers));
    CHECK(memcmp(line->hash, hashes[row->id - 1], HASH_SIZE) == 0);
}

/* How a dump was read: the last verdict, and how many changes came, each as it was written. */
struct told {
    enum intake_verdict verdict;
    enum err err;
    uint64_t count, whole;
    uint32_t complaints;
};

static struct told read_all(const uint8_t *data, size_t size, bool lax)
{
    struct told told = {.verdict = INTAKE_CHANGE};
    SCOPED(intake) intake = {0};
    FILE *file = tmpfile();
    assert_non_null(file);
    CHECK(fwrite(data, 1, size, file) == size && fseek(file, 0, SEEK_SET) == 0);
    intake_open(&intake, file, lax ? &form_binary : NULL);
    while (told.verdict == INTAKE_CHANGE || (lax && told.verdict != INTAKE_DONE)) {
        struct parse_line line = {0};
        told.verdict = intake_next(&intake, &line);
        if (told.verdict == INTAKE_CHANGE) {
            check_line(&line);
            told.count++;
        } else if (told.verdict != INTAKE_DONE) {
            CHECK(intake.wrong != NULL && intake.err != ERR_NONE);
            told.complaints++;
            intake_skip(&intake);
        }
        parse_close(&line);
    }
    told.err = intake.err;
    told.whole = intake.whole;
    fclose(file);
    return told;
}

TEST(what_is_written_comes_back)
{
    SCOPED(bytes) dump = {0};
    size_t starts[CHANGES + 1];
    whole_dump(&dump, starts);
    struct told told = read_all(dump.data, dump.size, false);
    CHECK(told.verdict == INTAKE_DONE && told.count == CHANGES && told.whole == starts[CHANGES]);
    CHECK(starts[0] == BEGIN_SIZE && dump.size == starts[CHANGES] + END_SIZE);
    bytes_clear(&dump);
    pack_begin(&dump);
    pack_end(0, &dump);
    CHECK(read_all(dump.data, dump.size, false).verdict == INTAKE_DONE);
}

/* An empty file is one of no lines; anything more is torn, and tells where it is still whole. */
TEST(a_cut_at_any_byte_is_noticed)
{
    SCOPED(bytes) dump = {0};
    size_t starts[CHANGES + 1];
    whole_dump(&dump, starts);
    for (size_t size = 1; size < dump.size; size++) {
        struct told told = read_all(dump.data, size, false);
        uint64_t count = 0;
        while (count < CHANGES && starts[count + 1] <= size)
            count++;
        CHECK(told.verdict == INTAKE_TORN && told.count == count);
        CHECK(told.whole == (size < BEGIN_SIZE ? 0 : starts[count]));
    }
}

/* Never torn: that would be taken for a place to go on from, and what follows would be lost. */
TEST(a_flipped_bit_anywhere_is_noticed)
{
    SCOPED(bytes) dump = {0};
    size_t starts[CHANGES + 1];
    whole_dump(&dump, starts);
    for (size_t bit = 0; bit < 8 * dump.size; bit++) {
        dump.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct told told = read_all(dump.data, dump.size, false);
        CHECK(told.verdict == INTAKE_BAD);
        CHECK(told.count == 0 || starts[told.count] <= bit / 8);
        dump.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Whoever salvages gets all but the change that was hit. */
TEST(a_flipped_bit_costs_one_change)
{
    SCOPED(bytes) dump = {0};
    size_t starts[CHANGES + 1];
    whole_dump(&dump, starts);
    for (size_t bit = 0; bit < 8 * dump.size; bit++) {
        uint64_t left = CHANGES - (bit / 8 >= starts[0] && bit / 8 < starts[CHANGES]);
        dump.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct told told = read_all(dump.data, dump.size, true);
        CHECK(told.count == left && told.complaints > 0);
        dump.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(a_piece_left_out_or_doubled_is_noticed)
{
    SCOPED(bytes) dump = {0};
    size_t starts[CHANGES + 2];
    whole_dump(&dump, starts);
    starts[CHANGES + 1] = dump.size;
    for (int slot = -1; slot <= CHANGES; slot++) {
        SCOPED(bytes) less = {0};
        SCOPED(bytes) more = {0};
        size_t from = slot < 0 ? 0 : starts[slot], to = starts[slot + 1];
        bytes_append(&less, dump.data, from);
        bytes_append(&less, dump.data + to, dump.size - to);
        bytes_append(&more, dump.data, to);
        bytes_append(&more, dump.data + from, dump.size - from);
        CHECK(read_all(less.data, less.size, false).verdict ==
              (slot == CHANGES ? INTAKE_TORN : INTAKE_BAD));
        CHECK(read_all(more.data, more.size, false).verdict == INTAKE_BAD);
    }
}

/* A dump that begins well, goes on with a piece of this kind and body, and ends. */
static struct told with_piece(char kind, uint32_t size, struct span body)
{
    SCOPED(bytes) dump = {0};
    uint8_t head[PACK_HEAD] = {0x8e, 'C', 'A', (uint8_t)kind};
    save_u32(head + 4, size);
    save_u32(head + 8, hash_crc32c(0, body));
    save_u32(head + 12, hash_crc32c(0, SPAN(head, 12)));
    if (kind != 'B')
        pack_begin(&dump);
    bytes_append(&dump, head, sizeof head);
    bytes_append_span(&dump, body);
    pack_end(1, &dump);
    return read_all(dump.data, dump.size, false);
}

TEST(what_is_wrong_has_a_name)
{
    static const uint8_t newer[4] = {PACK_VERSION + 1};
    SCOPED(bytes) put = {0};
    struct change change = {.type = 1};
    change_body_add(&put, &change);
    CHECK(with_piece('B', 4, SPAN(newer, 4)).err == ERR_VERSION);
    CHECK(with_piece('X', 4, SPAN(newer, 4)).err == ERR_VERSION);
    CHECK(with_piece('E', 4, SPAN(newer, 4)).err == ERR_CORRUPT);
    CHECK(with_piece('C', UINT32_MAX, SPAN(newer, 4)).err == ERR_LIMIT);
    CHECK(with_piece('C', PACK_BODY_MAX, SPAN(newer, 4)).verdict == INTAKE_TORN);
    CHECK(with_piece('C', 0, SPAN(newer, 0)).err == ERR_BAD_REQUEST);
    CHECK(with_piece('C', 4, SPAN("what", 4)).err == ERR_BAD_REQUEST);
    CHECK(with_piece('C', 3, SPAN("\x81\xa1k", 3)).err == ERR_BAD_REQUEST);
    CHECK(with_piece('C', (uint32_t)put.size, bytes_span(&put)).err == ERR_BAD_REQUEST);
    CHECK(with_piece('C', 6, SPAN("\x81\xa4what\x01", 7)).verdict == INTAKE_BAD);
}

/* Any bytes, and a begin with any bytes behind: an end, never a change. */
TEST(garbage_is_refused)
{
    uint8_t garbage[300];
    for (size_t round = 0; round < 2000; round++) {
        SCOPED(bytes) dump = {0};
        chance_fill(garbage, sizeof garbage);
        if (round % 2 == 0)
            pack_begin(&dump);
        bytes_append(&dump, garbage, 1 + round % sizeof garbage);
        struct told told = read_all(dump.data, dump.size, false);
        CHECK(told.count == 0);
        if (round % 2 == 0)
            CHECK(told.verdict == INTAKE_BAD || told.verdict == INTAKE_TORN);
        told = read_all(dump.data, dump.size, true);
        CHECK(told.count == 0);
    }
}

TEST(lines_are_read_by_the_same_door)
{
    SCOPED(bytes) dump = {0};
    for (uint64_t id = 1; id <= CHANGES; id++) {
        struct change change = change_of(id);
        memset(hashes[id - 1], (int)id, HASH_SIZE);
        line_append(&(struct line_place){id, 1000 + id, SPAN(hashes[id - 1], HASH_SIZE)}, &change,
                    &dump);
    }
    struct told told = read_all(dump.data, dump.size, false);
    CHECK(told.verdict == INTAKE_DONE && told.count == CHANGES);
    CHECK(read_all(dump.data, dump.size - 2, false).verdict == INTAKE_BAD);
    CHECK(read_all(dump.data + 1, dump.size - 1, false).err == ERR_BAD_REQUEST);
    CHECK(read_all(dump.data, 0, false).verdict == INTAKE_DONE);
}

TEST_MAIN(T(what_is_written_comes_back), T(a_cut_at_any_byte_is_noticed),
          T(a_flipped_bit_anywhere_is_noticed), T(a_flipped_bit_costs_one_change),
          T(a_piece_left_out_or_doubled_is_noticed), T(what_is_wrong_has_a_name),
          T(garbage_is_refused), T(lines_are_read_by_the_same_door))
