/* change.c - checks, walks and hashes the changes of a body; reads rows. */
#include "protocol/change.h"

#include "protocol/wire.h"

#include <assert.h>

enum {
    CTYPE_MAX = 128,
    HEADERS_BYTES_MAX = 16 << 10,
    PLACE_BYTES_MAX = 64, /* of id, ts and hash with their keys: no part of what a client wrote */
};

const struct change_limits change_limits_default = {
    .change_bytes_max = 1 << 20,
    .body_bytes_max = 4 << 20,
    .tags_max = CHANGE_TAGS_MAX,
    .tag_bytes_max = 256,
    .changes_max = CHANGES_MAX,
};

/* What is wrong with a body, and the sentence that says so. */
struct verdict {
    enum err err;
    const char *detail;
};

#define FINE               ((struct verdict){ERR_NONE, NULL})
#define WRONG(err, detail) ((struct verdict){err, detail})

static struct verdict read_tags(struct span *rest, const struct wire_value *list,
                                const struct change_limits *limits, struct texts *tags)
{
    if (list->kind != WIRE_ARRAY)
        return WRONG(ERR_BAD_REQUEST, "tags: an array of texts");
    for (uint64_t i = 0; i < list->number; i++) {
        struct wire_value tag;
        if (!wire_next(rest, &tag) || tag.kind != WIRE_TEXT || tag.bytes.size == 0 ||
            memchr(tag.bytes.data, 0, tag.bytes.size) != NULL)
            return WRONG(ERR_BAD_REQUEST, "tags: texts of at least one byte, without NUL");
        if (tag.bytes.size > limits->tag_bytes_max)
            return WRONG(ERR_LIMIT, "tags: a tag is too long; limit 256 bytes");
        bool known = false;
        for (uint32_t j = 0; j < tags->count && !known; j++)
            known = span_equal(tags->at[j], tag.bytes);
        if (known)
            continue;
        if (tags->count == limits->tags_max || tags->count == TEXTS_MAX)
            return WRONG(ERR_LIMIT, "tags: more than the setting limits.tags allows");
        tags->at[tags->count++] = tag.bytes;
    }
    return FINE;
}

static struct verdict read_headers(struct span *from, struct span *headers)
{
    struct wire_value map, item;
    struct span whole, rest;
    if (!wire_take(from, &whole))
        return WRONG(ERR_BAD_REQUEST, "a change is cut short");
    rest = whole;
    if (!wire_next(&rest, &map) || map.kind != WIRE_MAP)
        return WRONG(ERR_BAD_REQUEST, "headers: a map of text to text");
    if (whole.size > HEADERS_BYTES_MAX)
        return WRONG(ERR_LIMIT, "headers: too large; limit 16384 bytes");
    for (uint64_t i = 0; i < 2 * map.number; i++)
        if (!wire_next(&rest, &item) || item.kind != WIRE_TEXT)
            return WRONG(ERR_BAD_REQUEST, "headers: a map of text to text");
    *headers = map.number > 0 ? whole : (struct span){0};
    return FINE;
}

static struct verdict read_type(const struct wire_value *value, uint64_t *type)
{
    if (value->kind == WIRE_NEGATIVE)
        return WRONG(ERR_RESERVED_TYPE, "type: below zero is the system's");
    if (value->kind != WIRE_U64 || value->number > INT64_MAX)
        return WRONG(ERR_BAD_REQUEST, "type: an integer from 0 to 2^63 - 1");
    *type = value->number;
    return FINE;
}

static struct verdict read_text(const struct wire_value *value, size_t max, struct span *out,
                                const char *kind, const char *limit)
{
    if (value->kind != WIRE_TEXT)
        return WRONG(ERR_BAD_REQUEST, kind);
    if (value->bytes.size > max)
        return WRONG(ERR_LIMIT, limit);
    *out = value->bytes;
    return FINE;
}

/* Where an imported change stood. */
static struct verdict read_place(struct span key, const struct wire_value *value,
                                 struct change *change)
{
    if (span_is(key, "hash")) {
        if (value->kind != WIRE_BIN || value->bytes.size != HASH_SIZE)
            return WRONG(ERR_BAD_REQUEST, "hash: 32 bytes");
        change->hash = value->bytes;
        return FINE;
    }
    if (value->kind != WIRE_U64 || value->number == 0 || value->number > INT64_MAX)
        return WRONG(ERR_BAD_REQUEST, "id, ts: an integer from 1 to 2^63 - 1");
    *(span_is(key, "id") ? &change->id : &change->ts) = value->number;
    return FINE;
}

