/* told.h - PURE: an effect change by change: what was written, and where it stands in the log.
 *
 * Whoever keeps something of each change reads it from here, so that a body is read once for all
 * of them. */
#ifndef STORAGE_TOLD_H
#define STORAGE_TOLD_H

#include "protocol/change.h"
#include "protocol/effect.h"

struct told {
    uint64_t id, ts;         /* of the change at hand */
    struct effect_link link; /* lent */
    struct change change;    /* lent from the body */
    const struct effect *effect;
    struct span links; /* of the changes behind it */
    struct change_walk walk;
    bool broken;
};

/* The effect is of a commit (apply_is_commit), and stays where it is. */
void told_begin(struct told *told, const struct effect *effect);

/* The next change. False: there is none, or the parts of the effect do not agree. */
bool told_next(struct told *told);

/* Behind the last change: ERR_CORRUPT: ids, links and body are not of the same number. */
MUST_USE enum err told_end(const struct told *told);

#endif
