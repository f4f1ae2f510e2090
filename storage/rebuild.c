#include "storage/rebuild.h"

#include "common/log.h"

struct rebuild {
    struct shelf *shelf;
    struct bytes records, links;
    struct span rest;
    struct span record; /* empty: none yet */
    uint64_t first_id;  /* first change kept */
};

/* Makes the record at `index` the present one; they are read in order, 1 MiB at a time. */
static enum err find_record(struct rebuild *rebuild, uint64_t index)
{
    for (bool again = true;; again = false) {
        while (entry_next(&rebuild->rest, &rebuild->record)) {
            if (entry_index_of(rebuild->record) == index)
                return ERR_NONE;
        }
        if (!again)
            return ERR_CORRUPT;
        bytes_clear(&rebuild->records);
        TRY(shelf_read(rebuild->shelf, index, UINT64_MAX, MiB(1), &rebuild->records));
        rebuild->rest = bytes_span(&rebuild->records);
    }
}

/* The hashes of a record's changes, anew; which id a tag had before is not known any more. */
static void link_changes(struct rebuild *rebuild, const struct entry *entry, uint64_t id)
{
    uint64_t unknown[CHANGE_TAGS_MAX];
    uint8_t hash[HASH_SIZE];
    struct change_walk walk;
    struct change change;
    memset(unknown, 0xff, sizeof unknown);
    memcpy(hash, rebuild->shelf->last_hash, HASH_SIZE);
    bytes_clear(&rebuild->links);
    change_walk_begin(&walk, entry->body);
    for (; change_walk_next(&walk, &change); id++) {
        change_hash(hash, id, change_ts(&change, entry->ts), &change, hash);
        effect_link_append(&rebuild->links, hash, unknown, (uint16_t)change.tags.count);
    }
}

static enum err add_outcome(void *owner, const struct outcome *outcome)
{
    struct rebuild *rebuild = owner;
    struct entry entry;
    if (outcome->err != ERR_NONE || outcome->change_count == 0)
        return ERR_NONE; /* refused, or settings */
    if (outcome->first_id <= rebuild->shelf->last_id && outcome->first_id < rebuild->first_id)
        return ERR_NONE; /* cut */
    enum err err = find_record(rebuild, outcome->index);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND || err == ERR_TRUNCATED ? ERR_CORRUPT : err;
    if (entry_decode(rebuild->record, &entry) != ERR_NONE || !entry_is_write(entry.kind))
        return ERR_CORRUPT;
    struct effect effect = overlay_effect(outcome);
    link_changes(rebuild, &entry, effect.first_id);
    effect.links = bytes_span(&rebuild->links);
    effect.body = entry.body;
    return shelf_add_changes(rebuild->shelf, &effect);
}

/* Where the scan begins: behind the last part of the unbroken row that has an .index. Without one
 * it begins at the cut: what was before is not served any more. */
static uint64_t begin_at(struct shelf *shelf, const struct apply_mark *at)
{
    shelf->last_id = at->first_id - 1;
    memcpy(shelf->last_hash, at->cut_hash, HASH_SIZE);
    const struct shelf_part *open = shelf_oldest_open(shelf), *before = NULL;
    for (uint32_t slot = 0; slot < shelf->count && shelf->parts[slot] != open; slot++)
        before = shelf->parts[slot];
    if (before != NULL) {
        shelf->last_id = before->seal.next_id - 1;
        memcpy(shelf->last_hash, before->seal.last_hash, HASH_SIZE);
    }
    return open != NULL ? open->first : UINT64_MAX;
}

enum err rebuild_shelf(struct shelf *shelf, struct state *state, const struct apply_mark *at)
{
    if (at->index == 0)
        return ERR_NONE;
    shelf->first_id = at->first_id;
    memcpy(shelf->cut_hash, at->cut_hash, HASH_SIZE);
    struct rebuild rebuild = {.shelf = shelf, .first_id = at->first_id};
    uint64_t from = begin_at(shelf, at);
    enum err err = ERR_NONE;
    if (from <= at->index) {
        err = state_outcomes(state, from, add_outcome, &rebuild);
    } else { /* the state is behind the sealed parts, or just at their end: it knows best */
        shelf->last_id = at->last_id;
        memcpy(shelf->last_hash, at->hash, HASH_SIZE);
    }
    bytes_close(&rebuild.records);
    bytes_close(&rebuild.links);
    TRY(err);
    shelf_advance(shelf, at->index);
    bool sound =
        shelf->last_id == at->last_id && memcmp(shelf->last_hash, at->hash, HASH_SIZE) == 0;
    log_info("index_rebuilt", kv_u64("from", from), kv_u64("applied", at->index),
             kv_u64("last_id", shelf->last_id));
    return sound ? ERR_NONE : ERR_CORRUPT;
}
