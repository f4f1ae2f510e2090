/* agree.c - what the whole cluster agrees on: settings, holders, rules of tags; read and set. */
#include "client/client.h"

#include "protocol/holders.h"
#include "protocol/rules.h"
#include "protocol/wire.h"

static enum ca_code ask_for(struct ca *ca, enum message_type type,
                            enum err (*take)(void *into, const struct message *answer), void *into)
{
    struct ask *ask = client_ask_open(ca, type);
    return ask != NULL ? client_wait_for(ca, ask, take, into) : client_no_memory(ca);
}

/* ---- settings ----------------------------------------------------------------------------- */

static enum err take_settings(void *into, const struct message *answer)
{
    struct ca_settings *settings = into;
    struct span rest = answer->settings_are.settings;
    struct wire_value map, name, value;
    *settings = (struct ca_settings){.first_id = answer->settings_are.first_id};
    if (!wire_next(&rest, &map) || map.kind != WIRE_MAP)
        return ERR_BAD_MESSAGE;
    for (uint64_t i = 0; i < map.number && settings->count < CA_SETTINGS_MAX; i++) {
        struct ca_setting *setting = &settings->at[settings->count++];
        if (!wire_next(&rest, &name) || name.kind != WIRE_TEXT || !wire_next(&rest, &value) ||
            value.kind != WIRE_U64)
            return ERR_BAD_MESSAGE;
        client_copy_text(setting->name, sizeof setting->name, name.bytes);
        setting->value = value.number;
    }
    return ERR_NONE;
}

enum ca_code ca_settings(struct ca *ca, struct ca_settings *settings)
{
    *settings = (struct ca_settings){0};
    return ask_for(ca, MESSAGE_SETTINGS, take_settings, settings);
}

enum ca_code ca_settings_set(struct ca *ca, const struct ca_setting *settings, size_t count,
                             struct ca_result *result)
{
    struct ask *ask;
    if (count == 0 || count > CA_SETTINGS_MAX)
        return client_fail(ca, CA_USAGE, ERR_LIMIT, "1 to 64 settings");
    enum ca_code code = put_open(ca, NULL, &ask);
    if (code == CA_OK) {
        ask->message.put.settings = true;
        wire_pack_map(&ask->own, (uint32_t)count);
        for (size_t i = 0; i < count; i++)
            wire_pack_counter(&ask->own, settings[i].name, settings[i].value);
        code = put_seal(ca, ask);
    }
    return put_finish(ca, ask, code, result);
}

/* ---- rows of an answer: an array of maps ---------------------------------------------------- */

/* Where they go, zeroed; `take` is given each field. */
struct rows {
    void *at;
    size_t size;
    uint32_t most;
    void (*take)(void *row, struct span key, const struct wire_value *value);
};

static bool take_row(const struct rows *rows, struct span *rest, void *row)
{
    struct wire_value map, key, value;
    if (!wire_next(rest, &map) || map.kind != WIRE_MAP)
        return false;
    for (uint64_t i = 0; i < map.number; i++) {
        struct span whole;
        if (!wire_next(rest, &key) || !wire_take(rest, &whole) || !wire_next(&whole, &value))
            return false;
        rows->take(row, key.bytes, &value);
    }
    return true;
}

static enum err take_rows(const struct rows *rows, struct span rest, uint32_t *count)
{
    struct wire_value array;
    if (!wire_next(&rest, &array) || array.kind != WIRE_ARRAY)
        return ERR_BAD_MESSAGE;
    for (*count = 0; *count < array.number && *count < rows->most; ++*count)
        if (!take_row(rows, &rest, (char *)rows->at + *count * rows->size))
            return ERR_BAD_MESSAGE;
    return ERR_NONE;
}

/* ---- holders ------------------------------------------------------------------------------ */

static void take_holder_field(void *row, struct span key, const struct wire_value *value)
{
    struct ca_holder *holder = row;
    if (span_is(key, "name") && value->kind == WIRE_TEXT)
        client_copy_text(holder->name, sizeof holder->name, value->bytes);
    else if (span_is(key, "from") && value->kind == WIRE_U64)
        holder->from = value->number;
    else if (span_is(key, "until") && value->kind == WIRE_U64)
        holder->until = value->number;
}

