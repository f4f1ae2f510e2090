/* hash_test.c - a hash over parts is the hash of the whole, however it is cut. */
#include "common/hash.h"
#include "tests/unit/test.h"

enum { SIZE = 3 * HASH_GATHER + 17 };

static uint8_t whole[SIZE];

static void hash_cut(size_t first, size_t second, uint8_t hash[HASH_SIZE])
{
    struct hash_state state;
    hash_begin(&state);
    hash_add(&state, SPAN(whole, first));
    hash_add(&state, SPAN(whole + first, second));
    hash_add(&state, SPAN(whole + first + second, SIZE - first - second));
    hash_end(&state, hash);
}

TEST(parts_of_any_size_give_the_hash_of_the_whole)
{
    uint8_t wanted[HASH_SIZE], hash[HASH_SIZE];
    for (size_t i = 0; i < SIZE; i++)
        whole[i] = (uint8_t)(i * 7 + i / 256);
    hash_cut(0, 0, wanted);
    for (size_t first = 0; first < SIZE; first += 13)
        for (size_t second = 0; first + second <= SIZE; second += 11) {
            hash_cut(first, second, hash);
            CHECK(memcmp(hash, wanted, HASH_SIZE) == 0);
        }
}

/* BLAKE2b-256 of "abc", as any other tool gives it. */
TEST(the_hash_is_that_of_the_standard)
{
    static const uint8_t wanted[HASH_SIZE] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72,
                                              0x31, 0x71, 0xef, 0x3f, 0xee, 0x98, 0x57, 0x9b,
                                              0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb, 0x3e, 0x42,
                                              0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    uint8_t hash[HASH_SIZE];
    struct hash_state state;
    hash_begin(&state);
    for (const char *at = "abc"; *at != '\0'; at++)
        hash_add(&state, SPAN(at, 1));
    hash_end(&state, hash);
    CHECK(memcmp(hash, wanted, HASH_SIZE) == 0);
}

TEST_MAIN(T(parts_of_any_size_give_the_hash_of_the_whole), T(the_hash_is_that_of_the_standard))
