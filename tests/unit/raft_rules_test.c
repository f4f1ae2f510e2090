/* raft_rules_test.c - rules whose breach no other test noticed (tests/mutants). */
#include "common/keys.h"
#include "consensus/membership.h"
#include "tests/unit/raft_kit.h"

#include <stdio.h>

static struct message vote_of(struct kit *kit, uint32_t slot, uint64_t term)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_VOTE);
    message.vote.candidate_term = term;
    message.vote.last_index = message.vote.last_term = 1;
    return message;
}

static bool granted(const struct kit *kit)
{
    for (uint32_t n = 0; kit_out(kit, MESSAGE_VOTED, n); n++)
        if (kit_out(kit, MESSAGE_VOTED, n)->voted.granted)
            return true;
    return false;
}

TEST(a_vote_of_a_passed_term_is_not_sent)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 2);
    kit_peer(&kit, SLOT_2, &vote);
    vote = vote_of(&kit, SLOT_3, 3); /* the ballot of term 2 is still on its way */
    vote.vote.last_index = 0;
    kit_peer(&kit, SLOT_3, &vote);
    kit_balloted(&kit);
    CHECK(!granted(&kit) && kit.raft->term == 3);
    kit_close(&kit);
}

static void lose_storage(struct kit *kit)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    kit_step(kit, (struct raft_input){.kind = INPUT_STORAGE_UP});
    bytes_clear(&kit->log);
    memset(kit->hash, 0, HASH_SIZE);
    kit_load(kit, 1, (uint64_t[]){1}, 1, true);
}

TEST(a_vote_that_was_lost_with_storage_is_not_sent)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 2);
    kit_peer(&kit, SLOT_2, &vote);
    lose_storage(&kit); /* it comes back without that ballot */
    CHECK(!granted(&kit) && kit.raft->term == 1);
    kit_tick(&kit, 1);
    CHECK(!granted(&kit));
    kit_peer(&kit, SLOT_2, &vote); /* asked again, it goes to the disk again */
    CHECK(!granted(&kit) && kit_out(&kit, MESSAGE_BALLOT, 0) != NULL);
    kit_balloted(&kit);
    CHECK(granted(&kit));
    kit_close(&kit);
}

/* Known as R2: one that still names a leader turns others away, and keeps clients waiting. */
/* A vote is for one candidacy: late, it is none for the next (I1). */
TEST(a_vote_for_an_earlier_candidacy_counts_for_nothing)
{
    struct kit kit;
    kit_open(&kit);
    kit_tick(&kit, 2000);
    kit_vote(&kit, SLOT_2, 2, true);
    kit_balloted(&kit);
    CHECK(kit.raft->role == ROLE_CANDIDATE && kit.raft->term == 2);
    struct message late = kit_from(&kit, SLOT_2, 2, MESSAGE_VOTED);
    late.voted.candidate_term = 1;
    late.voted.granted = true;
    kit_peer(&kit, SLOT_2, &late);
    CHECK(kit.raft->role == ROLE_CANDIDATE);
    kit_vote(&kit, SLOT_2, 2, false);
    CHECK(kit.raft->role == ROLE_LEADER);
    kit_close(&kit);
}

TEST(a_pre_candidate_forgets_its_leader)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->leader == SLOT_2);
    kit_tick(&kit, 2000);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE && kit.raft->leader == RAFT_NOBODY);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_NO_LEADER"));
    kit_close(&kit);
}

