/* raft_log_test.c - replication through the door of the core, as leader and as follower. */
#include "tests/unit/raft_kit.h"

static struct bytes one_entry(struct kit *kit, uint64_t index, uint64_t term)
{
    struct bytes entries = {0};
    kit_record(&entries, index, term, ENTRY_NOOP, (struct span){0}, kit->hash);
    return entries;
}

TEST(an_append_is_acknowledged_only_when_it_is_durable)
{
    struct kit kit;
    kit_open(&kit);
    struct bytes entries = one_entry(&kit, 2, 1);
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) != NULL && kit_out(&kit, MESSAGE_STORE, 1) == NULL);
    CHECK(kit_out(&kit, MESSAGE_APPENDED, 0) == NULL);

    kit_stored(&kit, LIFE + 1, 1); /* another life */
    CHECK(kit.raft->stored == 1);
    kit_stored(&kit, LIFE, 9); /* another term than this STORE had */
    CHECK(kit.raft->stored == 1);
    kit_stored(&kit, LIFE, 1);
    CHECK(kit.raft->stored == 2);
    kit_flush(&kit);
    const struct message *answer = kit_out(&kit, MESSAGE_APPENDED, 0);
    CHECK(answer && answer->appended.ok && answer->appended.match_index == 2);
    bytes_close(&entries);
    kit_close(&kit);
}

TEST(the_ballot_goes_before_the_first_entry_of_a_term)
{
    struct kit kit;
    kit_open(&kit);
    struct bytes entries = one_entry(&kit, 2, 3);
    struct message append = kit_append(&kit, SLOT_2, 3, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) != NULL);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) == NULL);
    CHECK(kit_out(&kit, MESSAGE_APPENDED, 0) == NULL);
    kit_balloted(&kit);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) != NULL);
    bytes_close(&entries);
    kit_close(&kit);
}

TEST(a_truncation_voids_what_is_on_its_way_to_the_disk)
{
    struct kit kit;
    kit_open(&kit);
    uint8_t hash[HASH_SIZE];
    memcpy(hash, kit.hash, HASH_SIZE);
    struct bytes first = one_entry(&kit, 2, 1);
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&first));
    kit_peer(&kit, SLOT_2, &append);
    kit_flush(&kit);
    uint64_t ticket = kit.raft->ticket;

    memcpy(kit.hash, hash, HASH_SIZE);
    struct bytes second = one_entry(&kit, 2, 2);
    append = kit_append(&kit, SLOT_3, 2, bytes_span(&second));
    kit_peer(&kit, SLOT_3, &append);
    kit_balloted(&kit);
    struct message late = {.type = MESSAGE_STORED};
    late.stored.life = LIFE;
    late.stored.ticket = ticket;
    late.stored.term = 1;
    late.stored.last_index = 2;
    kit_tell(&kit, INPUT_STORED, &late);
    CHECK(kit.raft->stored == 1); /* index 2 is another entry now */
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    CHECK(kit.raft->stored == 2);
    bytes_close(&first);
    bytes_close(&second);
    kit_close(&kit);
}

TEST(commit_never_passes_what_this_append_verified)
{
    struct kit kit;
    kit_open(&kit);
    struct bytes entries = one_entry(&kit, 2, 1);
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    append = kit_append(&kit, SLOT_2, 1, (struct span){0}); /* verifies index 1 only */
    append.append.commit_index = 2;
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->commit == 1 && kit.raft->leader_commit == 2);
    bytes_close(&entries);
    kit_close(&kit);
}

TEST(a_missing_previous_entry_is_told_with_a_hint)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    append.append.prev_index = 50;
    kit_peer(&kit, SLOT_2, &append);
    kit_flush(&kit);
    const struct message *answer = kit_out(&kit, MESSAGE_APPENDED, 0);
    CHECK(answer && !answer->appended.ok);
    CHECK(answer->appended.hint_index == 1 && answer->appended.hint_term == 1);
    kit_close(&kit);
}

TEST(a_stale_leader_is_told_the_term)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 0, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    const struct message *answer = kit_out(&kit, MESSAGE_APPENDED, 0);
    CHECK(answer && !answer->appended.ok && answer->peer.term == 1);
    CHECK(kit.raft->leader == RAFT_NOBODY);
    kit_close(&kit);
}

