/* change_test.c - bodies: what is taken, what is refused by which name, what is hashed. */
#include "protocol/change.h"

#include "protocol/cursor.h"
#include "protocol/effect.h"
#include "protocol/wire.h"
#include "tests/unit/test.h"

static const struct change_limits *const limits = &change_limits_default;
static const uint8_t start[HASH_SIZE];

static enum err check(const struct bytes *body)
{
    uint32_t count;
    return change_body_check(bytes_span(body), CHANGE_PUT, limits, &count, NULL);
}

static void begin_change(struct bytes *out, uint32_t pairs)
{
    change_body_begin(out, 1);
    wire_pack_map(out, pairs);
}

static struct change sample(void)
{
    struct change change = {.type = 5,
                            .has_key = true,
                            .key = SPAN("k", 1),
                            .ctype = SPAN("c", 1),
                            .data = SPAN("d\0e", 3)};
    change.tags.at[change.tags.count++] = SPAN("one", 3);
    change.tags.at[change.tags.count++] = SPAN("two", 3);
    return change;
}

TEST(a_body_reads_back_as_written)
{
    SCOPED(bytes) body = {0};
    struct change in = sample(), out;
    struct change_walk walk;
    uint32_t count;
    change_body_begin(&body, 2);
    change_body_add(&body, &in);
    change_body_add(&body, &in);
    CHECK(change_body_check(bytes_span(&body), CHANGE_PUT, limits, &count, NULL) == ERR_NONE &&
          count == 2);
    change_walk_begin(&walk, bytes_span(&body));
    for (int i = 0; i < 2; i++) {
        CHECK(change_walk_next(&walk, &out));
        CHECK(out.type == 5 && out.has_key && span_is(out.key, "k") && span_is(out.ctype, "c"));
        CHECK(span_equal(out.data, in.data) && out.tags.count == 2);
        CHECK(span_is(out.tags.at[1], "two"));
    }
    CHECK(!change_walk_next(&walk, &out));
}

TEST(only_an_import_has_a_place_and_it_has_all_of_it)
{
    for (int lacks = 0; lacks < 4; lacks++) {
        SCOPED(bytes) body = {0};
        uint32_t count;
        change_body_begin(&body, 1);
        wire_pack_map(&body, lacks == 0 ? 3 : 2);
        if (lacks != 1)
            wire_pack_counter(&body, "id", 7);
        if (lacks != 2)
            wire_pack_counter(&body, "ts", 8);
        if (lacks != 3) {
            wire_pack_text(&body, SPAN("hash", 4));
            wire_pack_bin(&body, SPAN(start, sizeof start));
        }
        enum err err = change_body_check(bytes_span(&body), CHANGE_IMPORT, limits, &count, NULL);
        CHECK(err == (lacks == 0 ? ERR_NONE : ERR_BAD_REQUEST));
        CHECK(check(&body) == ERR_UNSUPPORTED);
    }
}

/* The client said nothing but the data: the import may not say more than the place. */
TEST(a_bare_change_of_the_largest_size_can_be_imported)
{
    SCOPED(bytes) put = {0};
    SCOPED(bytes) body = {0};
    struct change change = {.id = INT64_MAX, .ts = INT64_MAX, .hash = SPAN(start, sizeof start)};
    uint32_t count;
    uint8_t *data = bytes_zeroed(1, limits->change_bytes_max);
    change.data = SPAN(data, limits->change_bytes_max - 11); /* with its map: all that is allowed */
    change_body_begin(&put, 1);
    wire_pack_map(&put, 1);
    wire_pack_text(&put, SPAN("data", 4));
    wire_pack_bin(&put, change.data);
    CHECK(put.size - 10 == limits->change_bytes_max && check(&put) == ERR_NONE);
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    CHECK(change_body_check(bytes_span(&body), CHANGE_IMPORT, limits, &count, NULL) == ERR_NONE);
    bytes_free(data);
}