TEST(a_second_leader_of_the_term_is_fatal)
{
    struct kit kit;
    kit_lead(&kit);
    struct message append = kit_append(&kit, SLOT_3, 2, (struct span){0});
    kit_peer(&kit, SLOT_3, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    kit_close(&kit);
}

TEST(what_was_never_sent_cannot_be_acknowledged)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    struct message message = kit_appended(&kit, SLOT_2, 2);
    message.appended.round++;
    kit_peer(&kit, SLOT_2, &message);
    CHECK(kit.raft->commit == 0 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    message = kit_appended(&kit, SLOT_2, 3);
    kit_peer(&kit, SLOT_2, &message);
    CHECK(kit.raft->commit == 0 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_close(&kit);
}

/* An append with the entries `first` (index 2) and `second` at this index and term. */
static void append_two(struct kit *kit, uint64_t index, uint64_t term)
{
    struct bytes entries = {0};
    kit_record(&entries, 2, 1, ENTRY_NOOP, (struct span){0}, kit->hash);
    kit_record(&entries, index, term, ENTRY_NOOP, (struct span){0}, kit->hash);
    struct message append = kit_append(kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(kit, SLOT_2, &append);
    bytes_close(&entries);
}

TEST(an_append_with_a_gap_or_of_a_later_term_is_dropped_whole)
{
    struct kit kit;
    kit_open(&kit);
    append_two(&kit, 4, 1);
    CHECK(kit.raft->log.last == 1 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_close(&kit);
    kit_open(&kit);
    append_two(&kit, 3, 9);
    CHECK(kit.raft->log.last == 1 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    kit_close(&kit);
}

static void append_at_two(struct kit *kit, uint32_t slot, uint64_t term, enum entry_kind kind,
                          struct span body, const uint8_t before[HASH_SIZE])
{
    uint8_t hash[HASH_SIZE];
    struct bytes entries = {0};
    memcpy(hash, before, HASH_SIZE);
    kit_record(&entries, 2, term, kind, body, hash);
    struct message append = kit_append(kit, slot, term, bytes_span(&entries));
    kit_peer(kit, slot, &append);
    kit_balloted(kit);
    bytes_close(&entries);
}

TEST(an_entry_of_another_chain_is_fatal)
{
    struct kit kit;
    kit_open(&kit);
    uint8_t other[HASH_SIZE] = {1};
    struct bytes entries = {0};
    kit_record(&entries, 2, 1, ENTRY_NOOP, (struct span){0}, other);
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    bytes_close(&entries);
    kit_close(&kit);
}

TEST(a_leader_that_replaces_what_is_committed_is_fatal)
{
    struct kit kit;
    kit_open(&kit);
    append_at_two(&kit, SLOT_2, 1, ENTRY_NOOP, (struct span){0}, kit.hash);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    append.append.prev_index = append.append.commit_index = 2;
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->commit == 2);
    struct bytes entries = {0};
    uint8_t hash[HASH_SIZE];
    memcpy(hash, kit.hash, HASH_SIZE);
    kit_record(&entries, 2, 2, ENTRY_NOOP, (struct span){0}, hash);
    append = kit_append(&kit, SLOT_3, 2, bytes_span(&entries));
    kit_peer(&kit, SLOT_3, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1 && kit.raft->log.last == 2);
    bytes_close(&entries);
    kit_close(&kit);
}

/* I8, known as R13: what a truncation takes away was never the configuration. */
TEST(a_configuration_goes_with_its_entry)
{
    struct kit kit;
    kit_open(&kit);
    struct members more = kit.members;
    struct member fourth = {.node = 4, .incarnation = 14, .endpoint = "tcp://x"};
    memset(fourth.key, 4, sizeof fourth.key);
    members_add(&more, &fourth);
    struct bytes body = {0};
    members_encode(&more, &body);
    append_at_two(&kit, SLOT_2, 1, ENTRY_CONFIG, bytes_span(&body), kit.hash);
    CHECK(state_members(kit.raft)->count == 4);
    append_at_two(&kit, SLOT_3, 2, ENTRY_NOOP, (struct span){0}, kit.hash);
    CHECK(kit.raft->log.last == 2 && state_members(kit.raft)->count == 3);
    bytes_close(&body);
    kit_close(&kit);
}

TEST(a_hole_in_what_storage_tells_is_fatal)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit_open_core(&kit);
    struct bytes tail = {0}, note = {0};
    members_encode(&kit.members, &note);
    kit_record(&tail, 1, 1, ENTRY_FOUNDING, bytes_span(&note), kit.hash);
    size_t first = tail.size;
    kit_record(&tail, 3, 1, ENTRY_NOOP, (struct span){0}, kit.hash);
    struct message message = {.type = MESSAGE_LOADED};
    message.loaded.life = LIFE;
    message.loaded.incarnation = 11;
    message.loaded.may_vote = true;
    message.loaded.term = 1;
    message.loaded.last_index = 3;
    message.loaded.tail = bytes_span(&tail);
    message.loaded.configs = SPAN(tail.data, first);
    kit_tell(&kit, INPUT_LOADED, &message);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    bytes_close(&tail);
    bytes_close(&note);
    kit_close(&kit);
}

/* A leader that no longer holds its log in memory, asked by node 3 for all of it: a FETCH. */
static uint64_t lead_and_fetch(struct kit *kit, struct bytes *copy)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_propose(kit, 3, 1000, ENTRY_DATA);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    struct message message = kit_appended(kit, SLOT_2, 5);
    kit_peer(kit, SLOT_2, &message);
    for (uint64_t i = 1; i <= 3; i++)
        bytes_append_span(copy, raftlog_record(&kit->raft->log, i));
    kit->raft->tail_bytes = 1;
    kit_flush(kit);
    message = kit_appended(kit, SLOT_3, 0);
    message.appended.ok = false;
    message.appended.hint_index = message.appended.hint_term = 1;
    kit_peer(kit, SLOT_3, &message);
    kit_flush(kit);
    message = kit_appended(kit, SLOT_3, 1);
    kit_peer(kit, SLOT_3, &message);
    kit_flush(kit);
    const struct message *fetch = kit_out(kit, MESSAGE_FETCH, 0);
    assert_non_null(fetch);
    return fetch->fetch.ticket;
}

TEST(a_record_that_rotted_is_not_sent)
{
    struct kit kit;
    struct bytes copy = {0};
    struct message fetched = {.type = MESSAGE_FETCHED};
    fetched.fetched.ticket = lead_and_fetch(&kit, &copy);
    copy.data[copy.size - 1] ^= 1; /* of the third */
    fetched.fetched.from = 1;
    fetched.fetched.entries = bytes_span(&copy);
    kit_tell(&kit, INPUT_FETCHED, &fetched);
    kit_flush(&kit);
    const struct message *append = kit_out(&kit, MESSAGE_APPEND, 0);
    uint32_t count = 0;
    CHECK(append && entry_count(append->append.entries, &count) == ERR_NONE && count == 1);
    bytes_close(&copy);
    kit_close(&kit);
}

/* I28: who applies too slowly takes no more. */
TEST(what_is_not_applied_is_bounded_in_entries)
{
    struct kit kit;
    kit_lead(&kit);
    kit.raft->tail_bytes = 1ull << 30;
    while (kit.raft->log.last <= RAFT_ENTRIES_LAG_MAX + 1) {
        kit_propose(&kit, 1024, 0, ENTRY_DATA);
        CHECK(kit_out(&kit, MESSAGE_REFUSED, 0) == NULL);
        for (int i = 0; i < 9 && kit.raft->stored < kit.raft->log.last; i++) {
            kit_flush(&kit);
            kit_stored(&kit, LIFE, 2);
        }
        struct message message = kit_appended(&kit, SLOT_2, kit.raft->log.last);
        kit_peer(&kit, SLOT_2, &message);
        CHECK(kit.raft->commit == kit.raft->log.last);
    }
    kit_propose(&kit, 1, 0, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_BUSY"));
    kit_close(&kit);
}

/* A leader whose removal is committed, and of whose followers none knows that yet. */
static void lead_removed(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    struct message message = kit_appended(kit, SLOT_2, 2);
    kit_peer(kit, SLOT_2, &message);
    struct members without = *state_members(kit->raft);
    without.at[0].now = without.at[0].next = without.at[0].wish = MEMBER_NONE;
    membership_propose(kit->raft, &without);
    kit_flush(kit);
    for (uint32_t slot = SLOT_2; slot <= SLOT_3; slot++) {
        message = kit_appended(kit, slot, 3);
        kit_peer(kit, slot, &message);
    }
    assert_true(kit->raft->commit == 3 && kit->raft->role == ROLE_LEADER);
}

static void wish_for(struct kit *kit, const char *verb, uint32_t of, const char *rest)
{
    char key[KEY_TEXT_SIZE], wish[160];
    keys_print(kit->members.at[of].key, key);
    snprintf(wish, sizeof wish, "%s key=%s%s", verb, key, rest);
    struct message ask = {.type = MESSAGE_MEMBERS_ASK};
    ask.members_ask.ops.at[ask.members_ask.ops.count++] = SPAN_TEXT(wish);
    kit_tell(kit, INPUT_MEMBERS, &ask);
}

/* I10: it would begin a configuration that it does not stand in. */
TEST(a_leader_that_was_removed_takes_no_wish)
{
    struct kit kit;
    lead_removed(&kit);
    wish_for(&kit, "set", 1, " peer=tcp://sim:1002");
    CHECK(kit.raft->log.last == 3);
    kit_close(&kit);
}

TEST(a_leader_that_was_removed_stays_until_a_voter_knows)
{
    struct kit kit;
    lead_removed(&kit);
    kit_flush(&kit);
    CHECK(kit.raft->role == ROLE_LEADER && !kit.raft->transfer.running);
    struct message message = kit_appended(&kit, SLOT_2, 3);
    message.appended.commit_index = 3;
    kit_peer(&kit, SLOT_2, &message);
    kit_flush(&kit);
    CHECK(kit.raft->transfer.running);
    kit_close(&kit);
}

/* It may have to campaign, for a configuration that is not committed may be none (thesis 4.2.2). */
TEST(a_candidate_that_is_removed_does_not_count_itself)
{
    struct kit kit;
    kit_open(&kit);
    struct members without = kit.members;
    without.at[0].now = without.at[0].next = without.at[0].wish = MEMBER_NONE;
    struct bytes body = {0};
    members_encode(&without, &body);
    append_at_two(&kit, SLOT_2, 1, ENTRY_CONFIG, bytes_span(&body), kit.hash);
    kit_tick(&kit, 2000);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE && kit.raft->votes == 0);
    bytes_close(&body);
    kit_close(&kit);
}

TEST(a_change_that_could_not_be_committed_is_not_begun)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    struct message message = kit_appended(&kit, SLOT_2, 2);
    kit_peer(&kit, SLOT_2, &message);
    wish_for(&kit, "remove", 1, ""); /* and node 3 does not answer */
    CHECK(kit.raft->log.last == 3 && !state_members(kit.raft)->joint);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    message = kit_appended(&kit, SLOT_2, 3);
    kit_peer(&kit, SLOT_2, &message);
    CHECK(kit.raft->commit == 3);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 3);
    message = kit_appended(&kit, SLOT_3, 1);
    kit_peer(&kit, SLOT_3, &message);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 4 && state_members(kit.raft)->joint);
    kit_close(&kit);
}

