#include "storage/flush.h"

#include "common/worker.h"

static void use_tag(struct flush *flush, struct span tag, uint64_t id)
{
    uint32_t known = flush->tags.count;
    uint32_t number = tagmap_add(&flush->tags, tag);
    if (number >= flush->changed_room) {
        flush->changed_room = flush->changed_room ? flush->changed_room * 2 : 64;
        flush->changed = bytes_resize(flush->changed, flush->changed_room, sizeof *flush->changed);
    }
    struct state_tag *changed = &flush->changed[number];
    if (number == known) {
        *changed = (struct state_tag){.first = id};
        flush->rows++;
    }
    changed->last = id;
    changed->count++;
}

static enum err write_configs(struct flush *flush, struct state *state)
{
    struct span rest = bytes_span(&flush->configs), record;
    while (entry_next(&rest, &record))
        TRY(state_add_config(state, entry_index_of(record), record));
    return rest.size == 0 ? ERR_NONE : ERR_CORRUPT;
}

static enum err write_rows(struct flush *flush, struct state *state)
{
    struct outcome outcome;
    for (size_t at = 0; at < flush->outcomes.size; at += sizeof outcome) {
        memcpy(&outcome, flush->outcomes.data + at, sizeof outcome);
        TRY(state_add_outcome(state, &outcome));
        if (at / sizeof outcome % GIVE_WAY_ROWS == 0)
            worker_give_way();
    }
    for (uint32_t number = 0; number < flush->tags.count; number++) {
        TRY(state_add_tag(state, tagmap_text(&flush->tags, number), &flush->changed[number]));
        if (number % GIVE_WAY_ROWS == 0)
            worker_give_way();
    }
    TRY(collection_write(&flush->collection, &state->keys));
    return write_configs(flush, state);
}

static void forget(struct flush *flush)
{
    bytes_clear(&flush->outcomes);
    bytes_clear(&flush->configs);
    collection_forget(&flush->collection, flush->key);
    tagmap_close(&flush->tags);
    memcpy(flush->tags.key, flush->key, HASH_KEY_SIZE);
    flush->rows = 0;
    flush->bytes = 0;
    flush->waiting = false;
}

void flush_open(struct flush *flush, const uint8_t key[HASH_KEY_SIZE], const struct apply_mark *at)
{
    memcpy(flush->key, key, HASH_KEY_SIZE);
    forget(flush);
    flush->at = *at;
    flush->newest = at->index;
}

void flush_close(struct flush *flush)
{
    bytes_close(&flush->outcomes);
    bytes_close(&flush->configs);
    tagmap_close(&flush->tags);
    collection_close(&flush->collection);
    bytes_free(flush->changed);
    *flush = (struct flush){0};
}

bool flush_add(struct flush *flush, const struct effect *effect)
{
    if (effect->index <= flush->newest || !overlay_is_outcome(effect, effect->index))
        return false;
    flush->newest = effect->index;
    struct outcome outcome = overlay_outcome(effect);
    bytes_append(&flush->outcomes, &outcome, sizeof outcome);
    flush->bytes += effect->body.size;
    return true;
}

void flush_take(struct flush *flush, const struct told *told)
{
    const struct change *change = &told->change;
    for (uint32_t i = 0; i < change->tags.count; i++)
        use_tag(flush, change->tags.at[i], told->id);
    if (!change->has_key)
        return;
    collection_use(&flush->collection, change, told->id, told->ts, told->link.hash);
    flush->rows++;
}

void flush_add_config(struct flush *flush, struct span record)
{
    bytes_append_span(&flush->configs, record);
}

void flush_mark(struct flush *flush, const struct apply_mark *at)
{
    flush->at = *at;
    flush->waiting = true;
}

bool flush_full(const struct flush *flush)
{
    return flush->rows >= FLUSH_ROWS || flush->outcomes.size >= FLUSH_OUTCOMES ||
           flush->bytes >= FLUSH_BYTES;
}

enum err flush_write(struct flush *flush, struct state *state, uint64_t keep_index)
{
    TRY(state_begin(state));
    TRY(write_rows(flush, state));
    TRY(state_end(state, &flush->at, keep_index));
    forget(flush);
    return ERR_NONE;
}

enum err flush_tag(const struct flush *flush, struct state *state, struct span tag,
                   struct state_tag *out)
{
    TRY(state_tag(state, tag, out));
    uint32_t number = tagmap_find(&flush->tags, tag);
    if (number == TAGMAP_NONE)
        return ERR_NONE;
    const struct state_tag *changed = &flush->changed[number];
    if (out->count == 0)
        out->first = changed->first;
    out->last = changed->last;
    out->count += changed->count;
    return ERR_NONE;
}
