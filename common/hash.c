/* hash.c - libsodium's BLAKE2b and SipHash; CRC-32C by instruction or by table. */
#include "common/hash.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hash_state), "state fits");
_Static_assert(crypto_shorthash_KEYBYTES == HASH_KEY_SIZE, "key size");

static crypto_generichash_state *inner(struct hash_state *state)
{
    return (crypto_generichash_state *)(void *)state->opaque;
}

void hash_begin(struct hash_state *state)
{
    crypto_generichash_init(inner(state), NULL, 0, HASH_SIZE);
    state->size = 0;
}

static void hand_on(struct hash_state *state)
{
    crypto_generichash_update(inner(state), state->gathered, state->size);
    state->size = 0;
}

void hash_add(struct hash_state *state, struct span part)
{
    if (part.size > HASH_GATHER - state->size)
        hand_on(state);
    if (part.size > HASH_GATHER) {
        crypto_generichash_update(inner(state), part.data, part.size);
        return;
    }
    if (part.size > 0)
        memcpy(state->gathered + state->size, part.data, part.size);
    state->size += part.size;
}

void hash_add_u64(struct hash_state *state, uint64_t number)
{
    hash_add(state, SPAN(&number, sizeof number));
}

void hash_add_sized(struct hash_state *state, struct span part)
{
    hash_add_u64(state, part.size);
    hash_add(state, part);
}

void hash_end(struct hash_state *state, uint8_t hash[HASH_SIZE])
{
    hand_on(state);
    crypto_generichash_final(inner(state), hash, HASH_SIZE);
}

uint64_t hash_keyed(const uint8_t key[HASH_KEY_SIZE], struct span part)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, part.data, part.size, key);
    return load_u64(out);
}

uint64_t hash_short(struct span part)
{
    static const uint8_t key[HASH_KEY_SIZE] = "changeagent body";
    return hash_keyed(key, part);
}

static uint32_t crc_by_bits(uint32_t crc, struct span part)
{
    for (size_t i = 0; i < part.size; i++) {
        crc ^= part.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, struct span part)
{
    uint64_t wide = crc;
    size_t i = 0;
    for (; i + 8 <= part.size; i += 8)
        wide = __builtin_ia32_crc32di(wide, load_u64(part.data + i));
    crc = (uint32_t)wide;
    for (; i < part.size; i++)
        crc = __builtin_ia32_crc32qi(crc, part.data[i]);
    return crc;
}
#endif

uint32_t hash_crc32c(uint32_t crc, struct span part)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_by_instruction(~crc, part);
#endif
    return ~crc_by_bits(~crc, part);
}
