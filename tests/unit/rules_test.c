/* rules: set, changed, removed; by tag, within bounds; the same bytes everywhere. */
#include "protocol/rules.h"

#include "protocol/wire.h"
#include "test.h"

#include <stdio.h>

#define SAME RULE_UNCHANGED

static enum err say(struct rules *rules, const char *tag, uint64_t keep_s, uint64_t changes_s,
                    uint64_t bytes_s)
{
    SCOPED(bytes) body = {0};
    const char *detail = NULL;
    rules_encode_body(SPAN_TEXT(tag), keep_s, changes_s, bytes_s, &body);
    enum err err = rules_change(rules, bytes_span(&body));
    enum err checked = rules_check(bytes_span(&body), &detail);
    CHECK((detail != NULL) == (checked != ERR_NONE));
    CHECK(checked == ERR_NONE || checked == err); /* the table may refuse more, never less */
    return err;
}

static enum err drop(struct rules *rules, const char *tag)
{
    return say(rules, tag, SAME, SAME, SAME);
}

TEST(they_stand_in_the_order_of_tags_and_each_once)
{
    struct rules rules = {0}, other = {0};
    CHECK(say(&rules, "b", 1, SAME, SAME) == ERR_NONE && say(&rules, "a", 2, 3, 4) == ERR_NONE);
    CHECK(say(&rules, "a/*", SAME, SAME, 5) == ERR_NONE && rules.count == 3);
    CHECK(span_is(rule_tag(&rules.at[0]), "a") && span_is(rule_tag(&rules.at[1]), "a/*"));
    CHECK(rules.at[0].keep_s == 2 && rules.at[0].changes_s == 3 && rules.at[0].bytes_s == 4);
    CHECK(rules.at[1].keep_s == 0 && rules.at[1].changes_s == 0 && rules.at[1].bytes_s == 5);
    CHECK(drop(&rules, "a") == ERR_NONE && drop(&rules, "b") == ERR_NONE && rules.count == 1);
    CHECK(drop(&rules, "b") == ERR_NOT_FOUND);
    CHECK(say(&other, "a/*", SAME, SAME, 5) == ERR_NONE); /* whatever was there before */
    CHECK(memcmp(&rules, &other, sizeof other) == 0);
}

TEST(what_is_not_named_stays_and_what_says_nothing_goes)
{
    struct rules rules = {0};
    CHECK(say(&rules, "a", 0, 0, 0) == ERR_NOT_FOUND && rules.count == 0);
    CHECK(say(&rules, "a", 10, SAME, SAME) == ERR_NONE);
    CHECK(say(&rules, "a", SAME, 20, SAME) == ERR_NONE);
    CHECK(rules.at[0].keep_s == 10 && rules.at[0].changes_s == 20 && rules.count == 1);
    CHECK(say(&rules, "a", 0, SAME, SAME) == ERR_NONE && rules.count == 1);
    CHECK(rules.at[0].keep_s == 0 && rules.at[0].changes_s == 20);
    CHECK(say(&rules, "a", SAME, 0, SAME) == ERR_NONE && rules.count == 0);
}

TEST(there_are_few)
{
    struct rules rules = {0};
    char tag[16];
    for (uint32_t i = 0; i < RULES_MAX; i++) {
        snprintf(tag, sizeof tag, "t%u", i);
        CHECK(say(&rules, tag, 1 + i, SAME, SAME) == ERR_NONE);
    }
    CHECK(say(&rules, "more", 1, SAME, SAME) == ERR_LIMIT && rules.count == RULES_MAX);
    CHECK(say(&rules, "t7", 99, SAME, SAME) == ERR_NONE && drop(&rules, "t8") == ERR_NONE);
    CHECK(say(&rules, "more", 1, SAME, SAME) == ERR_NONE && rules.count == RULES_MAX);
    CHECK(rules_advice(ERR_LIMIT) != NULL && rules_advice(ERR_NOT_FOUND) != NULL);
    CHECK(rules_advice(ERR_IO) == NULL);
}

