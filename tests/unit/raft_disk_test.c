/* raft_disk_test.c - what storage says, does not say, or cannot have said: asked again, told by
 * name, or fatal. Asks to it are bounded. */
#include "tests/unit/raft_kit.h"

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

TEST_MAIN(T(while_storage_is_away_nobody_is_heard_and_it_is_asked_again),
          T(a_configuration_behind_the_end_of_the_log_is_none),
          T(a_log_or_ballot_that_cannot_be_is_fatal),
          T(older_terms_are_fetched_and_a_page_that_rotted_is_fetched_again),
          T(an_answer_that_storage_cannot_give_counts_for_nothing), T(stores_under_way_are_bounded))
