/* digest.h - tells whether bytes are still those that were written: files, and slices of them.
 *
 * XXH3-128 (the specification of xxHash, section XXH3), as `xxh128sum` gives it. It finds what
 * accidents do, at the speed of memory; whoever may change a file on purpose may change its digest
 * too. What nobody may forge is chained by BLAKE2b (hash.h). Builds before index version 3 noted a
 * BLAKE2b-256: such a digest is longer, and is still checked. */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/hash.h"

enum { DIGEST_SIZE = 16, DIGEST_SIZE_MAX = HASH_SIZE };

struct digest {
    uint8_t size; /* DIGEST_SIZE; HASH_SIZE: BLAKE2b-256; 0: none */
    uint8_t bytes[DIGEST_SIZE_MAX];
};

struct digest_state {
    size_t size;
    union {
        _Alignas(64) uint8_t opaque[576];
        struct hash_state hash;
    };
};

/* Begins a digest of `size` bytes: DIGEST_SIZE, or that of the one to compare it with. */
void digest_begin(struct digest_state *state, size_t size);
void digest_add(struct digest_state *state, struct span part);
void digest_end(struct digest_state *state, struct digest *digest);

/* Of one run of bytes. */
struct digest digest_of(struct span bytes, size_t size);

/* Takes what came from outside or from a file. False: neither of the two sizes. */
bool digest_set(struct digest *digest, struct span bytes);

/* True: `digest` is that of these bytes. False also where there is none. */
bool digest_fits(struct span digest, struct span bytes);

bool digest_equal(const struct digest *a, const struct digest *b);

struct span digest_span(const struct digest *digest);

#endif
