#include "protocol/holders.h"

#include "protocol/namerows.h"
#include "protocol/wire.h"

enum { ROW_SIZE = HOLDER_NAME_MAX + 16 };
#define NS_PER_S UINT64_C(1000000000)

static const char name_rule[] = "name: 1 to 32 of a-z, A-Z, 0-9, '.', '_' and '-'";
static const char for_rule[] = "for_s: 1 to 2592000 seconds (30 days), anew with each set; a name "
                               "alone removes the holder";
static const char from_rule[] = "from: the id of the first change still needed, 1 or more";
static const char form_rule[] = "body: a msgpack map {name, from, for_s} of a holder";

/* ---- the body ------------------------------------------------------------------------------- */

struct wish {
    struct holder holder; /* until: not known yet */
    uint64_t for_s;
};

static enum err fail(enum err err, const char *sentence, const char **detail)
{
    *detail = sentence;
    return err;
}

static bool is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

/* It stands in logs and on command lines, so it is plain. */
static bool take_name(struct span text, struct holder *holder)
{
    if (text.size == 0 || text.size > HOLDER_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!is_plain(text.data[i]))
            return false;
    memset(holder->name, 0, sizeof holder->name);
    memcpy(holder->name, text.data, text.size);
    return true;
}

static enum err read_field(struct span *rest, struct wish *wish, const char **detail)
{
    struct wire_value key, value;
    if (!wire_next(rest, &key) || key.kind != WIRE_TEXT || !wire_next(rest, &value))
        return fail(ERR_BAD_REQUEST, form_rule, detail);
    if (span_is(key.bytes, "name")) {
        bool fine = value.kind == WIRE_TEXT && take_name(value.bytes, &wish->holder);
        return fine ? ERR_NONE : fail(ERR_BAD_REQUEST, name_rule, detail);
    }
    if (span_is(key.bytes, "from")) {
        wish->holder.from = value.number;
        return value.kind == WIRE_U64 ? ERR_NONE : fail(ERR_BAD_REQUEST, from_rule, detail);
    }
    if (span_is(key.bytes, "for_s")) {
        wish->for_s = value.number;
        return value.kind == WIRE_U64 ? ERR_NONE : fail(ERR_BAD_REQUEST, for_rule, detail);
    }
    return fail(ERR_BAD_REQUEST, form_rule, detail);
}

static enum err read_wish(struct span body, struct wish *wish, const char **detail)
{
    struct span rest = body;
    struct wire_value map;
    *wish = (struct wish){0};
    if (body.size > HOLDERS_BODY_MAX || wire_check(body) != ERR_NONE || !wire_next(&rest, &map) ||
        map.kind != WIRE_MAP)
        return fail(ERR_BAD_REQUEST, form_rule, detail);
    for (uint64_t i = 0; i < map.number; i++)
        TRY(read_field(&rest, wish, detail));
    if (wish->holder.name[0] == '\0')
        return fail(ERR_BAD_REQUEST, name_rule, detail);
    if (wish->for_s > HOLDER_S_MAX)
        return fail(ERR_LIMIT, for_rule, detail);
    if (wish->for_s > 0 && wish->holder.from == 0)
        return fail(ERR_BAD_REQUEST, from_rule, detail);
    if (wish->for_s == 0 && wish->holder.from > 0) /* who forgot how long does not mean never */
        return fail(ERR_BAD_REQUEST, for_rule, detail);
    return ERR_NONE;
}

/* ---- the table ------------------------------------------------------------------------------ */

static struct namerows table_of(struct holders *holders)
{
    return (struct namerows){holders->at, &holders->count, sizeof *holders->at, HOLDER_NAME_MAX};
}

static void drop_ended(struct holders *holders, uint64_t ts)
{
    const struct namerows table = table_of(holders);
    for (uint64_t slot = holders->count; slot-- > 0;)
        if (holders->at[slot].until <= ts)
            namerows_remove(&table, slot);
}

static enum err set(struct holders *holders, const struct wish *wish, const struct holders_log *log)
{
    const struct namerows table = table_of(holders);
    uint64_t slot;
    if (wish->holder.from < log->first_id)
        return ERR_TRUNCATED;
    if (wish->holder.from > log->last_id + 1)
        return ERR_AHEAD;
    bool known = namerows_find(&table, wish->holder.name, &slot);
    if (!known && holders->count == HOLDERS_MAX) {
        drop_ended(holders, log->ts);
        (void)namerows_find(&table, wish->holder.name, &slot);
    }
    if (!known && holders->count == HOLDERS_MAX)
        return ERR_LIMIT;
    if (!known)
        namerows_insert(&table, slot);
    holders->at[slot] = wish->holder;
    holders->at[slot].until = log->ts + wish->for_s * NS_PER_S;
    return ERR_NONE;
}

