/* scribe_test.c - the journal thread, asked over its socket as consensus asks it. */
#include "tests/unit/scribe_kit.h"

TEST(what_is_stored_is_answered_handed_on_and_loaded_again)
{
    struct stage *stage = stage_make();
    SCOPED(bytes) records = {0};
    load(stage);
    CHECK(stage->loaded_last == 0);
    vote(stage, 1, 1, LIFE);
    await(stage, &stage->balloted, 1);
    kit_add_many(&stage->kit, 20, 1, 100, &records);
    store(stage, 2, LIFE, bytes_span(&records));
    await(stage, &stage->stored_ticket, 2);
    CHECK(stage->stored_last == 20);
    check_view(stage, 1, 20, bytes_span(&records));
    strike_stage(stage);
    struct kit kit = stage->kit;
    *stage = (struct stage){.kit = kit};
    raise_stage(stage);
    load(stage);
    CHECK(stage->loaded_last == 20);
    CHECK(stage->loaded_term == 1);
    CHECK(stage->tail_size == records.size);
    stage_drop(stage);
}

TEST(many_stores_of_one_turn_are_answered_by_the_newest)
{
    struct stage *stage = stage_make();
    SCOPED(bytes) records = {0};
    load(stage);
    vote(stage, 1, 1, LIFE);
    for (uint64_t ticket = 2; ticket < 302; ticket++) {
        bytes_clear(&records);
        kit_add(&stage->kit, ENTRY_DATA, 1, 50, &records);
        store(stage, ticket, LIFE, bytes_span(&records));
    }
    await(stage, &stage->stored_ticket, 301);
    CHECK(stage->stored_last == 300);
    CHECK(stage->stored_count < 300);
    stage_drop(stage);
}

/* Keeper says once what is durably applied. A file that is full, but the newest, is not handed over
 * then; it must be when the next one has begun, though nothing more is said. */
TEST(a_full_file_is_handed_over_when_the_next_one_begins)
{
    enum { BIG = MiB(4), BIGS_A_FILE = MiB(64) / BIG };
    struct stage *stage = stage_make();
    SCOPED(bytes) records = {0};
    load(stage);
    vote(stage, 1, 1, LIFE);
    for (uint64_t ticket = 2; ticket < 2 + BIGS_A_FILE; ticket++) {
        bytes_clear(&records);
        kit_add(&stage->kit, ENTRY_DATA, 1, BIG - ENTRY_HEADER_SIZE, &records);
        store(stage, ticket, LIFE, bytes_span(&records));
        await(stage, &stage->stored_ticket, ticket);
        check_view(stage, ticket - 1, ticket - 1, bytes_span(&records));
    }
    struct room_item *durable = bytes_zeroed(1, sizeof *durable);
    durable->kind = ROOM_DURABLE;
    durable->index = BIGS_A_FILE;
    queue_push_now(&stage->rooms.journal, durable, sizeof *durable);
    bytes_clear(&records);
    vote(stage, 100, 1, LIFE); /* asked behind it, so it was taken */
    await(stage, &stage->balloted, 100);
    kit_add(&stage->kit, ENTRY_DATA, 1, 50, &records);
    store(stage, 101, LIFE, bytes_span(&records));
    await(stage, &stage->stored_ticket, 101);
    bool sealed = false;
    for (uint64_t end = clock_now_ms() + PATIENCE_MS; !sealed && clock_now_ms() < end;) {
        loop_turn(&stage->loop, 10);
        struct room_item *item = queue_pop(&stage->rooms.keeper);
        sealed = item != NULL && item->kind == ROOM_SEAL;
        if (sealed)
            segment_free(item->segment);
        if (item != NULL)
            room_item_free(item);
    }
    CHECK(sealed);
    stage_drop(stage);
}

