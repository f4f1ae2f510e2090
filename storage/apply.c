#include "storage/apply.h"

#include "storage/retention.h"

#include <assert.h>

/* The number of a tag, with room for its head. */
static uint32_t tag_number(struct apply *apply, struct span tag)
{
    uint32_t number = tagmap_add(&apply->tags, tag);
    if (number >= apply->head_room) {
        uint32_t room = apply->head_room ? apply->head_room * 2 : 64;
        apply->heads = bytes_resize(apply->heads, room, sizeof *apply->heads);
        memset(apply->heads + apply->head_room, 0,
               (room - apply->head_room) * sizeof *apply->heads);
        apply->head_room = room;
    }
    return number;
}

/* Gives one change its id and its hash, and appends both links to `links`. */
static void apply_change(struct apply *apply, const struct change *change, uint64_t ts,
                         struct bytes *links)
{
    uint64_t id = ++apply->at.last_id;
    uint64_t previous[CHANGE_TAGS_MAX];
    assert(change->tags.count <= CHANGE_TAGS_MAX);
    apply->at.change_ts = change_ts(change, ts);
    change_hash(apply->at.hash, id, apply->at.change_ts, change, apply->at.hash);
    for (uint32_t i = 0; i < change->tags.count; i++) {
        uint32_t number = tag_number(apply, change->tags.at[i]);
        previous[i] = apply->heads[number];
        apply->heads[number] = id;
    }
    effect_link_append(links, apply->at.hash, previous, (uint16_t)change->tags.count);
}

static void apply_each(struct apply *apply, const struct entry *entry, struct bytes *links)
{
    struct change_walk walk;
    struct change change;
    change_walk_begin(&walk, entry->body);
    while (change_walk_next(&walk, &change))
        apply_change(apply, &change, entry->ts, links);
}

static void apply_changes(struct apply *apply, const struct entry *entry, uint32_t count,
                          const struct change *last, struct effect *effect, struct bytes *effects)
{
    struct bytes links = {0};
    effect->first_id = apply->at.last_id + 1;
    effect->change_count = (uint16_t)count;
    effect->body = entry->body;
    if (count == 1)
        apply_change(apply, last, entry->ts, &links);
    else
        apply_each(apply, entry, &links);
    effect->last_id = apply->at.last_id;
    assert(effect->last_id - effect->first_id + 1 == count);
    effect->links = bytes_span(&links);
    effect_encode(effect, effects);
    bytes_close(&links);
}

/* Imported changes go on where the log ends, by id and by hash, and their times neither fall nor
 * lie ahead of the entry that brings them: so time rises with the ids, also afterwards. */
static enum err check_import(const struct apply *apply, const struct entry *entry)
{
    uint64_t id = apply->at.last_id, ts = apply->at.change_ts;
    uint8_t hash[HASH_SIZE];
    struct change_walk walk;
    struct change change;
    memcpy(hash, apply->at.hash, sizeof hash);
    change_walk_begin(&walk, entry->body);
    while (change_walk_next(&walk, &change)) {
        if (change.id != ++id || change.ts < ts || change.ts > entry->ts)
            return ERR_IMPORT;
        change_hash(hash, id, ts = change.ts, &change, hash);
        if (!span_equal(change.hash, SPAN(hash, sizeof hash)))
            return ERR_IMPORT;
    }
    return ERR_NONE;
}

/* What this version does not know is refused the same everywhere, before the body is read. */
static enum err check_write(const struct apply *apply, const struct entry *entry, uint32_t *count,
                            struct change *last)
{
    if (entry->flags != 0 || entry->only_in_term != 0 || entry->deadline != 0)
        return ERR_UNSUPPORTED;
    enum change_form form = entry->kind == ENTRY_IMPORT ? CHANGE_IMPORT : CHANGE_PUT;
    enum err err = change_body_read(entry->body, form, &apply->limits, count, last);
    if (err == ERR_NONE && *count == 0)
        return ERR_BAD_REQUEST;
    return err == ERR_NONE && form == CHANGE_IMPORT ? check_import(apply, entry) : err;
}

