/* readindex_test.c - a read index is confirmed by a majority, each round anew (I15). */
#include "tests/unit/raft_kit.h"

static void acknowledge(struct kit *kit, uint32_t slot, uint64_t term, uint64_t round, bool ok)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_APPENDED);
    message.appended.round = round;
    message.appended.ok = ok;
    message.appended.match_index = ok ? kit->raft->commit : 0;
    kit_peer(kit, slot, &message);
}

static void ask(struct kit *kit, uint64_t ticket)
{
    struct message message = {.type = MESSAGE_READ_INDEX, .read_index = {.ticket = ticket}};
    kit_tell(kit, INPUT_READ_INDEX, &message);
}

static void ask_as_peer(struct kit *kit, uint32_t slot, uint64_t ticket)
{
    struct message message = kit_from(kit, slot, kit->raft->term, MESSAGE_ASK_INDEX);
    message.ask_index.ticket = ticket;
    kit_peer(kit, slot, &message);
}

static const struct message_read_index_is *told(const struct kit *kit, uint32_t n)
{
    const struct message *message = kit_out(kit, MESSAGE_READ_INDEX_IS, n);
    return message ? &message->read_index_is : NULL;
}

static bool is_told(const struct kit *kit, uint32_t n, uint64_t ticket, uint64_t index)
{
    const struct message_read_index_is *is = told(kit, n);
    return is != NULL && is->ticket == ticket && is->index == index && is->error.size == 0;
}

static bool is_refused(const struct kit *kit, uint64_t ticket, const char *error)
{
    const struct message_read_index_is *is = told(kit, 0);
    return is != NULL && is->ticket == ticket && span_is(is->error, error);
}

/* Leads term 2; log index 2, the first entry of the term, is committed; nothing is under way. */
static void lead(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_acknowledge(kit, SLOT_2, 2);
    kit_flush(kit);
    assert_int_equal(kit->raft->commit, 2);
}

TEST(no_index_before_an_entry_of_this_term_is_committed)
{
    struct kit kit;
    kit_lead(&kit);
    ask(&kit, 7);
    CHECK(is_refused(&kit, 7, "E_NOT_READY"));
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    ask(&kit, 8);
    CHECK(is_refused(&kit, 8, "E_NOT_READY"));
    ask_as_peer(&kit, SLOT_3, 9);
    const struct message *peer = kit_out(&kit, MESSAGE_INDEX_IS, 0);
    CHECK(peer != NULL && peer->peer.to == 3 && peer->index_is.ticket == 9 &&
          span_is(peer->index_is.error, "E_NOT_READY"));
    kit_close(&kit);
}

TEST(a_majority_confirms_by_an_append_that_was_sent_after_the_ask)
{
    struct kit kit;
    lead(&kit);
    uint64_t before = kit.raft->round;
    ask(&kit, 7);
    CHECK(told(&kit, 0) == NULL);
    kit_flush(&kit);
    CHECK(told(&kit, 0) == NULL);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append != NULL && append->append.round > before && !append->append.quiet);

    acknowledge(&kit, SLOT_2, 2, before, true); /* of a round before: late, or there twice */
    CHECK(told(&kit, 0) == NULL);
    acknowledge(&kit, SLOT_2, 2, before, true);
    CHECK(told(&kit, 0) == NULL);
    acknowledge(&kit, SLOT_2, 1, before + 1, true); /* of a term before */
    CHECK(told(&kit, 0) == NULL);
    acknowledge(&kit, SLOT_2, 2, before + 1, true);
    CHECK(is_told(&kit, 0, 7, 2));
    acknowledge(&kit, SLOT_2, 2, before + 1, true);
    CHECK(told(&kit, 0) == NULL); /* once */
    kit_close(&kit);
}

