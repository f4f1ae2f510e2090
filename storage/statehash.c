#include "storage/statehash.h"

/* Rows below the floor may linger in the file, and mean nothing. */
struct statehash {
    struct hash_state hash;
    uint64_t floor;
};

static void hash_mark(struct statehash *all, const struct apply_mark *mark)
{
    hash_add_u64(&all->hash, mark->index);
    hash_add_u64(&all->hash, mark->term);
    hash_add_u64(&all->hash, mark->ts);
    hash_add_u64(&all->hash, mark->last_id);
    hash_add_u64(&all->hash, mark->change_ts);
    hash_add_u64(&all->hash, mark->floor);
    hash_add_u64(&all->hash, mark->history);
    hash_add_u64(&all->hash, mark->founded);
    uint8_t settings[SETTINGS_COUNT * 8];
    settings_save(&mark->settings, settings);
    hash_add_u64(&all->hash, mark->first_id);
    hash_add_u64(&all->hash, mark->keep_index);
    hash_add(&all->hash, SPAN(mark->cut_hash, HASH_SIZE));
    hash_add_u64(&all->hash, mark->settings_index);
    hash_add(&all->hash, SPAN(settings, sizeof settings));
    hash_add(&all->hash, SPAN(mark->cluster, sizeof mark->cluster));
    if (mark->parent != 0) {
        hash_add_u64(&all->hash, mark->parent);
        hash_add_u64(&all->hash, mark->fork_id);
    }
    if (mark->holders.count > 0) {
        uint8_t holders[HOLDERS_SAVED_MAX];
        hash_add_sized(&all->hash, SPAN(holders, holders_save(&mark->holders, holders)));
    }
    if (mark->rules.count > 0) {
        uint8_t rules[RULES_SAVED_MAX];
        hash_add_sized(&all->hash, SPAN(rules, rules_save(&mark->rules, rules)));
    }
    hash_add(&all->hash, SPAN(mark->hash, sizeof mark->hash));
}

static enum err hash_outcome(void *owner, const struct outcome *outcome)
{
    struct statehash *all = owner;
    const char *kind = err_name(outcome->err);
    if (outcome->ts < all->floor)
        return ERR_NONE;
    hash_add_u64(&all->hash, outcome->index);
    hash_add(&all->hash, SPAN(outcome->txid, sizeof outcome->txid));
    hash_add_sized(&all->hash, SPAN_TEXT(kind));
    hash_add_u64(&all->hash, outcome->first_id);
    hash_add_u64(&all->hash, outcome->change_count);
    hash_add_u64(&all->hash, outcome->ts);
    hash_add_u64(&all->hash, outcome->body_hash);
    return ERR_NONE;
}

static enum err hash_tag(void *owner, struct span tag, const struct state_tag *known)
{
    struct statehash *all = owner;
    hash_add_sized(&all->hash, tag);
    hash_add_u64(&all->hash, known->first);
    hash_add_u64(&all->hash, known->last);
    hash_add_u64(&all->hash, known->count);
    return ERR_NONE;
}

static enum err hash_keys(struct statehash *all, struct statekeys *keys)
{
    struct span key;
    struct statekeys_row row;
    statekeys_scan_begin(keys, (struct span){0});
    for (;;) {
        TRY(statekeys_scan_next(keys, &key, &row));
        if (key.size == 0)
            return ERR_NONE;
        hash_add_sized(&all->hash, key);
        hash_add_u64(&all->hash, row.id);
        hash_add_u64(&all->hash, row.removed);
        hash_add_sized(&all->hash, row.row);
    }
}

enum err statehash_of(struct state *state, uint8_t hash[HASH_SIZE])
{
    struct statehash all;
    struct apply_mark mark;
    TRY(state_mark(state, &mark));
    all.floor = mark.floor;
    hash_begin(&all.hash);
    hash_mark(&all, &mark);
    TRY(state_outcomes(state, 0, hash_outcome, &all));
    TRY(state_tags(state, SPAN(NULL, 0), hash_tag, &all));
    TRY(hash_keys(&all, &state->keys));
    hash_end(&all.hash, hash);
    return ERR_NONE;
}