/* Takes the value of `key` off `*rest`; after an error it stands anywhere. */
static struct verdict read_field(struct span key, struct span *rest,
                                 const struct change_limits *limits, struct change *change)
{
    struct wire_value value;
    struct span whole = *rest;
    if (!wire_next(rest, &value))
        return WRONG(ERR_BAD_REQUEST, "a change is cut short");
    if (span_is(key, "data")) {
        if (value.kind != WIRE_BIN && value.kind != WIRE_TEXT)
            return WRONG(ERR_BAD_REQUEST, "data: bin or text");
        change->data = value.bytes;
        return FINE;
    }
    if (span_is(key, "tags"))
        return read_tags(rest, &value, limits, &change->tags);
    if (span_is(key, "type"))
        return read_type(&value, &change->type);
    if (span_is(key, "key")) {
        change->has_key = true;
        return read_text(&value, CHANGE_KEY_MAX, &change->key, "key: a text",
                         "key: too long; limit 1024 bytes");
    }
    if (span_is(key, "delete")) {
        change->removes = value.flag;
        return value.kind == WIRE_BOOL ? FINE : WRONG(ERR_BAD_REQUEST, "delete: true or false");
    }
    if (span_is(key, "headers")) {
        *rest = whole;
        return read_headers(rest, &change->headers);
    }
    if (span_is(key, "ctype"))
        return read_text(&value, CTYPE_MAX, &change->ctype, "ctype: a text",
                         "ctype: too long; limit 128 bytes");
    if (span_is(key, "id") || span_is(key, "ts") || span_is(key, "hash"))
        return read_place(key, &value, change);
    return WRONG(ERR_UNSUPPORTED, "a change has a field that this version does not know");
}

static void change_clear(struct change *change)
{
    change->type = 0;
    change->has_key = change->removes = false;
    change->size = 0;
    change->id = change->ts = 0;
    change->key = change->ctype = change->data = change->headers = (struct span){0};
    change->hash = (struct span){0};
    change->tags.count = 0;
}

/* Takes a change off `*rest`. */
static struct verdict read_fields(struct span *rest, const struct change_limits *limits,
                                  struct change *change)
{
    struct wire_value map, key;
    if (!wire_next(rest, &map) || map.kind != WIRE_MAP)
        return WRONG(ERR_BAD_REQUEST, "changes: an array of maps");
    change_clear(change);
    for (uint64_t i = 0; i < map.number; i++) {
        if (!wire_next(rest, &key) || key.kind != WIRE_TEXT)
            return WRONG(ERR_BAD_REQUEST, "a change is a map with text keys");
        struct verdict verdict = read_field(key.bytes, rest, limits, change);
        if (verdict.err != ERR_NONE)
            return verdict;
    }
    return FINE;
}

/* One that is too large says so before anything else. */
static struct verdict read_change(struct span *rest, const struct change_limits *limits,
                                  struct change *change)
{
    struct span whole;
    if (rest->size <= limits->change_bytes_max)
        return read_fields(rest, limits, change); /* none in it is, and none need be measured */
    if (!wire_take(rest, &whole))
        return WRONG(ERR_BAD_REQUEST, "a change is cut short");
    if (whole.size > (size_t)limits->change_bytes_max + PLACE_BYTES_MAX)
        return WRONG(ERR_LIMIT, "a change is over the setting limits.change_bytes");
    size_t size = whole.size;
    struct verdict verdict = read_fields(&whole, limits, change);
    if (verdict.err != ERR_NONE)
        return verdict;
    if (size > limits->change_bytes_max && change->id == 0)
        return WRONG(ERR_LIMIT, "a change is over the setting limits.change_bytes");
    return FINE;
}

/* A put has no place of its own; what is imported has one. */
static struct verdict check_form(enum change_form form, const struct change *change)
{
    bool placed = change->id != 0 && change->ts != 0 && change->hash.size > 0;
    bool named = change->id != 0 || change->ts != 0 || change->hash.size > 0;
    if (change->removes && !change->has_key)
        return WRONG(ERR_BAD_REQUEST, "delete: goes with a key");
    if (form == CHANGE_IMPORT && !placed)
        return WRONG(ERR_BAD_REQUEST, "an imported change has id, ts and hash");
    if (form == CHANGE_PUT && named)
        return WRONG(ERR_UNSUPPORTED, "id, ts, hash: given by the log, but in an import");
    return FINE;
}

/* The array of changes inside a body that is well-formed msgpack. */
static struct verdict find_changes(struct span body, struct span *changes, uint64_t *count)
{
    struct wire_value map, key, list;
    if (!wire_next(&body, &map) || map.kind != WIRE_MAP)
        return WRONG(ERR_BAD_REQUEST, "body: a msgpack map");
    *changes = (struct span){0};
    for (uint64_t i = 0; i < map.number; i++) {
        struct span whole;
        bool last = i + 1 == map.number; /* then it is all the rest, and need not be measured */
        if (!wire_next(&body, &key) || key.kind != WIRE_TEXT ||
            (!last && !wire_take(&body, &whole)))
            return WRONG(ERR_BAD_REQUEST, "body: a map with text keys");
        if (!span_is(key.bytes, "changes"))
            return WRONG(ERR_UNSUPPORTED, "body: a field that this version does not know");
        *changes = last ? body : whole;
    }
    if (changes->size == 0 || !wire_next(changes, &list) || list.kind != WIRE_ARRAY)
        return WRONG(ERR_BAD_REQUEST, "body: changes, an array of at least one");
    *count = list.number;
    return FINE;
}

