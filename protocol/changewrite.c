/* changewrite.c - the writing half of change.h: bodies and rows. */
#include "protocol/change.h"
#include "protocol/wire.h"

void change_body_begin(struct bytes *out, uint32_t count)
{
    wire_pack_map(out, 1);
    wire_pack_text(out, SPAN("changes", 7));
    wire_pack_array(out, count);
}

static void pack_tags(struct bytes *out, const struct texts *tags)
{
    wire_pack_text(out, SPAN("tags", 4));
    wire_pack_array(out, tags->count);
    for (uint32_t i = 0; i < tags->count; i++)
        wire_pack_text(out, tags->at[i]);
}

static uint32_t optional_fields(const struct change *change)
{
    return (change->has_key ? 1u : 0u) + change->removes + (change->headers.size > 0) +
           (change->ctype.size > 0);
}

static void pack_optional(struct bytes *out, const struct change *change)
{
    if (change->has_key) {
        wire_pack_text(out, SPAN("key", 3));
        wire_pack_text(out, change->key);
    }
    if (change->removes) {
        wire_pack_text(out, SPAN("delete", 6));
        wire_pack_bool(out, true);
    }
    if (change->headers.size > 0) {
        wire_pack_text(out, SPAN("headers", 7));
        bytes_append_span(out, change->headers);
    }
    if (change->ctype.size > 0) {
        wire_pack_text(out, SPAN("ctype", 5));
        wire_pack_text(out, change->ctype);
    }
}

static void pack_type(struct bytes *out, uint64_t type)
{
    wire_pack_text(out, SPAN("type", 4));
    wire_pack_u64(out, type);
}

static void pack_data(struct bytes *out, struct span data)
{
    wire_pack_text(out, SPAN("data", 4));
    wire_pack_bin(out, data);
}

static void pack_place(struct bytes *out, uint64_t id, uint64_t ts, struct span hash)
{
    wire_pack_text(out, SPAN("id", 2));
    wire_pack_u64(out, id);
    wire_pack_text(out, SPAN("ts", 2));
    wire_pack_u64(out, ts);
    wire_pack_text(out, SPAN("hash", 4));
    wire_pack_bin(out, hash);
}

void change_body_add(struct bytes *out, const struct change *change)
{
    bool placed = change->id != 0;
    wire_pack_map(out, (placed ? 6 : 3) + optional_fields(change));
    if (placed)
        pack_place(out, change->id, change->ts, change->hash);
    pack_type(out, change->type);
    pack_tags(out, &change->tags);
    pack_optional(out, change);
    pack_data(out, change->data);
}

/* What both forms of a row begin with. */
static void pack_row(struct bytes *out, uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                     const struct change *change)
{
    wire_pack_map(out, 6 + optional_fields(change));
    pack_place(out, id, ts, SPAN(hash, HASH_SIZE));
    pack_type(out, change->type);
    pack_tags(out, &change->tags);
    pack_optional(out, change);
}

void change_row_encode(uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                       const struct change *change, struct bytes *out)
{
    pack_row(out, id, ts, hash, change);
    pack_data(out, change->data);
}

void change_row_encode_bare(uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                            const struct change *change, struct bytes *out)
{
    pack_row(out, id, ts, hash, change);
    wire_pack_text(out, SPAN("size", 4));
    wire_pack_u64(out, change->data.size);
}
