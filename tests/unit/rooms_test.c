/* view and keeper, as threads on real files: applied in order, told, written, sealed, read. */
#include "rooms_kit.h"
#include "protocol/wire.h"
#include "storage/statehash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>

static atomic_uint view_yields;

/* In place of that of libc: how often view gives way. */
int sched_yield(void)
{
    char name[16] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (strcmp(name, "view") == 0)
        atomic_fetch_add(&view_yields, 1);
    return 0;
}

/* Stores `count` puts of one change with 2 tags. */
static void load(struct kit_house *house, struct log_kit *kit, uint64_t count)
{
    size_t from = kit->records.size;
    for (uint64_t i = 0; i < count; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%u", (unsigned)(kit->last % 10));
        kit_put(kit, kit->last + 1, 1, 1, tag, "some data");
    }
    kit_store(house, SPAN(kit->records.data + from, kit->records.size - from));
    kit_turn(house);
}

static void what_is_committed_is_applied_told_and_read(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    struct span founding = kit_founding(&kit);
    kit_store(&house, founding);
    load(&house, &kit, 99);
    kit_commit(&house, 50, 2); /* not the term of the stored entry */
    kit_commit(&house, 40, 1);
    KIT_WAIT(&house, house.fed_index == 40);
    assert_int_equal(house.fed_changes, 39);
    KIT_WAIT(&house, house.applied == 40);
    /* What was told is found by a read at once, though state.db does not have it yet. */
    const struct message_page *page = kit_read(&house, (struct message_read){.limit = 1000}, NULL);
    assert_int_equal(page->count, 39);
    assert_int_equal(page->last_id, 39);
    kit_commit(&house, 100, 1);
    KIT_WAIT(&house, house.applied == 100);
    page = kit_read(&house, (struct message_read){.limit = 1000}, "t3");
    assert_int_equal(page->count, 10);
    /* A new leader replaces what was never vouched for. */
    load(&house, &kit, 10);
    struct log_kit other = {.term = 2, .ts = 5000, .last = 105};
    memcpy(other.hash, kit.hash, HASH_SIZE);
    kit_put(&other, 7777, 1, 1, "new", "x");
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_ENTRIES;
    item->first = 106;
    item->records = blob_copy(bytes_span(&other.records));
    queue_push(&house.rooms.view, item, 1);
    kit_commit(&house, 106, 2);
    KIT_WAIT(&house, house.fed_index == 106);
    assert_int_equal(house.fed.first_id, 105);
    kit_stop(&house);
    kit_close(&kit);
    kit_close(&other);
    kit_house_close(&house);
}

static void segments_are_sealed_and_restarts_lose_nothing(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    for (uint32_t part = 0; part < 4; part++) {
        if (part > 0)
            kit_roll(&house);
        for (int batch = 0; batch < 10; batch++)
            load(&house, &kit, 300);
        kit_commit(&house, kit.last, 1);
    }
    KIT_WAIT(&house, house.applied == 12000);
    char index[160];
    snprintf(index, sizeof index, "%s.index", house.paths[2]);
    KIT_WAIT(&house, access(index, F_OK) == 0);
    KIT_WAIT(&house, house.durable >= 9000);
    for (int round = 0; round < 2; round++) {
        const struct message_page *page =
            kit_read(&house, (struct message_read){.limit = 10000, .bytes = MiB(4)}, "t3");
        assert_int_equal(page->error.size, 0);
        assert_int_equal(page->count, 1200);
        assert_true(page->at_end);
        page = kit_read(&house, (struct message_read){.since = 5999, .exact = true}, NULL);
        assert_int_equal(page->count, 1);
        page = kit_read(&house, (struct message_read){.before = 3, .limit = 10}, NULL);
        assert_int_equal(page->count, 2);
        struct message fetch = {.type = MESSAGE_FETCH};
        fetch.fetch = (struct message_fetch){.from = 5000, .to = 5009, .bytes = MiB(1)};
        uint64_t before = house.fetches;
        assert_int_equal(link_send(&house.to_keeper, 0, &fetch), ERR_NONE);
        KIT_WAIT(&house, house.fetches > before);
        uint32_t count;
        assert_int_equal(entry_count(bytes_span(&house.fetched), &count), ERR_NONE);
        assert_int_equal(count, 10);
        kit_stop(&house);
        if (round == 1)
            break;
        kit_start(&house);
        assert_int_equal(house.fed_index, 12000); /* all of it was in state.db */
    }
    kit_close(&kit);
    kit_house_close(&house);
}

