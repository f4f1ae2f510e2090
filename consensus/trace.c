/* trace.c - state and messages as JSON. */
#include "consensus/trace.h"

#include "consensus/state.h"
#include "protocol/entry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { WORD_MAX = 256, HASH_SHOWN = 8 }; /* so many bytes of a hash tell two apart */

static const char *const kinds[INPUT_COUNT] = {
    [INPUT_TICK] = "tick",
    [INPUT_STORAGE_UP] = "storage_up",
    [INPUT_LOADED] = "loaded",
    [INPUT_BALLOTED] = "balloted",
    [INPUT_STORED] = "stored",
    [INPUT_FETCHED] = "fetched",
    [INPUT_APPLIED] = "applied",
    [INPUT_DISK] = "disk",
    [INPUT_STORAGE_LOST] = "storage_lost",
    [INPUT_PROPOSE] = "propose",
    [INPUT_PEER] = "peer",
    [INPUT_LINK_DOWN] = "link_down",
    [INPUT_HINT] = "hint",
    [INPUT_TRANSFER] = "transfer",
    [INPUT_DRAIN] = "drain",
    [INPUT_READ_INDEX] = "read_index",
    [INPUT_CUT] = "cut",
    [INPUT_MEMBERS] = "members",
    [INPUT_PART] = "part",
    [INPUT_WRITTEN] = "written",
    [INPUT_FLUSH] = "flush",
};