TEST(a_change_of_the_largest_size_can_be_imported)
{
    SCOPED(bytes) put = {0};
    SCOPED(bytes) body = {0};
    uint32_t count;
    struct change change = {0};
    uint8_t *data = bytes_zeroed(1, limits->change_bytes_max);
    change.data = SPAN(data, limits->change_bytes_max - 23); /* with its map: all that is allowed */
    change_body_begin(&put, 1);
    change_body_add(&put, &change);
    CHECK(put.size - 10 == limits->change_bytes_max && check(&put) == ERR_NONE);
    change.id = change.ts = INT64_MAX;
    change.hash = SPAN(start, sizeof start);
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    CHECK(change_body_check(bytes_span(&body), CHANGE_IMPORT, limits, &count, NULL) == ERR_NONE);
    bytes_free(data);
}

TEST(a_row_reads_back_as_written)
{
    SCOPED(bytes) row = {0};
    struct change in = sample(), out;
    uint64_t id, ts;
    struct span hash;
    change_row_encode(8, 9, start, &in, &row);
    CHECK(change_row_decode(bytes_span(&row), &id, &ts, &hash, &out) == ERR_NONE);
    CHECK(id == 8 && ts == 9 && hash.size == HASH_SIZE && span_is(out.key, "k"));
    CHECK(out.tags.count == 2 && span_equal(out.data, in.data));
}

TEST(a_type_below_zero_is_the_systems)
{
    SCOPED(bytes) body = {0};
    begin_change(&body, 1);
    wire_pack_text(&body, SPAN("type", 4));
    bytes_append(&body, "\xff", 1);
    CHECK(check(&body) == ERR_RESERVED_TYPE);
}

static void pack_tags(struct bytes *body, uint32_t count, bool same)
{
    begin_change(body, 1);
    wire_pack_text(body, SPAN("tags", 4));
    wire_pack_array(body, count);
    for (uint32_t i = 0; i < count; i++) {
        char tag[8] = {'t', same ? '-' : (char)('0' + i / 64), same ? '-' : (char)('0' + i % 64)};
        wire_pack_text(body, SPAN_TEXT(tag));
    }
}

/* R5: 64 tags are stored, the 65th is refused, repeated ones are folded. */
TEST(tags_are_counted_after_folding)
{
    SCOPED(bytes) full = {0};
    SCOPED(bytes) over = {0};
    SCOPED(bytes) folded = {0};
    struct change_walk walk;
    struct change change;
    pack_tags(&full, 64, false);
    pack_tags(&over, 65, false);
    pack_tags(&folded, 65, true);
    CHECK(check(&full) == ERR_NONE);
    CHECK(check(&over) == ERR_LIMIT);
    CHECK(check(&folded) == ERR_NONE);
    change_walk_begin(&walk, bytes_span(&folded));
    CHECK(change_walk_next(&walk, &change) && change.tags.count == 1);
}

TEST(a_tag_with_nul_or_without_bytes_is_refused)
{
    SCOPED(bytes) nul = {0};
    SCOPED(bytes) empty = {0};
    begin_change(&nul, 1);
    wire_pack_text(&nul, SPAN("tags", 4));
    wire_pack_array(&nul, 1);
    wire_pack_text(&nul, SPAN("a\0b", 3));
    begin_change(&empty, 1);
    wire_pack_text(&empty, SPAN("tags", 4));
    wire_pack_array(&empty, 1);
    wire_pack_text(&empty, SPAN("", 0));
    CHECK(check(&nul) == ERR_BAD_REQUEST && check(&empty) == ERR_BAD_REQUEST);
}

TEST(unknown_fields_and_empty_bodies_are_refused)
{
    SCOPED(bytes) unknown = {0};
    SCOPED(bytes) none = {0};
    SCOPED(bytes) expect = {0};
    begin_change(&unknown, 1);
    wire_pack_counter(&unknown, "colour", 3);
    change_body_begin(&none, 0);
    wire_pack_map(&expect, 1);
    wire_pack_counter(&expect, "expect", 3);
    CHECK(check(&unknown) == ERR_UNSUPPORTED);
    CHECK(check(&none) == ERR_BAD_REQUEST);
    CHECK(check(&expect) == ERR_UNSUPPORTED);
}

