/* field.c - one field of a message, by its kind. */
#include "protocol/field.h"

#include "protocol/wire.h"

#include <assert.h>

static void encode_texts(const struct texts *texts, size_t max, struct bytes *out)
{
    wire_pack_array(out, texts->count);
    for (uint32_t i = 0; i < texts->count; i++) {
        assert(texts->at[i].size <= max);
        wire_pack_text(out, texts->at[i]);
    }
}

void field_encode(const struct message_field *field, const void *at, struct bytes *out)
{
    const struct span *span = at;
    switch (field->kind) {
    case FIELD_U64:
        wire_pack_u64(out, *(const uint64_t *)at);
        break;
    case FIELD_FLAG:
        wire_pack_bool(out, *(const bool *)at);
        break;
    case FIELD_TEXT:
        assert(span->size <= field->max);
        wire_pack_text(out, *span);
        break;
    case FIELD_BIN:
    case FIELD_RECORDS:
        assert(span->size <= field->max);
        wire_pack_bin(out, *span);
        break;
    case FIELD_TEXTS:
        encode_texts(at, field->max, out);
        break;
    case FIELD_RAW:
        assert(span->size <= field->max);
        if (span->size == 0)
            wire_pack_nil(out);
        else
            bytes_append_span(out, *span);
        break;
    }
}

bool field_is_empty(const struct message_field *field, const void *at)
{
    switch (field->kind) {
    case FIELD_TEXT:
    case FIELD_BIN:
    case FIELD_RECORDS:
    case FIELD_RAW:
        return ((const struct span *)at)->size == 0;
    case FIELD_TEXTS:
        return ((const struct texts *)at)->count == 0;
    default:
        return false;
    }
}

static bool decode_texts(struct span *rest, uint64_t count, size_t max, struct texts *texts)
{
    if (count > TEXTS_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct wire_value value;
        if (!wire_next(rest, &value) || value.kind != WIRE_TEXT || value.bytes.size > max)
            return false;
        texts->at[texts->count++] = value.bytes;
    }
    return true;
}

static bool decode_span(const struct message_field *field, const struct wire_value *value,
                        struct span *out)
{
    enum wire_kind wanted = field->kind == FIELD_TEXT ? WIRE_TEXT : WIRE_BIN;
    if (value->kind != wanted || value->bytes.size > field->max)
        return false;
    *out = value->bytes;
    return true;
}

static bool decode_raw(const struct message_field *field, struct span *rest, struct span *out)
{
    struct wire_value value;
    struct span whole, inside;
    if (!wire_take(rest, &whole))
        return false;
    inside = whole;
    if (!wire_next(&inside, &value))
        return false;
    if (value.kind == WIRE_NIL)
        return true;
    *out = whole;
    return whole.size <= field->max;
}

/* After an error `*rest` stands anywhere: the message is refused as a whole. */
bool field_decode(const struct message_field *field, struct span *rest, void *at)
{
    struct wire_value value;
    if (field->kind == FIELD_RAW)
        return decode_raw(field, rest, at);
    if (!wire_next(rest, &value))
        return false;
    if (value.kind == WIRE_NIL)
        return true;
    switch (field->kind) {
    case FIELD_U64:
        *(uint64_t *)at = value.number;
        return value.kind == WIRE_U64;
    case FIELD_FLAG:
        *(bool *)at = value.flag;
        return value.kind == WIRE_BOOL;
    case FIELD_TEXT:
    case FIELD_BIN:
    case FIELD_RECORDS:
        return decode_span(field, &value, at);
    case FIELD_TEXTS:
        return value.kind == WIRE_ARRAY && decode_texts(rest, value.number, field->max, at);
    case FIELD_RAW:
        break;
    }
    return false;
}

void field_clear_all(const struct message_field *fields, struct message *out)
{
    for (const struct message_field *field = fields; field->name != NULL; field++) {
        void *at = (uint8_t *)out + field->offset;
        switch (field->kind) {
        case FIELD_U64:
            *(uint64_t *)at = 0;
            break;
        case FIELD_FLAG:
            *(bool *)at = false;
            break;
        case FIELD_TEXTS:
            ((struct texts *)at)->count = 0;
            break;
        default:
            *(struct span *)at = (struct span){0};
        }
    }
}
