/* What is cut: gone for readers at once, from the disk when it may; asked of settings, holders and
 * rules; view and keeper as threads on real files. */
#include "rooms_kit.h"
#include "protocol/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Asks keeper for a cut, and logs what it says. */
static void cut(struct kit_house *house, struct log_kit *kit, uint64_t live_index)
{
    struct message ask = {.type = MESSAGE_MAY_CUT};
    uint64_t before = house->cut_answers;
    ask.may_cut = (struct message_may_cut){
        .ts = kit->ts, .last_index = kit->last, .live_index = live_index, .down_index = kit->last};
    assert_int_equal(link_send(&house->to_keeper, 0, &ask), ERR_NONE);
    KIT_WAIT(house, house->cut_answers > before);
    assert_true(house->cut_body.size > 0);
    struct entry entry = {.kind = ENTRY_CUT, .body = bytes_span(&house->cut_body)};
    kit_store(house, kit_append(kit, &entry));
    kit_commit(house, kit->last, kit->term);
    KIT_WAIT(house, house->fed_index == kit->last);
}

/* An ask that brings no change. */
static void settle(struct kit_house *house, struct log_kit *kit, enum entry_kind kind,
                   struct bytes *body)
{
    struct entry entry = {.kind = kind, .born = 1000, .body = bytes_span(body)};
    kit_txid(kit->last + 1, entry.txid);
    kit_store(house, kit_append(kit, &entry));
    kit_commit(house, kit->last, kit->term);
    KIT_WAIT(house, house->fed_index == kit->last);
    bytes_close(body);
}

static void keep(struct kit_house *house, struct log_kit *kit, uint64_t min_records)
{
    struct bytes body = {0};
    wire_pack_map(&body, 1);
    wire_pack_counter(&body, "retention.min_records", min_records);
    settle(house, kit, ENTRY_SETTINGS, &body);
}

/* For a minute; 0: removes. */
static void hold(struct kit_house *house, struct log_kit *kit, const char *name, uint64_t from)
{
    struct bytes body = {0};
    holders_encode_body(SPAN_TEXT(name), from, from > 0 ? 60 : 0, &body);
    settle(house, kit, ENTRY_HOLDER, &body);
}

static void expect_truncated(struct kit_house *house, struct message_read read, const char *tag,
                             uint64_t first_id)
{
    const struct message_page *page = kit_read(house, read, tag);
    assert_true(span_is(page->error, "E_TRUNCATED"));
    assert_int_equal(page->first_id, first_id);
    assert_int_equal(page->count, 0);
}

/* One page: how much is in it, and does it say that nothing was before? */
static void expect_page(struct kit_house *house, struct message_read read, const char *tag,
                        uint64_t count, bool at_start)
{
    const struct message_page *page;
    read.limit = 10000;
    page = kit_read(house, read, tag);
    assert_int_equal(page->error.size, 0);
    assert_int_equal(page->count, count);
    assert_int_equal(page->at_start, at_start);
}

/* Of 5000 changes those from `first` on are kept; "late" is on the last one only. */
static void expect_cut(struct kit_house *house, uint64_t first)
{
    expect_truncated(house, (struct message_read){.limit = 5}, NULL, first);
    expect_truncated(house, (struct message_read){.limit = 5}, "t3", first);
    expect_truncated(house, (struct message_read){.since = first - 2}, NULL, first);
    expect_truncated(house, (struct message_read){.since = first - 2, .exact = true}, NULL, first);
    expect_truncated(house, (struct message_read){.before = first}, NULL, first);
    expect_truncated(house, (struct message_read){.before = 7}, "t3", first);
    expect_page(house, (struct message_read){.since = first - 1}, NULL, 5001 - first, false);
    expect_page(house, (struct message_read){.since = first - 1}, "t3", (5001 - first) / 10, false);
    expect_page(house, (struct message_read){.since = first - 1}, "late", 1, true);
    expect_page(house, (struct message_read){.before = first + 10}, NULL, 10, false);
    expect_page(house, (struct message_read){.before = first + 10}, "t3", 1, false);
    expect_page(house, (struct message_read){.before = 5001}, "late", 1, true);
    expect_page(house, (struct message_read){.since = first - 1, .exact = true}, NULL, 1, false);
}

static void fetch(struct kit_house *house, uint64_t from, const char *error)
{
    struct message ask = {.type = MESSAGE_FETCH};
    uint64_t before = house->fetches;
    ask.fetch = (struct message_fetch){.from = from, .to = from, .bytes = MiB(1)};
    assert_int_equal(link_send(&house->to_keeper, 0, &ask), ERR_NONE);
    KIT_WAIT(house, house->fetches > before);
    assert_string_equal(house->fetch_error, error);
}

/* 5000 changes in five parts of which four are sealed. */
static void furnish(struct kit_house *house, struct log_kit *kit)
{
    char index[160];
    for (uint32_t part = 0; part < 5; part++) {
        if (part > 0)
            kit_roll(house);
        kit_fill(house, kit, part < 4 ? 1000 : 999);
    }
    kit_store(house, kit_put(kit, 5000, 1, 1, "late", "x"));
    kit_commit(house, kit->last, 1);
    snprintf(index, sizeof index, "%s.index", house->paths[3]);
    KIT_WAIT(house, access(index, F_OK) == 0);
}

