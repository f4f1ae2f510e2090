/* bytes_test.c - what waits to be sent is moved seldom, whatever the size of what leaves. */
#include "common/bytes.h"
#include "common/err.h"
#include "tests/unit/test.h"

enum { SIZE = 4 << 20 };

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 7 + place / 4096);
}

static void fill(struct bytes *bytes)
{
    uint8_t *at = bytes_reserve(bytes, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        at[i] = byte_at(i);
    bytes->size = SIZE;
}

/* Sends all of it in pieces, each of which is what should come next. Returns the bytes moved. */
static size_t send_all(struct bytes *bytes, size_t piece)
{
    size_t moved = 0, gone = 0, done = 0;
    while (bytes->size > 0) {
        size_t left = bytes->size - gone, step = piece < left ? piece : left;
        CHECK(bytes->data[gone] == byte_at(done));
        CHECK(bytes->data[gone + step - 1] == byte_at(done + step - 1));
        gone += step;
        done += step;
        bytes_drop(bytes, &gone);
        moved += gone == 0 ? bytes->size : 0;
    }
    CHECK(done == SIZE && gone == 0);
    return moved;
}

TEST(each_byte_that_waits_is_moved_once)
{
    static const size_t pieces[] = {4096, 65536, 212992, SIZE / 2 + 1, SIZE};
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        SCOPED(bytes) bytes = {0};
        fill(&bytes);
        CHECK(send_all(&bytes, pieces[i]) <= SIZE);
        CHECK(bytes.room == 0); /* so much is not kept */
    }
}

TEST(little_room_is_kept)
{
    SCOPED(bytes) bytes = {0};
    size_t gone = 3;
    bytes_append(&bytes, "abcdef", 6);
    bytes_drop(&bytes, &gone);
    CHECK(gone == 3 && bytes.size == 6); /* too little for a move */
    gone = 6;
    bytes_drop(&bytes, &gone);
    CHECK(gone == 0 && bytes.size == 0 && bytes.room > 0);
}

TEST_MAIN(T(each_byte_that_waits_is_moved_once), T(little_room_is_kept))
