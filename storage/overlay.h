/* overlay.h - outcomes that are applied and not yet written to state.db.
 *
 * Bounded by the distance between view and keeper; in log order. */
#ifndef STORAGE_OVERLAY_H
#define STORAGE_OVERLAY_H

#include "common/bytes.h"
#include "common/err.h"
#include "protocol/effect.h"

/* What became of one write. */
struct outcome {
    uint64_t index, first_id, ts, body_hash;
    uint32_t change_count; /* 0 with an error */
    enum err err;          /* ERR_NONE: committed */
    uint8_t txid[16];
};

struct overlay {
    struct outcome *rows;
    size_t first, end, room;
};

void overlay_close(struct overlay *overlay);

/* Adds the newest outcome; its index is above all others. */
void overlay_add(struct overlay *overlay, const struct outcome *outcome);

/* True if an effect of the entry at `index` adds a row to the outcomes. */
static inline bool overlay_is_outcome(const struct effect *effect, uint64_t index)
{
    return effect->index == index && effect->err != ERR_TXID_REUSED &&
           effect->err != ERR_OUTCOME_EXPIRED;
}

/* Adds those that stand in the effects of the entry at `index`. ERR_CORRUPT: they are broken. */
MUST_USE enum err overlay_note(struct overlay *overlay, struct span effects, uint64_t index);

/* Lends the outcome of the entry at `index` until the next change; NULL: it is not here. */
const struct outcome *overlay_find(const struct overlay *overlay, uint64_t index);

/* Forgets all up to `index`: they can be read from state.db now. */
void overlay_drop(struct overlay *overlay, uint64_t index);

size_t overlay_count(const struct overlay *overlay);

/* The outcome as an effect without changes and body, and back. */
struct effect overlay_effect(const struct outcome *outcome);
struct outcome overlay_outcome(const struct effect *effect);

#endif
