#include "storage/walscan.h"

#include "common/bytes.h"
#include "common/log.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>

/* https://www.sqlite.org/fileformat2.html section 4: numbers are big-endian, the
 * checksum's words are in the order that the magic number names. */
enum {
    HEADER_SIZE = 32,
    FRAME_HEADER_SIZE = 24,
    PAGE_MIN = 512,
    PAGE_MAX = 65536,
    BUFFER_SIZE = 1 << 20,
};
#define MAGIC 0x377f0682u

struct sums {
    uint32_t a, b;
};

struct reader {
    FILE *file;
    bool big; /* order of the checksum's words */
    uint32_t page_size;
    uint8_t salt[8];
    uint8_t frame[FRAME_HEADER_SIZE + PAGE_MAX];
};

static uint32_t big_u32(const uint8_t *at)
{
    return be32toh(load_u32(at));
}

static struct sums sum_up(struct sums sums, bool big, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint32_t x = load_u32(data + i), y = load_u32(data + i + 4);
        sums.a += (big ? be32toh(x) : x) + sums.b;
        sums.b += (big ? be32toh(y) : y) + sums.a;
    }
    return sums;
}

static bool sums_equal(struct sums a, struct sums b)
{
    return a.a == b.a && a.b == b.b;
}

static struct sums stored_sums(const uint8_t *at)
{
    return (struct sums){big_u32(at), big_u32(at + 4)};
}

static struct sums frame_sums(const struct reader *reader, struct sums before)
{
    struct sums head = sum_up(before, reader->big, reader->frame, 8);
    return sum_up(head, reader->big, reader->frame + FRAME_HEADER_SIZE, reader->page_size);
}

static bool read_frame(struct reader *reader)
{
    size_t size = FRAME_HEADER_SIZE + reader->page_size;
    return fread(reader->frame, 1, size, reader->file) == size;
}

/* False: the header is not one. *start: the checksum that frame 1 continues. */
static bool read_header(struct reader *reader, const uint8_t header[HEADER_SIZE],
                        struct sums *start)
{
    uint32_t magic = big_u32(header);
    reader->big = magic & 1;
    reader->page_size = big_u32(header + 8) == 1 ? PAGE_MAX : big_u32(header + 8);
    memcpy(reader->salt, header + 16, sizeof reader->salt);
    *start = sum_up((struct sums){0, 0}, reader->big, header, 24);
    bool fits = reader->page_size >= PAGE_MIN && reader->page_size <= PAGE_MAX &&
                (reader->page_size & (reader->page_size - 1)) == 0;
    return (magic & ~1u) == MAGIC && fits && sums_equal(*start, stored_sums(header + 24));
}

/* The header itself is synced before the first commit returns: frames behind a bad
 * one mean that it was good once. */
static void judge_headless(struct reader *reader, struct walscan *scan)
{
    static const uint8_t zeros[FRAME_HEADER_SIZE];
    size_t got = fread(reader->frame, 1, FRAME_HEADER_SIZE, reader->file);
    bool has_frames = got == FRAME_HEADER_SIZE && memcmp(reader->frame, zeros, sizeof zeros) != 0;
    scan->verdict = has_frames ? WALSCAN_DAMAGED : WALSCAN_CLEAN;
    scan->bad_frame = has_frames;
}

/* What is behind the first bad frame. A frame is good if it continues either the
 * checksum its forerunner bears or the one its forerunner should bear. */
struct aftermath {
    bool bad_was_commit; /* the bad frame ended a transaction */
    bool after_commit;   /* a good frame stands behind a good commit frame */
    uint32_t commits, good;
};

static void look_behind(struct reader *reader, struct sums computed, struct aftermath *aftermath)
{
    struct sums stored = stored_sums(reader->frame + 16);
    aftermath->bad_was_commit =
        memcmp(reader->frame + 8, reader->salt, 8) == 0 && big_u32(reader->frame + 4) != 0;
    while (read_frame(reader)) {
        struct sums own = stored_sums(reader->frame + 16);
        struct sums by_stored = frame_sums(reader, stored);
        struct sums by_computed = frame_sums(reader, computed);
        bool salted = memcmp(reader->frame + 8, reader->salt, 8) == 0;
        if (salted && (sums_equal(own, by_stored) || sums_equal(own, by_computed))) {
            aftermath->after_commit = aftermath->after_commit || aftermath->commits > 0;
            aftermath->commits += big_u32(reader->frame + 4) != 0;
            aftermath->good++;
        }
        computed = by_stored;
        stored = own;
    }
}

static enum walscan_verdict judge(const struct aftermath *aftermath)
{
    if (aftermath->good == 0)
        return WALSCAN_TORN;
    if (aftermath->bad_was_commit || aftermath->after_commit || aftermath->commits > 1)
        return WALSCAN_DAMAGED;
    return WALSCAN_TORN;
}

static void scan_frames(struct reader *reader, struct sums sums, struct walscan *scan)
{
    uint32_t frames = 0;
    scan->verdict = WALSCAN_CLEAN;
    while (read_frame(reader)) {
        struct sums next = frame_sums(reader, sums);
        bool salted = memcmp(reader->frame + 8, reader->salt, 8) == 0;
        frames++;
        if (!salted || !sums_equal(next, stored_sums(reader->frame + 16))) {
            struct aftermath aftermath = {0};
            scan->bad_frame = frames;
            look_behind(reader, next, &aftermath);
            scan->later_commits = aftermath.commits;
            /* frames of an older salt alone are what a restarted WAL leaves behind it */
            scan->verdict = !salted && aftermath.good == 0 ? WALSCAN_CLEAN : judge(&aftermath);
            return;
        }
        sums = next;
        scan->frames = frames;
        scan->commits += big_u32(reader->frame + 4) != 0;
    }
}

static void scan_open_file(struct reader *reader, struct walscan *scan)
{
    uint8_t header[HEADER_SIZE];
    struct sums start;
    if (fread(header, 1, HEADER_SIZE, reader->file) != HEADER_SIZE)
        scan->verdict = WALSCAN_CLEAN;
    else if (read_header(reader, header, &start))
        scan_frames(reader, start, scan);
    else
        judge_headless(reader, scan);
}

enum err walscan_file(struct walscan *scan, const char *wal_path)
{
    *scan = (struct walscan){.verdict = WALSCAN_ABSENT};
    FILE *file = fopen(wal_path, "rbe");
    if (file == NULL)
        return errno == ENOENT ? ERR_NONE : ERR_IO;
    struct reader *reader = bytes_zeroed(1, sizeof *reader);
    reader->file = file;
    (void)setvbuf(file, NULL, _IOFBF, BUFFER_SIZE);
    scan_open_file(reader, scan);
    enum err err = ferror(file) ? ERR_IO : ERR_NONE;
    bytes_free(reader);
    fclose(file);
    if (err != ERR_NONE || scan->verdict == WALSCAN_DAMAGED)
        log_error("wal_damaged", kv_text("file", wal_path), kv_u64("good_frames", scan->frames),
                  kv_u64("later_commits", scan->later_commits), kv_err(err));
    return err;
}