static void what_is_cut_is_gone_for_readers_at_once_and_from_the_disk_when_it_may(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    furnish(&house, &kit);
    keep(&house, &kit, 2500);
    cut(&house, &kit, 1500); /* a server lacks what is behind */
    expect_cut(&house, 2501);
    KIT_WAIT(&house, access(house.paths[0], F_OK) != 0);
    fetch(&house, 1000, "E_TRUNCATED");
    fetch(&house, 1001, "");
    cut(&house, &kit, kit.last); /* it has come */
    KIT_WAIT(&house, access(house.paths[1], F_OK) != 0);
    assert_int_equal(access(house.paths[2], F_OK), 0);
    fetch(&house, 2000, "E_TRUNCATED");
    expect_cut(&house, 2501);
    kit_stop(&house);
    assert_int_equal(house.gone, 2);
    kit_start(&house);
    expect_cut(&house, 2501);
    keep(&house, &kit, 3);
    cut(&house, &kit, kit.last);
    KIT_WAIT(&house, access(house.paths[3], F_OK) != 0); /* what is left has no index yet */
    for (int round = 0; round < 2; round++) {
        expect_truncated(&house, (struct message_read){.since = 4996}, NULL, 4998);
        expect_page(&house, (struct message_read){.since = 4997}, NULL, 3, false);
        expect_page(&house, (struct message_read){.since = 4997}, "t3", 0, false);
        expect_page(&house, (struct message_read){.before = 5001}, NULL, 3, false);
        kit_stop(&house);
        kit_start(&house);
    }
    kit_store(&house, kit_put(&kit, 9999, 1000, 1, "t3", "x"));
    kit_commit(&house, kit.last, 1);
    KIT_WAIT(&house, house.fed_index == kit.last);
    assert_int_equal(house.fed.first_id, 5001);
    expect_page(&house, (struct message_read){.since = 4997}, "t3", 1, false);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
}

/* What the api is told of holders is what is applied, and the cut asks them. */
static void a_holder_is_asked_by_the_cut_and_outlives_a_restart(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    furnish(&house, &kit);
    uint64_t told = house.holders_told;
    hold(&house, &kit, "slow", 1201);
    hold(&house, &kit, "fast", 1801);
    assert_true(house.holders.count == 2 && house.holders_told == told + 2);
    keep(&house, &kit, 2500);
    assert_int_equal(house.holders_told, told + 2);
    cut(&house, &kit, kit.last);
    expect_truncated(&house, (struct message_read){.limit = 5}, NULL, 1201);
    kit_stop(&house);
    house.holders = (struct holders){0};
    kit_start(&house);
    KIT_WAIT(&house, house.holders.count == 2);
    hold(&house, &kit, "slow", 0);
    assert_int_equal(house.holders.count, 1);
    cut(&house, &kit, kit.last);
    expect_truncated(&house, (struct message_read){.limit = 5}, NULL, 1801);
    kit.ts += 61000000000; /* it has not come back */
    cut(&house, &kit, kit.last);
    expect_cut(&house, 2501);
    assert_int_equal(house.holders.count, 0);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
}

/* keep_s RULE_UNCHANGED: removes. */
static void rule(struct kit_house *house, struct log_kit *kit, const char *tag, uint64_t keep_s)
{
    struct bytes body = {0};
    rules_encode_body(SPAN_TEXT(tag), keep_s, RULE_UNCHANGED, RULE_UNCHANGED, &body);
    settle(house, kit, ENTRY_RULE, &body);
}

/* Five parts of a thousand changes, ten seconds apart; each tenth bears "t3". */
static void the_rule_of_a_tag_is_asked_by_the_cut_and_outlives_a_restart(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    kit_store(&house, kit_founding(&kit));
    for (uint32_t part = 0; part < 5; part++) {
        if (part > 0)
            kit_roll(&house);
        kit.ts += 10000000000;
        kit_fill(&house, &kit, 1000);
    }
    kit_commit(&house, kit.last, 1);
    KIT_WAIT(&house, house.fed_index == kit.last);
    rule(&house, &kit, "t3", 25); /* which is since the third part */
    rule(&house, &kit, "never", 3600);
    assert_true(house.rules.count == 2 && house.rules.at[1].keep_s == 25);
    keep(&house, &kit, 100);
    cut(&house, &kit, kit.last);
    expect_truncated(&house, (struct message_read){.limit = 5}, NULL, 2003);
    kit_stop(&house);
    house.rules = (struct rules){0};
    kit_start(&house);
    KIT_WAIT(&house, house.rules.count == 2);
    kit.ts += 10000000000; /* and now since the fourth */
    cut(&house, &kit, kit.last);
    expect_truncated(&house, (struct message_read){.limit = 5}, NULL, 3003);
    rule(&house, &kit, "t3", RULE_UNCHANGED);
    assert_int_equal(house.rules.count, 1);
    cut(&house, &kit, kit.last);
    expect_truncated(&house, (struct message_read){.limit = 5}, NULL, 4901);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_is_gone_for_readers_at_once_and_from_the_disk_when_it_may),
        cmocka_unit_test(a_holder_is_asked_by_the_cut_and_outlives_a_restart),
        cmocka_unit_test(the_rule_of_a_tag_is_asked_by_the_cut_and_outlives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