TEST(a_change_over_one_mebibyte_is_refused)
{
    SCOPED(bytes) body = {0};
    uint8_t *large = bytes_zeroed(1, MiB(1));
    begin_change(&body, 1);
    wire_pack_text(&body, SPAN("data", 4));
    wire_pack_bin(&body, SPAN(large, MiB(1)));
    bytes_free(large);
    CHECK(check(&body) == ERR_LIMIT);
}

TEST(every_field_counts_in_the_change_hash)
{
    struct change change = sample();
    uint8_t base[HASH_SIZE], other[HASH_SIZE];
    change_hash(start, 1, 2, &change, base);
    struct change variants[6];
    for (size_t i = 0; i < COUNT_OF(variants); i++)
        variants[i] = change;
    variants[0].type++;
    variants[1].key = SPAN("K", 1);
    variants[2].tags.count--;
    variants[3].data = SPAN("d", 1);
    variants[4].ctype = SPAN("C", 1);
    variants[5].has_key = false;
    for (size_t i = 0; i < COUNT_OF(variants); i++) {
        change_hash(start, 1, 2, &variants[i], other);
        CHECK(memcmp(base, other, HASH_SIZE) != 0);
    }
    change_hash(start, 2, 2, &change, other);
    CHECK(memcmp(base, other, HASH_SIZE) != 0);
    change_hash(base, 1, 2, &change, other);
    CHECK(memcmp(base, other, HASH_SIZE) != 0);
}

TEST(a_cursor_survives_print_and_parse)
{
    struct cursor in = {.history = UINT64_MAX, .id = 12345}, out;
    char text[CURSOR_TEXT_MAX];
    memset(in.cluster, 0x5a, sizeof in.cluster);
    memset(in.hash, 0xc3, sizeof in.hash);
    size_t size = cursor_print(&in, text);
    CHECK(cursor_parse(SPAN(text, size), &out) == ERR_NONE);
    CHECK(memcmp(&in, &out, sizeof in) == 0);
    for (size_t cut = 0; cut < size; cut++)
        CHECK(cursor_parse(SPAN(text, cut), &out) == ERR_BAD_REQUEST);
    text[size] = 'x';
    CHECK(cursor_parse(SPAN(text, size + 1), &out) == ERR_BAD_REQUEST);
}

TEST(effects_survive_their_layout)
{
    SCOPED(bytes) links = {0};
    SCOPED(bytes) out = {0};
    const uint64_t previous[] = {3, 4};
    struct effect in = {.err = ERR_NONE,
                        .change_count = 1,
                        .index = 9,
                        .first_id = 5,
                        .last_id = 5,
                        .ts = 6,
                        .body_hash = 7,
                        .body = SPAN("b", 1)},
                  back;
    struct effect_link link;
    effect_link_append(&links, start, previous, 2);
    in.links = bytes_span(&links);
    effect_encode(&in, &out);
    struct span rest = bytes_span(&out);
    CHECK(effect_next(&rest, &back) && rest.size == 0);
    CHECK(back.index == 9 && back.first_id == 5 && back.ts == 6 && span_is(back.body, "b"));
    CHECK(effect_link_next(&back.links, &link) && link.tag_count == 2);
    CHECK(load_u64(link.previous + 8) == 4);
    for (size_t cut = 1; cut < out.size; cut++) {
        rest = SPAN(out.data, cut);
        CHECK(!effect_next(&rest, &back) && rest.size > 0);
    }
}

TEST_MAIN(T(a_body_reads_back_as_written), T(only_an_import_has_a_place_and_it_has_all_of_it),
          T(a_change_of_the_largest_size_can_be_imported),
          T(a_bare_change_of_the_largest_size_can_be_imported), T(a_row_reads_back_as_written),
          T(a_type_below_zero_is_the_systems), T(tags_are_counted_after_folding),
          T(a_tag_with_nul_or_without_bytes_is_refused),
          T(unknown_fields_and_empty_bodies_are_refused), T(a_change_over_one_mebibyte_is_refused),
          T(every_field_counts_in_the_change_hash), T(a_cursor_survives_print_and_parse),
          T(effects_survive_their_layout))
