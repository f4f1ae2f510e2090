#include "protocol/rules.h"

#include "protocol/namerows.h"
#include "protocol/wire.h"

enum { ROW_SIZE = RULE_TAG_MAX + 24, VALUES = 3 };

static const char tag_rule[] = "tag: 1 to 64 bytes, none of them a control character; PATH/* for "
                               "all tags below a path";
static const char form_rule[] = "body: a msgpack map {tag, keep_s, changes_s, bytes_s} of a rule";

/* What a rule says, in the order in which it is saved. */
static const struct {
    const char *name;
    uint64_t most;
    const char *rule;
} values[VALUES] = {
    {"keep_s", RULE_KEEP_S_MAX,
     "keep_s: seconds, at most 3153600000 (a hundred years); 0: as long as others"},
    {"changes_s", RULE_RATE_MAX, "changes_s: changes a second, at most 2^40; 0: no bound"},
    {"bytes_s", RULE_RATE_MAX, "bytes_s: bytes a second, at most 2^40; 0: no bound"},
};

_Static_assert(sizeof(struct rule) == ROW_SIZE, "a row is a tag and its values, without a hole");

static uint64_t *values_of(struct rule *rule)
{
    return &rule->keep_s;
}

/* ---- the body ------------------------------------------------------------------------------- */

struct wish {
    char tag[RULE_TAG_MAX];
    uint64_t value[VALUES]; /* or RULE_UNCHANGED */
};

static enum err fail(enum err err, const char *sentence, const char **detail)
{
    *detail = sentence;
    return err;
}