TEST(another_hash_at_the_commit_index_is_fatal)
{
    struct kit kit;
    kit_open(&kit);
    uint8_t wrong[HASH_SIZE] = {1};
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    append.append.commit_index = 1;
    append.append.commit_hash = SPAN(kit.hash, HASH_SIZE);
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 0);
    append.append.commit_hash = SPAN(wrong, HASH_SIZE);
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    kit_flush(&kit);
    CHECK(kit.out.count == 0); /* nothing is done any more */
    kit_close(&kit);
}

TEST(a_committed_entry_is_never_replaced)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    append.append.commit_index = 1;
    kit_peer(&kit, SLOT_2, &append);
    append = kit_append(&kit, SLOT_3, 2, (struct span){0});
    append.append.prev_term = 9;
    kit_peer(&kit, SLOT_3, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    kit_close(&kit);
}

TEST(broken_records_are_dropped)
{
    struct kit kit;
    kit_open(&kit);
    struct bytes entries = one_entry(&kit, 2, 1);
    entries.data[ENTRY_HEADER_SIZE - 1] ^= 1;
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->log.last == 1 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 0);
    bytes_close(&entries);
    kit_close(&kit);
}

static void answer(struct kit *kit, uint32_t slot, uint64_t term, uint64_t match)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_APPENDED);
    message.appended.ok = true;
    message.appended.round = kit->raft->round;
    message.appended.match_index = match;
    kit_peer(kit, slot, &message);
}

TEST(a_leader_commits_with_one_ack_and_tells_at_once)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) && kit_out(&kit, MESSAGE_APPEND, 1));
    CHECK(kit_out(&kit, MESSAGE_APPEND, 2) == NULL);
    kit_stored(&kit, LIFE, 2);
    CHECK(kit.raft->commit == 0); /* the own disk is one vote like any other */
    answer(&kit, SLOT_2, 1, 2);   /* of an earlier term */
    CHECK(kit.raft->commit == 0);
    answer(&kit, SLOT_2, 2, 1); /* record 1 is of an earlier term: not by counting */
    CHECK(kit.raft->commit == 0);
    answer(&kit, SLOT_2, 2, 2);
    CHECK(kit.raft->commit == 2);
    kit_flush(&kit);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append && append->append.commit_index == 2 && append->append.commit_hash.size == 32);
    CHECK(kit_out(&kit, MESSAGE_COMMIT, 0)->commit.term == 2);
    kit_close(&kit);
}

TEST(a_leader_without_its_own_disk_needs_both_others)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    answer(&kit, SLOT_2, 2, 2);
    CHECK(kit.raft->commit == 0);
    answer(&kit, SLOT_3, 2, 2);
    CHECK(kit.raft->commit == 2);
    kit_close(&kit);
}

TEST(a_leader_that_hears_no_quorum_steps_down)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    kit_tick(&kit, 999);
    CHECK(kit.raft->role == ROLE_LEADER);
    kit_tick(&kit, 1);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_APPEND, 0) == NULL);
    kit_close(&kit);
}

TEST(a_leader_whose_disk_hangs_steps_down)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_tick(&kit, 900);
    answer(&kit, SLOT_2, 2, 1);
    kit_tick(&kit, 100);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_close(&kit);
}

/* S8: low refuses clients and leads on; full gives up the lead; room again takes writes. */
TEST(a_low_disk_refuses_writes_and_a_full_one_the_lead)
{
    struct kit kit;
    struct message disk = {.type = MESSAGE_DISK_IS, .disk_is = {1, 1000}};
    kit_lead(&kit);
    kit_tell(&kit, INPUT_DISK, &disk);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_NOSPACE"));
    CHECK(kit.raft->role == ROLE_LEADER);
    disk.disk_is.state = 0;
    kit_tell(&kit, INPUT_DISK, &disk);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 0) == NULL);
    disk.disk_is.state = 2;
    kit_tell(&kit, INPUT_DISK, &disk);
    kit_tick(&kit, kit.raft->heartbeat_ms);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_tick(&kit, 2 * kit.raft->election_max_ms);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_close(&kit);
}

TEST(log_time_never_falls)
{
    struct kit kit;
    kit_lead(&kit);
    kit.wall = 5000000;
    kit_propose(&kit, 2, 10, ENTRY_DATA);
    uint64_t before = kit.raft->log.last_ts;
    CHECK(before == 5000001);
    kit.wall = 10; /* the clock jumps back */
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit.raft->log.last_ts == before + 1);
    kit_close(&kit);
}

