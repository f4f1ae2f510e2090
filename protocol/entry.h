/* entry.h - one record of the log, format v1: a fixed header, then the body.
 *
 * Numbers are little-endian. The record is the same bytes in the log of every
 * node, on every wire between our processes, and in a snapshot.
 *
 *  at size                          at size
 *   0  1  version (1)               40  8  born
 *   1  1  kind                      48  8  only_in_term
 *   2  1  flags                     56  8  deadline
 *   3  1  clock error
 *   4  4  crc32c (with crc = 0)     64 16  txid
 *   8  4  body size                 80 16  writer (key id, zeros: none)
 *  12  4  change count              96 32  log hash
 *  16  8  index                    128     body
 *  24  8  term
 *  32  8  ts
 *
 * log hash = BLAKE2b-256(previous log hash, the record with crc and hash zeroed).
 * clock error: 0 not known; n: when the leader stamped ts, the true time was less than 2^n ns away.
 * A proposal is a record whose index, term, ts, hash are zero: the leader stamps it.
 * What a body means is not known here: see change.h. */
#ifndef PROTOCOL_ENTRY_H
#define PROTOCOL_ENTRY_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"

enum {
    ENTRY_VERSION = 1,
    ENTRY_HEADER_SIZE = 128,
    ENTRY_BODY_MAX = 4 << 20,
    ENTRY_SIZE_MAX = ENTRY_HEADER_SIZE + ENTRY_BODY_MAX,
};

enum entry_kind {
    ENTRY_DATA = 1,     /* a put: 1..n changes */
    ENTRY_NOOP = 2,     /* first entry of a term, but in term of the founding */
    ENTRY_FOUNDING = 3, /* record 1: cluster id, history, voters (consensus/bootstrap.h); later ones
                           begin a new history (storage/refound.h) */
    ENTRY_CONFIG = 4,   /* members */
    ENTRY_CUT = 6,      /* changes below an id are gone (storage/retention.h) */
    ENTRY_SETTINGS = 7, /* settings of the cluster (settings.h) */
    ENTRY_IMPORT =
        9, /* a put of changes that keep the id, time and hash they were given elsewhere */
    ENTRY_HOLDER = 10, /* who needs changes from an id on (holders.h) */
    ENTRY_RULE = 11,   /* what holds for the changes of a tag (rules.h) */
};

/* Does it come from a client, and end in an outcome of its txid? */
static inline bool entry_is_ask(enum entry_kind kind)
{
    return kind == ENTRY_DATA || kind == ENTRY_IMPORT || kind == ENTRY_SETTINGS ||
           kind == ENTRY_HOLDER || kind == ENTRY_RULE;
}

/* Does it carry changes of a client? */
static inline bool entry_is_write(enum entry_kind kind)
{
    return kind == ENTRY_DATA || kind == ENTRY_IMPORT;
}

struct entry {
    enum entry_kind kind;
    uint8_t flags, clock_error;
    uint32_t change_count;
    uint64_t index, term, ts, born, only_in_term, deadline;
    uint8_t txid[16], writer[16];
    uint8_t hash[HASH_SIZE];
    struct span body; /* lent */
};

/* Appends the record to `out`. crc and hash are written as entry_stamp would leave
 * them only after entry_stamp; a proposal needs none. */
void entry_encode(const struct entry *entry, struct bytes *out);

/* Size of the first record in `records`, 0 if they are too short or it claims too much. */
size_t entry_size(struct span records);

/* Reads the first record; its body is lent.
 * ERR_BAD_MESSAGE: too short, a wrong size.  ERR_VERSION: a version that is not known. */
MUST_USE enum err entry_decode(struct span records, struct entry *entry);

/* Walks records: takes the first one off `*rest`. Returns false at the end or on
 * a broken record; then rest->size tells which (0: the end). */
bool entry_next(struct span *rest, struct span *record);

/* Checks that `records` are whole records and counts them.
 * ERR_BAD_MESSAGE: a rest that is no record. */
MUST_USE enum err entry_count(struct span records, uint32_t *count);

/* Fast looks into a record of at least ENTRY_HEADER_SIZE bytes. */
static inline uint8_t entry_kind_of(struct span record)
{
    return record.data[1];
}
static inline uint64_t entry_index_of(struct span record)
{
    return load_u64(record.data + 16);
}
static inline uint64_t entry_term_of(struct span record)
{
    return load_u64(record.data + 24);
}
static inline uint64_t entry_ts_of(struct span record)
{
    return load_u64(record.data + 32);
}
static inline const uint8_t *entry_txid_of(struct span record)
{
    return record.data + 64;
}
static inline const uint8_t *entry_hash_of(struct span record)
{
    return record.data + 96;
}

/* The leader gives a record its place: writes index, term, ts, log hash and crc. */
void entry_stamp(uint8_t *record, uint64_t index, uint64_t term, uint64_t ts,
                 const uint8_t previous_hash[HASH_SIZE]);

/* Before the stamp: how far ts may be from the true time; 0: not known. */
void entry_set_clock_error(uint8_t *record, uint64_t error_ns);

/* The bound of a clock error, in ns; 0: not known. */
uint64_t entry_clock_error_ns(uint8_t clock_error);

/* True if the crc is right (S6). */
bool entry_intact(struct span record);

/* True if the log hash follows from the previous one (I7). */
bool entry_follows(struct span record, const uint8_t previous_hash[HASH_SIZE]);

#endif
