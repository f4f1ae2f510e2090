/* late.h - state.db is written late: when a flush is due, when a checkpoint, and what is durable.
 *
 * Written means that a reader finds it; durable means that a completed, synced
 * checkpoint was read back. Where the log is cut into files is asked of shelf. */
#ifndef STORAGE_LATE_H
#define STORAGE_LATE_H

#include "storage/flush.h"
#include "storage/shelf.h"

enum { LATE_CHECKPOINT_MS = 30000, LATE_RETRY_MS = 100 };

struct late {
    bool lost; /* there is no state, and none can be made here: nothing is applied or read */
    struct state state;
    struct flush flush;
    uint64_t written, durable;          /* log indexes */
    uint64_t flushed_ms, checkpoint_ms; /* when the last ones were */
    uint64_t not_before_ms;             /* a reader was in the way of a checkpoint */
    struct apply_mark written_at, durable_at;
    uint64_t flushes, checkpoints; /* counters */
};

/* Opens state.db, which is made anew where it is damaged and the log can do that, or is lost.
 * ERR_IO: it is, but only now that is known: the next start will say so. */
MUST_USE enum err late_open(struct late *late, const char *home, const struct storage_found *found);
/* Opens the shelf on what recovery found; both agree when this returns. ERR_IO: they did not, and
 * the next start makes the state anew. */
MUST_USE enum err late_join(struct late *late, struct shelf *shelf,
                            const struct storage_found *found);
void late_close(struct late *late);

/* Takes in what was applied: rows of state.db that are written later, and the index of the part it
 * is in. ERR_CORRUPT: it does not follow, or its parts do not agree. */
MUST_USE enum err late_take(struct late *late, struct shelf *shelf, struct span effects);

bool late_flush_due(const struct late *late, uint64_t now_ms);
/* Writes all that waits. On an error the node stops. */
MUST_USE enum err late_flush(struct late *late, struct shelf *shelf, uint64_t now_ms);

/* A whole segment waits for it, or there was news for a while. */
bool late_checkpoint_due(const struct late *late, struct shelf *shelf, uint64_t now_ms);
/* Moves late->durable, unless a reader is in the way: later then. */
MUST_USE enum err late_checkpoint(struct late *late, uint64_t now_ms);

#endif