TEST(a_clock_far_ahead_of_the_others_is_not_followed)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    uint64_t before = kit.raft->log.last_ts;
    kit.wall = 90000ull * 1000000000; /* the others answer with 0: more than an hour ago */
    answer(&kit, SLOT_2, 2, 1);
    answer(&kit, SLOT_3, 2, 1);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit.raft->log.last_ts == before + 1);
    kit_close(&kit);
}

TEST(only_puts_may_be_proposed)
{
    struct kit kit;
    kit_lead(&kit);
    uint64_t last = kit.raft->log.last;
    kit_propose(&kit, 1, 10, ENTRY_CONFIG);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_BAD_REQUEST"));
    CHECK(refused->refused.txids.size == TXID_SIZE && kit.raft->log.last == last);
    kit_close(&kit);
}

TEST(what_waits_is_bounded)
{
    struct kit kit;
    kit_lead(&kit);
    for (int i = 0; i < 31; i++) {
        kit_propose(&kit, 1, 1 << 20, ENTRY_DATA);
        CHECK(kit_out(&kit, MESSAGE_REFUSED, 0) == NULL);
    }
    kit_propose(&kit, 2, 1 << 20, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_BUSY"));
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 1) == NULL);
    CHECK(raft_wants_flush(kit.raft));
    kit_close(&kit);
}

TEST(a_follower_forwards_once_a_turn)
{
    struct kit kit;
    kit_open(&kit);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_NO_LEADER"));
    struct message append = kit_append(&kit, SLOT_3, 1, (struct span){0});
    kit_peer(&kit, SLOT_3, &append);
    kit_propose(&kit, 2, 10, ENTRY_DATA);
    kit_propose(&kit, 3, 10, ENTRY_DATA);
    kit_flush(&kit);
    const struct message *forward = kit_out(&kit, MESSAGE_FORWARD, 0);
    CHECK(forward && forward->peer.to == 3 && kit_out(&kit, MESSAGE_FORWARD, 1) == NULL);
    CHECK(forward->forward.records.size == 5 * (ENTRY_HEADER_SIZE + 10));
    struct message message = kit_from(&kit, SLOT_3, 1, MESSAGE_FORWARD_REFUSED);
    message.forward_refused.txids = SPAN("0123456789abcdef", 16);
    message.forward_refused.error = SPAN_TEXT("E_BUSY");
    kit_peer(&kit, SLOT_3, &message);
    CHECK(span_is(kit_out(&kit, MESSAGE_REFUSED, 0)->refused.error, "E_BUSY"));
    kit_close(&kit);
}

TEST(a_forward_to_one_that_does_not_lead_comes_back)
{
    struct kit kit;
    kit_open(&kit);
    struct bytes records = {0};
    entry_encode(&(struct entry){.kind = ENTRY_DATA, .change_count = 1}, &records);
    struct message forward = kit_from(&kit, SLOT_2, 1, MESSAGE_FORWARD);
    forward.forward.records = bytes_span(&records);
    kit_peer(&kit, SLOT_2, &forward);
    const struct message *refused = kit_out(&kit, MESSAGE_FORWARD_REFUSED, 0);
    CHECK(refused && refused->forward_refused.txids.size == TXID_SIZE);
    bytes_close(&records);
    kit_close(&kit);
}

/* Nagle's rule, made milder: behind what is on its way only what is as large follows. */
TEST(small_batches_wait_for_the_one_on_its_way)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_propose(&kit, 3, 500, ENTRY_DATA);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) != NULL);
    kit_propose(&kit, 1, 500, ENTRY_DATA);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_STORE, 0) == NULL);
    kit_stored(&kit, LIFE, 2);
    kit_propose(&kit, 1, 500, ENTRY_DATA);
    kit_flush(&kit);
    const struct message *store = kit_out(&kit, MESSAGE_STORE, 0);
    uint32_t count = 0;
    CHECK(store && entry_count(store->store.entries, &count) == ERR_NONE && count == 2);
    kit_close(&kit);
}

