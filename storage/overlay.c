#include "storage/overlay.h"

#include <assert.h>

static void make_room(struct overlay *overlay)
{
    size_t count = overlay_count(overlay);
    if (overlay->first > count) {
        memmove(overlay->rows, overlay->rows + overlay->first, count * sizeof *overlay->rows);
    } else {
        overlay->room = overlay->room ? overlay->room * 2 : 1024;
        struct outcome *rows = bytes_zeroed(overlay->room, sizeof *rows);
        if (count > 0)
            memcpy(rows, overlay->rows + overlay->first, count * sizeof *rows);
        bytes_free(overlay->rows);
        overlay->rows = rows;
    }
    overlay->first = 0;
    overlay->end = count;
}

/* The first row whose index is at least `index`. */
static size_t lower_bound(const struct overlay *overlay, uint64_t index)
{
    size_t low = overlay->first, high = overlay->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (overlay->rows[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void overlay_close(struct overlay *overlay)
{
    bytes_free(overlay->rows);
    *overlay = (struct overlay){0};
}

void overlay_add(struct overlay *overlay, const struct outcome *outcome)
{
    assert(overlay_count(overlay) == 0 || overlay->rows[overlay->end - 1].index < outcome->index);
    if (overlay->end == overlay->room)
        make_room(overlay);
    overlay->rows[overlay->end++] = *outcome;
}

enum err overlay_note(struct overlay *overlay, struct span effects, uint64_t index)
{
    struct effect effect;
    while (effect_next(&effects, &effect)) {
        if (!overlay_is_outcome(&effect, index))
            continue;
        struct outcome outcome = overlay_outcome(&effect);
        overlay_add(overlay, &outcome);
    }
    return effects.size == 0 ? ERR_NONE : ERR_CORRUPT;
}

const struct outcome *overlay_find(const struct overlay *overlay, uint64_t index)
{
    size_t at = lower_bound(overlay, index);
    return at < overlay->end && overlay->rows[at].index == index ? &overlay->rows[at] : NULL;
}

void overlay_drop(struct overlay *overlay, uint64_t index)
{
    overlay->first = lower_bound(overlay, index + 1);
}

size_t overlay_count(const struct overlay *overlay)
{
    return overlay->end - overlay->first;
}

struct effect overlay_effect(const struct outcome *outcome)
{
    struct effect effect = {
        .err = outcome->err,
        .change_count = (uint16_t)outcome->change_count,
        .index = outcome->index,
        .first_id = outcome->first_id,
        .last_id = outcome->change_count ? outcome->first_id + outcome->change_count - 1 : 0,
        .ts = outcome->ts,
        .body_hash = outcome->body_hash,
    };
    memcpy(effect.txid, outcome->txid, sizeof effect.txid);
    return effect;
}

struct outcome overlay_outcome(const struct effect *effect)
{
    struct outcome outcome = {
        .index = effect->index,
        .first_id = effect->first_id,
        .ts = effect->ts,
        .body_hash = effect->body_hash,
        .change_count = effect->change_count,
        .err = effect->err,
    };
    memcpy(outcome.txid, effect->txid, sizeof outcome.txid);
    return outcome;
}
