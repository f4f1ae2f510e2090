/* entry.c - reads and writes record v1; see the layout in entry.h. */
#include "protocol/entry.h"

#include <assert.h>

enum {
    CLOCK_ERROR_AT = 3,
    CRC_AT = 4,
    BODY_SIZE_AT = 8,
    INDEX_AT = 16,
    TERM_AT = 24,
    TS_AT = 32,
    HASH_AT = 96
};

static const uint8_t zeros[HASH_SIZE];

void entry_encode(const struct entry *entry, struct bytes *out)
{
    assert(entry->body.size <= ENTRY_BODY_MAX);
    uint8_t *at = bytes_reserve(out, ENTRY_HEADER_SIZE + entry->body.size);
    assert(at != NULL); /* the bytes are not soft */
    memset(at, 0, ENTRY_HEADER_SIZE);
    at[0] = ENTRY_VERSION;
    at[1] = (uint8_t)entry->kind;
    at[2] = entry->flags;
    at[CLOCK_ERROR_AT] = entry->clock_error;
    save_u32(at + BODY_SIZE_AT, (uint32_t)entry->body.size);
    save_u32(at + 12, entry->change_count);
    save_u64(at + INDEX_AT, entry->index);
    save_u64(at + TERM_AT, entry->term);
    save_u64(at + TS_AT, entry->ts);
    save_u64(at + 40, entry->born);
    save_u64(at + 48, entry->only_in_term);
    save_u64(at + 56, entry->deadline);
    memcpy(at + 64, entry->txid, sizeof entry->txid);
    memcpy(at + 80, entry->writer, sizeof entry->writer);
    memcpy(at + HASH_AT, entry->hash, HASH_SIZE);
    if (entry->body.size > 0)
        memcpy(at + ENTRY_HEADER_SIZE, entry->body.data, entry->body.size);
    out->size += ENTRY_HEADER_SIZE + entry->body.size;
}

size_t entry_size(struct span records)
{
    if (records.size < ENTRY_HEADER_SIZE)
        return 0;
    size_t body = load_u32(records.data + BODY_SIZE_AT);
    if (body > ENTRY_BODY_MAX || body > records.size - ENTRY_HEADER_SIZE)
        return 0;
    return ENTRY_HEADER_SIZE + body;
}

enum err entry_decode(struct span records, struct entry *entry)
{
    size_t size = entry_size(records);
    const uint8_t *at = records.data;
    if (size == 0)
        return ERR_BAD_MESSAGE;
    if (at[0] != ENTRY_VERSION)
        return ERR_VERSION;
    entry->kind = (enum entry_kind)at[1];
    entry->flags = at[2];
    entry->clock_error = at[CLOCK_ERROR_AT];
    entry->change_count = load_u32(at + 12);
    entry->index = load_u64(at + INDEX_AT);
    entry->term = load_u64(at + TERM_AT);
    entry->ts = load_u64(at + TS_AT);
    entry->born = load_u64(at + 40);
    entry->only_in_term = load_u64(at + 48);
    entry->deadline = load_u64(at + 56);
    memcpy(entry->txid, at + 64, sizeof entry->txid);
    memcpy(entry->writer, at + 80, sizeof entry->writer);
    memcpy(entry->hash, at + HASH_AT, HASH_SIZE);
    entry->body = SPAN(at + ENTRY_HEADER_SIZE, size - ENTRY_HEADER_SIZE);
    return ERR_NONE;
}

bool entry_next(struct span *rest, struct span *record)
{
    size_t size = entry_size(*rest);
    if (size == 0)
        return false;
    *record = SPAN(rest->data, size);
    *rest = SPAN(rest->data + size, rest->size - size);
    return true;
}

enum err entry_count(struct span records, uint32_t *count)
{
    struct span record;
    *count = 0;
    while (entry_next(&records, &record))
        ++*count;
    return records.size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
}

/* The record as the hash and the checksum see it: their own fields are zeros. */
static void log_hash(struct span record, const uint8_t previous[HASH_SIZE], uint8_t out[HASH_SIZE])
{
    struct hash_state state;
    hash_begin(&state);
    hash_add(&state, SPAN(previous, HASH_SIZE));
    hash_add(&state, SPAN(record.data, CRC_AT));
    hash_add(&state, SPAN(zeros, 4));
    hash_add(&state, SPAN(record.data + BODY_SIZE_AT, HASH_AT - BODY_SIZE_AT));
    hash_add(&state, SPAN(zeros, HASH_SIZE));
    hash_add(&state, SPAN(record.data + ENTRY_HEADER_SIZE, record.size - ENTRY_HEADER_SIZE));
    hash_end(&state, out);
}

static uint32_t checksum(struct span record)
{
    uint32_t crc = hash_crc32c(0, SPAN(record.data, CRC_AT));
    crc = hash_crc32c(crc, SPAN(zeros, 4));
    return hash_crc32c(crc, SPAN(record.data + BODY_SIZE_AT, record.size - BODY_SIZE_AT));
}

void entry_stamp(uint8_t *record, uint64_t index, uint64_t term, uint64_t ts,
                 const uint8_t previous_hash[HASH_SIZE])
{
    struct span span = SPAN(record, ENTRY_HEADER_SIZE + load_u32(record + BODY_SIZE_AT));
    uint8_t hash[HASH_SIZE];
    save_u64(record + INDEX_AT, index);
    save_u64(record + TERM_AT, term);
    save_u64(record + TS_AT, ts);
    log_hash(span, previous_hash, hash);
    memcpy(record + HASH_AT, hash, HASH_SIZE);
    save_u32(record + CRC_AT, checksum(span));
}

void entry_set_clock_error(uint8_t *record, uint64_t error_ns)
{
    uint8_t bits = error_ns > 0 ? (uint8_t)(64 - __builtin_clzll(error_ns)) : 0;
    record[CLOCK_ERROR_AT] = bits < 64 ? bits : 0; /* 2^bits is above the error */
}

uint64_t entry_clock_error_ns(uint8_t clock_error)
{
    return clock_error > 0 && clock_error < 64 ? (uint64_t)1 << clock_error : 0;
}

bool entry_intact(struct span record)
{
    return entry_size(record) == record.size && load_u32(record.data + CRC_AT) == checksum(record);
}

bool entry_follows(struct span record, const uint8_t previous_hash[HASH_SIZE])
{
    uint8_t hash[HASH_SIZE];
    log_hash(record, previous_hash, hash);
    return memcmp(hash, record.data + HASH_AT, HASH_SIZE) == 0;
}