struct span holder_name(const struct holder *holder)
{
    return SPAN(holder->name, strnlen(holder->name, sizeof holder->name));
}

enum err holders_change(struct holders *holders, struct span body, const struct holders_log *log)
{
    struct wish wish;
    const char *detail;
    uint64_t slot;
    TRY(read_wish(body, &wish, &detail));
    const struct namerows table = table_of(holders);
    if (wish.for_s > 0)
        return set(holders, &wish, log);
    if (!namerows_find(&table, wish.holder.name, &slot))
        return ERR_NOT_FOUND;
    namerows_remove(&table, slot);
    return ERR_NONE;
}

enum err holders_check(struct span body, const char **detail)
{
    struct wish wish;
    return read_wish(body, &wish, detail);
}

const char *holders_advice(enum err err)
{
    switch (err) {
    case ERR_LIMIT:
        return "there are 32 holders, the most there may be; `holder list` shows which one to "
               "remove";
    case ERR_TRUNCATED:
        return "from: changes before first_id are gone already; hold from first_id on, and get "
               "the rest from a dump or checkpoint";
    case ERR_AHEAD:
        return "from: no change has this id yet; hold at most from the next one on";
    case ERR_NOT_FOUND:
        return "no holder has this name; `holder list` shows them";
    default:
        return NULL;
    }
}

uint64_t holders_floor(const struct holders *holders, uint64_t ts)
{
    uint64_t floor = 0;
    for (uint64_t slot = 0; slot < holders->count; slot++) {
        const struct holder *holder = &holders->at[slot];
        if (holder->until > ts && (floor == 0 || holder->from < floor))
            floor = holder->from;
    }
    return floor;
}

void holders_cut(struct holders *holders, uint64_t first_id)
{
    const struct namerows table = table_of(holders);
    for (uint64_t slot = holders->count; slot-- > 0;)
        if (holders->at[slot].from < first_id)
            namerows_remove(&table, slot);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

size_t holders_save(const struct holders *holders, uint8_t out[HOLDERS_SAVED_MAX])
{
    for (uint64_t slot = 0; slot < holders->count; slot++) {
        uint8_t *row = out + slot * ROW_SIZE;
        memcpy(row, holders->at[slot].name, HOLDER_NAME_MAX);
        save_u64(row + HOLDER_NAME_MAX, holders->at[slot].from);
        save_u64(row + HOLDER_NAME_MAX + 8, holders->at[slot].until);
    }
    return holders->count * ROW_SIZE;
}

enum err holders_load(struct span saved, struct holders *holders)
{
    *holders = (struct holders){0};
    if (saved.size % ROW_SIZE != 0 || saved.size > HOLDERS_SAVED_MAX)
        return ERR_BAD_MESSAGE;
    for (uint64_t slot = 0; slot < saved.size / ROW_SIZE; slot++) {
        const uint8_t *row = saved.data + slot * ROW_SIZE;
        memcpy(holders->at[slot].name, row, HOLDER_NAME_MAX);
        holders->at[slot].from = load_u64(row + HOLDER_NAME_MAX);
        holders->at[slot].until = load_u64(row + HOLDER_NAME_MAX + 8);
        holders->count++;
    }
    return ERR_NONE;
}

void holders_encode(const struct holders *holders, struct bytes *out)
{
    wire_pack_array(out, (uint32_t)holders->count);
    for (uint64_t slot = 0; slot < holders->count; slot++) {
        wire_pack_map(out, 3);
        wire_pack_text(out, SPAN("name", 4));
        wire_pack_text(out, holder_name(&holders->at[slot]));
        wire_pack_counter(out, "from", holders->at[slot].from);
        wire_pack_counter(out, "until", holders->at[slot].until);
    }
}

void holders_encode_body(struct span name, uint64_t from, uint64_t for_s, struct bytes *out)
{
    wire_pack_map(out, 3);
    wire_pack_text(out, SPAN("name", 4));
    wire_pack_text(out, name);
    wire_pack_counter(out, "from", from);
    wire_pack_counter(out, "for_s", for_s);
}
