/* message.c - the table of messages.def as data, and the two forms of a message: array and map. */
#include "protocol/message.h"

#include "protocol/field.h"
#include "protocol/wire.h"

#include <assert.h>

/* ---- the table ---------------------------------------------------------------------------- */

#define ASK(NAME, name, number, from, to, sentence) \
    static const struct message_field fields_of_##name[] = {
#define FIELD(kind, msg, field, max, sentence) \
    {#field, sizeof #field - 1, FIELD_##kind, offsetof(struct message, msg.field), max, sentence},
#define END(name) \
    {             \
        0         \
    }             \
    }             \
    ;
#include "protocol/messages.def"

static const struct message_info infos[MESSAGE_TYPE_MAX] = {
#define ASK(NAME, name, number, from, to, sentence)                      \
    [number] = {#name,        sizeof #name - 1, true,    PROCESS_##from, \
                PROCESS_##to, fields_of_##name, sentence},
#define ANSWER(NAME, name, number, from, to, sentence)                   \
    [number] = {#name,        sizeof #name - 1, false,   PROCESS_##from, \
                PROCESS_##to, fields_of_##name, sentence},
#include "protocol/messages.def"
};

static const char *const process_names[PROCESS_COUNT] = {
    [PROCESS_ANY] = "any",         [PROCESS_CLIENT] = "client",
    [PROCESS_API] = "api",         [PROCESS_CONSENSUS] = "consensus",
    [PROCESS_STORAGE] = "storage", [PROCESS_DISCOVERY] = "discovery",
    [PROCESS_PEER] = "peer",
};

enum { PEER_HEAD_ITEMS = 7, CLIENT_TYPE_MAX = 40, LOG_SIZE = CLUSTER_ID_SIZE + 8 };

const struct message_info *message_info(unsigned type)
{
    return &infos[type < MESSAGE_TYPE_MAX ? type : MESSAGE_NONE];
}

const char *message_process_name(enum message_process process)
{
    return process_names[process];
}

static bool is_peer(const struct message_info *info)
{
    return info->from == PROCESS_PEER || info->to == PROCESS_PEER;
}

/* Such a message is a map, always. */
static bool is_client(const struct message_info *info)
{
    return info->from == PROCESS_CLIENT || info->to == PROCESS_CLIENT;
}

static uint32_t field_count(const struct message_info *info)
{
    uint32_t count = 0;
    while (info->fields[count].name != NULL)
        count++;
    return count;
}

static enum message_type type_by_verb(struct span verb)
{
    for (unsigned type = 1; type < CLIENT_TYPE_MAX; type++)
        if (infos[type].name_size == verb.size && verb.size > 0 &&
            memcmp(verb.data, infos[type].name, verb.size) == 0)
            return (enum message_type)type;
    return MESSAGE_NONE;
}

/* ---- writing ------------------------------------------------------------------------------- */

static const void *field_at(const struct message *message, const struct message_field *field)
{
    return (const uint8_t *)message + field->offset;
}

/* Who knows only first histories writes, and reads, a cluster id alone. */
static void encode_log(const struct peer_head *head, struct bytes *out)
{
    uint8_t bytes[LOG_SIZE];
    memcpy(bytes, head->cluster, CLUSTER_ID_SIZE);
    save_u64(bytes + CLUSTER_ID_SIZE, head->history);
    wire_pack_bin(out, SPAN(bytes, head->history != 0 ? LOG_SIZE : CLUSTER_ID_SIZE));
}

static void encode_peer_head(const struct peer_head *head, struct bytes *out)
{
    wire_pack_u64(out, PROTOCOL_VERSION);
    encode_log(head, out);
    wire_pack_u64(out, head->from);
    wire_pack_u64(out, head->from_incarnation);
    wire_pack_u64(out, head->to);
    wire_pack_u64(out, head->to_incarnation);
    wire_pack_u64(out, head->term);
}

void message_encode(const struct message *message, struct bytes *out)
{
    const struct message_info *info = message_info(message->type);
    assert(info->name != NULL);
    bool peer = is_peer(info);
    wire_pack_array(out, field_count(info) + 1 + (peer ? PEER_HEAD_ITEMS : 0));
    if (peer)
        encode_peer_head(&message->peer, out);
    wire_pack_u64(out, message->type);
    for (const struct message_field *field = info->fields; field->name != NULL; field++)
        field_encode(field, field_at(message, field), out);
}

/* What reads the same where it is absent; of an answer, what is false is said all the same. */
static bool is_left_out(const struct message_info *info, const struct message_field *field,
                        const void *at)
{
    if (info->is_ask && field->kind == FIELD_FLAG)
        return !*(const bool *)at;
    return field_is_empty(field, at);
}

void message_encode_map(const struct message *message, struct bytes *out)
{
    const struct message_info *info = message_info(message->type);
    assert(info->name != NULL);
    uint32_t pairs = 2;
    for (const struct message_field *field = info->fields; field->name != NULL; field++)
        pairs += !is_left_out(info, field, field_at(message, field));
    wire_pack_map(out, pairs);
    wire_pack_text(out, SPAN("verb", 4));
    wire_pack_text(out, SPAN(info->name, info->name_size));
    wire_pack_text(out, SPAN("req", 3));
    wire_pack_u64(out, message->request);
    for (const struct message_field *field = info->fields; field->name != NULL; field++) {
        const void *at = field_at(message, field);
        if (is_left_out(info, field, at))
            continue;
        wire_pack_text(out, SPAN(field->name, field->name_size));
        field_encode(field, at, out);
    }
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool take_u64(struct span *rest, uint64_t *number)
{
    struct wire_value value;
    if (!wire_next(rest, &value) || value.kind != WIRE_U64)
        return false;
    *number = value.number;
    return true;
}

static bool decode_peer_head(struct span *rest, struct peer_head *head)
{
    struct wire_value log;
    if (!wire_next(rest, &log) || log.kind != WIRE_BIN ||
        (log.bytes.size != CLUSTER_ID_SIZE && log.bytes.size != LOG_SIZE))
        return false;
    memcpy(head->cluster, log.bytes.data, CLUSTER_ID_SIZE);
    head->history = log.bytes.size == LOG_SIZE ? load_u64(log.bytes.data + CLUSTER_ID_SIZE) : 0;
    return take_u64(rest, &head->from) && take_u64(rest, &head->from_incarnation) &&
           take_u64(rest, &head->to) && take_u64(rest, &head->to_incarnation) &&
           take_u64(rest, &head->term);
}

/* The items behind the type, in table order; those a newer version appended are skipped. */
static enum err decode_items(const struct message_info *info, struct span *rest, uint64_t items,
                             struct message *out)
{
    const struct message_field *field = info->fields;
    for (; items > 0 && field->name != NULL; items--, field++)
        if (!field_decode(field, rest, (uint8_t *)out + field->offset))
            return ERR_BAD_MESSAGE;
    struct span skipped;
    for (; items > 0; items--)
        if (!wire_take(rest, &skipped))
            return ERR_BAD_MESSAGE;
    return rest->size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
}

static enum err decode_peer_start(struct span *rest, uint64_t version, struct message *out,
                                  uint64_t *type)
{
    if (version != PROTOCOL_VERSION)
        return ERR_VERSION;
    if (!decode_peer_head(rest, &out->peer) || !take_u64(rest, type))
        return ERR_BAD_MESSAGE;
    return ERR_NONE;
}

/* A peer message starts with a small number, the protocol version, and a bin; an inner one
 * with its type, which is never that small. */
static bool starts_with_head(uint64_t first, uint64_t items, struct span rest)
{
    struct wire_value value;
    return first < CLIENT_TYPE_MAX && items >= PEER_HEAD_ITEMS && wire_next(&rest, &value) &&
           value.kind == WIRE_BIN;
}

enum err message_decode(struct span frame, struct message *out)
{
    struct wire_value array;
    struct span rest = frame;
    uint64_t type;
    out->type = MESSAGE_NONE;
    out->request = 0;
    TRY(wire_check(frame));
    if (!wire_next(&rest, &array) || array.kind != WIRE_ARRAY || !take_u64(&rest, &type))
        return ERR_BAD_MESSAGE;
    uint64_t items = array.number - 1;
    bool peer = starts_with_head(type, items, rest);
    if (peer) {
        TRY(decode_peer_start(&rest, type, out, &type));
        items -= PEER_HEAD_ITEMS;
    }
    const struct message_info *info = message_info(type < MESSAGE_TYPE_MAX ? (unsigned)type : 0);
    if (info->name == NULL || is_client(info) || is_peer(info) != peer)
        return ERR_UNKNOWN_VERB;
    field_clear_all(info->fields, out);
    TRY(decode_items(info, &rest, items, out));
    out->type = (enum message_type)type;
    return ERR_NONE;
}

/* Writers put the fields in the order of the table: the one behind the last is tried first. */
static const struct message_field *
field_by_name(const struct message_info *info, const struct message_field *likely, struct span name)
{
    if (likely->name != NULL && span_equal(name, SPAN(likely->name, likely->name_size)))
        return likely;
    for (const struct message_field *field = info->fields; field->name != NULL; field++)
        if (span_equal(name, SPAN(field->name, field->name_size)))
            return field;
    return NULL;
}

/* First pass: the verb and the request number, wherever they stand. No key is there twice, so it
 * ends with the second of them: writers put both in front. */
static bool find_verb(struct span rest, uint64_t pairs, struct span *verb, uint64_t *request)
{
    bool has_verb = false, has_request = false;
    *verb = (struct span){0};
    *request = 0;
    for (uint64_t i = 0; i < pairs && !(has_verb && has_request); i++) {
        struct wire_value key, value;
        struct span whole;
        if (!wire_next(&rest, &key) || key.kind != WIRE_TEXT || !wire_take(&rest, &whole))
            return false;
        if (!wire_next(&whole, &value))
            return false;
        if (span_is(key.bytes, "verb")) {
            has_verb = true;
            *verb = value.kind == WIRE_TEXT ? value.bytes : *verb;
        } else if (span_is(key.bytes, "req")) {
            has_request = true;
            *request = value.kind == WIRE_U64 ? value.number : 0;
        }
    }
    return true;
}

static enum err decode_pairs(const struct message_info *info, struct span rest, uint64_t pairs,
                             struct message *out, const char **blame)
{
    const struct message_field *likely = info->fields;
    for (uint64_t i = 0; i < pairs; i++) {
        struct wire_value key;
        struct span skipped;
        if (!wire_next(&rest, &key) || key.kind != WIRE_TEXT)
            return ERR_BAD_MESSAGE;
        const struct message_field *field = field_by_name(info, likely, key.bytes);
        if (field == NULL) {
            if (!wire_take(&rest, &skipped))
                return ERR_BAD_MESSAGE;
        } else if (!field_decode(field, &rest, (uint8_t *)out + field->offset)) {
            *blame = field->name;
            return ERR_BAD_REQUEST;
        } else {
            likely = field + 1;
        }
    }
    return ERR_NONE;
}

enum err message_decode_map(struct span frame, struct message *out, const char **field)
{
    const char *unused;
    const char **blame = field != NULL ? field : &unused;
    struct wire_value map;
    struct span rest = frame, verb;
    out->type = MESSAGE_NONE;
    out->request = 0;
    *blame = NULL;
    TRY(wire_check(frame));
    if (!wire_next(&rest, &map) || map.kind != WIRE_MAP ||
        !find_verb(rest, map.number, &verb, &out->request))
        return ERR_BAD_MESSAGE;
    enum message_type type = type_by_verb(verb);
    if (type == MESSAGE_NONE)
        return ERR_UNKNOWN_VERB;
    field_clear_all(infos[type].fields, out);
    TRY(decode_pairs(&infos[type], rest, map.number, out, blame));
    out->type = type;
    return ERR_NONE;
}
