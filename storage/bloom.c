#include "storage/bloom.h"

#include "common/hash.h"

enum { BITS_PER_TAG = 10, PROBES = 7 };

/* The key is constant, so that the same tags give the same file everywhere. */
static const uint8_t key[HASH_KEY_SIZE];

static uint64_t bit_of(uint64_t print, uint32_t probe, uint64_t bits)
{
    uint64_t step = (print >> 32) | 1;
    return (print + probe * step) % bits;
}

void bloom_begin(struct bytes *bloom, uint32_t tag_count)
{
    size_t size = ((size_t)tag_count * BITS_PER_TAG + 63) / 64 * 8 + 8;
    bytes_clear(bloom);
    memset(bytes_reserve(bloom, size), 0, size);
    bloom->size = size;
}

void bloom_add(struct bytes *bloom, struct span tag)
{
    uint64_t print = hash_keyed(key, tag);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint64_t bit = bit_of(print, probe, bloom->size * 8);
        bloom->data[bit / 8] |= (uint8_t)(1u << (bit % 8));
    }
}

bool bloom_has(struct span bloom, struct span tag)
{
    if (bloom.size == 0)
        return true;
    uint64_t print = hash_keyed(key, tag);
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        uint64_t bit = bit_of(print, probe, bloom.size * 8);
        if ((bloom.data[bit / 8] & (1u << (bit % 8))) == 0)
            return false;
    }
    return true;
}
