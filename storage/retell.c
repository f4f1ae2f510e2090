#include "storage/retell.h"

#include "common/clock.h"
#include <inttypes.h>

/* ---- what is missing ------------------------------------------------------------------------- */

static void note_records(struct retell *retell, uint64_t index)
{
    if (index > retell->last_index + 1) {
        fprintf(stderr, "missing: log entries %" PRIu64 " to %" PRIu64 "\n", retell->last_index + 1,
                index - 1);
        retell->missing_records += index - 1 - retell->last_index;
        retell->gaps++;
    }
    retell->last_index = index;
    retell->records++;
}

static void note_ids(struct retell *retell, uint64_t id)
{
    uint64_t last = retell->first_id == 0 ? 0 : retell->last_id;
    if (id > last + 1) {
        fprintf(stderr, "missing: changes %" PRIu64 " to %" PRIu64 "\n", last + 1, id - 1);
        retell->missing_changes += id - 1 - last;
    }
    if (retell->first_id == 0)
        retell->first_id = id;
    retell->last_id = id;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void flush(struct retell *retell)
{
    struct bytes *told = &retell->told;
    if (told->size > 0 && fwrite(told->data, 1, told->size, retell->out) != told->size)
        retell->failed = true;
    bytes_clear(told);
}

static void write_change(struct retell *retell, const struct line_place *place,
                         const struct change *change)
{
    retell->form->append(place, change, &retell->told);
    retell->changes++;
    flush(retell);
}

static void write_placed(struct retell *retell, uint64_t id, uint64_t ts, const uint8_t *hash,
                         const struct change *change)
{
    struct line_place place = {.id = id, .ts = ts};
    note_ids(retell, id);
    retell->has_hash = hash != NULL;
    if (hash != NULL) {
        memcpy(retell->hash, hash, HASH_SIZE);
        place.hash = SPAN(hash, HASH_SIZE);
    }
    write_change(retell, &place, change);
}

/* ---- while nothing is missing ---------------------------------------------------------------- */

static enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct retell *retell = owner;
    const struct outcome *fresh = overlay_find(&retell->overlay, index);
    if (fresh == NULL)
        return retell->from_state ? state_outcome(&retell->hints->state, index, out) : ERR_CORRUPT;
    *out = *fresh;
    return ERR_NONE;
}

static void write_effect(struct retell *retell, const struct effect *effect)
{
    struct told told;
    told_begin(&told, effect);
    while (told_next(&told))
        write_placed(retell, told.id, told.ts, told.link.hash, &told.change);
}

static void take_effects(struct retell *retell, uint64_t index)
{
    struct span rest = bytes_span(&retell->effects);
    struct effect effect;
    while (effect_next(&rest, &effect)) {
        if (overlay_is_outcome(&effect, index)) {
            struct outcome outcome = overlay_outcome(&effect);
            overlay_add(&retell->overlay, &outcome);
        }
        if (apply_is_commit(&effect))
            write_effect(retell, &effect);
        else
            retell->refused++;
    }
}

static bool apply_record(struct retell *retell, const struct entry *entry)
{
    struct apply_source source = {find_outcome, retell};
    bytes_clear(&retell->effects);
    if (apply_entry(&retell->apply, entry, &source, &retell->effects) != ERR_NONE)
        return false;
    take_effects(retell, entry->index);
    return true;
}

/* ---- behind a gap ---------------------------------------------------------------------------- */

/* The hash before an id: of the change told before it, or as the hints have it. */
static bool hash_before(struct retell *retell, uint64_t id, uint8_t hash[HASH_SIZE])
{
    if (retell->has_hash && retell->last_id + 1 == id) {
        memcpy(hash, retell->hash, HASH_SIZE);
        return true;
    }
    return hints_hash(retell->hints, id - 1, hash);
}

static void write_by_hint(struct retell *retell, uint64_t id, uint64_t ts,
                          const struct change *change)
{
    uint8_t hash[HASH_SIZE], known[HASH_SIZE];
    bool has_hash = hash_before(retell, id, hash);
    if (has_hash)
        change_hash(hash, id, ts, change, hash);
    bool is_known = hints_hash(retell->hints, id, known);
    if (has_hash && is_known && memcmp(hash, known, HASH_SIZE) != 0)
        has_hash = is_known = false; /* they contradict: neither is told */
    retell->unproven += !has_hash && !is_known;
    write_placed(retell, id, ts, has_hash ? hash : is_known ? known : NULL, change);
}

