#include "storage/cutter.h"

#include "common/log.h"
#include "storage/age.h"

#include <stdio.h>
#include <sys/stat.h>

enum { NS_PER_S = 1000000000 };

/* ---- bytes ---------------------------------------------------------------------------------- */

static uint64_t size_of(const char *path, const char *suffix)
{
    char name[4096];
    struct stat at;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &at) == 0 ? (uint64_t)at.st_size : 0;
}

/* A part that is sealed never changes. */
static uint64_t bytes_of(struct shelf_part *part)
{
    if (part->bytes != 0)
        return part->bytes;
    uint64_t bytes =
        size_of(part->path, "") + size_of(part->path, "-wal") + size_of(part->path, ".index");
    if (part->indexed)
        part->bytes = bytes;
    return bytes;
}

static void gather_parts(struct shelf *shelf, struct retention_facts *facts,
                         struct retention_part *parts)
{
    bool sealed = true;
    for (uint32_t slot = 0; slot < shelf->count; slot++) {
        struct shelf_part *part = shelf->parts[slot];
        uint64_t bytes = bytes_of(part), first, next;
        facts->bytes += bytes;
        sealed = sealed && part->indexed && slot + 1 < shelf->count;
        shelf_ids(shelf, part, &first, &next);
        if (sealed)
            parts[facts->part_count++] = (struct retention_part){part->last, next, bytes};
    }
}

/* ---- the cut -------------------------------------------------------------------------------- */

/* A put is cut as a whole or not at all: the chain of hashes begins anew at a record. */
static enum err align(struct shelf *shelf, struct retention_cut *cut)
{
    struct lookup lookup;
    uint64_t at;
    uint32_t ordinal;
    if (cut->first_id > shelf->last_id || cut->first_id <= shelf->first_id)
        return ERR_NONE;
    struct shelf_part *part = shelf_part_of_id(shelf, cut->first_id);
    if (part == NULL)
        return ERR_CORRUPT;
    TRY(shelf_lookup(shelf, part, &lookup));
    TRY(lookup_find(&lookup, cut->first_id, &at, &ordinal));
    cut->first_id -= ordinal;
    if (cut->first_id < shelf->first_id)
        cut->first_id = shelf->first_id;
    return ERR_NONE;
}

/* It ends for these: of time, or because the disk comes first. */
static void tell_passed(const struct holders *holders, uint64_t first_id, uint64_t ts)
{
    for (uint64_t slot = 0; slot < holders->count; slot++) {
        const struct holder *holder = &holders->at[slot];
        if (holder->from >= first_id)
            continue;
        char name[HOLDER_NAME_MAX + 1] = {0};
        memcpy(name, holder->name, HOLDER_NAME_MAX);
        log_warn(holder->until > ts ? "holder_overridden" : "holder_expired",
                 kv_text("holder", name), kv_u64("from", holder->from),
                 kv_u64("first_id", first_id));
    }
}

/* Ids, not before the first kept one, from which on the rules of age and of tags keep all. */
static enum err look_for_young(struct shelf *shelf, struct tagfloor *floors,
                               const struct apply_mark *at, uint64_t ts,
                               struct retention_facts *facts)
{
    uint64_t age_ns = at->settings.min_age_s * NS_PER_S;
    if (age_ns > 0)
        TRY(age_first_younger(shelf, ts > age_ns ? ts - age_ns : 0, &facts->young_id));
    if (age_ns == 0 && at->settings.min_records == 0)
        return ERR_NONE; /* nothing goes by age or number */
    return tagfloor_find(floors, shelf, &at->rules, ts, &facts->rule_id);
}

/* What cannot be read is kept, but a full disk does not wait for it to be mended. */
static enum err find_young(struct shelf *shelf, struct tagfloor *floors,
                           const struct apply_mark *at, uint64_t ts, struct retention_facts *facts)
{
    enum err err = look_for_young(shelf, floors, at, ts, facts);
    if (err != ERR_NONE)
        facts->young_id = facts->rule_id = at->first_id;
    return err;
}

static enum err decide(struct shelf *shelf, const struct retention_facts *facts,
                       struct retention_cut *cut, struct bytes *body)
{
    retention_wish(facts, cut);
    TRY(align(shelf, cut));
    if (!retention_is_worth(facts, cut))
        return ERR_NONE;
    TRY(shelf_hash(shelf, cut->first_id - 1, cut->hash));
    retention_encode(cut, body);
    return ERR_NONE;
}

enum err cutter_decide(struct shelf *shelf, struct tagfloor *floors, const struct apply_mark *at,
                       const struct message_may_cut *ask, struct bytes *body)
{
    struct retention_cut cut = {.settings_index = at->settings_index};
    struct retention_facts facts = {
        .settings = &at->settings,
        .first_id = at->first_id,
        .last_id = at->last_id,
        .hold_id = holders_floor(&at->holders, ask->ts),
        .keep_index = at->keep_index,
        .last_index = ask->last_index,
        .live_index = ask->live_index,
        .down_index = ask->down_index,
    };
    enum err unread = find_young(shelf, floors, at, ask->ts, &facts);
    struct retention_part *parts = bytes_zeroed(shelf->count + 1, sizeof *parts);
    gather_parts(shelf, &facts, parts);
    facts.parts = parts;
    enum err err = decide(shelf, &facts, &cut, body);
    if (err == ERR_NONE && body->size > 0)
        tell_passed(&at->holders, cut.first_id, ask->ts);
    bytes_free(parts);
    return err != ERR_NONE ? err : unread;
}

enum err cutter_answer(struct shelf *shelf, struct tagfloor *floors, const struct apply_mark *at,
                       const struct message *ask, struct link *link, uint32_t neighbour)
{
    struct message answer = {.type = MESSAGE_CUT_AT};
    SCOPED(bytes) body = {0};
    enum err err = cutter_decide(shelf, floors, at, &ask->may_cut, &body);
    if (err != ERR_NONE)
        log_error("cut_not_decided", kv_err(err));
    answer.cut_at.body = bytes_span(&body);
    link_tell(link, neighbour, &answer);
    return err;
}
