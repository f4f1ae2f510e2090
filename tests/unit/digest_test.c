/* digest_test.c - the digest is that of the specification, however the bytes come. */
#include "common/digest.h"
#include "tests/unit/test.h"

enum { SIZE = 5000 };

static uint8_t whole[SIZE];

static struct span fill(void)
{
    for (size_t i = 0; i < SIZE; i++)
        whole[i] = (uint8_t)(i * 7 + i / 256);
    return SPAN(whole, SIZE);
}

/* As xxh128sum prints them. */
TEST(the_digest_is_that_of_the_specification)
{
    static const uint8_t empty[DIGEST_SIZE] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                               0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    static const uint8_t zeros[DIGEST_SIZE] = {0xe1, 0xf8, 0x76, 0x36, 0x4c, 0x6f, 0xec, 0x62,
                                               0x31, 0x5c, 0x72, 0xa6, 0x4b, 0x7d, 0xf4, 0xd2};
    static const uint8_t many[100000];
    CHECK(digest_fits(SPAN(empty, DIGEST_SIZE), SPAN("", 0)));
    CHECK(digest_fits(SPAN(zeros, DIGEST_SIZE), SPAN(many, sizeof many)));
    CHECK(!digest_fits(SPAN(zeros, DIGEST_SIZE), SPAN(many, sizeof many - 1)));
}

TEST(parts_of_any_size_give_the_digest_of_the_whole)
{
    const size_t sizes[] = {DIGEST_SIZE, HASH_SIZE};
    struct span all = fill();
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct digest wanted = digest_of(all, sizes[i]), found;
        for (size_t step = 1; step < SIZE; step += 97) {
            struct digest_state state;
            digest_begin(&state, sizes[i]);
            for (size_t at = 0; at < SIZE; at += step)
                digest_add(&state, SPAN(whole + at, step < SIZE - at ? step : SIZE - at));
            digest_end(&state, &found);
            CHECK(digest_equal(&found, &wanted));
        }
    }
}

/* What earlier builds have noted. */
TEST(the_longer_one_is_blake2b)
{
    uint8_t hash[HASH_SIZE];
    struct hash_state state;
    hash_begin(&state);
    hash_add(&state, fill());
    hash_end(&state, hash);
    CHECK(digest_fits(SPAN(hash, HASH_SIZE), fill()));
    CHECK(!digest_fits(SPAN(hash, DIGEST_SIZE), fill()));
}

TEST(each_bit_counts)
{
    const size_t sizes[] = {DIGEST_SIZE, HASH_SIZE};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct digest digest = digest_of(fill(), sizes[i]);
        for (size_t at = 0; at < SIZE; at += 61) {
            fill();
            whole[at] ^= 1;
            CHECK(!digest_fits(digest_span(&digest), SPAN(whole, SIZE)));
        }
    }
}

TEST(what_is_no_digest_fits_nothing)
{
    struct digest digest;
    struct span all = fill();
    for (size_t size = 0; size <= 40; size++) {
        bool is_one = size == DIGEST_SIZE || size == HASH_SIZE;
        CHECK(digest_set(&digest, SPAN(whole, size)) == is_one);
        CHECK(digest.size == (is_one ? size : 0));
        CHECK(!digest_fits(SPAN(whole, size), all));
    }
}

TEST_MAIN(T(the_digest_is_that_of_the_specification),
          T(parts_of_any_size_give_the_digest_of_the_whole), T(the_longer_one_is_blake2b),
          T(each_bit_counts), T(what_is_no_digest_fits_nothing))