TEST(the_answer_to_one_round_never_confirms_the_next)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, 7);
    kit_flush(&kit);
    uint64_t first = kit.raft->round;
    acknowledge(&kit, SLOT_2, 2, first, true);
    CHECK(is_told(&kit, 0, 7, 2));
    ask(&kit, 8);
    kit_flush(&kit);
    acknowledge(&kit, SLOT_2, 2, first, true); /* the same answer again */
    acknowledge(&kit, SLOT_3, 2, first, true); /* and one that was late */
    CHECK(told(&kit, 0) == NULL && kit.raft->reads.begun == 1);
    acknowledge(&kit, SLOT_3, 2, first + 1, true);
    CHECK(told(&kit, 0) == NULL || first + 1 == kit.raft->round - 1);
    acknowledge(&kit, SLOT_3, 2, kit.raft->round, true);
    CHECK(kit.raft->reads.count == 0);
    kit_close(&kit);
}

TEST(an_answer_of_another_incarnation_or_of_nobody_counts_for_nothing)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, 7);
    kit_flush(&kit);
    struct message message = kit_from(&kit, SLOT_2, 2, MESSAGE_APPENDED);
    message.peer.from_incarnation = 99;
    message.appended.round = kit.raft->round;
    message.appended.ok = true;
    kit_peer(&kit, SLOT_2, &message);
    CHECK(told(&kit, 0) == NULL);
    acknowledge(&kit, SLOT_3, 2, kit.raft->round, false); /* it disagrees, but it follows */
    CHECK(is_told(&kit, 0, 7, 2));
    kit_close(&kit);
}

TEST(what_came_meanwhile_shares_the_next_round)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, 7);
    ask_as_peer(&kit, SLOT_3, 70);
    kit_flush(&kit);
    ask(&kit, 8);
    ask(&kit, 9);
    ask_as_peer(&kit, SLOT_3, 71);
    ask_as_peer(&kit, SLOT_3, 71); /* asked again: one answer */
    kit_flush(&kit);
    CHECK(kit.raft->counters.read_rounds == 1 && kit.raft->reads.count == 5);
    acknowledge(&kit, SLOT_2, 2, kit.raft->round, true);
    CHECK(is_told(&kit, 0, 7, 2) && told(&kit, 1) == NULL);
    const struct message *peer = kit_out(&kit, MESSAGE_INDEX_IS, 0);
    CHECK(peer != NULL && peer->index_is.ticket == 70 && peer->index_is.index == 2);
    kit_flush(&kit);
    acknowledge(&kit, SLOT_2, 2, kit.raft->round, true);
    CHECK(is_told(&kit, 0, 8, 2) && is_told(&kit, 1, 9, 2));
    CHECK(kit_out(&kit, MESSAGE_INDEX_IS, 0) != NULL && kit_out(&kit, MESSAGE_INDEX_IS, 1) == NULL);
    CHECK(kit.raft->counters.read_rounds == 2 && kit.raft->counters.reads == 5);
    kit_close(&kit);
}

TEST(the_index_is_read_when_the_round_begins)
{
    struct kit kit;
    lead(&kit);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    ask(&kit, 7);
    struct message message = kit_from(&kit, SLOT_2, 2, MESSAGE_APPENDED);
    message.appended.round = kit.raft->round;
    message.appended.ok = true;
    message.appended.match_index = 3;
    kit_peer(&kit, SLOT_2, &message);
    CHECK(kit.raft->commit == 3 && told(&kit, 0) == NULL);
    kit_flush(&kit);
    acknowledge(&kit, SLOT_2, 2, kit.raft->round, true);
    CHECK(is_told(&kit, 0, 7, 3));
    kit_close(&kit);
}

TEST(leadership_that_ends_takes_its_rounds_along)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, 7);
    kit_flush(&kit);
    uint64_t round = kit.raft->round;
    acknowledge(&kit, SLOT_3, 5, round, false); /* another term */
    CHECK(kit.raft->role == ROLE_FOLLOWER && kit.raft->reads.count == 0);
    acknowledge(&kit, SLOT_2, 2, round, true); /* what was on its way confirms nothing any more */
    CHECK(told(&kit, 0) == NULL);

    kit_balloted(&kit); /* leads again, in term 6: answers of term 2 are of another time */
    kit_tick(&kit, 2000);
    kit_vote(&kit, SLOT_2, 6, true);
    kit_balloted(&kit);
    kit_vote(&kit, SLOT_2, 6, false);
    CHECK(kit.raft->role == ROLE_LEADER);
    ask(&kit, 7);
    CHECK(is_refused(&kit, 7, "E_NOT_READY"));
    kit_close(&kit);
}