static enum err take_holders(void *into, const struct message *answer)
{
    struct ca_holders *holders = into;
    const struct rows rows = {holders->at, sizeof *holders->at, CA_HOLDERS_MAX, take_holder_field};
    *holders = (struct ca_holders){.first_id = answer->holders_are.first_id};
    return take_rows(&rows, answer->holders_are.holders, &holders->count);
}

enum ca_code ca_holders(struct ca *ca, struct ca_holders *holders)
{
    *holders = (struct ca_holders){0};
    return ask_for(ca, MESSAGE_HOLDERS, take_holders, holders);
}

/* for_s 0: removes. */
static enum ca_code put_holder(struct ca *ca, const char *name, uint64_t from, uint64_t for_s,
                               struct ca_result *result)
{
    struct ask *ask;
    enum ca_code code = put_open(ca, NULL, &ask);
    if (code == CA_OK) {
        ask->message.put.holder = true;
        holders_encode_body(client_text(name), from, for_s, &ask->own);
        code = put_seal(ca, ask);
    }
    return put_finish(ca, ask, code, result);
}

enum ca_code ca_holder_set(struct ca *ca, const char *name, uint64_t from, uint64_t for_s,
                           struct ca_result *result)
{
    if (for_s == 0 || from == 0)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST,
                           "a hold needs the id of a change, and at least a second");
    return put_holder(ca, name, from, for_s, result);
}

enum ca_code ca_holder_remove(struct ca *ca, const char *name, struct ca_result *result)
{
    return put_holder(ca, name, 0, 0, result);
}

/* ---- rules -------------------------------------------------------------------------------- */

static void take_rule_field(void *row, struct span key, const struct wire_value *value)
{
    struct ca_rule *rule = row;
    if (span_is(key, "tag") && value->kind == WIRE_TEXT)
        client_copy_text(rule->tag, sizeof rule->tag, value->bytes);
    else if (span_is(key, "keep_s") && value->kind == WIRE_U64)
        rule->keep_s = value->number;
    else if (span_is(key, "changes_s") && value->kind == WIRE_U64)
        rule->changes_s = value->number;
    else if (span_is(key, "bytes_s") && value->kind == WIRE_U64)
        rule->bytes_s = value->number;
}

static enum err take_rules(void *into, const struct message *answer)
{
    struct ca_rules *rules = into;
    const struct rows rows = {rules->at, sizeof *rules->at, CA_RULES_MAX, take_rule_field};
    *rules = (struct ca_rules){.first_id = answer->rules_are.first_id};
    return take_rows(&rows, answer->rules_are.rules, &rules->count);
}

enum ca_code ca_rules(struct ca *ca, struct ca_rules *rules)
{
    *rules = (struct ca_rules){0};
    return ask_for(ca, MESSAGE_RULES, take_rules, rules);
}

static enum ca_code put_rule(struct ca *ca, const struct ca_rule *rule, struct ca_result *result)
{
    struct ask *ask;
    enum ca_code code = put_open(ca, NULL, &ask);
    if (code == CA_OK) {
        ask->message.put.rule = true;
        rules_encode_body(client_text(rule->tag), rule->keep_s, rule->changes_s, rule->bytes_s,
                          &ask->own);
        code = put_seal(ca, ask);
    }
    return put_finish(ca, ask, code, result);
}

enum ca_code ca_rule_set(struct ca *ca, const struct ca_rule *rule, struct ca_result *result)
{
    if (rule->keep_s == CA_UNCHANGED && rule->changes_s == CA_UNCHANGED &&
        rule->bytes_s == CA_UNCHANGED)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "what shall the rule say?");
    return put_rule(ca, rule, result);
}

enum ca_code ca_rule_remove(struct ca *ca, const char *tag, struct ca_result *result)
{
    struct ca_rule rule = {
        .keep_s = CA_UNCHANGED, .changes_s = CA_UNCHANGED, .bytes_s = CA_UNCHANGED};
    client_copy_text(rule.tag, sizeof rule.tag, client_text(tag));
    return put_rule(ca, &rule, result);
}