TEST(a_read_is_not_confirmed_by_the_directory_that_was_replaced)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    struct message message = kit_appended(&kit, SLOT_2, 2);
    kit_peer(&kit, SLOT_2, &message);
    struct peer *peer = &kit.raft->peers.at[SLOT_2];
    peer->read_round = kit.raft->round + 9; /* of the same node, before it was wiped */
    peer->read_incarnation = peer->incarnation + 1;
    struct message ask = {.type = MESSAGE_READ_INDEX, .read_index = {.ticket = 5}};
    kit_tell(&kit, INPUT_READ_INDEX, &ask);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_READ_INDEX_IS, 0) == NULL);
    kit_close(&kit);
}

static void load_one(struct kit *kit, bool may_vote, uint64_t count, uint64_t applied)
{
    *kit = (struct kit){0};
    kit_make_members(kit);
    kit_open_core(kit);
    struct bytes note = {0};
    members_encode(&kit->members, &note);
    if (count > 0)
        kit_record(&kit->log, 1, 1, ENTRY_FOUNDING, bytes_span(&note), kit->hash);
    struct message message = {.type = MESSAGE_LOADED};
    message.loaded.life = LIFE;
    message.loaded.incarnation = 11;
    message.loaded.may_vote = may_vote;
    message.loaded.term = count;
    message.loaded.last_index = count;
    message.loaded.applied_index = applied;
    message.loaded.tail = message.loaded.configs = bytes_span(&kit->log);
    kit_tell(kit, INPUT_LOADED, &message);
    bytes_close(&note);
}

