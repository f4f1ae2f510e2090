/* change.h - what clients write: the body of a put, and one change as a row.
 *
 * A body is a msgpack map {"changes": [{…}, …]} as the client encoded it. Each
 * change is a map; every field is optional:
 *   type     integer >= 0, default 0       key      text, at most 1024 bytes
 *   tags     array of texts                headers  map text -> text
 *   ctype    content type, text            data     bin or text, default empty
 *   delete   bool: the key is gone from the collection; goes with a key only
 * An unknown key is refused: a body is read by every later version.
 * A change that is imported has its place as well: id, ts (integers above 0), and hash (bin 32),
 * as another log gave them; all three, and only in an import (entry.h). */
#ifndef PROTOCOL_CHANGE_H
#define PROTOCOL_CHANGE_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"
#include "protocol/message.h"

enum { CHANGES_MAX = 1024, CHANGE_TAGS_MAX = TEXTS_MAX, CHANGE_KEY_MAX = 1024 };

/* Limits of replicated state; the same on every node. */
struct change_limits {
    uint32_t change_bytes_max, body_bytes_max;
    uint32_t tags_max, tag_bytes_max;
    uint32_t changes_max;
};

extern const struct change_limits change_limits_default; /* 1 MiB, 4 MiB, 64, 256, 1024 */

/* One change; spans lent from the body. */
struct change {
    uint64_t type;
    bool has_key, removes;
    struct span key, ctype, data;
    struct span headers; /* a msgpack map; empty span if there is none */
    struct texts tags;   /* repeated tags are folded */
    uint64_t id, ts;     /* of an imported change; else 0 */
    struct span hash;    /* of an imported change; else empty */
    uint64_t size;       /* in a row without data: how much there is */
};

/* What every put of this kind of entry must look like. */
enum change_form { CHANGE_PUT, CHANGE_IMPORT };

/* Checks a body as a whole and counts its changes. Errors, each final for the txid:
 * ERR_BAD_REQUEST, ERR_LIMIT, ERR_RESERVED_TYPE, ERR_UNSUPPORTED (unknown key).
 * `detail` (may be NULL) lends a constant sentence on the error. */
MUST_USE enum err change_body_check(struct span body, enum change_form form,
                                    const struct change_limits *limits, uint32_t *count,
                                    const char **detail);

/* The same, and gives the last change: of a body of one, which most are, there is no more to read.
 */
MUST_USE enum err change_body_read(struct span body, enum change_form form,
                                   const struct change_limits *limits, uint32_t *count,
                                   struct change *last);

/* The time of a change whose entry bears `ts`: its own where it was imported. */
static inline uint64_t change_ts(const struct change *change, uint64_t ts)
{
    return change->ts != 0 ? change->ts : ts;
}

/* Walks the changes of a body that change_body_check accepted:
 * begin, then next until it returns false. */
struct change_walk {
    struct span rest;
    uint32_t left;
};
void change_walk_begin(struct change_walk *walk, struct span body);
bool change_walk_next(struct change_walk *walk, struct change *change);

/* Encodes a body of changes: begin with the count, then each change, with what is known of its
 * place. */
void change_body_begin(struct bytes *out, uint32_t count);
void change_body_add(struct bytes *out, const struct change *change);

/* Change hash = BLAKE2b-256(previous, id, ts, type, key, tags, headers, content type, data);
 * texts and lists are preceded by their length. `hash` may be the same array as `previous`. */
void change_hash(const uint8_t previous[HASH_SIZE], uint64_t id, uint64_t ts,
                 const struct change *change, uint8_t hash[HASH_SIZE]);

/* Appends the row clients see: map {id, ts, type, key, tags, headers, ctype, data, hash}
 * (key, delete, headers, ctype only where present). The bare one has `size` in place of data. */
void change_row_encode(uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                       const struct change *change, struct bytes *out);

void change_row_encode_bare(uint64_t id, uint64_t ts, const uint8_t hash[HASH_SIZE],
                            const struct change *change, struct bytes *out);

/* Reads such a row. ERR_BAD_MESSAGE: it is none. */
MUST_USE enum err change_row_decode(struct span row, uint64_t *id, uint64_t *ts, struct span *hash,
                                    struct change *change);

#endif
