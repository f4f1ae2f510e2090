/* raft_edges_test.c - what comes from outside and does not fit: dropped, refused by name, or fatal.
 */
#include "common/keys.h"
#include "tests/unit/raft_kit.h"

#include <stdio.h>

static const char *wrong(struct raft_options options)
{
    struct raft *raft = NULL;
    options.endpoint = "a";
    enum err err = raft_open(&raft, &options, 0);
    const char *why = raft_wrong_option(raft, &options);
    CHECK((err == ERR_CONFIG) == (why != NULL));
    raft_close(&raft);
    return why != NULL ? why : "";
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

TEST(settings_that_cannot_be_are_named)
{
    struct raft_voter voters[RAFT_VOTERS_MAX + 2];
    for (uint32_t i = 0; i < COUNT_OF(voters); i++) {
        voters[i] = (struct raft_voter){.endpoint = "tcp://x"};
        memset(voters[i].key, 10 + (int)i, RAFT_KEY_SIZE);
    }
    struct raft_options good = {.node = 1, .voters = voters, .voter_count = 2}, bad = good;
    CHECK(wrong(good)[0] == 0);
    bad.node = 0;
    CHECK(begins(wrong(bad), "node:"));
    bad = good;
    bad.voter_count = RAFT_VOTERS_MAX; /* and this node */
    CHECK(begins(wrong(bad), "member: there may be 9"));
    bad.voter_count = RAFT_VOTERS_MAX + 2;
    CHECK(begins(wrong(bad), "member: there may be 9"));
    bad.voter_count = RAFT_VOTERS_MAX - 1;
    CHECK(wrong(bad)[0] == 0);
    bad = good;
    bad.expect = 2; /* two others and this one */
    CHECK(begins(wrong(bad), "expect:"));
    bad.expect = RAFT_VOTERS_MAX + 1;
    CHECK(begins(wrong(bad), "expect:"));
    bad.expect = RAFT_VOTERS_MAX;
    CHECK(wrong(bad)[0] == 0);
    memcpy(voters[1].key, voters[0].key, RAFT_KEY_SIZE);
    CHECK(begins(wrong(good), "member: two of them"));
}

TEST(a_message_that_is_none_of_the_core_changes_nothing)
{
    static const enum message_type types[] = {MESSAGE_STORE, MESSAGE_CLAIM, MESSAGE_GIVE,
                                              MESSAGE_LINK_HELLO};
    struct kit kit;
    kit_open(&kit);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct message message = kit_from(&kit, SLOT_2, 9, types[i]);
        kit_peer(&kit, SLOT_2, &message);
        CHECK(kit.out.count == 0 && kit.raft->term == 1 && kit.raft->leader == RAFT_NOBODY);
    }
    CHECK(kit.raft->counters.wrong_receiver == 0);
    kit_close(&kit);
}

/* --- what peers and clients send ----------------------------------------------------------------
 */

TEST(a_vote_that_contradicts_its_head_is_not_weighed)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = kit_from(&kit, SLOT_2, 2, MESSAGE_VOTE);
    vote.vote.candidate_term = 3;
    vote.vote.last_index = vote.vote.last_term = 1;
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(kit.raft->term == 1 && kit.out.count == 0);
    kit_close(&kit);
}

static void refuse_vote(struct kit *kit, const uint8_t *key, size_t key_size, const char *at)
{
    struct message message = kit_from(kit, SLOT_2, 1, MESSAGE_VOTED);
    message.voted.pre = true;
    message.voted.candidate_term = 2;
    message.voted.member_key = SPAN(key, key_size);
    message.voted.member_at = SPAN_TEXT(at);
    kit_peer(kit, SLOT_2, &message);
}

TEST(only_a_whole_contact_is_learned_and_no_votes_are_counted_twice)
{
    struct kit kit;
    uint8_t key[RAFT_KEY_SIZE], own[RAFT_KEY_SIZE];
    char longest[RAFT_ENDPOINT_MAX + 1];
    kit_open(&kit);
    memset(key, 9, sizeof key);
    memset(own, 1, sizeof own);
    memset(longest, 'e', RAFT_ENDPOINT_MAX);
    longest[RAFT_ENDPOINT_MAX] = 0;
    kit_tick(&kit, 2000);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    refuse_vote(&kit, key, sizeof key - 1, "tcp://nine");
    refuse_vote(&kit, key, sizeof key, longest);
    refuse_vote(&kit, own, sizeof own, "tcp://one");
    CHECK(kit.raft->peers.count == 2);
    refuse_vote(&kit, key, sizeof key, "tcp://nine");
    CHECK(kit.raft->peers.count == 3 && kit.raft->peers.at[2].member < 0);
    kit_close(&kit);
}