/* I18: it was a member once, and must be admitted again. */
TEST(a_damaged_directory_founds_nothing)
{
    struct kit kit;
    load_one(&kit, true, 0, 0);
    CHECK(kit.raft->role == ROLE_FOUNDING);
    kit_close(&kit);
    load_one(&kit, false, 0, 0);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    kit_tick(&kit, 60000);
    CHECK(kit_out(&kit, MESSAGE_MEET, 0) == NULL && kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    kit_close(&kit);
}

TEST(a_log_that_lacks_what_was_applied_never_votes)
{
    struct kit kit;
    load_one(&kit, true, 1, 1);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_close(&kit);
    load_one(&kit, true, 1, 5);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    struct message vote = vote_of(&kit, SLOT_2, 9);
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(!granted(&kit));
    kit_close(&kit);
}

TEST_MAIN(T(a_vote_of_a_passed_term_is_not_sent), T(a_vote_that_was_lost_with_storage_is_not_sent),
          T(a_vote_for_an_earlier_candidacy_counts_for_nothing),
          T(a_pre_candidate_forgets_its_leader), T(a_second_leader_of_the_term_is_fatal),
          T(what_was_never_sent_cannot_be_acknowledged),
          T(an_append_with_a_gap_or_of_a_later_term_is_dropped_whole),
          T(an_entry_of_another_chain_is_fatal),
          T(a_leader_that_replaces_what_is_committed_is_fatal),
          T(a_configuration_goes_with_its_entry), T(a_hole_in_what_storage_tells_is_fatal),
          T(a_record_that_rotted_is_not_sent), T(what_is_not_applied_is_bounded_in_entries),
          T(a_leader_that_was_removed_takes_no_wish),
          T(a_leader_that_was_removed_stays_until_a_voter_knows),
          T(a_candidate_that_is_removed_does_not_count_itself),
          T(a_change_that_could_not_be_committed_is_not_begun),
          T(a_read_is_not_confirmed_by_the_directory_that_was_replaced),
          T(a_damaged_directory_founds_nothing), T(a_log_that_lacks_what_was_applied_never_votes))
