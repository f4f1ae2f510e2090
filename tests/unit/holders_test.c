/* holders: set, renewed, removed, ended; by name, within bounds; the same bytes everywhere. */
#include "protocol/holders.h"

#include "protocol/wire.h"
#include "test.h"

#include <stdio.h>

#define SECOND UINT64_C(1000000000)

static struct holders_log at_log = {.ts = 100 * SECOND, .first_id = 10, .last_id = 1000};

static enum err hold(struct holders *holders, const char *name, uint64_t from, uint64_t for_s)
{
    SCOPED(bytes) body = {0};
    holders_encode_body(SPAN_TEXT(name), from, for_s, &body);
    return holders_change(holders, bytes_span(&body), &at_log);
}

static enum err hold_checked(const char *name, uint64_t from, uint64_t for_s, const char **detail)
{
    SCOPED(bytes) body = {0};
    *detail = NULL;
    holders_encode_body(SPAN_TEXT(name), from, for_s, &body);
    return holders_check(bytes_span(&body), detail);
}

TEST(they_stand_in_the_order_of_names_and_each_once)
{
    struct holders holders = {0}, other = {0};
    CHECK(hold(&holders, "b", 20, 60) == ERR_NONE && hold(&holders, "a", 30, 60) == ERR_NONE);
    CHECK(hold(&holders, "ab", 40, 60) == ERR_NONE && holders.count == 3);
    CHECK(span_is(holder_name(&holders.at[0]), "a") && span_is(holder_name(&holders.at[1]), "ab"));
    CHECK(holders.at[2].from == 20 && holders.at[2].until == 160 * SECOND);
    CHECK(hold(&holders, "b", 25, 10) == ERR_NONE && holders.count == 3); /* anew */
    CHECK(holders.at[2].from == 25 && holders.at[2].until == 110 * SECOND);
    CHECK(hold(&holders, "b", 15, 60) == ERR_NONE && holders.at[2].from == 15); /* and back */
    CHECK(hold(&holders, "a", 0, 0) == ERR_NONE && hold(&holders, "b", 0, 0) == ERR_NONE);
    CHECK(hold(&holders, "b", 0, 0) == ERR_NOT_FOUND && holders.count == 1);
    CHECK(hold(&other, "ab", 40, 60) == ERR_NONE); /* whatever was there before */
    CHECK(memcmp(&holders, &other, sizeof other) == 0);
}

TEST(the_floor_is_the_lowest_that_has_not_ended)
{
    struct holders holders = {0};
    CHECK(holders_floor(&holders, at_log.ts) == 0);
    CHECK(hold(&holders, "slow", 20, 60) == ERR_NONE &&
          hold(&holders, "fast", 500, 90) == ERR_NONE);
    CHECK(holders_floor(&holders, 100 * SECOND) == 20);
    CHECK(holders_floor(&holders, 160 * SECOND - 1) == 20);
    CHECK(holders_floor(&holders, 160 * SECOND) == 500);
    CHECK(holders_floor(&holders, 190 * SECOND) == 0);
}

TEST(who_is_cut_off_goes_ended_or_not)
{
    struct holders holders = {0};
    CHECK(hold(&holders, "a", 20, 1) == ERR_NONE && hold(&holders, "b", 30, 60) == ERR_NONE);
    CHECK(hold(&holders, "c", 31, 1) == ERR_NONE);
    holders_cut(&holders, 20);
    CHECK(holders.count == 3);
    holders_cut(&holders, 31);
    CHECK(holders.count == 1 && span_is(holder_name(&holders.at[0]), "c"));
}

TEST(nobody_holds_what_is_gone_or_not_there)
{
    struct holders holders = {0};
    CHECK(hold(&holders, "a", 9, 60) == ERR_TRUNCATED && hold(&holders, "a", 10, 60) == ERR_NONE);
    CHECK(hold(&holders, "a", 1002, 60) == ERR_AHEAD && holders.at[0].from == 10);
    CHECK(hold(&holders, "a", 1001, 60) == ERR_NONE && holders.at[0].from == 1001);
    const enum err told[] = {ERR_LIMIT, ERR_TRUNCATED, ERR_AHEAD, ERR_NOT_FOUND};
    for (size_t i = 0; i < COUNT_OF(told); i++)
        CHECK(holders_advice(told[i]) != NULL);
    CHECK(holders_advice(ERR_IO) == NULL);
}

TEST(a_full_table_makes_room_only_where_one_has_ended)
{
    struct holders holders = {0};
    char name[16];
    for (uint32_t i = 0; i < HOLDERS_MAX; i++) {
        snprintf(name, sizeof name, "h%u", i);
        CHECK(hold(&holders, name, 20 + i, i == 7 ? 50 : 100) == ERR_NONE);
    }
    CHECK(hold(&holders, "more", 20, 60) == ERR_LIMIT && holders.count == HOLDERS_MAX);
    CHECK(hold(&holders, "h9", 21, 100) == ERR_NONE);
    at_log.ts += 50 * SECOND;
    CHECK(hold(&holders, "h7", 27, 50) == ERR_NONE && holders.count == HOLDERS_MAX); /* in time */
    CHECK(hold(&holders, "more", 20, 60) == ERR_LIMIT);
    at_log.ts += 49 * SECOND;
    CHECK(hold(&holders, "more", 20, 60) == ERR_LIMIT);
    at_log.ts += 1 * SECOND; /* all but h9 */
    CHECK(hold(&holders, "more", 20, 60) == ERR_NONE);
    CHECK(holders.count < HOLDERS_MAX && holders_floor(&holders, at_log.ts) == 20);
    at_log.ts = 100 * SECOND;
}

