/* hints.h - where the changes of a log entry stood, as the files beside the log remember it.
 *
 * For salvage, where entries before it are missing and apply cannot tell: the .index beside each
 * sealed segment, and the outcomes in state.db. Both are believed by their checksums only. */
#ifndef STORAGE_HINTS_H
#define STORAGE_HINTS_H

#include "storage/memory.h"
#include "storage/sealread.h"
#include "storage/state.h"

struct hints {
    struct hint_seal {
        char *path;
        struct seal seal;
    } * seals;
    uint32_t count;
    uint32_t loaded; /* slot + 1 of the seal whose index is here; 0: none */
    struct tagindex index;
    char *home; /* of the state that has applied most; NULL: none */
    struct state state;
    struct apply_mark mark;
};

enum hint_verdict {
    HINT_PLACED,  /* *id is that of its first change */
    HINT_NOTHING, /* it had no effect: refused, or a copy */
    HINT_UNKNOWN,
};

void hints_close(struct hints *hints);

/* The .index beside a segment, if it can be read. */
void hints_add_seal(struct hints *hints, const char *segment_path);
/* The state.db of a directory, if it can be read and has applied more than the one before. */
void hints_add_state(struct hints *hints, const char *home);

enum hint_verdict hints_find(struct hints *hints, uint64_t log_index, uint64_t *id);

/* The change hash at an id; false: not known. */
bool hints_hash(struct hints *hints, uint64_t id, uint8_t hash[HASH_SIZE]);

#endif