TEST(a_leader_alone_confirms_nothing_and_gives_up)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, 7);
    for (int i = 0; i < 30; i++) {
        kit_tick(&kit, 100);
        CHECK(told(&kit, 0) == NULL);
        kit_flush(&kit);
        CHECK(told(&kit, 0) == NULL);
    }
    CHECK(kit.raft->role != ROLE_LEADER && kit.raft->reads.count == 0);
    kit_close(&kit);
}

TEST(a_hanging_disk_begins_no_round)
{
    struct kit kit;
    lead(&kit);
    struct message full = {.type = MESSAGE_DISK_IS, .disk_is = {.state = DISK_FULL}};
    kit_tell(&kit, INPUT_DISK, &full);
    ask(&kit, 7);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_APPEND, 0) == NULL && kit.raft->reads.begun == 0);
    kit_close(&kit);
}

TEST(the_queue_is_bounded_for_each_who_asks)
{
    struct kit kit;
    lead(&kit);
    for (uint64_t i = 0; i < RAFT_READS_PER_SLOT; i++)
        ask(&kit, 100 + i);
    CHECK(told(&kit, 0) == NULL);
    ask(&kit, 200);
    CHECK(is_refused(&kit, 200, "E_BUSY"));
    ask_as_peer(&kit, SLOT_2, 300);
    CHECK(kit_out(&kit, MESSAGE_INDEX_IS, 0) == NULL); /* another one's room is its own */
    kit_close(&kit);
}

TEST(a_follower_asks_its_leader_and_hands_on_what_it_is_told)
{
    struct kit kit;
    kit_open(&kit);
    ask(&kit, 7);
    CHECK(is_refused(&kit, 7, "E_NO_LEADER"));
    ask_as_peer(&kit, SLOT_3, 70);
    const struct message *peer = kit_out(&kit, MESSAGE_INDEX_IS, 0);
    CHECK(peer != NULL && span_is(peer->index_is.error, "E_NOT_LEADER"));

    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    ask(&kit, 8);
    const struct message *passed = kit_out(&kit, MESSAGE_ASK_INDEX, 0);
    CHECK(passed != NULL && passed->peer.to == 2 && passed->ask_index.ticket == 8);
    struct message is = kit_from(&kit, SLOT_2, 1, MESSAGE_INDEX_IS);
    is.index_is.ticket = 8;
    is.index_is.index = 55;
    kit_peer(&kit, SLOT_2, &is);
    CHECK(is_told(&kit, 0, 8, 55));
    is.index_is.error = SPAN_TEXT("E_NOT_READY");
    kit_peer(&kit, SLOT_2, &is);
    CHECK(is_refused(&kit, 8, "E_NOT_READY"));
    is.index_is.error = SPAN_TEXT("no such name");
    kit_peer(&kit, SLOT_2, &is);
    CHECK(is_refused(&kit, 8, "E_BAD_MESSAGE"));
    kit_close(&kit);
}

TEST_MAIN(T(no_index_before_an_entry_of_this_term_is_committed),
          T(a_majority_confirms_by_an_append_that_was_sent_after_the_ask),
          T(the_answer_to_one_round_never_confirms_the_next),
          T(an_answer_of_another_incarnation_or_of_nobody_counts_for_nothing),
          T(what_came_meanwhile_shares_the_next_round), T(the_index_is_read_when_the_round_begins),
          T(leadership_that_ends_takes_its_rounds_along),
          T(a_leader_alone_confirms_nothing_and_gives_up), T(a_hanging_disk_begins_no_round),
          T(the_queue_is_bounded_for_each_who_asks),
          T(a_follower_asks_its_leader_and_hands_on_what_it_is_told))
