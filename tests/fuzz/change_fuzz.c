/* change_fuzz.c - hostile bodies, rows, records, effects, cursors and pieces of a dump. */
#include "protocol/change.h"

#include "common/keys.h"
#include "protocol/cursor.h"
#include "protocol/effect.h"
#include "protocol/entry.h"
#include "protocol/pack.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A body that was accepted is walked to its end, and its changes survive a second trip. */
static void try_body(struct span body)
{
    SCOPED(bytes) again = {0};
    struct change_walk walk;
    struct change change;
    uint8_t hash[HASH_SIZE] = {0};
    uint32_t count, walked = 0;
    if (change_body_check(body, CHANGE_PUT, &change_limits_default, &count, NULL) != ERR_NONE)
        return;
    change_body_begin(&again, count);
    change_walk_begin(&walk, body);
    for (; change_walk_next(&walk, &change); walked++) {
        change_hash(hash, walked + 1, 1, &change, hash);
        change_body_add(&again, &change);
    }
    assert(walked == count);
    enum err err =
        change_body_check(bytes_span(&again), CHANGE_PUT, &change_limits_default, &count, NULL);
    assert((err == ERR_NONE && walked == count) || err == ERR_LIMIT);
}

static void try_records(struct span records)
{
    struct span record;
    struct entry entry;
    while (entry_next(&records, &record))
        if (entry_decode(record, &entry) == ERR_NONE)
            assert(entry_intact(record) || entry.body.size <= ENTRY_BODY_MAX);
}

static void try_effects(struct span effects)
{
    struct effect effect;
    struct effect_link link;
    while (effect_next(&effects, &effect))
        while (effect_link_next(&effect.links, &link))
            continue;
}

static void try_cursor(struct span text)
{
    struct cursor cursor;
    char printed[CURSOR_TEXT_MAX];
    if (cursor_parse(text, &cursor) == ERR_NONE)
        assert(cursor_print(&cursor, printed) <= CURSOR_TEXT_MAX);
}

static void try_piece(struct span bytes)
{
    struct pack pack;
    const char *wrong;
    if (bytes.size < PACK_HEAD || pack_head(bytes.data, &pack, &wrong) != ERR_NONE)
        return;
    struct span body = SPAN(bytes.data + PACK_HEAD, bytes.size - PACK_HEAD);
    enum err err = pack_body(&pack, body, &wrong);
    assert(err != ERR_NONE || (body.size == pack.size && body.size <= PACK_BODY_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = SPAN(data, size);
    struct change change;
    struct span hash;
    uint64_t id, ts;
    uint8_t key[KEY_SIZE];
    try_body(bytes);
    try_records(bytes);
    try_effects(bytes);
    try_cursor(bytes);
    try_piece(bytes);
    enum err row = change_row_decode(bytes, &id, &ts, &hash, &change);
    enum err parsed = keys_parse(bytes, key);
    assert(row < ERR_COUNT && parsed < ERR_COUNT);
    return 0;
}