static const char *const targets[] = {
    [OUTPUT_SEND] = "send",           [OUTPUT_STORAGE] = "storage", [OUTPUT_REFUSED] = "api",
    [OUTPUT_READ_INDEX] = "api",      [OUTPUT_KEPT] = "kept",       [OUTPUT_MEMBERS] = "api",
    [OUTPUT_COMPLAINT] = "complaint", [OUTPUT_FATAL] = "fatal",
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put(struct bytes *line, const char *text)
{
    bytes_append(line, text, strlen(text));
}

static void print(struct bytes *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void print(struct bytes *line, const char *format, ...)
{
    char text[WORD_MAX];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(size >= 0);
    assert((size_t)size < sizeof text);
    bytes_append(line, text, (size_t)size);
}

static void put_u64(struct bytes *line, const char *name, uint64_t number)
{
    print(line, ",\"%s\":%llu", name, (unsigned long long)number);
}

static void put_hex(struct bytes *line, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        char pair[] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        bytes_append(line, pair, sizeof pair);
    }
}

/* What would need an escape is shown as a dot. */
static void put_text(struct bytes *line, struct span text)
{
    put(line, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
        bytes_append(line, plain ? &text.data[i] : (const uint8_t *)".", 1);
    }
    put(line, "\"");
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Proposals have no place yet: only their number is told. */
static void put_count(struct bytes *line, struct span records)
{
    struct span record;
    uint32_t count = 0;
    while (entry_next(&records, &record))
        count++;
    print(line, "%u", count);
}

/* Entries as runs of a term: [[first index, term, "hash hash …"] …]. */
static void put_runs(struct bytes *line, struct span records)
{
    struct span record;
    uint64_t next = 0, term = 0;
    put(line, "[");
    while (entry_next(&records, &record)) {
        uint64_t index = entry_index_of(record);
        if (next != index || term != entry_term_of(record)) {
            print(line, "%s[%llu,%llu,\"", next == 0 ? "" : "\"],", (unsigned long long)index,
                  (unsigned long long)entry_term_of(record));
            term = entry_term_of(record);
        }
        put_hex(line, entry_hash_of(record), HASH_SHOWN);
        next = index + 1;
    }
    put(line, next == 0 ? "]" : "\"]]");
}

static void put_records(struct bytes *line, struct span records)
{
    if (records.size >= ENTRY_HEADER_SIZE && entry_index_of(records) > 0)
        put_runs(line, records);
    else
        put_count(line, records);
}

/* What is empty, false or 0 is left out. */
static void put_field(struct bytes *line, const struct message_field *field, const void *at)
{
    const struct span *span = at;
    switch (field->kind) {
    case FIELD_U64:
        if (*(const uint64_t *)at != 0)
            put_u64(line, field->name, *(const uint64_t *)at);
        return;
    case FIELD_FLAG:
        if (*(const bool *)at)
            print(line, ",\"%s\":true", field->name);
        return;
    case FIELD_TEXTS:
        put_u64(line, field->name, ((const struct texts *)at)->count);
        return;
    default:
        break;
    }
    if (span->size == 0)
        return;
    print(line, ",\"%s\":", field->name);
    if (field->kind == FIELD_TEXT) {
        put_text(line, *span);
    } else if (field->kind == FIELD_RECORDS) {
        put_records(line, *span);
    } else {
        put(line, "\"");
        put_hex(line, span->data, span->size < HASH_SHOWN ? span->size : HASH_SHOWN);
        put(line, "\"");
    }
}

static void put_message(struct bytes *line, const struct message *message)
{
    const struct message_info *info = message_info(message->type);
    if (info->name == NULL)
        return;
    print(line, ",\"message\":\"%s\"", info->name);
    for (const struct message_field *field = info->fields; field->name != NULL; field++)
        put_field(line, field, (const uint8_t *)message + field->offset);
}

static void put_head(struct bytes *line, const struct peer_head *head)
{
    print(line, ",\"from\":[%llu,%llu],\"to\":[%llu,%llu],\"term\":%llu",
          (unsigned long long)head->from, (unsigned long long)head->from_incarnation,
          (unsigned long long)head->to, (unsigned long long)head->to_incarnation,
          (unsigned long long)head->term);
}

/* ---- the line -------------------------------------------------------------------------------- */

static void put_input(struct bytes *line, const struct raft *raft, const struct raft_input *in)
{
    print(line, ",\"in\":{\"kind\":\"%s\"", kinds[in->kind]);
    if (in->kind == INPUT_LINK_DOWN)
        put_u64(line, "peer", raft->peers.at[in->slot].node);
    if (in->kind == INPUT_TRANSFER || in->kind == INPUT_DRAIN)
        put_u64(line, "number", in->number);
    if (in->kind == INPUT_PEER)
        put_head(line, &in->message->peer);
    if (in->message != NULL)
        put_message(line, in->message);
    put(line, "}");
}

/* A configuration is told once, with the line in which it becomes the active one. */
static void put_config(struct bytes *line, struct trace *trace, const struct raft *raft)
{
    const struct members *members = state_members(raft);
    uint64_t index = state_config_index(raft);
    uint64_t term = raftlog_knows(&raft->log, index) ? raftlog_term(&raft->log, index) : 0;
    put_u64(line, "config", index);
    bool told = trace->told && index == trace->config_index && term == trace->config_term;
    if (members->count == 0 || told)
        return;
    trace->told = true;
    trace->config_index = index;
    trace->config_term = term;
    put_u64(line, "config_term", term);
    print(line, ",\"joint\":%s,\"members\":[", members->joint ? "true" : "false");
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        print(line, "%s[%llu,%llu,\"%s\",\"%s\"]", i ? "," : "", (unsigned long long)member->node,
              (unsigned long long)member->incarnation, member_role_name(member->now),
              member_role_name(member->next));
    }
    put(line, "]");
}

static void put_state(struct bytes *line, struct trace *trace, const struct raft *raft)
{
    print(line, ",\"role\":\"%s\"", raft_role_name(raft->role));
    put_u64(line, "term", raft->term);
    put_u64(line, "vote", raft->vote);
    put_u64(line, "balloted", raft->durable_term);
    put_u64(line, "last", raft->log.last);
    put_u64(line, "stored", raft->stored);
    put_u64(line, "commit", raft->commit);
    put_u64(line, "applied", raft->applied);
    put_config(line, trace, raft);
}

static void put_output(struct bytes *line, const struct raft_output *output)
{
    print(line, "{\"kind\":\"%s\"", targets[output->kind]);
    if (output->kind == OUTPUT_SEND)
        put_head(line, &output->message.peer);
    if (output->text != NULL) {
        put(line, ",\"text\":");
        put_text(line, SPAN_TEXT(output->text));
    }
    if (output->err != ERR_NONE)
        print(line, ",\"error\":\"%s\"", err_name(output->err));
    put_message(line, &output->message);
    put(line, "}");
}

void trace_step(struct trace *trace, const struct raft *raft, const struct raft_input *in,
                const struct raft_outputs *out, struct trace_time time, struct bytes *line)
{
    print(line, "{\"node\":%llu", (unsigned long long)raft->node);
    put_u64(line, "incarnation", raft->incarnation);
    put_u64(line, "life", trace->life);
    put_u64(line, "seq", ++trace->sequence);
    put_u64(line, "taken", time.taken_us);
    put_u64(line, "written", time.written_us);
    put_input(line, raft, in);
    put_state(line, trace, raft);
    put(line, ",\"out\":[");
    for (uint32_t i = 0; i < out->count; i++) {
        put(line, i ? "," : "");
        put_output(line, &out->at[i]);
    }
    put(line, "]}\n");
}