static bool take_tag(struct span text, struct wish *wish)
{
    if (text.size == 0 || text.size > RULE_TAG_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    memset(wish->tag, 0, sizeof wish->tag);
    memcpy(wish->tag, text.data, text.size);
    return true;
}

static enum err read_field(struct span *rest, struct wish *wish, const char **detail)
{
    struct wire_value key, value;
    if (!wire_next(rest, &key) || key.kind != WIRE_TEXT || !wire_next(rest, &value))
        return fail(ERR_BAD_REQUEST, form_rule, detail);
    if (span_is(key.bytes, "tag")) {
        bool fine = value.kind == WIRE_TEXT && take_tag(value.bytes, wish);
        return fine ? ERR_NONE : fail(ERR_BAD_REQUEST, tag_rule, detail);
    }
    for (uint32_t i = 0; i < VALUES; i++) {
        if (!span_is(key.bytes, values[i].name))
            continue;
        if (value.kind != WIRE_U64)
            return fail(ERR_BAD_REQUEST, values[i].rule, detail);
        wish->value[i] = value.number;
        return value.number <= values[i].most ? ERR_NONE : fail(ERR_LIMIT, values[i].rule, detail);
    }
    return fail(ERR_BAD_REQUEST, form_rule, detail);
}

static enum err read_wish(struct span body, struct wish *wish, const char **detail)
{
    struct span rest = body;
    struct wire_value map;
    *wish = (struct wish){.value = {RULE_UNCHANGED, RULE_UNCHANGED, RULE_UNCHANGED}};
    if (body.size > RULES_BODY_MAX || wire_check(body) != ERR_NONE || !wire_next(&rest, &map) ||
        map.kind != WIRE_MAP)
        return fail(ERR_BAD_REQUEST, form_rule, detail);
    for (uint64_t i = 0; i < map.number; i++)
        TRY(read_field(&rest, wish, detail));
    return wish->tag[0] != '\0' ? ERR_NONE : fail(ERR_BAD_REQUEST, tag_rule, detail);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* What a rule would say then; all zeros: nothing. */
static bool merge(const struct wish *wish, uint64_t *value)
{
    bool named = false, says = false;
    for (uint32_t i = 0; i < VALUES; i++)
        named = named || wish->value[i] != RULE_UNCHANGED;
    for (uint32_t i = 0; i < VALUES; i++) {
        if (wish->value[i] != RULE_UNCHANGED)
            value[i] = wish->value[i];
        says = says || value[i] != 0;
    }
    return named && says;
}

struct span rule_tag(const struct rule *rule)
{
    return SPAN(rule->tag, strnlen(rule->tag, sizeof rule->tag));
}

enum err rules_change(struct rules *rules, struct span body)
{
    const struct namerows table = {rules->at, &rules->count, ROW_SIZE, RULE_TAG_MAX};
    struct wish wish;
    const char *detail;
    uint64_t slot;
    TRY(read_wish(body, &wish, &detail));
    bool known = namerows_find(&table, wish.tag, &slot);
    struct rule rule = known ? rules->at[slot] : (struct rule){0};
    memcpy(rule.tag, wish.tag, sizeof rule.tag);
    bool says = merge(&wish, values_of(&rule));
    if (!says && !known)
        return ERR_NOT_FOUND;
    if (!says) {
        namerows_remove(&table, slot);
        return ERR_NONE;
    }
    if (!known && rules->count == RULES_MAX)
        return ERR_LIMIT;
    if (!known)
        namerows_insert(&table, slot);
    rules->at[slot] = rule;
    return ERR_NONE;
}

enum err rules_check(struct span body, const char **detail)
{
    struct wish wish;
    return read_wish(body, &wish, detail);
}

const char *rules_advice(enum err err)
{
    switch (err) {
    case ERR_LIMIT:
        return "there are 16 rules, the most there may be; `rule list` shows which one to remove";
    case ERR_NOT_FOUND:
        return "no rule is about this tag; `rule list` shows them";
    default:
        return NULL;
    }
}

/* ---- bytes ---------------------------------------------------------------------------------- */

size_t rules_save(const struct rules *rules, uint8_t out[RULES_SAVED_MAX])
{
    for (uint64_t slot = 0; slot < rules->count; slot++) {
        struct rule rule = rules->at[slot];
        uint8_t *row = out + slot * ROW_SIZE;
        memcpy(row, rule.tag, RULE_TAG_MAX);
        for (size_t i = 0; i < VALUES; i++)
            save_u64(row + RULE_TAG_MAX + 8 * i, values_of(&rule)[i]);
    }
    return rules->count * ROW_SIZE;
}

enum err rules_load(struct span saved, struct rules *rules)
{
    *rules = (struct rules){0};
    if (saved.size % ROW_SIZE != 0 || saved.size > RULES_SAVED_MAX)
        return ERR_BAD_MESSAGE;
    for (uint64_t slot = 0; slot < saved.size / ROW_SIZE; slot++) {
        const uint8_t *row = saved.data + slot * ROW_SIZE;
        struct rule *rule = &rules->at[rules->count++];
        memcpy(rule->tag, row, RULE_TAG_MAX);
        for (size_t i = 0; i < VALUES; i++)
            values_of(rule)[i] = load_u64(row + RULE_TAG_MAX + 8 * i);
    }
    return ERR_NONE;
}

void rules_encode(const struct rules *rules, struct bytes *out)
{
    wire_pack_array(out, (uint32_t)rules->count);
    for (uint64_t slot = 0; slot < rules->count; slot++) {
        struct rule rule = rules->at[slot];
        wire_pack_map(out, 1 + VALUES);
        wire_pack_text(out, SPAN("tag", 3));
        wire_pack_text(out, rule_tag(&rule));
        for (uint32_t i = 0; i < VALUES; i++)
            wire_pack_counter(out, values[i].name, values_of(&rule)[i]);
    }
}

void rules_encode_body(struct span tag, uint64_t keep_s, uint64_t changes_s, uint64_t bytes_s,
                       struct bytes *out)
{
    const uint64_t given[VALUES] = {keep_s, changes_s, bytes_s};
    uint32_t named = 0;
    for (uint32_t i = 0; i < VALUES; i++)
        named += given[i] != RULE_UNCHANGED;
    wire_pack_map(out, 1 + named);
    wire_pack_text(out, SPAN("tag", 3));
    wire_pack_text(out, tag);
    for (uint32_t i = 0; i < VALUES; i++)
        if (given[i] != RULE_UNCHANGED)
            wire_pack_counter(out, values[i].name, given[i]);
}
