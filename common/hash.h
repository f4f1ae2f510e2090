/* hash.h - the hashes and checksums of the project. */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include "common/bytes.h"

enum { HASH_SIZE = 32, HASH_KEY_SIZE = 16 };

enum { HASH_GATHER = 256 };

/* BLAKE2b-256 (RFC 7693) over parts, one after the other. Small ones are gathered first: each call
 * of the library costs, whatever it brings. */
struct hash_state {
    _Alignas(64) uint8_t opaque[384];
    uint8_t gathered[HASH_GATHER];
    size_t size;
};

void hash_begin(struct hash_state *state);
void hash_add(struct hash_state *state, struct span part);
void hash_add_u64(struct hash_state *state, uint64_t number);    /* 8 bytes, little-endian */
void hash_add_sized(struct hash_state *state, struct span part); /* length first: no ambiguity */
void hash_end(struct hash_state *state, uint8_t hash[HASH_SIZE]);

/* SipHash-2-4: a fingerprint that an attacker who lacks the key cannot collide. */
uint64_t hash_keyed(const uint8_t key[HASH_KEY_SIZE], struct span part);

/* SipHash-2-4 under a fixed key: tells the bodies of one txid apart. Whoever makes two bodies
 * collide deceives nobody but himself: he gets the first one's outcome for the second. */
uint64_t hash_short(struct span part);

/* CRC-32C (Castagnoli), by instruction where the processor has it. */
uint32_t hash_crc32c(uint32_t crc, struct span part);

#endif