TEST(an_append_that_is_broken_is_dropped_and_a_barred_node_hears_none)
{
    struct kit kit;
    struct bytes entries = {0};
    uint8_t hash[HASH_SIZE];
    kit_open(&kit);
    memcpy(hash, kit.hash, HASH_SIZE);
    kit_record(&entries, 2, 0, ENTRY_NOOP, (struct span){0}, hash); /* below the term before it */
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->log.last == 1 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    bytes_clear(&entries);
    kit_record(&entries, 2, 1, ENTRY_NOOP, (struct span){0}, kit.hash);
    append = kit_append(&kit, SLOT_2, 1, SPAN(entries.data, entries.size - 1));
    kit_peer(&kit, SLOT_2, &append); /* cut off; said once */
    CHECK(kit.raft->log.last == 1 && kit_count(&kit, OUTPUT_COMPLAINT) == 0);
    append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit.raft->barred = true;
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->log.last == 1 && kit.raft->leader == RAFT_NOBODY);
    kit.raft->barred = false;
    append.append.commit_index = 2;
    append.append.commit_hash = SPAN_TEXT("no hash");
    kit_peer(&kit, SLOT_2, &append); /* nothing to compare: taken for what it is */
    CHECK(kit.raft->log.last == 2 && kit.raft->commit == 2);
    bytes_close(&entries);
    kit_close(&kit);
}

TEST(a_configuration_that_cannot_be_read_is_fatal)
{
    struct kit kit;
    struct bytes entries = {0};
    kit_open(&kit);
    kit_record(&entries, 2, 1, ENTRY_CONFIG, SPAN_TEXT("no members"), kit.hash);
    struct message append = kit_append(&kit, SLOT_2, 1, bytes_span(&entries));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1);
    bytes_close(&entries);
    kit_close(&kit);
}

static const char *refused(const struct kit *kit)
{
    const struct message *message = kit_out(kit, MESSAGE_REFUSED, 0);
    return message != NULL ? (const char *)message->refused.error.data : "";
}

/* I28: more than two messages' worth at once comes back; what came first has gone out. */
TEST(what_is_forwarded_in_one_step_is_bounded)
{
    struct kit kit;
    kit_open(&kit);
    kit_propose(&kit, 5000, 10, ENTRY_DATA);
    CHECK(begins(refused(&kit), "E_NO_LEADER"));
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 1) != NULL); /* 4096 ids in each */
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 2) == NULL);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    kit_propose(&kit, 10, 1 << 20, ENTRY_DATA);
    const struct message *forward = kit_out(&kit, MESSAGE_FORWARD, 0);
    CHECK(forward && forward->forward.records.size <= RAFT_FORWARD_BYTES);
    CHECK(kit_out(&kit, MESSAGE_FORWARD, 1) == NULL && begins(refused(&kit), "E_BUSY"));
    CHECK(kit_out(&kit, MESSAGE_REFUSED, 0)->refused.txids.size == 4 * TXID_SIZE);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_FORWARD, 0) != NULL);
    struct message propose = {.type = MESSAGE_PROPOSE, .propose = {SPAN_TEXT("no record")}};
    kit_tell(&kit, INPUT_PROPOSE, &propose);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_FORWARD, 0) == NULL);
    kit_close(&kit);
}

static const struct message_tell_members *ask_as_peer(struct kit *kit, const char *wish,
                                                      uint32_t count)
{
    struct message message = kit_from(kit, SLOT_2, 2, MESSAGE_ASK_MEMBERS);
    message.ask_members.ticket = 77;
    for (uint32_t i = 0; i < count; i++)
        message.ask_members.ops.at[message.ask_members.ops.count++] = SPAN_TEXT(wish);
    kit_peer(kit, SLOT_2, &message);
    const struct message *told = kit_out(kit, MESSAGE_TELL_MEMBERS, 0);
    CHECK(told != NULL && told->tell_members.ticket == 77 && told->peer.to == 2);
    return &told->tell_members;
}

static void commit_first(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
    struct message message = kit_from(kit, SLOT_2, 2, MESSAGE_APPENDED);
    message.appended.ok = true;
    message.appended.round = kit->raft->round;
    message.appended.match_index = 2;
    kit_peer(kit, SLOT_2, &message);
    CHECK(kit->raft->commit == 2);
}

