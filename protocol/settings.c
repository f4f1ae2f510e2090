/* settings.c - one table, walked by name. */
#include "protocol/settings.h"

#include "protocol/wire.h"

struct row {
    const char *name;
    uint64_t least, most;
    bool zero;
    const char *rule, *sentence;
};

#define SETTINGS_ROW(field, name, preset, least, most, zero, rule, sentence) \
    {name, least, most, zero, rule, sentence},
static const struct row rows[] = {SETTINGS_TABLE(SETTINGS_ROW)};

#define SETTINGS_PRESET(field, name, preset, least, most, zero, rule, sentence) .field = (preset),
const struct settings settings_preset = {SETTINGS_TABLE(SETTINGS_PRESET)};

_Static_assert(sizeof(struct settings) == SETTINGS_COUNT * sizeof(uint64_t),
               "settings are numbers in the order of the table");

static uint64_t *value_at(struct settings *settings, uint32_t row)
{
    return (uint64_t *)settings + row;
}

static bool fits(const struct row *row, uint64_t value)
{
    return (row->zero && value == 0) || (value >= row->least && value <= row->most);
}

static enum err fail(enum err err, const char *sentence, const char **detail)
{
    if (detail != NULL)
        *detail = sentence;
    return err;
}

bool settings_find(struct span name, uint32_t *row)
{
    for (*row = 0; *row < SETTINGS_COUNT; ++*row)
        if (span_equal(name, SPAN_TEXT(rows[*row].name)))
            return true;
    return false;
}

static enum err merge_one(struct settings *settings, struct span *rest, const char **detail)
{
    struct wire_value name, value;
    uint32_t row;
    if (!wire_next(rest, &name) || name.kind != WIRE_TEXT || !settings_find(name.bytes, &row))
        return fail(ERR_BAD_REQUEST, "there is no setting of this name; `config show` lists them",
                    detail);
    if (!wire_next(rest, &value) || value.kind != WIRE_U64)
        return fail(ERR_BAD_REQUEST, rows[row].rule, detail);
    if (!fits(&rows[row], value.number))
        return fail(ERR_LIMIT, rows[row].rule, detail);
    if (value_at(settings, row) == &settings->feature_level &&
        value.number < settings->feature_level)
        return fail(ERR_LIMIT, rows[row].rule, detail);
    *value_at(settings, row) = value.number;
    return ERR_NONE;
}

uint64_t settings_level_in(struct span body)
{
    struct span rest = body;
    struct wire_value map, name, value;
    if (wire_check(body) != ERR_NONE || !wire_next(&rest, &map) || map.kind != WIRE_MAP)
        return 0;
    for (uint64_t i = 0; i < map.number; i++) {
        struct span whole;
        if (!wire_next(&rest, &name) || !wire_take(&rest, &whole))
            return 0;
        if (name.kind == WIRE_TEXT && span_is(name.bytes, "cluster.feature_level"))
            return wire_next(&whole, &value) && value.kind == WIRE_U64 ? value.number : 0;
    }
    return 0;
}

enum err settings_merge(struct settings *settings, struct span body, const char **detail)
{
    struct settings merged = *settings;
    struct span rest = body;
    struct wire_value map;
    if (body.size > SETTINGS_BODY_MAX || wire_check(body) != ERR_NONE || !wire_next(&rest, &map) ||
        map.kind != WIRE_MAP || map.number == 0)
        return fail(ERR_BAD_REQUEST, "body: a msgpack map of settings, name to number", detail);
    for (uint64_t i = 0; i < map.number; i++)
        TRY(merge_one(&merged, &rest, detail));
    *settings = merged;
    return ERR_NONE;
}

void settings_encode(const struct settings *settings, struct bytes *out)
{
    struct settings copy = *settings;
    wire_pack_map(out, SETTINGS_COUNT);
    for (uint32_t row = 0; row < SETTINGS_COUNT; row++)
        wire_pack_counter(out, rows[row].name, *value_at(&copy, row));
}

bool settings_row(const struct settings *settings, uint32_t row, const char **name, uint64_t *value,
                  const char **sentence)
{
    if (row >= SETTINGS_COUNT)
        return false;
    *name = rows[row].name;
    *value = ((const uint64_t *)settings)[row];
    *sentence = rows[row].sentence;
    return true;
}

void settings_save(const struct settings *settings, uint8_t out[SETTINGS_COUNT * 8])
{
    for (uint32_t row = 0; row < SETTINGS_COUNT; row++)
        save_u64(out + (size_t)row * 8, ((const uint64_t *)settings)[row]);
}

enum err settings_load(struct span saved, struct settings *settings)
{
    *settings = settings_preset;
    if (saved.size % 8 != 0 || saved.size > SETTINGS_COUNT * 8)
        return ERR_BAD_MESSAGE;
    for (uint32_t row = 0; row < saved.size / 8; row++)
        *value_at(settings, row) = load_u64(saved.data + (size_t)row * 8);
    return ERR_NONE;
}

struct change_limits settings_limits(const struct settings *settings)
{
    struct change_limits limits = change_limits_default;
    limits.change_bytes_max = (uint32_t)settings->change_bytes;
    limits.body_bytes_max = (uint32_t)settings->put_bytes;
    limits.changes_max = (uint32_t)settings->changes;
    limits.tags_max = (uint32_t)settings->tags;
    return limits;
}