TEST(a_wrong_one_is_refused_by_name)
{
    const struct {
        const char *name;
        uint64_t from, for_s;
        enum err err;
        const char *about;
    } wrong[] = {
        {"", 20, 60, ERR_BAD_REQUEST, "name"},
        {"a b", 20, 60, ERR_BAD_REQUEST, "name"},
        {"a=b", 20, 60, ERR_BAD_REQUEST, "name"},
        {"\xc3\xa4", 20, 60, ERR_BAD_REQUEST, "name"},
        {"123456789012345678901234567890123", 20, 60, ERR_BAD_REQUEST, "name"},
        {"a", 0, 60, ERR_BAD_REQUEST, "from"},
        {"a", 20, 0, ERR_BAD_REQUEST, "for_s"}, /* forgotten: not for ever, and not removed */
        {"a", 20, HOLDER_S_MAX + 1, ERR_LIMIT, "for_s"},
        {"a", 20, UINT64_MAX, ERR_LIMIT, "for_s"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct holders holders = {0}, none = {0};
        const char *detail;
        CHECK(hold_checked(wrong[i].name, wrong[i].from, wrong[i].for_s, &detail) == wrong[i].err);
        CHECK(strncmp(detail, wrong[i].about, strlen(wrong[i].about)) == 0);
        CHECK(hold(&holders, wrong[i].name, wrong[i].from, wrong[i].for_s) == wrong[i].err);
        CHECK(memcmp(&holders, &none, sizeof none) == 0);
    }
    struct holders holders = {0};
    CHECK(hold(&holders, "12345678901234567890123456789.-_", 20, HOLDER_S_MAX) == ERR_NONE);
    CHECK(holder_name(&holders.at[0]).size == HOLDER_NAME_MAX);
    CHECK(hold(&holders, "A", UINT64_MAX, 1) == ERR_AHEAD);
}

/* Every cut and every flipped bit of a good body: refused, or one holder within bounds. */
TEST(garbage_is_refused)
{
    SCOPED(bytes) body = {0};
    struct holders holders = {0};
    holders_encode_body(SPAN_TEXT("checkpointer"), 20, 60, &body);
    for (size_t size = 0; size < body.size; size++)
        CHECK(holders_change(&holders, SPAN(body.data, size), &at_log) == ERR_BAD_REQUEST);
    CHECK(holders.count == 0);
    for (size_t bit = 0; bit < body.size * 8; bit++) {
        holders = (struct holders){0};
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err err = holders_change(&holders, bytes_span(&body), &at_log);
        body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(holders.count == (err == ERR_NONE ? 1 : 0));
        CHECK(holders.count == 0 || holders.at[0].until <= at_log.ts + HOLDER_S_MAX * SECOND);
    }
    static const struct {
        const char *bytes;
        size_t size;
    } others[] = {{"\x80", 1},
                  {"\x91\x01", 2},
                  {"\x81\xa4name\x01", 7},
                  {"\x81\xa4name\x91\xa1x", 9},
                  {"\x81\xa5other\x01", 8},
                  {"\x82\xa4name\xa1x\xa5"
                   "for_s\xff",
                   15}};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        CHECK(holders_change(&holders, SPAN(others[i].bytes, others[i].size), &at_log) ==
              ERR_BAD_REQUEST);
}

TEST(they_come_back_from_bytes_and_are_told_to_clients)
{
    uint8_t saved[HOLDERS_SAVED_MAX];
    SCOPED(bytes) told = {0};
    struct holders holders = {0}, loaded;
    CHECK(hold(&holders, "b", 20, 60) == ERR_NONE && hold(&holders, "a", 30, 90) == ERR_NONE);
    size_t size = holders_save(&holders, saved);
    CHECK(holders_load(SPAN(saved, size), &loaded) == ERR_NONE);
    CHECK(memcmp(&loaded, &holders, sizeof loaded) == 0);
    CHECK(holders_load(SPAN(saved, size - 1), &loaded) == ERR_BAD_MESSAGE);
    CHECK(holders_load(SPAN(saved, sizeof saved + size / 2), &loaded) == ERR_BAD_MESSAGE);
    CHECK(holders_load(SPAN(saved, 0), &loaded) == ERR_NONE && loaded.count == 0);
    holders_encode(&holders, &told);
    struct span rest = bytes_span(&told);
    struct wire_value value;
    CHECK(wire_check(rest) == ERR_NONE && wire_next(&rest, &value));
    CHECK(value.kind == WIRE_ARRAY && value.number == 2);
}

TEST_MAIN(T(they_stand_in_the_order_of_names_and_each_once),
          T(the_floor_is_the_lowest_that_has_not_ended), T(who_is_cut_off_goes_ended_or_not),
          T(nobody_holds_what_is_gone_or_not_there),
          T(a_full_table_makes_room_only_where_one_has_ended), T(a_wrong_one_is_refused_by_name),
          T(garbage_is_refused), T(they_come_back_from_bytes_and_are_told_to_clients))
