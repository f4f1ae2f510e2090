#include "storage/hints.h"

#include <stdio.h>
#include <unistd.h>

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = bytes_zeroed(1, size);
    memcpy(copy, text, size);
    return copy;
}

static void drop_index(struct hints *hints)
{
    if (hints->loaded != 0)
        tagindex_close(&hints->index);
    hints->loaded = 0;
}

void hints_close(struct hints *hints)
{
    drop_index(hints);
    for (uint32_t i = 0; i < hints->count; i++) {
        bytes_free(hints->seals[i].path);
        seal_close(&hints->seals[i].seal);
    }
    bytes_free(hints->seals);
    state_close(&hints->state);
    bytes_free(hints->home);
    *hints = (struct hints){0};
}

void hints_add_seal(struct hints *hints, const char *segment_path)
{
    struct seal seal = {0};
    if (seal_read(segment_path, &seal) != ERR_NONE) {
        seal_close(&seal);
        return;
    }
    hints->seals = bytes_resize(hints->seals, hints->count + 1, sizeof *hints->seals);
    hints->seals[hints->count++] = (struct hint_seal){copy_text(segment_path), seal};
}

void hints_add_state(struct hints *hints, const char *home)
{
    struct state state = {0};
    struct apply_mark mark;
    char path[4096];
    snprintf(path, sizeof path, "%s/state.db", home);
    bool fine = access(path, F_OK) == 0 && state_open_reader(&state, path) == ERR_NONE &&
                state_mark(&state, &mark) == ERR_NONE && mark.index > hints->mark.index;
    if (!fine) {
        state_close(&state);
        return;
    }
    state_close(&hints->state);
    bytes_free(hints->home);
    hints->state = state;
    hints->mark = mark;
    hints->home = copy_text(home);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static enum err load_index(const struct hint_seal *of, struct tagindex *index)
{
    SCOPED(sealread) read = {0};
    TRY(sealread_open(&read, of->path, &of->seal));
    return sealread_load(&read, index);
}

static bool load(struct hints *hints, uint32_t slot)
{
    if (hints->loaded == slot + 1)
        return true;
    drop_index(hints);
    hints->loaded = slot + 1;
    if (load_index(&hints->seals[slot], &hints->index) == ERR_NONE)
        return true;
    drop_index(hints);
    hints->seals[slot].seal.last_index = 0; /* its summary is whole, the rest is not */
    hints->seals[slot].seal.next_id = hints->seals[slot].seal.first_id;
    return false;
}

static enum hint_verdict find_run(const struct tagindex *index, uint64_t log_index, uint64_t *id)
{
    uint32_t low = 0, high = index->run_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->runs[middle].index < log_index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == index->run_count || index->runs[low].index != log_index)
        return HINT_NOTHING;
    *id = index->runs[low].id;
    return HINT_PLACED;
}

enum hint_verdict hints_find(struct hints *hints, uint64_t log_index, uint64_t *id)
{
    struct outcome outcome;
    for (uint32_t slot = 0; slot < hints->count; slot++) {
        const struct seal *seal = &hints->seals[slot].seal;
        if (seal->first_index <= log_index && log_index <= seal->last_index && load(hints, slot))
            return find_run(&hints->index, log_index, id);
    }
    if (hints->home == NULL || log_index > hints->mark.index ||
        state_outcome(&hints->state, log_index, &outcome) != ERR_NONE)
        return HINT_UNKNOWN;
    *id = outcome.first_id;
    return outcome.err == ERR_NONE ? HINT_PLACED : HINT_NOTHING;
}

bool hints_hash(struct hints *hints, uint64_t id, uint8_t hash[HASH_SIZE])
{
    if (id == 0) {
        memset(hash, 0, HASH_SIZE);
        return true;
    }
    for (uint32_t slot = 0; slot < hints->count; slot++) {
        const struct seal *seal = &hints->seals[slot].seal;
        bool here = seal->first_id <= id + 1 && id < seal->next_id;
        if (here && load(hints, slot)) {
            memcpy(hash, tagindex_hash(&hints->index, id), HASH_SIZE);
            return true;
        }
    }
    if (hints->home == NULL || id != hints->mark.last_id)
        return false;
    memcpy(hash, hints->mark.hash, HASH_SIZE);
    return true;
}
