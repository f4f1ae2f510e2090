/* print.c - tables and JSON; the only file that knows jansson. */
#include "cmd/changeagent/print.h"

#include "common/bytes.h"
#include "protocol/cursor.h"
#include "protocol/wire.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DATA_SHOWN = 60 };

/* ---- values ---------------------------------------------------------------------------------- */

static json_t *hex_json(struct ca_bytes bytes)
{
    char text[129];
    if (bytes.size > 64)
        return json_null();
    cursor_hex(bytes.data, bytes.size, text);
    return json_string(text);
}

static json_t *base64_json(struct ca_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = bytes.data;
    SCOPED(bytes) out = {0};
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        char group[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                         left > 1 ? digits[bits >> 6 & 63] : '=',
                         left > 2 ? digits[bits & 63] : '='};
        bytes_append(&out, group, sizeof group);
    }
    return json_stringn(out.size > 0 ? (const char *)out.data : "", out.size);
}

static json_t *text_json(struct ca_bytes bytes)
{
    return json_stringn(bytes.size > 0 ? bytes.data : "", bytes.size);
}

static void set_data(json_t *object, struct ca_bytes data)
{
    json_t *text = text_json(data); /* NULL: not UTF-8 */
    if (text != NULL)
        json_object_set_new(object, "data", text);
    else
        json_object_set_new(object, "data_base64", base64_json(data));
}

static json_t *headers_json(struct ca_bytes headers)
{
    json_t *object = json_object();
    struct ca_bytes name, value;
    while (ca_header_next(&headers, &name, &value)) {
        char key[1024];
        snprintf(key, sizeof key, "%.*s", (int)name.size, (const char *)name.data);
        json_object_set_new(object, key, text_json(value));
    }
    return object;
}

static json_t *row_json(const struct ca_row *row)
{
    json_t *object = json_pack("{s:I, s:I, s:I}", "id", (json_int_t)row->id, "ts",
                               (json_int_t)row->ts, "type", (json_int_t)row->type);
    json_t *tags = json_array();
    if (row->has_key)
        json_object_set_new(object, "key", text_json(row->key));
    if (row->removes)
        json_object_set_new(object, "delete", json_true());
    for (uint32_t i = 0; i < row->tag_count; i++)
        json_array_append_new(tags, text_json(row->tags[i]));
    json_object_set_new(object, "tags", tags);
    if (row->headers.size > 0)
        json_object_set_new(object, "headers", headers_json(row->headers));
    if (row->ctype.size > 0)
        json_object_set_new(object, "ctype", text_json(row->ctype));
    if (row->data.size == 0 && row->data_size > 0)
        json_object_set_new(object, "size", json_integer((json_int_t)row->data_size));
    else
        set_data(object, row->data);
    json_object_set_new(object, "hash", hex_json(row->hash));
    return object;
}

/* A msgpack value of the server's, as JSON: maps, lists, numbers, texts. */
static json_t *value_json(struct span *rest)
{
    struct wire_value value;
    if (!wire_next(rest, &value))
        return json_null();
    switch (value.kind) {
    case WIRE_BOOL:
        return json_boolean(value.flag);
    case WIRE_U64:
    case WIRE_NEGATIVE:
        return json_integer((json_int_t)value.number);
    case WIRE_TEXT:
        return json_stringn((const char *)value.bytes.data, value.bytes.size);
    case WIRE_ARRAY: {
        json_t *array = json_array();
        for (uint64_t i = 0; i < value.number; i++)
            json_array_append_new(array, value_json(rest));
        return array;
    }
    case WIRE_MAP: {
        json_t *object = json_object();
        for (uint64_t i = 0; i < value.number; i++) {
            struct wire_value key;
            char name[256] = "?";
            if (wire_next(rest, &key) && key.kind == WIRE_TEXT)
                snprintf(name, sizeof name, "%.*s", (int)key.bytes.size,
                         (const char *)key.bytes.data);
            json_object_set_new(object, name, value_json(rest));
        }
        return object;
    }
    default:
        return json_null();
    }
}

static json_t *processes_json(const struct ca_status *status)
{
    struct span whole = SPAN(status->processes, status->processes_size);
    if (whole.size == 0 || wire_check(whole) != ERR_NONE)
        return json_object();
    return value_json(&whole);
}

/* ---- JSON out -------------------------------------------------------------------------------- */