TEST(a_wrong_one_is_refused_by_name)
{
    static const char longest[] =
        "1234567890123456789012345678901234567890123456789012345678901234";
    const struct {
        const char *tag;
        uint64_t keep_s, changes_s, bytes_s;
        enum err err;
        const char *about;
    } wrong[] = {
        {"", 1, 1, 1, ERR_BAD_REQUEST, "tag"},
        {"a\nb", 1, 1, 1, ERR_BAD_REQUEST, "tag"},
        {"a\x7f", 1, 1, 1, ERR_BAD_REQUEST, "tag"},
        {"12345678901234567890123456789012345678901234567890123456789012345", 1, 1, 1,
         ERR_BAD_REQUEST, "tag"},
        {"a", RULE_KEEP_S_MAX + 1, 1, 1, ERR_LIMIT, "keep_s"},
        {"a", 1, RULE_RATE_MAX + 1, 1, ERR_LIMIT, "changes_s"},
        {"a", 1, 1, RULE_RATE_MAX + 1, ERR_LIMIT, "bytes_s"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        SCOPED(bytes) body = {0};
        struct rules rules = {0}, none = {0};
        const char *detail = NULL;
        rules_encode_body(SPAN_TEXT(wrong[i].tag), wrong[i].keep_s, wrong[i].changes_s,
                          wrong[i].bytes_s, &body);
        CHECK(rules_check(bytes_span(&body), &detail) == wrong[i].err);
        CHECK(strncmp(detail, wrong[i].about, strlen(wrong[i].about)) == 0);
        CHECK(rules_change(&rules, bytes_span(&body)) == wrong[i].err);
        CHECK(memcmp(&rules, &none, sizeof none) == 0);
    }
    struct rules rules = {0};
    CHECK(say(&rules, longest, RULE_KEEP_S_MAX, RULE_RATE_MAX, RULE_RATE_MAX) == ERR_NONE);
    CHECK(rule_tag(&rules.at[0]).size == RULE_TAG_MAX);
}

/* Every cut and every flipped bit of a good body: refused, or one rule within bounds. */
TEST(garbage_is_refused)
{
    SCOPED(bytes) body = {0};
    struct rules rules = {0};
    rules_encode_body(SPAN_TEXT("coke/*"), 20, 60, 70, &body);
    for (size_t size = 0; size < body.size; size++)
        CHECK(rules_change(&rules, SPAN(body.data, size)) == ERR_BAD_REQUEST);
    CHECK(rules.count == 0);
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        rules = (struct rules){0};
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err err = rules_change(&rules, bytes_span(&body));
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(rules.count == (err == ERR_NONE ? 1 : 0));
        CHECK(rules.at[0].keep_s <= RULE_KEEP_S_MAX && rules.at[0].bytes_s <= RULE_RATE_MAX);
    }
    static const struct {
        const char *bytes;
        size_t size;
    } others[] = {{"\x80", 1},
                  {"\x91\x01", 2},
                  {"\x81\xa3tag\x01", 6},
                  {"\x81\xa3tag\x91\xa1x", 8},
                  {"\x81\xa6keep_s\x01", 9},
                  {"\x82\xa3tag\xa1x\xa6keep_s\xff", 15}};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        CHECK(rules_change(&rules, SPAN(others[i].bytes, others[i].size)) == ERR_BAD_REQUEST);
}

TEST(they_come_back_from_bytes_and_are_told_to_clients)
{
    uint8_t saved[RULES_SAVED_MAX];
    SCOPED(bytes) told = {0};
    struct rules rules = {0}, loaded;
    CHECK(say(&rules, "b", 20, 60, 7) == ERR_NONE && say(&rules, "a", 30, 90, SAME) == ERR_NONE);
    size_t size = rules_save(&rules, saved);
    CHECK(rules_load(SPAN(saved, size), &loaded) == ERR_NONE);
    CHECK(memcmp(&loaded, &rules, sizeof loaded) == 0);
    CHECK(rules_load(SPAN(saved, size - 1), &loaded) == ERR_BAD_MESSAGE);
    CHECK(rules_load(SPAN(saved, sizeof saved + size / 2), &loaded) == ERR_BAD_MESSAGE);
    CHECK(rules_load(SPAN(saved, 0), &loaded) == ERR_NONE && loaded.count == 0);
    rules_encode(&rules, &told);
    struct span rest = bytes_span(&told);
    struct wire_value value;
    CHECK(wire_check(rest) == ERR_NONE && wire_next(&rest, &value));
    CHECK(value.kind == WIRE_ARRAY && value.number == 2);
}

TEST_MAIN(T(they_stand_in_the_order_of_tags_and_each_once),
          T(what_is_not_named_stays_and_what_says_nothing_goes), T(there_are_few),
          T(a_wrong_one_is_refused_by_name), T(garbage_is_refused),
          T(they_come_back_from_bytes_and_are_told_to_clients))
