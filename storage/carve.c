#include "storage/carve.h"

#include "protocol/entry.h"

#include <endian.h>

/* https://www.sqlite.org/fileformat2.html sections 1.6 and 4: numbers are big-endian. */
enum {
    PAGE_SIZE = 4096, /* of every segment (segment.c) */
    LEAF = 0x0d,      /* type of a page with rows */
    FILE_HEADER = 100,
    WAL_HEADER = 32,
    FRAME_HEADER = 24,
    KIND_MAX = 32,
    PAYLOAD_HEAD_MAX = 24, /* of a row, before its record */
};

static uint32_t big_u16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big_u32(const uint8_t *at)
{
    return be32toh(load_u32(at));
}

/* Cheap first: most bytes are no record. No log is 2^48 entries long. */
static bool may_be_record(struct span rest)
{
    return rest.size >= ENTRY_HEADER_SIZE && rest.data[0] == ENTRY_VERSION && rest.data[1] > 0 &&
           rest.data[1] <= KIND_MAX && load_u16(rest.data + 22) == 0 &&
           load_u16(rest.data + 30) == 0 && entry_index_of(rest) > 0 && entry_term_of(rest) > 0;
}

/* The whole record at the front; empty if there is none. */
static struct span record_at(struct span rest)
{
    size_t size = may_be_record(rest) ? entry_size(rest) : 0;
    struct span record = SPAN(rest.data, size);
    return size >= ENTRY_HEADER_SIZE && size <= rest.size && entry_intact(record)
               ? record
               : (struct span){0};
}

void carve_pieces(struct span file, carve_each *each, void *owner)
{
    for (size_t at = 0; at + ENTRY_HEADER_SIZE <= file.size;) {
        const uint8_t *next = memchr(file.data + at, ENTRY_VERSION, file.size - at);
        if (next == NULL)
            return;
        at = (size_t)(next - file.data);
        struct span record = record_at(SPAN(next, file.size - at));
        if (record.size > 0)
            each(owner, record, true);
        at += record.size > 0 ? record.size : 1;
    }
}

/* ---- pages ------------------------------------------------------------------------------------
 */

struct carve {
    struct span file, wal;
    carve_each *each;
    void *owner;
    uint32_t frames;
    uint32_t *newest; /* page number -> its last frame + 1; 0: none */
    uint32_t pages;   /* numbers below it are in `newest` */
    struct bytes payload;
};

static const uint8_t *frame_at(const struct carve *carve, uint32_t frame)
{
    return carve->wal.data + WAL_HEADER + (size_t)frame * (FRAME_HEADER + PAGE_SIZE);
}

/* Where a page may be: in its last frame, or in the file. NULL: not there. */
static const uint8_t *page_at(const struct carve *carve, uint32_t number, bool file_first)
{
    bool in_wal = number < carve->pages && carve->newest[number] > 0;
    bool in_file = number > 0 && (size_t)number * PAGE_SIZE <= carve->file.size;
    if (in_wal && !(file_first && in_file))
        return frame_at(carve, carve->newest[number] - 1) + FRAME_HEADER;
    return in_file ? carve->file.data + (size_t)(number - 1) * PAGE_SIZE : NULL;
}

static void note_frames(struct carve *carve)
{
    size_t step = FRAME_HEADER + PAGE_SIZE;
    size_t most = carve->file.size / PAGE_SIZE + carve->wal.size / step + 2;
    carve->frames =
        carve->wal.size > WAL_HEADER ? (uint32_t)((carve->wal.size - WAL_HEADER) / step) : 0;
    carve->pages = (uint32_t)most;
    carve->newest = bytes_zeroed(most, sizeof *carve->newest);
    for (uint32_t frame = 0; frame < carve->frames; frame++) {
        uint32_t number = big_u32(frame_at(carve, frame));
        if (number < carve->pages)
            carve->newest[number] = frame + 1;
    }
}

/* A number of one to nine bytes; false: it does not end on the page. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *number)
{
    *number = 0;
    for (int i = 0; i < 9 && *at < end; i++) {
        uint8_t byte = *(*at)++;
        if (i == 8) {
            *number = *number << 8 | byte;
            return true;
        }
        *number = *number << 7 | (byte & 0x7f);
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* How much of a payload stays on the leaf. */
static size_t local_size(size_t payload)
{
    size_t most = PAGE_SIZE - 35, least = (PAGE_SIZE - 12) * 32 / 255 - 23;
    size_t surplus = least + (payload - least) % (PAGE_SIZE - 4);
    return surplus <= most ? surplus : least;
}

/* Puts a payload together; false: a page of it is missing. */
static bool gather(struct carve *carve, const uint8_t *local, size_t payload, bool file_first)
{
    size_t here = local_size(payload);
    uint32_t next = big_u32(local + here);
    bytes_clear(&carve->payload);
    bytes_append(&carve->payload, local, here);
    while (carve->payload.size < payload) {
        const uint8_t *page = page_at(carve, next, file_first);
        size_t left = payload - carve->payload.size;
        if (page == NULL)
            return false;
        bytes_append(&carve->payload, page + 4, left < PAGE_SIZE - 4 ? left : PAGE_SIZE - 4);
        next = big_u32(page);
    }
    return true;
}

static bool tell_record(struct carve *carve)
{
    struct span whole = bytes_span(&carve->payload);
    for (size_t head = 1; head < PAYLOAD_HEAD_MAX && head < whole.size; head++) {
        struct span record = record_at(SPAN(whole.data + head, whole.size - head));
        if (record.size + head != whole.size || record.size == 0)
            continue;
        carve->each(carve->owner, record, false);
        return true;
    }
    return false;
}

static void look_at_cell(struct carve *carve, const uint8_t *page, uint32_t offset)
{
    const uint8_t *at = page + offset, *end = page + PAGE_SIZE;
    uint64_t payload, row;
    if (!read_varint(&at, end, &payload) || !read_varint(&at, end, &row))
        return;
    bool spread = payload > PAGE_SIZE - 35 && payload <= ENTRY_SIZE_MAX + PAYLOAD_HEAD_MAX;
    if (!spread || (size_t)(end - at) < local_size(payload) + 4)
        return;
    for (int file_first = 0; file_first < 2; file_first++)
        if (gather(carve, at, payload, file_first != 0) && tell_record(carve))
            return;
}

static void look_at_page(struct carve *carve, const uint8_t *page, uint32_t header)
{
    if (page[header] != LEAF)
        return;
    uint32_t cells = big_u16(page + header + 3), array = header + 8;
    for (uint32_t i = 0; i < cells && array + 2 * i + 2 <= PAGE_SIZE; i++)
        look_at_cell(carve, page, big_u16(page + array + 2 * i) % PAGE_SIZE);
}

void carve_pages(struct span file, struct span wal, carve_each *each, void *owner)
{
    struct carve carve = {.file = file, .wal = wal, .each = each, .owner = owner};
    note_frames(&carve);
    for (size_t at = 0; at + PAGE_SIZE <= file.size; at += PAGE_SIZE)
        look_at_page(&carve, file.data + at, at == 0 ? FILE_HEADER : 0);
    for (uint32_t frame = 0; frame < carve.frames; frame++)
        look_at_page(&carve, frame_at(&carve, frame) + FRAME_HEADER, 0);
    bytes_free(carve.newest);
    bytes_close(&carve.payload);
}
