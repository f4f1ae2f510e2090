/* line.c - writes lines; see line.h. */
#include "protocol/line.h"

#include "protocol/cursor.h"
#include "protocol/wire.h"

#include <assert.h>
#include <stdio.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void add(struct bytes *out, const char *text)
{
    bytes_append(out, text, strlen(text));
}

static void add_number(struct bytes *out, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    add(out, text);
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

static void add_escaped(struct bytes *out, uint8_t byte)
{
    char escaped[8];
    if (byte == '"' || byte == '\\')
        snprintf(escaped, sizeof escaped, "\\%c", byte);
    else if (byte == '\n')
        snprintf(escaped, sizeof escaped, "\\n");
    else
        snprintf(escaped, sizeof escaped, "\\u%04x", byte);
    add(out, escaped);
}

/* A text in quotes; what is plain goes in one piece. */
static void add_text(struct bytes *out, struct span text)
{
    size_t from = 0;
    add(out, "\"");
    for (size_t at = 0; at < text.size; at++) {
        if (is_plain(text.data[at]))
            continue;
        bytes_append(out, text.data + from, at - from);
        add_escaped(out, text.data[at]);
        from = at + 1;
    }
    if (text.size > from)
        bytes_append(out, text.data + from, text.size - from);
    add(out, "\"");
}

static void add_base64(struct bytes *out, struct span bytes)
{
    const uint8_t *in = bytes.data;
    add(out, "\"");
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t bits = (uint32_t)in[at] << 16 | (left > 1 ? (uint32_t)in[at + 1] << 8 : 0) |
                        (left > 2 ? in[at + 2] : 0);
        const char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                               left > 1 ? digits[bits >> 6 & 63] : '=',
                               left > 2 ? digits[bits & 63] : '='};
        bytes_append(out, group, sizeof group);
    }
    add(out, "\"");
}

/* True if a reader of the JSON object would encode these very bytes again. */
static bool is_shortest(struct span headers)
{
    SCOPED(bytes) again = {0};
    struct wire_value value;
    struct span rest = headers;
    if (!wire_next(&rest, &value) || value.kind != WIRE_MAP)
        return false;
    wire_pack_map(&again, (uint32_t)value.number);
    for (bool is_name = true; wire_next(&rest, &value); is_name = !is_name) {
        if (value.kind != WIRE_TEXT || (is_name && memchr(value.bytes.data, 0, value.bytes.size)))
            return false;
        wire_pack_text(&again, value.bytes);
    }
    return span_equal(bytes_span(&again), headers);
}

static void add_headers(struct bytes *out, struct span headers)
{
    struct wire_value name, value;
    const char *before = "";
    if (!is_shortest(headers)) {
        add(out, ",\"headers_base64\":");
        add_base64(out, headers);
        return;
    }
    add(out, ",\"headers\":{");
    wire_next(&headers, &name);
    while (wire_next(&headers, &name) && wire_next(&headers, &value)) {
        add(out, before);
        add_text(out, name.bytes);
        add(out, ":");
        add_text(out, value.bytes);
        before = ",";
    }
    add(out, "}");
}

static void add_tags(struct bytes *out, const struct texts *tags)
{
    add(out, ",\"tags\":[");
    for (uint32_t i = 0; i < tags->count; i++) {
        add(out, i > 0 ? "," : "");
        add_text(out, tags->at[i]);
    }
    add(out, "]");
}

static void add_hash(struct bytes *out, struct span hash)
{
    char hex[2 * HASH_SIZE + 1];
    assert(hash.size == HASH_SIZE);
    cursor_hex(hash.data, hash.size, hex);
    add(out, ",\"hash\":\"");
    add(out, hex);
    add(out, "\"");
}

void line_append(const struct line_place *place, const struct change *change, struct bytes *out)
{
    add(out, "{");
    if (place->id != 0) {
        add(out, "\"id\":");
        add_number(out, place->id);
        add(out, ",");
    }
    add(out, "\"ts\":");
    add_number(out, place->ts);
    add(out, ",\"type\":");
    add_number(out, change->type);
    if (change->has_key) {
        add(out, ",\"key\":");
        add_text(out, change->key);
        if (change->removes)
            add(out, ",\"delete\":true");
    }
    add_tags(out, &change->tags);
    if (change->headers.size > 0)
        add_headers(out, change->headers);
    if (change->ctype.size > 0) {
        add(out, ",\"ctype\":");
        add_text(out, change->ctype);
    }
    bool is_text = wire_is_text(change->data);
    add(out, is_text ? ",\"data\":" : ",\"data_base64\":");
    (is_text ? add_text : add_base64)(out, change->data);
    if (place->hash.size > 0)
        add_hash(out, place->hash);
    add(out, "}\n");
}

static bool sextet(uint8_t byte, uint32_t *bits)
{
    const char *at = byte != 0 ? strchr(digits, byte) : NULL;
    if (at == NULL)
        return false;
    *bits = *bits << 6 | (uint32_t)(at - digits);
    return true;
}

bool line_unbase64(struct span text, struct bytes *out)
{
    if (text.size % 4 != 0)
        return false;
    for (size_t at = 0; at < text.size; at += 4) {
        bool is_last = at + 4 == text.size;
        int pads = is_last ? (text.data[at + 3] == '=') + (text.data[at + 2] == '=') : 0;
        uint32_t bits = 0;
        for (int i = 0; i < 4 - pads; i++)
            if (!sextet(text.data[at + i], &bits))
                return false;
        bits <<= 6 * pads;
        const uint8_t group[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        bytes_append(out, group, (size_t)(3 - pads));
    }
    return true;
}
