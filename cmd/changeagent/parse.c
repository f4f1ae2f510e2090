/* parse.c - reads lines of a dump; beside print.c the only file that knows jansson. */
#include "cmd/changeagent/parse.h"

#include "protocol/line.h"
#include "protocol/wire.h"

#include <jansson.h>
#include <string.h>

static struct ca_bytes text_of(const json_t *text)
{
    return (struct ca_bytes){json_string_value(text), json_string_length(text)};
}

static bool take_number(const json_t *root, const char *name, uint64_t *number)
{
    const json_t *value = json_object_get(root, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hash(struct parse_line *line, const json_t *root)
{
    const json_t *value = json_object_get(root, "hash");
    if (json_string_length(value) != 2 * sizeof line->hash)
        return false;
    const char *hex = json_string_value(value);
    for (size_t i = 0; i < sizeof line->hash; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        line->hash[i] = (uint8_t)(high << 4 | low);
    }
    line->row.hash = (struct ca_bytes){line->hash, sizeof line->hash};
    return true;
}

static bool take_tags(struct parse_line *line, const json_t *root)
{
    const json_t *tags = json_object_get(root, "tags");
    size_t count = json_array_size(tags);
    if (!json_is_array(tags) || count > COUNT_OF(line->tags))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!json_is_string(json_array_get(tags, i)))
            return false;
        line->tags[i] = text_of(json_array_get(tags, i));
    }
    line->row.tags = line->tags;
    line->row.tag_count = (uint32_t)count;
    return true;
}

/* A field that may be missing; `own` keeps what was base64. */
static bool take_bytes(const json_t *root, const char *name, const char *base64, struct bytes *own,
                       struct ca_bytes *taken)
{
    const json_t *plain = json_object_get(root, name), *coded = json_object_get(root, base64);
    *taken = (struct ca_bytes){0};
    if (plain != NULL) {
        *taken = text_of(plain);
        return json_is_string(plain) && coded == NULL;
    }
    if (coded == NULL)
        return false;
    struct span text = SPAN(json_string_value(coded), json_string_length(coded));
    if (!json_is_string(coded) || !line_unbase64(text, own))
        return false;
    *taken = (struct ca_bytes){own->data, own->size};
    return true;
}

static bool take_headers(struct parse_line *line, json_t *root)
{
    json_t *object = json_object_get(root, "headers"), *value;
    const char *name;
    if (object == NULL && json_object_get(root, "headers_base64") == NULL)
        return true;
    if (object == NULL)
        return take_bytes(root, "headers", "headers_base64", &line->headers, &line->row.headers);
    if (!json_is_object(object))
        return false;
    wire_pack_map(&line->headers, (uint32_t)json_object_size(object));
    json_object_foreach(object, name, value)
    {
        if (!json_is_string(value))
            return false;
        wire_pack_text(&line->headers, SPAN_TEXT(name));
        wire_pack_text(&line->headers, SPAN(json_string_value(value), json_string_length(value)));
    }
    line->row.headers = (struct ca_bytes){line->headers.data, line->headers.size};
    return true;
}

static bool take_texts(struct parse_line *line, const json_t *root)
{
    const json_t *key = json_object_get(root, "key"), *ctype = json_object_get(root, "ctype");
    line->row.has_key = key != NULL;
    line->row.removes = json_is_true(json_object_get(root, "delete"));
    line->row.key = text_of(key);
    line->row.ctype = text_of(ctype);
    return (key == NULL || json_is_string(key)) && (ctype == NULL || json_is_string(ctype));
}

static const char *take_all(struct parse_line *line, json_t *root)
{
    struct ca_row *row = &line->row;
    if (!take_number(root, "id", &row->id) || row->id == 0)
        return "id: a number from 1 on";
    if (!take_number(root, "ts", &row->ts) || !take_number(root, "type", &row->type))
        return "ts and type: numbers";
    if (!take_hash(line, root))
        return "hash: 64 hex digits";
    if (!take_tags(line, root))
        return "tags: a list of at most 64 texts";
    if (!take_bytes(root, "data", "data_base64", &line->data, &row->data))
        return "data or data_base64: a text";
    if (!take_headers(line, root))
        return "headers: an object of texts, or headers_base64";
    return take_texts(line, root) ? NULL : "key, ctype: texts";
}

bool parse_open(struct parse_line *line, const char *text, size_t size, const char **wrong)
{
    json_t *root = json_loadb(text, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    line->json = root;
    *wrong = json_is_object(root) ? take_all(line, root) : "not a JSON object";
    return *wrong == NULL;
}

void parse_close(struct parse_line *line)
{
    json_decref(line->json);
    bytes_close(&line->data);
    bytes_close(&line->headers);
    *line = (struct parse_line){0};
}