/* A copy of a write that was told already. */
static bool was_seen(struct retell *retell, const struct entry *entry)
{
    uint64_t print = outcomes_print(&retell->seen, entry->txid), index;
    uint32_t cursor = 0;
    if (outcomes_next(&retell->seen, print, &cursor, &index))
        return true;
    outcomes_add(&retell->seen, print, entry->index, entry->ts);
    return false;
}

static void write_unplaced(struct retell *retell, uint64_t ts, const struct change *change)
{
    struct line_place place = {.id = change->id, .ts = change_ts(change, ts), .hash = change->hash};
    if (change->id != 0) /* an import: it carries its place along */
        note_ids(retell, change->id);
    retell->unplaced += change->id == 0;
    write_change(retell, &place, change);
}

static void tell_by_hints(struct retell *retell, const struct entry *entry)
{
    enum change_form form = entry->kind == ENTRY_IMPORT ? CHANGE_IMPORT : CHANGE_PUT;
    const struct change_limits any = {UINT32_MAX, UINT32_MAX, CHANGE_TAGS_MAX, UINT32_MAX,
                                      CHANGES_MAX};
    struct change_walk walk;
    struct change change;
    uint64_t id = 0;
    uint32_t count;
    enum hint_verdict verdict = hints_find(retell->hints, entry->index, &id);
    bool is_body = change_body_check(entry->body, form, &any, &count, NULL) == ERR_NONE;
    if (!is_body || verdict == HINT_NOTHING || was_seen(retell, entry)) {
        retell->refused++;
        return;
    }
    change_walk_begin(&walk, entry->body);
    while (change_walk_next(&walk, &change)) {
        if (verdict == HINT_PLACED)
            write_by_hint(retell, id++, change_ts(&change, entry->ts), &change);
        else
            write_unplaced(retell, entry->ts, &change);
    }
}

/* The state that was written last lets apply go on behind it. */
static void resume(struct retell *retell, uint64_t index)
{
    struct hints *hints = retell->hints;
    struct state reader = {0};
    uint8_t key[HASH_KEY_SIZE];
    if (hints->home == NULL || index != hints->mark.index + 1)
        return;
    save_u64(key, chance_u64());
    save_u64(key + 8, chance_u64());
    apply_close(&retell->apply);
    apply_open(&retell->apply, key);
    retell->exact = memory_load(hints->home, &reader, &retell->apply) == ERR_NONE;
    retell->from_state = retell->exact;
    state_close(&reader);
}

/* ---- public ---------------------------------------------------------------------------------- */

void retell_open(struct retell *retell, struct hints *hints, const struct form *form, FILE *out)
{
    uint8_t key[HASH_KEY_SIZE];
    save_u64(key, chance_u64());
    save_u64(key + 8, chance_u64());
    retell->out = out;
    retell->form = form;
    form->begin(&retell->told);
    retell->hints = hints;
    retell->exact = retell->has_hash = true;
    apply_open(&retell->apply, key);
    outcomes_open(&retell->seen, key);
}

void retell_end(struct retell *retell)
{
    retell->form->end(retell->changes, &retell->told);
    flush(retell);
}

void retell_close(struct retell *retell)
{
    apply_close(&retell->apply);
    overlay_close(&retell->overlay);
    outcomes_close(&retell->seen);
    bytes_close(&retell->effects);
    bytes_close(&retell->told);
    *retell = (struct retell){0};
}

void retell_record(struct retell *retell, struct span record)
{
    struct entry entry;
    note_records(retell, entry_index_of(record));
    if (entry_decode(record, &entry) != ERR_NONE) {
        retell->exact = false;
        return;
    }
    retell->exact = retell->exact && entry.index == retell->apply.at.index + 1;
    if (!retell->exact)
        resume(retell, entry.index);
    if (retell->exact && apply_record(retell, &entry))
        return;
    retell->exact = false;
    if (entry_is_write(entry.kind))
        tell_by_hints(retell, &entry);
}