/* Those of records called for are known. */
static uint64_t print_of(const struct apply *apply, const uint8_t txid[TXID_SIZE])
{
    for (size_t i = 0; i < COUNT_OF(apply->called); i++) {
        const struct apply_called *called = &apply->called[i];
        if (called->set && memcmp(called->txid, txid, TXID_SIZE) == 0)
            return called->print;
    }
    return outcomes_print(&apply->outcomes, txid);
}

static void remember(struct apply *apply, const struct entry *entry)
{
    uint64_t print = print_of(apply, entry->txid);
    outcomes_add(&apply->outcomes, print, entry->index, entry->ts);
    apply->at.floor = outcomes_expire(&apply->outcomes, apply->at.floor, entry->ts);
}

/* A txid that was never seen: its first outcome, for ever. */
static void apply_new(struct apply *apply, const struct entry *entry, struct effect *effect,
                      struct bytes *effects)
{
    uint32_t count = 0;
    struct change last;
    effect->err = check_write(apply, entry, &count, &last);
    if (effect->err == ERR_NONE)
        apply_changes(apply, entry, count, &last, effect, effects);
    else
        effect_encode(effect, effects);
    remember(apply, entry);
}

/* The txid has an outcome: told again, or refused to another body. No row changes. */
static void apply_again(const struct outcome *first, struct effect *effect, struct bytes *effects)
{
    if (first->body_hash == effect->body_hash)
        *effect = overlay_effect(first);
    else
        effect->err = ERR_TXID_REUSED;
    effect_encode(effect, effects);
}

static enum err agree(struct apply_mark *at, const struct entry *entry)
{
    const struct holders_log log = {entry->ts, at->first_id, at->last_id};
    if (entry->flags != 0 || entry->only_in_term != 0 || entry->deadline != 0)
        return ERR_UNSUPPORTED;
    if (entry->kind == ENTRY_HOLDER)
        return holders_change(&at->holders, entry->body, &log);
    if (entry->kind == ENTRY_RULE)
        return rules_change(&at->rules, entry->body);
    return settings_merge(&at->settings, entry->body, NULL);
}

/* Settings, holders and rules are asks like a put, and change no id. */
static void apply_settings(struct apply *apply, const struct entry *entry, struct effect *effect,
                           struct bytes *effects)
{
    effect->err = agree(&apply->at, entry);
    if (effect->err == ERR_NONE) {
        apply->at.settings_index = entry->index;
        apply_settle(apply);
    }
    effect_encode(effect, effects);
    remember(apply, entry);
}

static enum err apply_write(struct apply *apply, const struct entry *entry,
                            const struct apply_source *source, struct bytes *effects)
{
    struct effect effect = {
        .index = entry->index,
        .ts = entry->ts,
        .body_hash = hash_short(entry->body),
    };
    struct outcome first;
    memcpy(effect.txid, entry->txid, sizeof effect.txid);
    if (entry->kind == ENTRY_SETTINGS && settings_level_in(entry->body) > SETTINGS_FEATURE_LEVEL)
        return ERR_VERSION; /* from here on entries may mean what this version does not know */
    enum err err = apply_outcome(apply, entry->txid, source, &first);
    if (err == ERR_NONE) {
        apply_again(&first, &effect, effects);
    } else if (err != ERR_NOT_FOUND) {
        return err;
    } else if (entry->born == 0 || entry->born < apply->at.floor) {
        effect.err = ERR_OUTCOME_EXPIRED;
        effect_encode(&effect, effects);
    } else if (!entry_is_write(entry->kind)) {
        apply_settings(apply, entry, &effect, effects);
    } else {
        apply_new(apply, entry, &effect, effects);
    }
    return ERR_NONE;
}

/* Record 1: from here on the log has a name. A later one begins a new history of the same cluster:
 * ids, hashes and outcomes go on, and no cursor of before is one of now. */
static enum err apply_founding(struct apply *apply, const struct entry *entry)
{
    struct apply_mark *at = &apply->at;
    if (entry->body.size < sizeof at->cluster + sizeof(uint64_t))
        return ERR_CORRUPT;
    uint64_t history = load_u64(entry->body.data + sizeof at->cluster);
    bool same = memcmp(at->cluster, entry->body.data, sizeof at->cluster) == 0;
    if (at->founded && (!same || history == at->history))
        return ERR_CORRUPT;
    if (at->founded) {
        at->parent = at->history;
        at->fork_id = at->last_id;
    }
    memcpy(at->cluster, entry->body.data, sizeof at->cluster);
    at->history = history;
    at->founded = true;
    return ERR_NONE;
}

