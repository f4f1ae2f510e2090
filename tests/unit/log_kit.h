/* log_kit.h - builds bodies and a chained log for the tests of storage. */
#ifndef TESTS_UNIT_LOG_KIT_H
#define TESTS_UNIT_LOG_KIT_H

#include "protocol/change.h"
#include "protocol/entry.h"

#include <stdio.h>

struct log_kit {
    struct bytes records; /* all of them, in order */
    uint64_t last, term, ts;
    uint8_t hash[HASH_SIZE];
};

static inline void kit_close(struct log_kit *kit)
{
    bytes_close(&kit->records);
}

static inline void kit_txid(uint64_t number, uint8_t txid[16])
{
    memset(txid, 0, 16);
    save_u64(txid + 3, number);
}

/* Stamps and appends an entry; lends its record until the next call. */
static inline struct span kit_append(struct log_kit *kit, struct entry *entry)
{
    size_t at = kit->records.size;
    entry_encode(entry, &kit->records);
    kit->ts++;
    entry_stamp(kit->records.data + at, ++kit->last, kit->term, kit->ts, kit->hash);
    memcpy(kit->hash, entry_hash_of(SPAN(kit->records.data + at, 128)), HASH_SIZE);
    return SPAN(kit->records.data + at, kit->records.size - at);
}

static inline struct span kit_founding(struct log_kit *kit)
{
    uint8_t note[82] = "the cluster id.."; /* one voter, in the oldest layout (members.h) */
    save_u64(note + 16, 4711);
    note[24] = note[25] = note[32] = note[64] = note[72] = 1;
    struct entry entry = {.kind = ENTRY_FOUNDING, .body = SPAN(note, sizeof note)};
    return kit_append(kit, &entry);
}

static inline struct span kit_noop(struct log_kit *kit)
{
    struct entry entry = {.kind = ENTRY_NOOP};
    return kit_append(kit, &entry);
}

/* A body of `count` changes; change i bears "all" and the tag named `tag`. */
static inline void kit_body(struct bytes *body, uint32_t count, const char *tag, const char *data)
{
    bytes_clear(body);
    change_body_begin(body, count);
    for (uint32_t i = 0; i < count; i++) {
        struct change change = {.type = i, .data = SPAN_TEXT(data)};
        change.tags.at[change.tags.count++] = SPAN_TEXT("all");
        if (tag != NULL)
            change.tags.at[change.tags.count++] = SPAN_TEXT(tag);
        change_body_add(body, &change);
    }
}

static inline struct span kit_raw(struct log_kit *kit, uint64_t txid, uint64_t born,
                                  struct span body)
{
    struct entry entry = {.kind = ENTRY_DATA, .born = born, .body = body};
    kit_txid(txid, entry.txid);
    return kit_append(kit, &entry);
}

static inline struct span kit_put(struct log_kit *kit, uint64_t txid, uint64_t born, uint32_t count,
                                  const char *tag, const char *data)
{
    struct bytes body = {0};
    kit_body(&body, count, tag, data);
    struct span record = kit_raw(kit, txid, born, bytes_span(&body));
    bytes_close(&body);
    return record;
}

#endif
