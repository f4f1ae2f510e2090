/* backlog.h - PURE: what is stored and not applied, and how far it may be applied.
 *
 * Entries that arrived in this life are in memory; those found at the start are
 * on disk, and their terms are asked for. A pair (index, term) vouches for an
 * entry only if the stored one bears that term; nothing is applied beyond the
 * highest entry a pair has vouched for. */
#ifndef STORAGE_BACKLOG_H
#define STORAGE_BACKLOG_H

#include "common/bytes.h"
#include "common/err.h"

enum { BACKLOG_PAIRS_MAX = 64 };

struct backlog_pair {
    uint64_t index, term;
};

struct backlog_place {
    struct blob *blob;
    uint32_t at, size;
};

struct backlog {
    uint64_t applied;
    uint64_t disk_last; /* up to here entries are on disk only */
    uint64_t first;     /* index of the first place; those behind follow */
    struct backlog_place *ring;
    uint32_t ring_size, begin, count;
    size_t bytes;                                 /* of the records in memory */
    struct backlog_pair pairs[BACKLOG_PAIRS_MAX]; /* rising */
    uint32_t pair_count;
};

/* The term of an entry that is on disk. */
struct backlog_source {
    enum err (*term)(void *owner, uint64_t index, uint64_t *term);
    void *owner;
};

/* The log ends at `last`; all of it is on disk. */
void backlog_open(struct backlog *backlog, uint64_t last);
void backlog_close(struct backlog *backlog);

uint64_t backlog_last(const struct backlog *backlog);

/* Durable records from index `first` on; what was known at `first` and above is replaced.
 * Holds the blob. ERR_CORRUPT: an applied entry would be replaced, or a hole left. */
MUST_USE enum err backlog_store(struct backlog *backlog, struct blob *records, uint64_t first);

/* The entry at `index` is committed, if it bears this term. */
void backlog_vouch(struct backlog *backlog, uint64_t index, uint64_t term);

/* How far may be applied; backlog->applied if nothing new is vouched for. */
MUST_USE enum err backlog_target(struct backlog *backlog, const struct backlog_source *source,
                                 uint64_t *target);

/* A pair is left: its entry is not here yet, or is still to be replaced. */
bool backlog_is_hungry(const struct backlog *backlog);

/* Lends the record at `index`, if it is in memory. */
bool backlog_record(const struct backlog *backlog, uint64_t index, struct span *record);

/* Everything up to `index` is applied: records and pairs up to there are forgotten. */
void backlog_applied(struct backlog *backlog, uint64_t index);

#endif
