/* line_test.c - a change as a line of JSON: nothing is lost, nothing breaks out of its quotes. */
#include "protocol/line.h"

#include "protocol/wire.h"
#include "tests/unit/test.h"

static const uint8_t hash[HASH_SIZE] = {0xab};

static void pack_headers(struct bytes *out, const char *name, const char *value)
{
    wire_pack_map(out, 1);
    wire_pack_text(out, SPAN_TEXT(name));
    wire_pack_text(out, SPAN_TEXT(value));
}

static bool says(const struct bytes *line, const char *text)
{
    return memmem(line->data, line->size, text, strlen(text)) != NULL;
}

TEST(all_fields_are_written)
{
    SCOPED(bytes) line = {0};
    SCOPED(bytes) headers = {0};
    struct change change = {.type = 5, .has_key = true, .key = SPAN("k", 1)};
    struct line_place place = {7, 9, SPAN(hash, HASH_SIZE)};
    pack_headers(&headers, "n", "v\"w");
    change.headers = bytes_span(&headers);
    change.ctype = SPAN("text/plain", 10);
    change.data = SPAN("a\\b\n\x01", 5);
    change.tags.at[change.tags.count++] = SPAN("one", 3);
    change.tags.at[change.tags.count++] = SPAN("two", 3);
    line_append(&place, &change, &line);
    static const char wanted[] =
        "{\"id\":7,\"ts\":9,\"type\":5,\"key\":\"k\",\"tags\":[\"one\",\"two\"],"
        "\"headers\":{\"n\":\"v\\\"w\"},\"ctype\":\"text/plain\",\"data\":\"a\\\\b\\n\\u0001\","
        "\"hash\":\"ab00000000000000000000000000000000000000000000000000000000000000\"}\n";
    CHECK(span_is(bytes_span(&line), wanted));
}

TEST(what_is_not_known_is_left_out)
{
    SCOPED(bytes) line = {0};
    struct change change = {0};
    struct line_place place = {.ts = 9};
    line_append(&place, &change, &line);
    CHECK(span_is(bytes_span(&line), "{\"ts\":9,\"type\":0,\"tags\":[],\"data\":\"\"}\n"));
}

TEST(what_is_not_text_goes_as_base64_and_comes_back)
{
    uint8_t data[260];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(255 - i);
    for (size_t size = 1; size < sizeof data; size++) {
        SCOPED(bytes) line = {0};
        SCOPED(bytes) back = {0};
        struct change change = {.data = SPAN(data, size)};
        struct line_place place = {.ts = 9};
        line_append(&place, &change, &line);
        CHECK(says(&line, "\"data_base64\":\""));
        const uint8_t *from = memmem(line.data, line.size, "64\":\"", 5);
        const uint8_t *end = memrchr(line.data, '"', line.size);
        CHECK(line_unbase64(SPAN(from + 5, (size_t)(end - from - 5)), &back));
        CHECK(span_equal(bytes_span(&back), change.data));
    }
}

TEST(what_is_not_base64_is_refused)
{
    static const char *const wrong[] = {"a", "ab", "abc", "ab=c", "====", "a===", "ab\n=", "a-b_"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        SCOPED(bytes) out = {0};
        CHECK(!line_unbase64(SPAN_TEXT(wrong[i]), &out));
    }
}

/* The same texts under a longer head, or a NUL in a name, would come back as other bytes. */
TEST(headers_that_would_come_back_changed_go_as_base64)
{
    static const char long_form[] = "\x81\xd9\x01n\xa1v", with_nul[] = "\x81\xa2n\0\xa1v";
    const struct span all[] = {SPAN(long_form, 6), SPAN(with_nul, 6)};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        SCOPED(bytes) line = {0};
        struct change change = {.headers = all[i]};
        struct line_place place = {.ts = 9};
        line_append(&place, &change, &line);
        CHECK(says(&line, "\"headers_base64\":") && !says(&line, "\"headers\":"));
    }
}

TEST_MAIN(T(all_fields_are_written), T(what_is_not_known_is_left_out),
          T(what_is_not_text_goes_as_base64_and_comes_back), T(what_is_not_base64_is_refused),
          T(headers_that_would_come_back_changed_go_as_base64))