static void without_state_db_the_log_makes_it_anew(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    char path[128];
    uint8_t before[HASH_SIZE], after[HASH_SIZE];
    kit_house_open(&house);
    snprintf(path, sizeof path, "%s/state.db", house.directory);
    kit_start(&house);
    kit_store(&house, kit_founding(&kit));
    for (uint32_t part = 0; part < 3; part++) {
        if (part > 0)
            kit_roll(&house);
        load(&house, &kit, 1500);
    }
    kit_commit(&house, kit.last, 1);
    KIT_WAIT(&house, house.applied == kit.last);
    kit_stop(&house);
    struct state reader = {0};
    assert_int_equal(state_open(&reader, path), ERR_NONE);
    assert_int_equal(statehash_of(&reader, before), ERR_NONE);
    state_close(&reader);
    assert_int_equal(state_remove(path), ERR_NONE);
    kit_start(&house);
    assert_int_equal(house.fed_index, 0); /* nothing is applied that nobody vouched for */
    kit_commit(&house, kit.last, 1);
    KIT_WAIT(&house, house.applied == kit.last);
    KIT_WAIT(&house, house.fed_index == kit.last);
    assert_int_equal(house.fed_changes, 4500);
    kit_stop(&house);
    assert_int_equal(state_open(&reader, path), ERR_NONE);
    assert_int_equal(statehash_of(&reader, after), ERR_NONE);
    state_close(&reader);
    assert_memory_equal(before, after, HASH_SIZE);
    kit_close(&kit);
    kit_house_close(&house);
}

static void attend(struct kit_house *house, uint64_t level)
{
    struct message message = {.type = MESSAGE_ATTEND};
    message.attend.level = level;
    assert_int_equal(link_send(&house->to_view, 0, &message), ERR_NONE);
}

/* At the lowest level outcomes are gathered, at the next they come at once, at the highest with
 * their changes; at none is one left out. */
static void the_feed_has_no_hole_at_any_level(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    kit_store(&house, kit_founding(&kit));
    load(&house, &kit, 299);
    for (uint64_t index = 1; index <= 100; index++)
        kit_commit(&house, index, 1);
    KIT_WAIT(&house, house.fed_index == 100);
    assert_true(house.feeds < 50);
    assert_int_equal(house.fed_changes, 99);
    attend(&house, 1);
    kit_commit(&house, 200, 1);
    KIT_WAIT(&house, house.fed_index == 200);
    assert_int_equal(house.fed_changes, 199);
    assert_int_equal(house.fed_bodies, 0);
    assert_false(house.fed_whole);
    attend(&house, 2);
    KIT_WAIT(&house, house.fed_whole); /* said before the first change that is told whole */
    assert_int_equal(house.fed_changes, 199);
    kit_commit(&house, 300, 1);
    KIT_WAIT(&house, house.fed_index == 300);
    assert_int_equal(house.fed_changes, 299);
    assert_int_equal(house.fed_bodies, 100);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
}

/* Applies up to this index; how often view gave way meanwhile. */
static uint32_t yields_until(struct kit_house *house, uint64_t index)
{
    uint32_t before = atomic_load(&view_yields);
    kit_commit(house, index, 1);
    KIT_WAIT(house, house->fed_index == index);
    return atomic_load(&view_yields) - before;
}

/* Where somebody waits for it, it is quick; and who is behind must not fall back for ever. */
static void view_gives_way_where_nobody_waits_for_it_and_it_is_near(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    kit_store(&house, kit_founding(&kit));
    load(&house, &kit, 799);
    assert_in_range(yields_until(&house, 400), 50, 100);
    attend(&house, 1);
    assert_int_equal(yields_until(&house, 800), 0);
    attend(&house, 0);
    load(&house, &kit, 5000);
    assert_in_range(yields_until(&house, 5800), 1, 256);
    kit_stop(&house);
    kit_close(&kit);
    kit_house_close(&house);
}

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
        load(house, kit, part < 4 ? 1000 : 999);
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
        load(&house, &kit, 1000);
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
        cmocka_unit_test(what_is_committed_is_applied_told_and_read),
        cmocka_unit_test(segments_are_sealed_and_restarts_lose_nothing),
        cmocka_unit_test(without_state_db_the_log_makes_it_anew),
        cmocka_unit_test(what_is_cut_is_gone_for_readers_at_once_and_from_the_disk_when_it_may),
        cmocka_unit_test(a_holder_is_asked_by_the_cut_and_outlives_a_restart),
        cmocka_unit_test(the_rule_of_a_tag_is_asked_by_the_cut_and_outlives_a_restart),
        cmocka_unit_test(view_gives_way_where_nobody_waits_for_it_and_it_is_near),
        cmocka_unit_test(the_feed_has_no_hole_at_any_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