/* A cut was decided somewhere else a while ago: it only ever raises what is cut, cuts nothing that
 * is not there, and is void when settings, holders or rules were changed meanwhile. Who needed what
 * goes, because its time was over or the disk came first, is no holder any more. A body that is
 * none does nothing. */
static void apply_cut(struct apply *apply, const struct entry *entry)
{
    struct retention_cut cut;
    struct apply_mark *at = &apply->at;
    if (retention_decode(entry->body, &cut) != ERR_NONE ||
        cut.settings_index != at->settings_index || cut.first_id > at->last_id + 1 ||
        cut.keep_index > entry->index)
        return;
    if (cut.keep_index > at->keep_index)
        at->keep_index = cut.keep_index;
    if (cut.first_id <= at->first_id)
        return;
    at->first_id = cut.first_id;
    holders_cut(&at->holders, cut.first_id);
    memcpy(at->cut_hash, cut.hash, HASH_SIZE);
}

void apply_open(struct apply *apply, const uint8_t key[HASH_KEY_SIZE])
{
    apply->at = apply_begin();
    apply_settle(apply);
    outcomes_open(&apply->outcomes, key);
    memcpy(apply->tags.key, key, HASH_KEY_SIZE);
}

void apply_close(struct apply *apply)
{
    outcomes_close(&apply->outcomes);
    tagmap_close(&apply->tags);
    bytes_free(apply->heads);
    *apply = (struct apply){0};
}

struct apply_mark apply_begin(void)
{
    return (struct apply_mark){.first_id = 1, .settings = settings_preset};
}

void apply_settle(struct apply *apply)
{
    apply->limits = settings_limits(&apply->at.settings);
}

void apply_set_head(struct apply *apply, struct span tag, uint64_t id)
{
    uint32_t number = tag_number(apply, tag); /* may move the heads */
    apply->heads[number] = id;
}

enum err apply_entry(struct apply *apply, const struct entry *entry,
                     const struct apply_source *source, struct bytes *effects)
{
    if (entry->index != apply->at.index + 1)
        return ERR_GAP;
    apply->at.floor = outcomes_expire(&apply->outcomes, apply->at.floor, entry->ts);
    switch (entry->kind) {
    case ENTRY_DATA:
    case ENTRY_IMPORT:
    case ENTRY_SETTINGS:
    case ENTRY_HOLDER:
    case ENTRY_RULE:
        TRY(apply_write(apply, entry, source, effects));
        break;
    case ENTRY_NOOP:
        break;
    case ENTRY_FOUNDING:
        TRY(apply_founding(apply, entry));
        break;
    case ENTRY_CONFIG:
        break;
    case ENTRY_CUT:
        apply_cut(apply, entry);
        break;
    default:
        return ERR_VERSION;
    }
    apply->at.index = entry->index;
    apply->at.term = entry->term;
    apply->at.ts = entry->ts;
    return ERR_NONE;
}

void apply_call_for(struct apply *apply, struct span record)
{
    struct apply_called *called = &apply->called[entry_index_of(record) % COUNT_OF(apply->called)];
    memcpy(called->txid, entry_txid_of(record), TXID_SIZE);
    called->print = outcomes_print(&apply->outcomes, called->txid);
    called->set = true;
    outcomes_call_for(&apply->outcomes, called->print);
}

enum err apply_outcome(const struct apply *apply, const uint8_t txid[TXID_SIZE],
                       const struct apply_source *source, struct outcome *out)
{
    uint64_t print = print_of(apply, txid), index;
    uint32_t cursor = 0;
    while (outcomes_next(&apply->outcomes, print, &cursor, &index)) {
        TRY(source->outcome(source->owner, index, out));
        if (memcmp(out->txid, txid, sizeof out->txid) == 0)
            return ERR_NONE;
    }
    return ERR_NOT_FOUND;
}
