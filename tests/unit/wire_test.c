/* wire_test.c - hostile and honest msgpack. */
#include "protocol/wire.h"

#include "tests/unit/test.h"

#define BYTES(...) SPAN(((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__}))

TEST(a_five_byte_array_bomb_is_refused)
{
    CHECK(wire_check(BYTES(0xdd, 0x08, 0, 0, 0)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(BYTES(0xdf, 0x08, 0, 0, 0)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(BYTES(0xc6, 0xff, 0xff, 0xff, 0xff)) == ERR_BAD_MESSAGE);
}

TEST(nesting_ends_at_sixteen)
{
    uint8_t nested[32];
    memset(nested, 0x91, sizeof nested);
    nested[15] = 0xc0;
    CHECK(wire_check(SPAN(nested, 16)) == ERR_NONE);
    nested[15] = 0x91;
    nested[16] = 0xc0;
    CHECK(wire_check(SPAN(nested, 17)) == ERR_BAD_MESSAGE);
}

TEST(trailing_bytes_and_cut_values_are_refused)
{
    CHECK(wire_check(BYTES(0xc0)) == ERR_NONE);
    CHECK(wire_check(BYTES(0xc0, 0xc0)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(BYTES(0xcd, 0x01)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(BYTES(0xc1)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(SPAN("", 0)) == ERR_BAD_MESSAGE);
}

TEST(a_key_stands_once_in_a_map)
{
    CHECK(wire_check(BYTES(0x82, 0xa1, 'a', 1, 0xa1, 'b', 2)) == ERR_NONE);
    CHECK(wire_check(BYTES(0x82, 0xa1, 'a', 1, 0xa1, 'a', 2)) == ERR_BAD_MESSAGE);
}

TEST(texts_are_utf8)
{
    CHECK(wire_check(BYTES(0xa2, 0xc3, 0xa9)) == ERR_NONE);
    CHECK(wire_check(BYTES(0xa4, 0xf0, 0x9f, 0x98, 0x80)) == ERR_NONE);
    CHECK(wire_check(BYTES(0xa2, 0xc0, 0x80)) == ERR_BAD_MESSAGE);       /* overlong */
    CHECK(wire_check(BYTES(0xa3, 0xed, 0xa0, 0x80)) == ERR_BAD_MESSAGE); /* a surrogate */
    CHECK(wire_check(BYTES(0xa1, 0xff)) == ERR_BAD_MESSAGE);
    CHECK(wire_check(BYTES(0xa2, 0xe2, 0x82)) == ERR_BAD_MESSAGE); /* cut */
}

TEST(numbers_are_read_in_every_width)
{
    struct wire_value value;
    struct span rest =
        BYTES(0x07, 0xcc, 200, 0xcd, 1, 0, 0xce, 0, 1, 0, 0, 0xff, 0xd0, 0x80, 0xd1, 0, 5);
    const uint64_t wanted[] = {7, 200, 256, 65536};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        CHECK(wire_next(&rest, &value));
        CHECK(value.kind == WIRE_U64 && value.number == wanted[i]);
    }
    CHECK(wire_next(&rest, &value) && value.kind == WIRE_NEGATIVE && (int64_t)value.number == -1);
    CHECK(wire_next(&rest, &value) && value.kind == WIRE_NEGATIVE && (int64_t)value.number == -128);
    CHECK(wire_next(&rest, &value) && value.kind == WIRE_U64 && value.number == 5);
    CHECK(!wire_next(&rest, &value));
}

TEST(what_is_packed_is_read_back)
{
    SCOPED(bytes) out = {0};
    struct wire_value value;
    wire_pack_map(&out, 2);
    wire_pack_counter(&out, "n", UINT64_MAX);
    wire_pack_text(&out, SPAN("b", 1));
    wire_pack_bin(&out, SPAN("\0\1", 2));
    struct span rest = bytes_span(&out);
    CHECK(wire_check(rest) == ERR_NONE);
    CHECK(wire_size(rest) == out.size);
    CHECK(wire_next(&rest, &value) && value.kind == WIRE_MAP && value.number == 2);
    CHECK(wire_next(&rest, &value) && span_is(value.bytes, "n"));
    CHECK(wire_next(&rest, &value) && value.number == UINT64_MAX);
    CHECK(wire_next(&rest, &value) && span_is(value.bytes, "b"));
    CHECK(wire_next(&rest, &value) && value.kind == WIRE_BIN && value.bytes.size == 2);
    CHECK(rest.size == 0);
}

/* Texts are looked at eight bytes at a time: what is no text is seen at every place, in every size.
 */
TEST(a_wrong_byte_is_seen_at_every_place_of_a_text)
{
    uint8_t text[40];
    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof text);
            CHECK(wire_is_text(SPAN(text, size)));
            text[at] = 0xff;
            CHECK(!wire_is_text(SPAN(text, size)));
            text[at] = 0xc3; /* with its second byte it is a letter, without it none */
            CHECK(!wire_is_text(SPAN(text, size)));
            if (at + 1 < size)
                text[at + 1] = 0xa4;
            CHECK(wire_is_text(SPAN(text, size)) == (at + 1 < size));
        }
}

TEST_MAIN(T(a_five_byte_array_bomb_is_refused), T(nesting_ends_at_sixteen),
          T(trailing_bytes_and_cut_values_are_refused), T(a_key_stands_once_in_a_map),
          T(texts_are_utf8), T(numbers_are_read_in_every_width), T(what_is_packed_is_read_back),
          T(a_wrong_byte_is_seen_at_every_place_of_a_text))
