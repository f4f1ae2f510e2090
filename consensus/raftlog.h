/* raftlog.h - the log as the core knows it: terms of all that may still conflict, and
 * the bytes of a recent tail.
 *
 * Records lie in a chunked arena and are copied once, when they arrive. What is
 * older than the tail is fetched from storage by the caller. Nothing here knows
 * what is committed or durable. Zeroed, then raftlog_reset, is an empty log. */
#ifndef CONSENSUS_RAFTLOG_H
#define CONSENSUS_RAFTLOG_H

#include "common/bytes.h"
#include "common/hash.h"

enum { RAFTLOG_CHUNK = 4 << 20, RAFTLOG_RUNS_MAX = 4096 };

struct raftlog_chunk;

/* Where one held record lies; `end` counts all bytes ever appended, up to its end. */
struct raftlog_slot {
    uint8_t *at;
    uint64_t end;
    uint32_t size;
};

/* Entries from `first` on, up to the next run, are of `term`. */
struct raftlog_run {
    uint64_t first, term;
};

struct raftlog {
    uint64_t last;       /* 0: empty */
    uint64_t held;       /* first index whose bytes are here; last + 1 if none */
    uint64_t known_from; /* lowest index whose term is known; 0 is of term 0 */
    uint64_t last_ts;
    bool has_hash; /* last_hash is that of the entry at `last` */
    uint8_t last_hash[HASH_SIZE];
    struct raftlog_run *runs;
    uint32_t run_count, run_room;
    struct raftlog_slot *slots; /* a ring, by index */
    uint64_t slot_room, end;
    struct raftlog_chunk *oldest, *newest, *spare;
};

void raftlog_close(struct raftlog *log);

/* Forgets everything; the next entry is index + 1. */
void raftlog_reset(struct raftlog *log, uint64_t index);

/* Appends a stamped record: its index must be last + 1, its term not below the last one. */
void raftlog_append(struct raftlog *log, struct span record);

/* Appends a proposal and stamps it. `error_ns`: how far ts may be from the true time; 0: not known.
 */
void raftlog_propose(struct raftlog *log, struct span record, uint64_t term, uint64_t ts,
                     uint64_t error_ns);

/* Like append, but keeps only what is to be known of it, not the bytes. None may be held. */
void raftlog_skip(struct raftlog *log, struct span record);

/* Removes everything behind `index`, which is at least known_from - 1. */
void raftlog_truncate(struct raftlog *log, uint64_t index);

/* Drops held bytes from the front, up to `upto`, while more than bytes_max are held. */
void raftlog_evict(struct raftlog *log, uint64_t upto, uint64_t bytes_max);

bool raftlog_knows(const struct raftlog *log, uint64_t index);    /* its term is known */
uint64_t raftlog_term(const struct raftlog *log, uint64_t index); /* of a known index */
uint64_t raftlog_last_term(const struct raftlog *log);

/* The highest known index up to `index` whose term is at most `term`; known_from - 1, or 0,
 * if there is none. */
uint64_t raftlog_find(const struct raftlog *log, uint64_t index, uint64_t term);

/* Bytes of the entries first..last; UINT64_MAX if some of them are not held. */
uint64_t raftlog_bytes(const struct raftlog *log, uint64_t first, uint64_t last);
uint64_t raftlog_held_bytes(const struct raftlog *log);

/* Lends a held record. */
struct span raftlog_record(const struct raftlog *log, uint64_t index);

/* Lends held records from `first` on, at most bytes_max but at least one, until the log
 * changes; `*last` is the last one's index. Uses `scratch` where they do not lie in one piece. */
struct span raftlog_records(const struct raftlog *log, uint64_t first, uint64_t bytes_max,
                            struct bytes *scratch, uint64_t *last);

#endif