TEST(another_life_a_gap_and_a_term_above_the_ballot_are_refused)
{
    struct stage *stage = stage_make();
    SCOPED(bytes) first = {0};
    SCOPED(bytes) second = {0};
    kit_add(&stage->kit, ENTRY_DATA, 1, 50, &first);
    kit_add(&stage->kit, ENTRY_DATA, 1, 50, &second);
    store(stage, 1, LIFE, bytes_span(&first)); /* before LOAD */
    load(stage);
    store(stage, 2, LIFE, bytes_span(&first)); /* the ballot says term 0 */
    vote(stage, 3, 1, LIFE + 1);
    vote(stage, 4, 1, LIFE);
    store(stage, 5, LIFE + 1, bytes_span(&first));
    store(stage, 6, LIFE, bytes_span(&second)); /* entry 2 without entry 1 */
    store(stage, 7, LIFE, bytes_span(&first));
    await(stage, &stage->stored_ticket, 7);
    CHECK(stage->balloted == 4);
    CHECK(stage->stored_count == 1);
    CHECK(stage->stored_last == 1);
    stage_drop(stage);
}

TEST(a_replaced_tail_reaches_view_through_the_same_queue)
{
    struct stage *stage = stage_make();
    SCOPED(bytes) records = {0};
    SCOPED(bytes) others = {0};
    load(stage);
    vote(stage, 1, 2, LIFE);
    kit_add_many(&stage->kit, 5, 1, 50, &records);
    struct kit at_five = stage->kit;
    kit_add_many(&stage->kit, 5, 1, 50, &records);
    store(stage, 2, LIFE, bytes_span(&records));
    stage->kit = at_five;
    kit_add_many(&stage->kit, 2, 2, 60, &others);
    store(stage, 3, LIFE, bytes_span(&others)); /* perhaps in the same turn */
    await(stage, &stage->stored_ticket, 3);
    CHECK(stage->stored_last == 7);
    check_view(stage, 1, 10, bytes_span(&records));
    check_view(stage, 6, 7, bytes_span(&others));
    stage_drop(stage);
}

static void store_five(struct stage *stage, uint64_t ticket)
{
    SCOPED(bytes) records = {0};
    kit_add_many(&stage->kit, 5, 1, 2000, &records);
    store(stage, ticket, LIFE, bytes_span(&records));
    await(stage, &stage->stored_ticket, ticket);
}

/* What a start makes of the directory as it is now, with its WAL as it was at the commit before
 * if `cut`: nothing in it looks damaged then. */
static void check_crash(struct stage *stage, bool cut, const char *wal_before)
{
    SCOPED(recovery) recovery = {0};
    char crash[128];
    snprintf(crash, sizeof crash, "%s/crash", stage->kit.dir);
    kit_shell("rm -rf %s/crash && mkdir %s/crash", stage->kit.dir, stage->kit.dir);
    kit_shell("cd %s && cp -a ballot.db* identity log %s/", stage->kit.dir, crash);
    if (cut)
        kit_shell("truncate -s $(cat %s) $(ls %s/log/*-wal)", wal_before, crash);
    CHECK(recovery_run(&recovery, crash) == ERR_NONE);
    CHECK(recovery.found.may_vote == !cut);
    CHECK(recovery.found.last_index == (cut ? 5 : 10));
    CHECK(!cut || strstr(recovery.found.damage, "high-water mark") != NULL);
}

/* S7, I18: what was acknowledged a moment ago is missed if the process dies now. */
TEST(a_log_cut_at_a_commit_is_noticed_at_once)
{
    struct stage *stage = stage_make();
    char before[128];
    snprintf(before, sizeof before, "%s/wal-size", stage->kit.dir);
    load(stage);
    vote(stage, 1, 1, LIFE);
    store_five(stage, 2);
    kit_shell("stat -c %%s %s/log/*-wal > %s", stage->kit.dir, before);
    store_five(stage, 3);
    check_crash(stage, false, before);
    check_crash(stage, true, before);
    stage_drop(stage);
}

TEST_MAIN(T(what_is_stored_is_answered_handed_on_and_loaded_again),
          T(many_stores_of_one_turn_are_answered_by_the_newest),
          T(a_full_file_is_handed_over_when_the_next_one_begins),
          T(another_life_a_gap_and_a_term_above_the_ballot_are_refused),
          T(a_replaced_tail_reaches_view_through_the_same_queue),
          T(a_log_cut_at_a_commit_is_noticed_at_once))
