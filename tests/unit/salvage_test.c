/* salvage_test.c - files cut off, flipped and strange: every intact change comes back, with its
 * place. */
#include "common/log.h"
#include "protocol/pack.h"
#include "rooms_kit.h"
#include "storage/salvage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/stat.h>

enum { PARTS = 4, PUTS = 30, CHANGES = PARTS * PUTS, LARGE = 40000, LINE_BYTES_MAX = 200000 };

/* What the whole directory gives: a line for each change. */
struct told {
    char *text;
    size_t size;
    int code, count;
    char *lines[2 * CHANGES];
};

static void told_close(struct told *told)
{
    free(told->text);
    *told = (struct told){0};
}

static struct told salvage_of(const char *path)
{
    struct told told = {0};
    FILE *out = open_memstream(&told.text, &told.size);
    told.code = salvage_path(path, &form_lines, out);
    fclose(out);
    for (char *at = told.text; *at != '\0';) {
        char *end = strchr(at, '\n');
        assert_non_null(end);
        *end = '\0';
        assert_true(told.count < 2 * CHANGES);
        told.lines[told.count++] = at;
        at = end + 1;
    }
    return told;
}

static bool has(const struct told *told, const char *line)
{
    for (int i = 0; i < told->count; i++)
        if (strcmp(told->lines[i], line) == 0)
            return true;
    return false;
}

/* Each line that came back is one of the whole, to the byte. */
static void check_true(const struct told *part, const struct told *whole)
{
    for (int i = 0; i < part->count; i++)
        if (!has(whole, part->lines[i]))
            fail_msg("not of the log: %.200s", part->lines[i]);
}

/* Four segments, three of them sealed; each has one change that is spread over many pages. */
static void fill(struct kit_house *house)
{
    struct log_kit kit = {.term = 1, .ts = 1000};
    static char large[LARGE + 1];
    kit_house_open(house);
    kit_start(house);
    for (int part = 0; part < PARTS; part++) {
        if (part > 0)
            kit_roll(house);
        bytes_clear(&kit.records);
        if (part == 0)
            kit_founding(&kit);
        for (int i = 0; i < PUTS; i++) {
            char text[64];
            snprintf(text, sizeof text, "change %d of %d", i, part);
            memset(large, 'a' + part, LARGE);
            kit_put(&kit, (uint64_t)(part * PUTS + i + 1), kit.ts, 1, "t", i == 7 ? large : text);
        }
        kit_store(house, bytes_span(&kit.records));
        kit_commit(house, kit.last, 1);
    }
    KIT_WAIT(house, house->applied == kit.last);
    char index[160];
    snprintf(index, sizeof index, "%s.index", house->paths[PARTS - 2]);
    KIT_WAIT(house, access(index, F_OK) == 0);
    kit_stop(house);
    kit_close(&kit);
    for (uint32_t part = 0; part < house->parts; part++) {
        segment_free(house->writers[part]);
        house->writers[part] = NULL;
    }
}

static long size_of(const char *path)
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return (long)about.st_size;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    *size = (size_t)size_of(path);
    uint8_t *bytes = malloc(*size + 1);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void everything_whole_comes_back_whole(void **state)
{
    struct kit_house house;
    fill(&house);
    struct told told = salvage_of(house.directory);
    assert_int_equal(told.code, EXIT_DONE);
    assert_int_equal(told.count, CHANGES);
    assert_non_null(strstr(told.lines[0], "\"id\":1,"));
    assert_non_null(strstr(told.lines[CHANGES - 1], "\"hash\":\""));
    told_close(&told);
    kit_house_close(&house);
}

/* Wherever a file is cut off: the changes of the others are there with id and hash, and of this one
 * all those before the cut that do not lie across it. */
static void a_file_cut_off_gives_what_is_before_the_cut(void **state)
{
    struct kit_house house;
    fill(&house);
    struct told whole = salvage_of(house.directory);
    for (int part = 0; part < PARTS - 1; part++) {
        size_t size;
        uint8_t *bytes = read_file(house.paths[part], &size);
        int before = -1;
        for (size_t cut = 0; cut <= size; cut += 1500 + 512 * (size_t)part) {
            write_file(house.paths[part], bytes, cut);
            struct told told = salvage_of(house.directory);
            check_true(&told, &whole);
            assert_true(told.count >= CHANGES - PUTS && told.count >= before);
            assert_int_equal(told.code, told.count == CHANGES ? EXIT_DONE : EXIT_CORRUPTION);
            before = told.count;
            told_close(&told);
        }
        write_file(house.paths[part], bytes, size);
        free(bytes);
    }
    told_close(&whole);
    kit_house_close(&house);
}

/* One bit in each page: at most the records of that page are lost, nothing is told that was not. */
static void a_flipped_bit_costs_what_it_lies_in(void **state)
{
    struct kit_house house;
    fill(&house);
    struct told whole = salvage_of(house.directory);
    int lost = 0;
    for (int part = 0; part < PARTS - 1; part++) {
        size_t size;
        uint8_t *bytes = read_file(house.paths[part], &size);
        for (size_t at = 50; at < size; at += 2048) {
            bytes[at] ^= 0x10;
            write_file(house.paths[part], bytes, size);
            bytes[at] ^= 0x10;
            struct told told = salvage_of(house.directory);
            check_true(&told, &whole);
            assert_true(told.count >=
                        CHANGES - 1); /* small records lie in one piece: one at most */
            lost += CHANGES - told.count;
            told_close(&told);
        }
        write_file(house.paths[part], bytes, size);
        free(bytes);
    }
    assert_true(lost > 0);
    told_close(&whole);
    kit_house_close(&house);
}

