/* flush.h - what is applied and waits to be written to state.db, by the thousand.
 *
 * Outcomes are rows in log order; of a tag only what changed since the last
 * flush is kept, so each tag is written once however often it was used. */
#ifndef STORAGE_FLUSH_H
#define STORAGE_FLUSH_H

#include "storage/collection.h"
#include "storage/state.h"
#include "storage/told.h"

/* Rows of state.db: of tags and of keys. Outcomes are packed, and cost little. */
enum { FLUSH_ROWS = 8192, FLUSH_OUTCOMES = 1 << 20, FLUSH_BYTES = 16 << 20, FLUSH_MS = 500 };

struct flush {
    uint8_t key[HASH_KEY_SIZE];
    struct bytes outcomes; /* array of struct outcome */
    struct bytes configs;  /* records */
    struct tagmap tags;
    struct state_tag *changed; /* by number of the tag */
    uint32_t changed_room;
    struct collection collection; /* keys */
    struct apply_mark at;         /* behind all that was added */
    uint64_t newest;              /* log index of the newest outcome */
    uint32_t rows;                /* of tags and keys, so far */
    size_t bytes;                 /* of the bodies that went by */
    bool waiting;                 /* something was added since the last write */
};

void flush_open(struct flush *flush, const uint8_t key[HASH_KEY_SIZE], const struct apply_mark *at);
void flush_close(struct flush *flush);

/* One effect; its changes are to follow. That of a duplicate bears the index of its first outcome,
 * which was here before: false, it adds nothing. */
MUST_USE bool flush_add(struct flush *flush, const struct effect *effect);
void flush_take(struct flush *flush, const struct told *told);

void flush_add_config(struct flush *flush, struct span record);
void flush_mark(struct flush *flush, const struct apply_mark *at);

bool flush_full(const struct flush *flush);

/* Writes all of it in one transaction and forgets it. On an error the node stops. */
MUST_USE enum err flush_write(struct flush *flush, struct state *state, uint64_t keep_index);

/* What is known of a tag: in state.db, and here. */
MUST_USE enum err flush_tag(const struct flush *flush, struct state *state, struct span tag,
                            struct state_tag *out);

#endif
