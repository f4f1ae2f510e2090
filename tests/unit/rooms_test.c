/* view and keeper, as threads on real files: applied in order, told, written, sealed, read. What is
 * cut is in rooms_cut_test.c. */
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

static void what_is_committed_is_applied_told_and_read(void **state)
{
    struct kit_house house;
    struct log_kit kit = {.term = 1, .ts = 1000};
    kit_house_open(&house);
    kit_start(&house);
    struct span founding = kit_founding(&kit);
    kit_store(&house, founding);
    kit_fill(&house, &kit, 99);
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
    kit_fill(&house, &kit, 10);
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
            kit_fill(&house, &kit, 300);
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
        kit_fill(&house, &kit, 1500);
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
    kit_fill(&house, &kit, 299);
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
    kit_fill(&house, &kit, 799);
    assert_in_range(yields_until(&house, 400), 50, 100);
    attend(&house, 1);
    assert_int_equal(yields_until(&house, 800), 0);
    attend(&house, 0);
    kit_fill(&house, &kit, 5000);
    assert_in_range(yields_until(&house, 5800), 1, 256);
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
        cmocka_unit_test(view_gives_way_where_nobody_waits_for_it_and_it_is_near),
        cmocka_unit_test(the_feed_has_no_hole_at_any_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