/* A file on its own, without what lies beside it, in the middle of other bytes. */
static void a_foreign_file_gives_what_is_in_it(void **state)
{
    struct kit_house house;
    char path[160], line[64];
    fill(&house);
    size_t size, odd = 1237;
    uint8_t *bytes = read_file(house.paths[0], &size);
    uint8_t *foreign = calloc(1, size + 2 * odd);
    memcpy(foreign + odd, bytes, size);
    snprintf(path, sizeof path, "%s/foreign.bin", "/tmp");
    write_file(path, foreign, size + 2 * odd);
    struct told whole = salvage_of(house.directory), told = salvage_of(path);
    assert_int_equal(told.count, PUTS - 1); /* the large one is spread over pages of no file */
    assert_int_equal(told.code, EXIT_CORRUPTION);
    for (int i = 0; i < told.count; i++) /* behind the large one no id is known, and none is told */
        assert_true(i < 7 ? has(&whole, told.lines[i])
                          : strncmp(told.lines[i], "{\"ts\":", 6) == 0);
    told_close(&told);
    memset(foreign, 0x5a, size);
    write_file(path, foreign, size);
    told = salvage_of(path);
    assert_int_equal(told.code, EXIT_CORRUPTION);
    assert_int_equal(told.count, 0);
    told_close(&told);
    snprintf(line, sizeof line, "/tmp/no-such-file-%d", (int)getpid());
    told = salvage_of(line);
    assert_int_equal(told.code, EXIT_CONFIG);
    told_close(&told);
    told_close(&whole);
    remove(path);
    free(bytes);
    free(foreign);
    kit_house_close(&house);
}

/* In the binary form too, what has no place is told without one, and the end counts it. */
static void a_binary_dump_with_gaps_is_well_formed(void **state)
{
    struct kit_house house;
    struct pack pack;
    const char *wrong;
    char *text, path[] = "/tmp/alone_XXXXXX";
    size_t size;
    uint64_t count = 0, unplaced = 0;
    fill(&house);
    uint8_t *bytes = read_file(house.paths[1], &size);
    assert_int_equal(close(mkstemp(path)), 0);
    write_file(path, bytes, size);
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(salvage_path(path, &form_binary, out), EXIT_CORRUPTION);
    fclose(out);
    for (size_t at = 0; at < size; at += PACK_HEAD + pack.size) {
        const uint8_t *piece = (const uint8_t *)text + at;
        assert_int_equal(pack_head(piece, &pack, &wrong), ERR_NONE);
        assert_int_equal(pack_body(&pack, SPAN(piece + PACK_HEAD, pack.size), &wrong), ERR_NONE);
        assert_int_equal(pack.kind == PACK_BEGIN, at == 0);
        count += pack.kind == PACK_CHANGE;
        unplaced += pack.kind == PACK_CHANGE && memcmp(piece + PACK_HEAD + 1, "\xa2ts", 3) == 0;
        if (pack.kind == PACK_END)
            assert_int_equal(load_u64(piece + PACK_HEAD), count);
    }
    assert_int_equal(pack.kind, PACK_END);
    assert_true(count >= PUTS - 1 && unplaced == count);
    remove(path);
    free(bytes);
    free(text);
    kit_house_close(&house);
}

/* What was replaced lies in free pages for a long time; it is not told. */
static void what_was_replaced_is_not_told(void **state)
{
    struct log_kit kit = {.term = 1, .ts = 1000}, other = {0};
    char directory[] = "/tmp/salvage_XXXXXX", path[160], name[SEGMENT_NAME_MAX];
    assert_non_null(mkdtemp(directory));
    segment_name(1, 4711, name);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    kit_founding(&kit);
    for (uint64_t i = 1; i <= 20; i++)
        kit_put(&kit, i, kit.ts, 1, "t", i > 10 ? "replaced" : "stays");
    struct segment segment = {0};
    assert_int_equal(segment_open(&segment, path), ERR_NONE);
    struct span rest = bytes_span(&kit.records), record;
    assert_int_equal(store_begin(&segment.store), ERR_NONE);
    while (entry_next(&rest, &record)) {
        assert_int_equal(segment_append(&segment, record), ERR_NONE);
        if (entry_index_of(record) == 11)
            memcpy(other.hash, entry_hash_of(record), HASH_SIZE);
    }
    assert_int_equal(store_commit(&segment.store), ERR_NONE);
    other = (struct log_kit){.last = 11, .term = 2, .ts = 5000};
    rest = bytes_span(&kit.records);
    while (entry_next(&rest, &record) && entry_index_of(record) <= 11)
        memcpy(other.hash, entry_hash_of(record), HASH_SIZE);
    record = kit_put(&other, 100, 2000, 1, "t", "instead");
    assert_int_equal(store_begin(&segment.store), ERR_NONE);
    assert_int_equal(segment_cut(&segment, 12), ERR_NONE);
    assert_int_equal(segment_append(&segment, record), ERR_NONE);
    assert_int_equal(store_commit(&segment.store), ERR_NONE);
    segment_close(&segment);
    struct told told = salvage_of(directory);
    assert_int_equal(told.count, 11);
    for (int i = 0; i < told.count; i++)
        assert_null(strstr(told.lines[i], "replaced"));
    assert_non_null(strstr(told.lines[10], "instead"));
    told_close(&told);
    kit_close(&kit);
    kit_close(&other);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_whole_comes_back_whole),
        cmocka_unit_test(a_file_cut_off_gives_what_is_before_the_cut),
        cmocka_unit_test(a_flipped_bit_costs_what_it_lies_in),
        cmocka_unit_test(a_foreign_file_gives_what_is_in_it),
        cmocka_unit_test(a_binary_dump_with_gaps_is_well_formed),
        cmocka_unit_test(what_was_replaced_is_not_told),
    };
    log_open("salvage-test", LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
