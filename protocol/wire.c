/* wire.c - a bounded scan that reads msgpack; msgpack-c writes it. */
#include "protocol/wire.h"

#include <msgpack.h>

struct head {
    enum wire_kind kind;
    size_t size;     /* of the head */
    uint64_t number; /* as in struct wire_value; content size of TEXT, BIN, OTHER */
    bool flag;
};

static uint64_t big_endian(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static struct head sized(enum wire_kind kind, size_t extra, size_t length_size, const uint8_t *at)
{
    return (struct head){kind, 1 + length_size + extra, big_endian(at + 1, length_size), false};
}

static struct head signed_number(const uint8_t *at, size_t size)
{
    uint64_t raw = big_endian(at + 1, size);
    unsigned shift = (unsigned)(64 - 8 * size);
    int64_t value = (int64_t)(raw << shift) >> shift;
    return (struct head){value < 0 ? WIRE_NEGATIVE : WIRE_U64, 1 + size, (uint64_t)value, false};
}

/* The heads that say in full what follows (0xc0 to 0xdf). */
static struct head read_named_head(const uint8_t *at)
{
    uint8_t c = at[0];
    switch (c) {
    case 0xc0:
        return (struct head){WIRE_NIL, 1, 0, false};
    case 0xc2:
    case 0xc3:
        return (struct head){WIRE_BOOL, 1, 0, c == 0xc3};
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return sized(WIRE_BIN, 0, (size_t)1 << (c - 0xc4), at);
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return sized(WIRE_OTHER, 1, (size_t)1 << (c - 0xc7), at);
    case 0xca:
        return (struct head){WIRE_FLOAT, 5, 0, false};
    case 0xcb:
        return (struct head){WIRE_FLOAT, 9, 0, false};
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf: {
        size_t size = (size_t)1 << (c - 0xcc);
        return (struct head){WIRE_U64, 1 + size, big_endian(at + 1, size), false};
    }
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return signed_number(at, (size_t)1 << (c - 0xd0));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return (struct head){WIRE_OTHER, 2, (uint64_t)1 << (c - 0xd4), false};
    case 0xd9:
    case 0xda:
    case 0xdb:
        return sized(WIRE_TEXT, 0, (size_t)1 << (c - 0xd9), at);
    case 0xdc:
    case 0xdd:
        return sized(WIRE_ARRAY, 0, (size_t)2 << (c - 0xdc), at);
    case 0xde:
    case 0xdf:
        return sized(WIRE_MAP, 0, (size_t)2 << (c - 0xde), at);
    default:
        return (struct head){WIRE_OTHER, 0, 0, false}; /* 0xc1 is never used */
    }
}

/* Heads of a byte, by far the most: what they say stands in them. The others are read by
 * read_named_head. 0: it is none of these. */
static inline bool take_short_head(struct span *rest, struct wire_value *value)
{
    uint8_t c = rest->data[0];
    value->flag = false;
    value->bytes = SPAN(NULL, 0);
    if (c <= 0x7f) {
        value->kind = WIRE_U64;
        value->number = c;
    } else if (c <= 0x9f) {
        value->kind = c <= 0x8f ? WIRE_MAP : WIRE_ARRAY;
        value->number = c & 0x0f;
    } else if (c <= 0xbf) {
        value->kind = WIRE_TEXT;
        value->number = c & 0x1f;
    } else if (c >= 0xe0) {
        value->kind = WIRE_NEGATIVE;
        value->number = (uint64_t)(int64_t)(int8_t)c;
    } else {
        return false;
    }
    rest->data++;
    rest->size--;
    return true;
}

/* Up to 9 bytes are looked at: near the end, of a copy with zeros behind. */
static bool take_named_head(struct span *rest, struct wire_value *value)
{
    uint8_t padded[16] = {0};
    const uint8_t *at = rest->data;
    if (rest->size < 9) {
        memcpy(padded, rest->data, rest->size);
        at = padded;
    }
    struct head head = read_named_head(at);
    if (head.size == 0 || head.size > rest->size)
        return false;
    value->kind = head.kind;
    value->flag = head.flag;
    value->number = head.number;
    rest->data += head.size;
    rest->size -= head.size;
    return true;
}

static inline bool next(struct span *rest, struct wire_value *value)
{
    if (rest->size == 0 || (!take_short_head(rest, value) && !take_named_head(rest, value)))
        return false;
    if (value->kind != WIRE_TEXT && value->kind != WIRE_BIN && value->kind != WIRE_OTHER)
        return true;
    if (value->number > rest->size)
        return false;
    value->bytes = SPAN(rest->data, value->number);
    rest->data += value->number;
    rest->size -= value->number;
    return true;
}

bool wire_next(struct span *rest, struct wire_value *value)
{
    return next(rest, value);
}

/* Every item takes at least one byte, so a count beyond the rest is a lie. */
static bool count_is_honest(const struct wire_value *value, size_t rest)
{
    if (value->kind == WIRE_ARRAY)
        return value->number <= rest;
    if (value->kind == WIRE_MAP)
        return value->number <= rest / 2;
    return true;
}

/* An array or a map is as many more values, wherever they stand: no need to go down. */
bool wire_take(struct span *rest, struct span *whole)
{
    struct span from = *rest;
    struct wire_value value;
    for (uint64_t left = 1; left > 0; left--) {
        if (!next(rest, &value) || !count_is_honest(&value, rest->size))
            return false;
        if (value.kind == WIRE_ARRAY || value.kind == WIRE_MAP)
            left += value.kind == WIRE_MAP ? value.number * 2 : value.number;
        if (left - 1 > rest->size)
            return false;
    }
    *whole = SPAN(from.data, from.size - rest->size);
    return true;
}

size_t wire_size(struct span bytes)
{
    struct span whole;
    return wire_take(&bytes, &whole) ? whole.size : 0;
}

/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool wire_is_text(struct span text)
{
    const uint8_t *at = text.data, *end = at + text.size;
    while (at < end) {
        if (end - at >= 8 && (load_u64(at) & 0x8080808080808080u) == 0) {
            at += 8; /* as nearly all are */
            continue;
        }
        uint8_t c = *at++;
        if (c < 0x80)
            continue;
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (c < 0xc2 || c > 0xf4 || (size_t)(end - at) < more || *at < low || *at > high)
            return false;
        for (at++; --more > 0; at++)
            if ((*at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

enum { SIMPLE_KEYS_MAX = 64 };

/* Maps are small; a large one costs the square of its size only up to a bound. */
static bool check(struct span *rest, unsigned depth);

static bool check_map(struct span *rest, uint64_t pairs, unsigned depth)
{
    struct span keys[SIMPLE_KEYS_MAX];
    if (pairs > SIMPLE_KEYS_MAX)
        return false;
    for (uint64_t i = 0; i < pairs; i++) {
        struct span from = *rest;
        if (!check(rest, depth + 1))
            return false;
        keys[i] = SPAN(from.data, from.size - rest->size);
        for (uint64_t j = 0; j < i; j++)
            if (span_equal(keys[i], keys[j]))
                return false;
        if (!check(rest, depth + 1))
            return false;
    }
    return true;
}

static bool check(struct span *rest, unsigned depth)
{
    struct wire_value value;
    if (depth > WIRE_DEPTH_MAX || !next(rest, &value) || !count_is_honest(&value, rest->size))
        return false;
    if (value.kind == WIRE_OTHER)
        return false;
    if (value.kind == WIRE_TEXT)
        return wire_is_text(value.bytes);
    if (value.kind == WIRE_MAP)
        return check_map(rest, value.number, depth);
    if (value.kind == WIRE_ARRAY)
        for (uint64_t i = 0; i < value.number; i++)
            if (!check(rest, depth + 1))
                return false;
    return true;
}

enum err wire_check(struct span bytes)
{
    struct span rest = bytes;
    return check(&rest, 1) && rest.size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
}

static int append(void *out, const char *data, size_t size)
{
    bytes_append(out, data, size);
    return 0;
}

static msgpack_packer packer_of(struct bytes *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    return packer;
}

void wire_pack_nil(struct bytes *out)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_nil(&packer);
}

void wire_pack_bool(struct bytes *out, bool value)
{
    msgpack_packer packer = packer_of(out);
    if (value)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
}

void wire_pack_u64(struct bytes *out, uint64_t value)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_uint64(&packer, value);
}

void wire_pack_text(struct bytes *out, struct span text)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_str(&packer, text.size);
    bytes_append_span(out, text);
}

void wire_pack_bin(struct bytes *out, struct span bin)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_bin(&packer, bin.size);
    bytes_append_span(out, bin);
}

void wire_pack_array(struct bytes *out, uint32_t count)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_array(&packer, count);
}

void wire_pack_map(struct bytes *out, uint32_t pairs)
{
    msgpack_packer packer = packer_of(out);
    msgpack_pack_map(&packer, pairs);
}

void wire_pack_counter(struct bytes *out, const char *name, uint64_t value)
{
    wire_pack_text(out, SPAN_TEXT(name));
    wire_pack_u64(out, value);
}

void wire_pack_counters(struct bytes *out, const struct wire_counter *counters, uint32_t count)
{
    wire_pack_map(out, count);
    for (uint32_t i = 0; i < count; i++)
        wire_pack_counter(out, counters[i].name, counters[i].value);
}
