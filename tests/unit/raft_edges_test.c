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

TEST(while_storage_is_away_nobody_is_heard_and_it_is_asked_again)
{
    struct kit kit;
    kit_open(&kit);
    kit_step(&kit, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    kit_tick(&kit, 5000);
    CHECK(kit.out.count == 0); /* it is not there */
    kit_step(&kit, (struct raft_input){.kind = INPUT_STORAGE_UP});
    CHECK(kit_out(&kit, MESSAGE_LOAD, 0) != NULL);
    struct message append = kit_append(&kit, SLOT_2, 7, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.raft->term == 1 && kit.raft->leader == RAFT_NOBODY);
    kit_tick(&kit, RAFT_RETRY_MS - 1);
    CHECK(kit.out.count == 0);
    kit_tick(&kit, 1);
    CHECK(kit_out(&kit, MESSAGE_LOAD, 0) != NULL);
    kit_close(&kit);
}

/* --- what storage tells ------------------------------------------------------------------------
 */

struct told {
    struct kit kit;
    struct bytes note, tail, configs;
    uint8_t hash[HASH_SIZE];
    struct message message;
};

/* A ballot of term 3, and a log that each test fills. */
static void open_told(struct told *told)
{
    *told = (struct told){.message = {.type = MESSAGE_LOADED}};
    kit_make_members(&told->kit);
    kit_open_core(&told->kit);
    members_encode(&told->kit.members, &told->note);
    struct message_loaded *loaded = &told->message.loaded;
    loaded->life = LIFE;
    loaded->incarnation = 11;
    loaded->may_vote = true;
    loaded->term = 3;
    loaded->note = bytes_span(&told->note);
    kit_record(&told->tail, 1, 1, ENTRY_FOUNDING, bytes_span(&told->note), told->hash);
    bytes_append_span(&told->configs, bytes_span(&told->tail));
}

static void load(struct told *told, uint64_t last)
{
    told->message.loaded.last_index = last;
    told->message.loaded.tail = bytes_span(&told->tail);
    told->message.loaded.configs = bytes_span(&told->configs);
    kit_tell(&told->kit, INPUT_LOADED, &told->message);
}

static void close_told(struct told *told)
{
    bytes_close(&told->note);
    bytes_close(&told->tail);
    bytes_close(&told->configs);
    kit_close(&told->kit);
}

/* It was removed from the log by a truncation, and storage still lists it. */
TEST(a_configuration_behind_the_end_of_the_log_is_none)
{
    struct told told;
    open_told(&told);
    struct members other = told.kit.members;
    struct bytes body = {0};
    uint8_t hash[HASH_SIZE] = {0};
    members_drop(&other, 2);
    members_encode(&other, &body);
    kit_record(&told.configs, 2, 2, ENTRY_CONFIG, bytes_span(&body), hash);
    load(&told, 1);
    CHECK(told.kit.raft->role == ROLE_FOLLOWER && state_config_index(told.kit.raft) == 1);
    CHECK(state_members(told.kit.raft)->count == 3);
    bytes_close(&body);
    close_told(&told);
}

static void is_fatal(struct told *told, uint64_t last)
{
    load(told, last);
    CHECK(kit_count(&told->kit, OUTPUT_FATAL) == 1 && told->kit.raft->broken);
    kit_tick(&told->kit, 60000);
    CHECK(told->kit.out.count == 0); /* and it does nothing more */
    close_told(told);
}

TEST(a_log_or_ballot_that_cannot_be_is_fatal)
{
    struct told told;
    open_told(&told);
    kit_record(&told.tail, 3, 1, ENTRY_NOOP, (struct span){0}, told.hash); /* a hole */
    is_fatal(&told, 3);
    open_told(&told);
    kit_record(&told.tail, 2, 2, ENTRY_NOOP, (struct span){0}, told.hash);
    kit_record(&told.tail, 3, 1, ENTRY_NOOP, (struct span){0}, told.hash); /* a term falls */
    is_fatal(&told, 3);
    open_told(&told);
    kit_record(&told.tail, 2, 2, ENTRY_NOOP, (struct span){0}, told.hash);
    told.tail.data[told.tail.size - 1] ^= 1; /* its crc is wrong */
    is_fatal(&told, 2);
    open_told(&told);
    told.message.loaded.note = SPAN_TEXT("no note");
    is_fatal(&told, 1);
    open_told(&told);
    struct bytes garbage = {0};
    uint8_t hash[HASH_SIZE] = {0};
    kit_record(&garbage, 1, 1, ENTRY_CONFIG, SPAN_TEXT("no members"), hash);
    bytes_clear(&told.configs);
    bytes_append_span(&told.configs, bytes_span(&garbage));
    bytes_close(&garbage);
    is_fatal(&told, 1);
}

static void tell_page(struct told *told, uint64_t ticket, struct span entries)
{
    struct message message = {.type = MESSAGE_FETCHED};
    message.fetched.ticket = ticket;
    message.fetched.from = told->kit.raft->load_next;
    message.fetched.entries = entries;
    kit_tell(&told->kit, INPUT_FETCHED, &message);
}

/* The log is longer than what LOADED tells: the rest is fetched, and only what is whole is taken.
 */
TEST(older_terms_are_fetched_and_a_page_that_rotted_is_fetched_again)
{
    struct told told;
    struct bytes older = {0}, newest = {0};
    open_told(&told);
    bytes_append_span(&older, bytes_span(&told.tail));
    kit_record(&older, 2, 2, ENTRY_NOOP, (struct span){0}, told.hash);
    kit_record(&newest, 3, 3, ENTRY_NOOP, (struct span){0}, told.hash);
    bytes_clear(&told.tail);
    bytes_append_span(&told.tail, bytes_span(&newest));
    load(&told, 3);
    const struct message *fetch = kit_out(&told.kit, MESSAGE_FETCH, 0);
    CHECK(fetch && fetch->fetch.from == 1 && fetch->fetch.to == 2);
    uint64_t ticket = fetch->fetch.ticket;
    tell_page(&told, ticket + 1, bytes_span(&older)); /* of another ask */
    CHECK(told.kit.raft->role == ROLE_LOADING && told.kit.out.count == 0);
    tell_page(&told, ticket, (struct span){0}); /* it could not be read */
    tell_page(&told, ticket, bytes_span(&newest));
    older.data[older.size - 1] ^= 1;
    tell_page(&told, ticket, bytes_span(&older)); /* the first is whole, the second is not */
    CHECK(told.kit.raft->role == ROLE_LOADING && told.kit.out.count == 0);
    older.data[older.size - 1] ^= 1;
    kit_tick(&told.kit, RAFT_RETRY_MS);
    fetch = kit_out(&told.kit, MESSAGE_FETCH, 0);
    CHECK(fetch && fetch->fetch.from == 2);
    ticket = fetch->fetch.ticket;
    size_t first = entry_size(bytes_span(&older));
    tell_page(&told, ticket, SPAN(older.data + first, older.size - first));
    CHECK(told.kit.raft->role == ROLE_FOLLOWER && told.kit.raft->log.last == 3);
    CHECK(raftlog_term(&told.kit.raft->log, 2) == 2);
    tell_page(&told, ticket, bytes_span(&older)); /* twice */
    CHECK(told.kit.raft->log.last == 3);
    bytes_close(&older);
    bytes_close(&newest);
    close_told(&told);
}

TEST(an_answer_that_storage_cannot_give_counts_for_nothing)
{
    struct kit kit;
    kit_open(&kit);
    struct message message = {.type = MESSAGE_APPLIED, .applied = {.index = 9}};
    kit_tell(&kit, INPUT_APPLIED, &message); /* behind the end of the log */
    CHECK(kit.raft->applied == 0 && kit.raft->commit == 0);
    message.applied.index = 1;
    kit_tell(&kit, INPUT_APPLIED, &message); /* storage outlived us: what is applied is committed */
    CHECK(kit.raft->applied == 1 && kit.raft->commit == 1);
    kit_tick(&kit, 2000);
    kit_vote(&kit, SLOT_2, 2, true);
    message = (struct message){.type = MESSAGE_BALLOTED};
    message.balloted.life = LIFE;
    message.balloted.ticket = kit.raft->ballot_ticket + 1; /* never asked */
    kit_tell(&kit, INPUT_BALLOTED, &message);
    CHECK(!state_settled(kit.raft) && kit_out(&kit, MESSAGE_VOTE, 0) == NULL);
    kit_close(&kit);
}

/* As many STOREs under way as may be: what comes waits, however much it is. */
TEST(stores_under_way_are_bounded)
{
    struct kit kit;
    kit_lead(&kit);
    kit_flush(&kit);
    for (uint32_t i = 1; i < RAFT_STORES_MAX; i++) {
        kit_propose(&kit, i, 100, ENTRY_DATA); /* each as large as all that is on its way */
        kit.raft->stored = kit.raft->emitted;
        kit_flush(&kit);
        CHECK(kit_out(&kit, MESSAGE_STORE, 0) != NULL);
    }
    kit_propose(&kit, 1000, 100, ENTRY_DATA);
    kit_flush(&kit);
    CHECK(kit.raft->store_count == RAFT_STORES_MAX && kit_out(&kit, MESSAGE_STORE, 0) == NULL);
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

static struct raft_status status_of(const struct kit *kit)
{
    struct raft_status status;
    raft_status(kit->raft, &status);
    return status;
}

TEST(a_status_says_what_is_waited_for_and_as_whom)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    CHECK(status_of(&kit).waits_for[0] == 0);
    kit.raft->incoming_size = 4000000;
    kit.raft->incoming_offset = 1000000;
    const char *wait = "the leader's snapshot: 25 % of 4 MB are here";
    CHECK(strcmp(status_of(&kit).waits_for, wait) == 0);
    kit.raft->role = ROLE_OUTSIDE; /* an empty node is told of its admission by what comes */
    CHECK(strcmp(status_of(&kit).waits_for, wait) == 0);
    kit.raft->role = ROLE_FOLLOWER;
    kit.raft->configs[0].members.at[0].now = kit.raft->configs[0].members.at[0].next =
        MEMBER_LEARNER;
    CHECK(strcmp(status_of(&kit).role_name, "learner") == 0);
    kit_close(&kit);
}

TEST_MAIN(T(settings_that_cannot_be_are_named),
          T(a_message_that_is_none_of_the_core_changes_nothing),
          T(while_storage_is_away_nobody_is_heard_and_it_is_asked_again),
          T(a_configuration_behind_the_end_of_the_log_is_none),
          T(a_log_or_ballot_that_cannot_be_is_fatal),
          T(older_terms_are_fetched_and_a_page_that_rotted_is_fetched_again),
          T(an_answer_that_storage_cannot_give_counts_for_nothing), T(stores_under_way_are_bounded),
          T(a_vote_that_contradicts_its_head_is_not_weighed),
          T(only_a_whole_contact_is_learned_and_no_votes_are_counted_twice),
          T(an_append_that_is_broken_is_dropped_and_a_barred_node_hears_none),
          T(a_configuration_that_cannot_be_read_is_fatal),
          T(what_is_forwarded_in_one_step_is_bounded),
          T(wishes_of_a_peer_are_judged_as_those_of_the_own_api),
          T(a_wish_that_was_replaced_is_told_as_aborted),
          T(more_servers_than_slots_cannot_be_called_back), T(what_a_step_says_is_bounded),
          T(a_status_says_what_is_waited_for_and_as_whom))
