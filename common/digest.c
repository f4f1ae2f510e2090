/* digest.c - xxHash, compiled in from its header: no library to load at run time. */
#include "common/digest.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(XXH3_state_t) <= sizeof(((struct digest_state *)0)->opaque), "state fits");
_Static_assert(_Alignof(XXH3_state_t) <= 64, "state is aligned");
_Static_assert(sizeof(XXH128_canonical_t) == DIGEST_SIZE, "digest size");

static XXH3_state_t *inner(struct digest_state *state)
{
    return (XXH3_state_t *)(void *)state->opaque;
}

void digest_begin(struct digest_state *state, size_t size)
{
    assert(size == DIGEST_SIZE || size == HASH_SIZE);
    state->size = size;
    if (size == HASH_SIZE)
        hash_begin(&state->hash);
    else
        XXH3_128bits_reset(inner(state));
}

void digest_add(struct digest_state *state, struct span part)
{
    if (state->size == HASH_SIZE)
        hash_add(&state->hash, part);
    else
        XXH3_128bits_update(inner(state), part.data, part.size);
}

void digest_end(struct digest_state *state, struct digest *digest)
{
    XXH128_canonical_t canonical;
    *digest = (struct digest){.size = (uint8_t)state->size};
    if (state->size == HASH_SIZE) {
        hash_end(&state->hash, digest->bytes);
        return;
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(inner(state)));
    memcpy(digest->bytes, canonical.digest, DIGEST_SIZE);
}

struct digest digest_of(struct span bytes, size_t size)
{
    struct digest_state state;
    struct digest digest;
    digest_begin(&state, size);
    digest_add(&state, bytes);
    digest_end(&state, &digest);
    return digest;
}

bool digest_set(struct digest *digest, struct span bytes)
{
    *digest = (struct digest){0};
    if (bytes.size != DIGEST_SIZE && bytes.size != HASH_SIZE)
        return false;
    digest->size = (uint8_t)bytes.size;
    memcpy(digest->bytes, bytes.data, bytes.size);
    return true;
}

bool digest_fits(struct span digest, struct span bytes)
{
    struct digest wanted;
    if (!digest_set(&wanted, digest))
        return false;
    struct digest found = digest_of(bytes, wanted.size);
    return digest_equal(&wanted, &found);
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return span_equal(digest_span(a), digest_span(b));
}

struct span digest_span(const struct digest *digest)
{
    return SPAN(digest->bytes, digest->size);
}
