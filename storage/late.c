#include "storage/late.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/doubt.h"
#include "storage/rebuild.h"

#include <limits.h>
#include <stdio.h>

/* Outcomes from here on are needed to build the index of what is not sealed yet. */
static uint64_t keep_index(struct shelf *shelf)
{
    const struct shelf_part *open = shelf_oldest_open(shelf);
    return open != NULL ? open->first : shelf->applied + 1;
}

static enum err open_state(struct late *late, const char *path, const struct storage_found *found,
                           struct apply_mark *mark)
{
    if (doubt_is_there(path))
        return ERR_CORRUPT;
    TRY(state_open(&late->state, path));
    TRY(state_mark(&late->state, mark));
    return mark->index > found->last_index ? ERR_CORRUPT : ERR_NONE;
}

/* A state that is damaged, or was found to disagree with the log, goes: the log makes it anew. If
 * that was cut, the next start does without one, and waits for a snapshot. */
static enum err make_anew(struct late *late, const char *home, const char *path,
                          const struct storage_found *found, struct apply_mark *mark)
{
    if (found->first_index > 1) {
        TRY(doubt_state(path));
        return ERR_IO;
    }
    log_warn("state_made_anew", kv_text("path", path));
    state_close(&late->state);
    TRY(state_remove(path));
    TRY(store_sync_directory(home));
    return open_state(late, path, found, mark);
}

enum err late_open(struct late *late, const char *home, const struct storage_found *found)
{
    char path[PATH_MAX];
    uint8_t key[HASH_KEY_SIZE];
    struct apply_mark mark = apply_begin();
    if (snprintf(path, sizeof path, "%s/state.db", home) >= PATH_MAX)
        return ERR_CONFIG;
    late->lost = found->state_lost;
    late->written = late->durable = found->applied_index;
    if (late->lost)
        return ERR_NONE;
    enum err err = open_state(late, path, found, &mark);
    if (err == ERR_CORRUPT)
        err = make_anew(late, home, path, found, &mark);
    TRY(err);
    chance_fill(key, sizeof key);
    flush_open(&late->flush, key, &mark);
    late->written = mark.index;
    late->durable = 0;
    late->written_at = mark;
    return ERR_NONE;
}

enum err late_join(struct late *late, struct shelf *shelf, const struct storage_found *found)
{
    TRY(shelf_open(shelf, found));
    if (late->lost)
        return ERR_NONE;
    enum err err = rebuild_shelf(shelf, &late->state, &late->written_at);
    if (err == ERR_CORRUPT) {
        TRY(doubt_state(late->state.store.path));
        return ERR_IO;
    }
    TRY(err);
    late->flushed_ms = clock_now_ms();
    return late_checkpoint(late, late->flushed_ms);
}

void late_close(struct late *late)
{
    flush_close(&late->flush);
    state_close(&late->state);
    *late = (struct late){0};
}

static enum err take_changes(struct late *late, struct shelf *shelf, const struct effect *effect,
                             bool fresh)
{
    struct tagindex *index;
    struct told told;
    TRY(shelf_begin_changes(shelf, effect, &index));
    told_begin(&told, effect);
    while (told_next(&told)) {
        if (fresh)
            flush_take(&late->flush, &told);
        shelf_add_change(shelf, index, &told);
    }
    return told_end(&told);
}

enum err late_take(struct late *late, struct shelf *shelf, struct span effects)
{
    struct effect effect;
    while (effect_next(&effects, &effect)) {
        bool fresh = flush_add(&late->flush, &effect);
        if (apply_is_commit(&effect))
            TRY(take_changes(late, shelf, &effect, fresh));
    }
    return effects.size == 0 ? ERR_NONE : ERR_CORRUPT;
}

bool late_flush_due(const struct late *late, uint64_t now_ms)
{
    return flush_full(&late->flush) ||
           (late->flush.waiting && now_ms - late->flushed_ms >= FLUSH_MS);
}

enum err late_flush(struct late *late, struct shelf *shelf, uint64_t now_ms)
{
    if (!late->flush.waiting)
        return ERR_NONE;
    TRY(flush_write(&late->flush, &late->state, keep_index(shelf)));
    late->written = late->flush.at.index;
    late->written_at = late->flush.at;
    late->flushed_ms = now_ms;
    late->flushes++;
    return ERR_NONE;
}

bool late_checkpoint_due(const struct late *late, struct shelf *shelf, uint64_t now_ms)
{
    if (late->durable >= late->written || now_ms < late->not_before_ms)
        return false;
    const struct shelf_part *open = shelf_oldest_open(shelf);
    bool segment_waits = open != NULL && open->last <= late->written && open->last > late->durable;
    return segment_waits || now_ms - late->checkpoint_ms >= LATE_CHECKPOINT_MS;
}

enum err late_checkpoint(struct late *late, uint64_t now_ms)
{
    struct apply_mark mark;
    enum err err = store_checkpoint(&late->state.store);
    if (err == ERR_BUSY || err == ERR_LOCKED) {
        late->not_before_ms = now_ms + LATE_RETRY_MS;
        return ERR_NONE;
    }
    TRY(err);
    TRY(state_mark(&late->state, &mark)); /* only what is read back is believed */
    late->durable = mark.index;
    late->durable_at = mark;
    late->checkpoint_ms = now_ms;
    late->checkpoints++;
    return ERR_NONE;
}