static void dump(json_t *value, enum output output)
{
    size_t form = output == OUTPUT_NDJSON ? JSON_COMPACT : JSON_INDENT(2);
    json_dumpf(value, stdout, form | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

static json_t *status_json(const char *endpoint, const struct ca_status *status)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s}",
        "endpoint", endpoint, "node", status->node, "name", status->name, "role", status->role,
        "term", (json_int_t)status->term, "leader", status->leader, "commit_index",
        (json_int_t)status->commit_index, "applied_index", (json_int_t)status->applied_index,
        "last_index", (json_int_t)status->last_index, "first_id", (json_int_t)status->first_id,
        "last_id", (json_int_t)status->last_id, "cluster", status->cluster, "history",
        status->history, "chain", status->chain, "outcome_floor", (json_int_t)status->outcome_floor,
        "waits_for", status->waits_for);
    if (object == NULL)
        object = json_object(); /* a text of the server's was not UTF-8 */
    json_object_set_new(object, "drained", json_boolean(status->drained));
    json_object_set_new(object, "ready", json_boolean(status->ready));
    json_object_set_new(object, "processes", processes_json(status));
    return object;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void put_time(uint64_t ts)
{
    time_t seconds = (time_t)(ts / 1000000000u);
    struct tm utc;
    char text[32] = "-";
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    printf("%s.%06uZ", text, (unsigned)(ts / 1000u % 1000000u));
}

/* Bytes of others never reach a terminal as they are. */
static void put_clean(struct ca_bytes bytes, size_t most)
{
    const unsigned char *at = bytes.data;
    for (size_t i = 0; i < bytes.size && i < most; i++)
        putchar(at[i] < 0x20 || at[i] == 0x7f ? '.' : at[i]);
    if (bytes.size > most)
        printf("... (%zu bytes)", bytes.size);
}

static void put_row(const struct ca_row *row)
{
    printf("%10llu  ", (unsigned long long)row->id);
    put_time(row->ts);
    printf("  %-6llu  ", (unsigned long long)row->type);
    if (row->has_key)
        put_clean(row->key, DATA_SHOWN);
    else
        putchar('-');
    printf("  ");
    for (uint32_t i = 0; i < row->tag_count; i++) {
        if (i > 0)
            putchar(',');
        put_clean(row->tags[i], DATA_SHOWN);
    }
    printf("%s  ", row->tag_count == 0 ? "-" : "");
    if (row->removes)
        printf("(deleted) ");
    if (row->data.size == 0 && row->data_size > 0)
        printf("(%llu bytes)", (unsigned long long)row->data_size);
    put_clean(row->data, DATA_SHOWN);
    putchar('\n');
}

void print_table_head(enum output output)
{
    if (output == OUTPUT_TABLE)
        printf("%10s  %-27s  %-6s  key  tags  data\n", "id", "time", "type");
}

/* ---- public ---------------------------------------------------------------------------------- */

void print_row(const struct ca_row *row, enum output output)
{
    if (output == OUTPUT_TABLE)
        put_row(row);
    else
        dump(row_json(row), output);
}

void print_page(const struct ca_page *page, enum output output)
{
    struct ca_page_info info;
    ca_page_info(page, &info);
    if (output != OUTPUT_JSON) {
        for (uint32_t i = 0; i < ca_page_count(page); i++)
            print_row(ca_page_row(page, i), output);
        return;
    }
    json_t *changes = json_array();
    for (uint32_t i = 0; i < ca_page_count(page); i++)
        json_array_append_new(changes, row_json(ca_page_row(page, i)));
    dump(json_pack("{s:o, s:b, s:b, s:I, s:I, s:I, s:s, s:s}", "changes", changes, "at_start",
                   info.at_start, "at_end", info.at_end, "first_id", (json_int_t)info.first_id,
                   "last_id", (json_int_t)info.last_id, "scanned_to", (json_int_t)info.scanned_to,
                   "next", info.next, "prev", info.prev),
         output);
}

void print_put(const struct ca_result *result, enum output output)
{
    struct ca_bytes hash = {result->hash, sizeof result->hash};
    struct ca_bytes txid = {result->write.txid, sizeof result->write.txid};
    if (output == OUTPUT_TABLE) {
        printf("%llu\n", (unsigned long long)result->id);
        return;
    }
    dump(json_pack("{s:I, s:I, s:I, s:o, s:s, s:s, s:o, s:I, s:I}", "id", (json_int_t)result->id,
                   "last_id", (json_int_t)result->last_id, "ts", (json_int_t)result->ts, "hash",
                   hex_json(hash), "history", result->history, "cursor", result->cursor, "txid",
                   hex_json(txid), "born", (json_int_t)result->write.born, "attempts",
                   (json_int_t)result->attempts),
         output);
}

