/* effect.h - what applying one entry did, as storage tells it to api.
 *
 *  at size                             at size
 *   0  4  size of the whole effect     40  8  short hash of the body
 *   4  2  0 committed, else enum err   48 16  txid
 *   6  2  change count                 64  4  size of the links that follow:
 *   8  8  log index                           per change: hash 32, tag count 2, previous id of
 *  16  8  first change id                     each tag 8 (in the order of its folded tags)
 *  24  8  ts                                  then the body (may be absent: outcomes)
 *  32  8  last change id
 *
 * Both ends run the same build, so enum err travels as a number here only. */
#ifndef PROTOCOL_EFFECT_H
#define PROTOCOL_EFFECT_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"

enum { EFFECT_HEADER_SIZE = 64 };

struct effect {
    enum err err; /* ERR_NONE: committed */
    uint16_t change_count;
    uint64_t index, first_id, last_id, ts, body_hash;
    uint8_t txid[16];
    struct span links; /* lent: the per-change part; empty in an outcome */
    struct span body;  /* lent */
};

/* One change's part of `links`. */
struct effect_link {
    const uint8_t *hash; /* lent, HASH_SIZE */
    uint16_t tag_count;
    const uint8_t *previous; /* lent: tag_count numbers of 8 bytes; read with load_u64 */
};

void effect_link_append(struct bytes *links, const uint8_t hash[HASH_SIZE],
                        const uint64_t *previous, uint16_t tag_count);
bool effect_link_next(struct span *links, struct effect_link *link);

/* Appends these effects without their changes: of the links only the last, which bears the hash
 * that an answer tells. False on broken bytes. */
MUST_USE bool effect_thin(struct span effects, struct bytes *out);

void effect_encode(const struct effect *effect, struct bytes *out);

/* Takes the first effect off `*rest`. False at the end, or on broken bytes with rest->size > 0. */
bool effect_next(struct span *rest, struct effect *effect);

#endif