TEST(wishes_of_a_peer_are_judged_as_those_of_the_own_api)
{
    struct kit kit;
    char add[256], key[KEY_TEXT_SIZE];
    uint8_t bytes[RAFT_KEY_SIZE];
    commit_first(&kit);
    CHECK(span_is(ask_as_peer(&kit, "cancel", 17)->error, "E_LIMIT"));
    CHECK(span_is(ask_as_peer(&kit, "dance", 1)->error, "E_BAD_REQUEST"));
    CHECK(ask_as_peer(&kit, "cancel", 1)->done && kit.raft->log.last == 2);
    memset(bytes, 9, sizeof bytes);
    keys_print(bytes, key);
    snprintf(add, sizeof add, "add peer=tcp://nine:1 key=%s node=9", key);
    CHECK(span_is(ask_as_peer(&kit, add, 1)->error, "E_UNREACHABLE"));
    int slot = raft_slot_of(kit.raft, bytes);
    CHECK(slot == 2);
    struct message met = kit_from(&kit, (uint32_t)slot, 0, MESSAGE_MET);
    met.peer.from = 0; /* it does not say who it is */
    kit_peer(&kit, (uint32_t)slot, &met);
    CHECK(kit.raft->peers.at[slot].met_ms == 0);
    met.peer.from = 4;
    met.peer.from_incarnation = 0;
    kit_peer(&kit, (uint32_t)slot, &met);
    CHECK(kit.raft->peers.at[slot].met_ms == 0);
    met.peer.from_incarnation = 44;
    kit_peer(&kit, (uint32_t)slot, &met);
    CHECK(span_is(ask_as_peer(&kit, add, 1)->error, "E_CLONE")); /* the wish names another id */
    met.peer.from = 9;
    kit_peer(&kit, (uint32_t)slot, &met);
    CHECK(ask_as_peer(&kit, add, 1)->error.size == 0 && kit.raft->log.last == 3);
    kit_close(&kit);
}

TEST(a_wish_that_was_replaced_is_told_as_aborted)
{
    struct kit kit;
    commit_first(&kit);
    struct message message = {.type = MESSAGE_MEMBERS_ASK};
    message.members_ask.ops.at[0] = SPAN_TEXT("set node=3 name=three");
    message.members_ask.ops.count = 1;
    message.members_ask.since = 1; /* it stood there, says who asks: it stands there no more */
    kit_tell(&kit, INPUT_MEMBERS, &message);
    const struct message *are = kit_out(&kit, MESSAGE_MEMBERS_ARE, 0);
    CHECK(are && span_is(are->members_are.error, "E_ABORTED") && kit.raft->log.last == 2);
    kit_close(&kit);
}

TEST(more_servers_than_slots_cannot_be_called_back)
{
    struct kit kit;
    char add[256], key[KEY_TEXT_SIZE];
    uint8_t bytes[RAFT_KEY_SIZE];
    commit_first(&kit);
    for (uint8_t i = 20; kit.raft->peers.count < RAFT_PEERS_MAX; i++) {
        struct raft_voter voter = {.endpoint = "tcp://many"};
        memset(voter.key, i, sizeof voter.key);
        kit_step(&kit, (struct raft_input){.kind = INPUT_HINT, .voter = &voter});
    }
    for (uint32_t i = 0; i < RAFT_PEERS_MAX; i++)
        kit.raft->peers.at[i].leaving = 1; /* each still gets the log */
    memset(bytes, 9, sizeof bytes);
    keys_print(bytes, key);
    snprintf(add, sizeof add, "add peer=tcp://nine:1 key=%s", key);
    CHECK(span_is(ask_as_peer(&kit, add, 1)->error, "E_LIMIT"));
    kit.raft->peers.at[7].leaving = 0;
    CHECK(span_is(ask_as_peer(&kit, add, 1)->error, "E_UNREACHABLE"));
    kit_close(&kit);
}

/* --- words --------------------------------------------------------------------------------------
 */

/* Texts of a step are bounded: what does not fit is not said, and what is fatal is said at least
 * so. */
TEST(what_a_step_says_is_bounded)
{
    struct kit kit;
    kit_open(&kit);
    kit_flush(&kit);
    for (int i = 0; i < 6; i++)
        state_complain(kit.raft, "%01000d", i);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 4);
    CHECK(state_print(kit.raft, "%01000d", 0) == NULL);
    state_fatal(kit.raft, "%01000d", 0);
    CHECK(kit_count(&kit, OUTPUT_FATAL) == 1 && kit.out.at[kit.out.count - 1].text != NULL);
    kit_close(&kit);
}

TEST_MAIN(T(settings_that_cannot_be_are_named),
          T(a_message_that_is_none_of_the_core_changes_nothing),

          T(a_vote_that_contradicts_its_head_is_not_weighed),
          T(only_a_whole_contact_is_learned_and_no_votes_are_counted_twice),
          T(an_append_that_is_broken_is_dropped_and_a_barred_node_hears_none),
          T(a_configuration_that_cannot_be_read_is_fatal),
          T(what_is_forwarded_in_one_step_is_bounded),
          T(wishes_of_a_peer_are_judged_as_those_of_the_own_api),
          T(a_wish_that_was_replaced_is_told_as_aborted),
          T(more_servers_than_slots_cannot_be_called_back), T(what_a_step_says_is_bounded))
