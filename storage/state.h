/* state.h - state.db: what apply made of the log, written late.
 *
 * One row says where the state stands, outcomes are rows in log order (statepacks.h), tags are
 * rows by name; all of one flush is one transaction, so the applied index never
 * lies (I20). It may be lost in a power cut, never torn: the log rebuilds it.
 * Every row carries a checksum (S6). Keeper writes, view reads beside it. */
#ifndef STORAGE_STATE_H
#define STORAGE_STATE_H

#include "storage/apply.h"
#include "storage/statekeys.h"
#include "storage/statepacks.h"
#include "storage/store.h"

extern const struct schema state_schema;

struct state {
    struct store store;
    struct statekeys keys;
    struct statepacks packs;
    sqlite3_stmt *read_mark, *write_mark, *read_tag, *change_tag, *add_tag, *add_config;
};

/* What is known of one tag. */
struct state_tag {
    uint64_t first, last, count; /* change ids; zeros: never used */
};

/* The one writer; makes the file where missing.
 * ERR_CORRUPT, ERR_VERSION, ERR_IO: as store_open. */
MUST_USE enum err state_open(struct state *state, const char *path);
MUST_USE enum err state_open_reader(struct state *state, const char *path);
void state_close(struct state *state);

/* Removes the file with its -wal and -shm: it is to be rebuilt from the log. */
MUST_USE enum err state_remove(const char *path);

/* Where the state in the file at `path` stands; with any error that of an empty log.
 * ERR_NOT_FOUND: there is no file.  Others: state_open. */
MUST_USE enum err state_look(const char *path, struct apply_mark *mark);

/* Where the state stands; that of apply_begin in a fresh file. ERR_CORRUPT. ERR_VERSION: a feature
 * level above what this version knows was switched on. */
MUST_USE enum err state_mark(struct state *state, struct apply_mark *mark);

/* A flush: begin, rows, end. On an error before the end the caller stops the node. */
MUST_USE enum err state_begin(struct state *state);
MUST_USE enum err state_add_outcome(struct state *state, const struct outcome *outcome);
/* `more` is the first and last id of these uses and their count. */
MUST_USE enum err state_add_tag(struct state *state, struct span tag, const struct state_tag *more);
MUST_USE enum err state_add_config(struct state *state, uint64_t index, struct span record);
/* Writes the mark, drops outcomes below the floor and below `keep_index`, commits. */
MUST_USE enum err state_end(struct state *state, const struct apply_mark *mark,
                            uint64_t keep_index);

/* ERR_NOT_FOUND: no outcome stands there.  ERR_CORRUPT. */
MUST_USE enum err state_outcome(struct state *state, uint64_t index, struct outcome *out);

/* Zeros if the tag was never used.  ERR_CORRUPT. */
MUST_USE enum err state_tag(struct state *state, struct span tag, struct state_tag *out);

/* Walks all outcomes from log index `from` on, or all tags behind `after` in the order of their
 * bytes. Ends with the first error of `each`. */
typedef statepacks_each_outcome state_each_outcome;
typedef enum err state_each_tag(void *owner, struct span tag, const struct state_tag *known);
MUST_USE enum err state_outcomes(struct state *state, uint64_t from, state_each_outcome *each,
                                 void *owner);
MUST_USE enum err state_tags(struct state *state, struct span after, state_each_tag *each,
                             void *owner);

#endif