void print_head(const struct ca_head *head, enum output output)
{
    struct ca_bytes hash = {head->hash, sizeof head->hash};
    if (output == OUTPUT_TABLE) {
        printf("id      %llu\ntime    ", (unsigned long long)head->id);
        put_time(head->ts);
        printf("\ncursor  %s%s\n", head->cursor,
               head->stale ? "\nstale: this node has not heard from a leader lately" : "");
        return;
    }
    dump(json_pack("{s:I, s:I, s:o, s:s, s:b}", "id", (json_int_t)head->id, "ts",
                   (json_int_t)head->ts, "hash", hex_json(hash), "cursor", head->cursor, "stale",
                   head->stale),
         output);
}

void print_count(const struct ca_count *count, enum output output)
{
    if (output == OUTPUT_TABLE) {
        printf("%llu changes, %s%llu bytes\n", (unsigned long long)count->count,
               count->exact ? "" : "about ", (unsigned long long)count->bytes);
        return;
    }
    dump(json_pack("{s:I, s:I, s:b, s:I, s:I}", "count", (json_int_t)count->count, "bytes",
                   (json_int_t)count->bytes, "exact", count->exact, "first_id",
                   (json_int_t)count->first_id, "last_id", (json_int_t)count->last_id),
         output);
}

void print_node(const struct ca_node *node, enum output output)
{
    if (output != OUTPUT_TABLE) {
        dump(json_pack("{s:s, s:I, s:I, s:b}", "leader", node->leader, "term",
                       (json_int_t)node->term, "took_ms", (json_int_t)node->took_ms, "drained",
                       node->drained),
             output);
        return;
    }
    printf("leader %s, term %llu", node->leader[0] != 0 ? node->leader : "-",
           (unsigned long long)node->term);
    if (node->took_ms > 0)
        printf(", handed over in %llu ms", (unsigned long long)node->took_ms);
    printf("%s\n", node->drained ? ", drained" : "");
}

void print_statuses_begin(enum output output, bool many)
{
    if (output == OUTPUT_TABLE)
        printf("%-14s %-10s %-6s %10s %10s %10s  %-16s  %s\n", "node", "role", "term", "commit",
               "applied", "last_id", "chain", "endpoint");
    else if (output == OUTPUT_JSON && many)
        printf("[\n");
}

static bool first_of_many = true;

static void separate(enum output output, bool many)
{
    if (output == OUTPUT_JSON && many && !first_of_many)
        printf(",\n");
    first_of_many = false;
}

void print_status(const char *endpoint, const struct ca_status *status, enum output output,
                  bool many)
{
    separate(output, many);
    if (output != OUTPUT_TABLE) {
        dump(status_json(endpoint, status), output);
        return;
    }
    printf("%-14s %-10s %-6llu %10llu %10llu %10llu  %.16s  %s\n",
           status->name[0] != 0 ? status->name : status->node, status->role,
           (unsigned long long)status->term, (unsigned long long)status->commit_index,
           (unsigned long long)status->applied_index, (unsigned long long)status->last_id,
           status->chain, endpoint);
    if (status->waits_for[0] != 0)
        printf("  waits for: %s\n", status->waits_for);
    if (status->drained)
        printf("  drained: it leads only where nobody else can\n");
}

void print_status_failed(const char *endpoint, const struct ca_error *error, enum output output)
{
    separate(output, true);
    if (output == OUTPUT_TABLE)
        printf("%-14s %-10s %s\n", "-", error->name, endpoint);
    else
        dump(json_pack("{s:s, s:s, s:s}", "endpoint", endpoint, "error", error->name, "detail",
                       error->detail),
             output);
}

void print_statuses_end(enum output output, bool many)
{
    if (output == OUTPUT_JSON && many)
        printf("]\n");
}

/* Real numbers are written by hand: fixed decimals read better than what a library prints. */
void print_numbers(const struct print_number *numbers, size_t count, enum output output)
{
    bool first = true;
    printf("%s", output == OUTPUT_TABLE ? "" : "{");
    for (size_t i = 0; i < count; i++) {
        if (isnan(numbers[i].value))
            continue;
        if (output == OUTPUT_TABLE)
            printf("%-24s %.*f\n", numbers[i].name, numbers[i].decimals, numbers[i].value);
        else
            printf("%s\"%s\":%.*f", first ? "" : ",", numbers[i].name, numbers[i].decimals,
                   numbers[i].value);
        first = false;
    }
    printf("%s", output == OUTPUT_TABLE ? "" : "}\n");
}

bool print_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}
