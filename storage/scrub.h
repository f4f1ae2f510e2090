/* scrub.h - reads everything this node has stored, again and again, and finds what no longer is
 * what was written: sealed files by their digest, indexes, rows of the unsealed log and of the
 * state by their checksums (S6).
 *
 * One small slice at a time, seldom enough that nobody waits for it. What is to be done about a
 * finding is decided in keeper.h. */
#ifndef STORAGE_SCRUB_H
#define STORAGE_SCRUB_H

#include "storage/filedigest.h"
#include "storage/shelf.h"
#include "storage/state.h"

enum {
    SCRUB_EVERY_MS = 50,   /* between two slices */
    SCRUB_REST_MS = 60000, /* between two passes */
};

enum scrub_finding {
    SCRUB_FINE,
    SCRUB_SEGMENT, /* a sealed file: can be mended */
    SCRUB_INDEX,   /* the .index beside one */
    SCRUB_TIMES,   /* only what it says of times, which it can be without */
    SCRUB_LOG,     /* the part of the log that is still written */
    SCRUB_STATE,   /* state.db */
};

enum scrub_phase { SCRUB_AT_PART, SCRUB_AT_FILE, SCRUB_AT_ROWS, SCRUB_AT_OUTCOMES, SCRUB_AT_TAGS };

struct scrub {
    enum scrub_phase phase;
    uint64_t part;  /* log index where the part in work, or the next one, begins */
    uint64_t index; /* next row of the log, or of the outcomes */
    struct bytes tag, rows;
    struct filedigest digest;
    uint64_t due_ms;
    uint32_t hurries;                /* passes to go without a pause: a reader met damage */
    uint64_t passes, slices, damage; /* counters */
};

void scrub_close(struct scrub *scrub);

/* A reader met damage somewhere: look at all of it, now. */
void scrub_hurry(struct scrub *scrub);

bool scrub_due(const struct scrub *scrub, uint64_t now_ms);

/* One slice. A finding comes with the part it is in (NULL for SCRUB_STATE); the pass goes on behind
 * it. ERR_IO: the disk refused. */
MUST_USE enum err scrub_step(struct scrub *scrub, struct shelf *shelf, struct state *state,
                             uint64_t now_ms, enum scrub_finding *finding,
                             struct shelf_part **part);

#endif