TEST(old_entries_are_fetched_for_a_slow_peer)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_propose(&kit, 3, 1000, ENTRY_DATA);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    answer(&kit, SLOT_2, 2, 5);
    CHECK(kit.raft->commit == 5);
    struct bytes copy = {0};
    for (uint64_t i = 1; i <= 3; i++)
        bytes_append_span(&copy, raftlog_record(&kit.raft->log, i));
    kit.raft->tail_bytes = 1;
    kit_flush(&kit);
    CHECK(kit.raft->log.held > 2);

    struct message nack = kit_from(&kit, SLOT_3, 2, MESSAGE_APPENDED);
    nack.appended.round = kit.raft->round;
    nack.appended.hint_index = 1;
    nack.appended.hint_term = 1;
    kit_peer(&kit, SLOT_3, &nack);
    kit_flush(&kit);
    answer(&kit, SLOT_3, 2, 1); /* the probe at index 1 matched */
    kit_flush(&kit);
    const struct message *fetch = kit_out(&kit, MESSAGE_FETCH, 0);
    CHECK(fetch && fetch->fetch.from == 1);
    struct message fetched = {.type = MESSAGE_FETCHED};
    fetched.fetched.ticket = fetch->fetch.ticket;
    fetched.fetched.from = 1;
    fetched.fetched.entries = bytes_span(&copy);
    kit_tell(&kit, INPUT_FETCHED, &fetched);
    kit_flush(&kit);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append && append->append.prev_index == 1);
    CHECK(entry_index_of(append->append.entries) == 2);
    bytes_close(&copy);
    kit_close(&kit);
}

/* Storage gives at least one entry, and never more than one file: a page may hold the entry before
 * the wanted ones alone. It was asked for again and again then, and the peer got nothing more. */
TEST(a_page_that_ends_before_what_is_wanted_is_enough)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_propose(&kit, 3, 1000, ENTRY_DATA);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    answer(&kit, SLOT_2, 2, 5);
    struct bytes copy = {0}, rest = {0};
    bytes_append_span(&copy, raftlog_record(&kit.raft->log, 1));
    for (uint64_t i = 2; i <= 3; i++)
        bytes_append_span(&rest, raftlog_record(&kit.raft->log, i));
    kit.raft->tail_bytes = 1;
    kit_flush(&kit);

    struct message nack = kit_from(&kit, SLOT_3, 2, MESSAGE_APPENDED);
    nack.appended.round = kit.raft->round;
    nack.appended.hint_index = 1;
    nack.appended.hint_term = 1;
    kit_peer(&kit, SLOT_3, &nack);
    kit_flush(&kit);
    answer(&kit, SLOT_3, 2, 1);
    kit_flush(&kit);
    const struct message *fetch = kit_out(&kit, MESSAGE_FETCH, 0);
    CHECK(fetch && fetch->fetch.from == 1);
    struct message fetched = {.type = MESSAGE_FETCHED};
    fetched.fetched.ticket = fetch->fetch.ticket;
    fetched.fetched.from = 1;
    fetched.fetched.entries = bytes_span(&copy);
    kit_tell(&kit, INPUT_FETCHED, &fetched);
    kit_flush(&kit);
    fetch = kit_out(&kit, MESSAGE_FETCH, 0);
    CHECK(fetch && fetch->fetch.from == 2);
    fetched.fetched.ticket = fetch->fetch.ticket;
    fetched.fetched.from = 2;
    fetched.fetched.entries = bytes_span(&rest);
    kit_tell(&kit, INPUT_FETCHED, &fetched);
    kit_flush(&kit);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    CHECK(append && append->append.prev_index == 1 && append->append.prev_term == 1);
    CHECK(entry_index_of(append->append.entries) == 2);
    bytes_close(&rest);
    bytes_close(&copy);
    kit_close(&kit);
}

TEST_MAIN(T(an_append_is_acknowledged_only_when_it_is_durable),
          T(the_ballot_goes_before_the_first_entry_of_a_term),
          T(a_truncation_voids_what_is_on_its_way_to_the_disk),
          T(commit_never_passes_what_this_append_verified),
          T(a_missing_previous_entry_is_told_with_a_hint), T(a_stale_leader_is_told_the_term),
          T(another_hash_at_the_commit_index_is_fatal), T(a_committed_entry_is_never_replaced),
          T(broken_records_are_dropped), T(a_leader_commits_with_one_ack_and_tells_at_once),
          T(a_leader_without_its_own_disk_needs_both_others),
          T(a_leader_that_hears_no_quorum_steps_down), T(a_leader_whose_disk_hangs_steps_down),
          T(a_low_disk_refuses_writes_and_a_full_one_the_lead), T(log_time_never_falls),
          T(a_clock_far_ahead_of_the_others_is_not_followed), T(only_puts_may_be_proposed),
          T(what_waits_is_bounded), T(a_follower_forwards_once_a_turn),
          T(a_forward_to_one_that_does_not_lead_comes_back),
          T(small_batches_wait_for_the_one_on_its_way), T(old_entries_are_fetched_for_a_slow_peer),
          T(a_page_that_ends_before_what_is_wanted_is_enough))
