/* memory.c - outcomes and tags from state.db into the tables of apply. */
#include "storage/memory.h"

#include "common/log.h"
#include "storage/doubt.h"

#include <limits.h>
#include <stdio.h>

enum { TOGETHER = 64 };

struct loading {
    struct apply *apply;
    struct outcome_key rows[TOGETHER];
    uint32_t count;
};

static void add_rows(struct loading *loading)
{
    outcomes_add_all(&loading->apply->outcomes, loading->rows, loading->count);
    loading->count = 0;
}

static enum err load_outcome(void *owner, const struct outcome *outcome)
{
    struct loading *loading = owner;
    struct apply *apply = loading->apply;
    if (outcome->ts < apply->at.floor)
        return ERR_NONE;
    if (outcomes_count(&apply->outcomes) == 0 && loading->count == 0)
        outcomes_expect(&apply->outcomes, apply->at.index - outcome->index + 1);
    loading->rows[loading->count++] = (struct outcome_key){
        outcomes_print(&apply->outcomes, outcome->txid), outcome->index, outcome->ts};
    if (loading->count == TOGETHER)
        add_rows(loading);
    return ERR_NONE;
}

static enum err load_tag(void *owner, struct span tag, const struct state_tag *known)
{
    apply_set_head(owner, tag, known->last);
    return ERR_NONE;
}

static enum err load(struct state *state, struct apply *apply)
{
    struct loading loading = {.apply = apply};
    TRY(state_mark(state, &apply->at));
    apply_settle(apply);
    TRY(state_outcomes(state, 0, load_outcome, &loading));
    add_rows(&loading);
    return state_tags(state, SPAN(NULL, 0), load_tag, apply);
}

enum err memory_load(const char *home, struct state *state, struct apply *apply)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/state.db", home) >= PATH_MAX)
        return ERR_CONFIG;
    TRY(state_open_reader(state, path));
    enum err err = load(state, apply);
    if (err == ERR_CORRUPT) { /* keeper makes it anew at the next start */
        TRY(doubt_state(path));
        return ERR_IO;
    }
    TRY(err);
    log_info(
        "state_loaded", kv_u64("applied", apply->at.index), kv_u64("last_id", apply->at.last_id),
        kv_u64("outcomes", outcomes_count(&apply->outcomes)), kv_u64("tags", apply->tags.count));
    return ERR_NONE;
}