static struct verdict check_body(struct span body, enum change_form form,
                                 const struct change_limits *limits, uint32_t *count,
                                 struct change *change)
{
    struct span changes;
    uint64_t announced;
    if (body.size > limits->body_bytes_max)
        return WRONG(ERR_LIMIT, "body: over the setting limits.put_bytes");
    if (wire_check(body) != ERR_NONE)
        return WRONG(ERR_BAD_REQUEST, "body: not well-formed msgpack (UTF-8, no key twice)");
    struct verdict verdict = find_changes(body, &changes, &announced);
    if (verdict.err != ERR_NONE)
        return verdict;
    if (announced == 0)
        return WRONG(ERR_BAD_REQUEST, "body: changes, an array of at least one");
    if (announced > limits->changes_max)
        return WRONG(ERR_LIMIT, "body: more changes than the setting limits.changes allows");
    for (uint64_t i = 0; i < announced && verdict.err == ERR_NONE; i++) {
        verdict = read_change(&changes, limits, change);
        if (verdict.err == ERR_NONE)
            verdict = check_form(form, change);
    }
    *count = (uint32_t)announced;
    return verdict;
}

enum err change_body_check(struct span body, enum change_form form,
                           const struct change_limits *limits, uint32_t *count, const char **detail)
{
    struct change change;
    *count = 0;
    struct verdict verdict = check_body(body, form, limits, count, &change);
    if (detail != NULL)
        *detail = verdict.detail;
    return verdict.err;
}

enum err change_body_read(struct span body, enum change_form form,
                          const struct change_limits *limits, uint32_t *count, struct change *last)
{
    *count = 0;
    return check_body(body, form, limits, count, last).err;
}

void change_walk_begin(struct change_walk *walk, struct span body)
{
    uint64_t count = 0;
    struct verdict verdict = find_changes(body, &walk->rest, &count);
    walk->left = verdict.err == ERR_NONE ? (uint32_t)count : 0;
}

/* What it is in was checked once: no need to measure it first. */
bool change_walk_next(struct change_walk *walk, struct change *change)
{
    if (walk->left == 0)
        return false;
    walk->left--;
    return read_fields(&walk->rest, &change_limits_default, change).err == ERR_NONE;
}

void change_hash(const uint8_t previous[HASH_SIZE], uint64_t id, uint64_t ts,
                 const struct change *change, uint8_t hash[HASH_SIZE])
{
    struct hash_state state;
    hash_begin(&state);
    hash_add(&state, SPAN(previous, HASH_SIZE));
    hash_add_u64(&state, id);
    hash_add_u64(&state, ts);
    hash_add_u64(&state, change->type);
    hash_add_u64(&state, change->removes ? 2 : change->has_key);
    hash_add_sized(&state, change->key);
    hash_add_u64(&state, change->tags.count);
    for (uint32_t i = 0; i < change->tags.count; i++)
        hash_add_sized(&state, change->tags.at[i]);
    hash_add_sized(&state, change->headers);
    hash_add_sized(&state, change->ctype);
    hash_add_sized(&state, change->data);
    hash_end(&state, hash);
}

enum err change_row_decode(struct span row, uint64_t *id, uint64_t *ts, struct span *hash,
                           struct change *change)
{
    struct wire_value map, key, value;
    TRY(wire_check(row));
    if (!wire_next(&row, &map) || map.kind != WIRE_MAP)
        return ERR_BAD_MESSAGE;
    change_clear(change);
    *id = *ts = 0;
    *hash = (struct span){0};
    for (uint64_t i = 0; i < map.number; i++) {
        struct span whole, rest;
        if (!wire_next(&row, &key) || !wire_take(&row, &whole))
            return ERR_BAD_MESSAGE;
        rest = whole;
        if (key.kind != WIRE_TEXT || !wire_next(&rest, &value))
            return ERR_BAD_MESSAGE;
        if (span_is(key.bytes, "id"))
            *id = value.number;
        else if (span_is(key.bytes, "ts"))
            *ts = value.number;
        else if (span_is(key.bytes, "hash"))
            *hash = value.bytes;
        else if (span_is(key.bytes, "size"))
            change->size = value.number;
        else if (read_field(key.bytes, &whole, &change_limits_default, change).err != ERR_NONE)
            continue; /* a field of a newer server */
    }
    return ERR_NONE;
}
