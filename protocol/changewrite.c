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

static void pack_number(struct bytes *out, const char *name, uint64_t number)
{
    wire_pack_text(out, SPAN_TEXT(name));
    wire_pack_u64(out, number);
}

static void pack_hash(struct bytes *out, struct span hash)
{
    wire_pack_text(out, SPAN("hash", 4));
    wire_pack_bin(out, hash);
}

static void pack_data(struct bytes *out, struct span data)
{
    wire_pack_text(out, SPAN("data", 4));
    wire_pack_bin(out, data);
}

/* What is known of it. */
static uint32_t place_fields(const struct change *change)
{
    return (change->id != 0) + (change->ts != 0) + (change->hash.size > 0);
}

static void pack_place(struct bytes *out, const struct change *change)
{
    if (change->id != 0)
        pack_number(out, "id", change->id);
    if (change->ts != 0)
        pack_number(out, "ts", change->ts);
    if (change->hash.size > 0)
        pack_hash(out, change->hash);
}

/* Beside a place, what is the default goes unsaid: whoever wrote the change may have done so, and
 * the largest one must still be below the limit. */
void change_body_add(struct bytes *out, const struct change *change)
{
    uint32_t place = place_fields(change);
    bool has_type = place == 0 || change->type != 0;
    bool has_tags = place == 0 || change->tags.count > 0;
    wire_pack_map(out, place + 1 + has_type + has_tags + optional_fields(change));
    pack_place(out, change);
    if (has_type)
        pack_number(out, "type", change->type);
    if (has_tags)
        pack_tags(out, &change->tags);
    pack_optional(out, change);
    pack_data(out, change->data);
}

/* What both forms of a row begin with. */
static void pack_row(struct bytes *out, uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                     const struct change *change)
{
    wire_pack_map(out, 6 + optional_fields(change));
    pack_number(out, "id", id);
    pack_number(out, "ts", ts);
    pack_hash(out, SPAN(hash, HASH_SIZE));
    pack_number(out, "type", change->type);
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
    pack_number(out, "size", change->data.size);
}
