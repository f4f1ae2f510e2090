/* wishes_test.c - who is let in: by its own word, and of the same history (R97, R116). */
#include "common/keys.h"
#include "tests/unit/members_kit.h"

#include <stdio.h>

enum { WISH_MAX = 128 };

/* To add the server whose key is this byte. */
static void wish_for(uint8_t server, char wish[WISH_MAX])
{
    uint8_t raw[RAFT_KEY_SIZE];
    char key[41];
    memset(raw, server, sizeof raw);
    keys_print(raw, key);
    snprintf(wish, WISH_MAX, "add peer=tcp://10.0.0.%u:1 key=%s", server, key);
}

static bool complains_of(const struct kit *kit, const char *word)
{
    for (uint32_t i = 0; i < kit->out.count; i++)
        if (kit->out.at[i].kind == OUTPUT_COMPLAINT && strstr(kit->out.at[i].text, word) != NULL)
            return true;
    return false;
}

/* A moment ago the member answered: what stands there now may be wiped. Only who says it is,
 * counts. */
TEST(a_member_is_added_again_only_by_its_own_word)
{
    struct kit kit;
    char wish[WISH_MAX];
    lead(&kit);
    wish_for(2, wish);
    const struct message_members_are *are = ask(&kit, wish);
    CHECK(span_is(are->error, "E_UNREACHABLE") && !are->done);
    CHECK(kit_out(&kit, MESSAGE_MEET, 0) != NULL);
    struct message met = kit_from(&kit, SLOT_2, 0, MESSAGE_MET);
    met.peer.from_incarnation = 99; /* it was 12 */
    met.met.history = 5;
    kit_peer(&kit, SLOT_2, &met);
    are = ask(&kit, wish);
    CHECK(are->error.size == 0 && !are->done);
    CHECK(kit.raft->config_count == 2);
    kit_close(&kit);
}

/* What a server said before its connection broke is no word of who is there now. */
TEST(a_word_ends_with_its_connection)
{
    struct kit kit;
    char wish[WISH_MAX];
    lead(&kit);
    wish_for(2, wish);
    struct message met = kit_from(&kit, SLOT_2, 0, MESSAGE_MET);
    met.met.history = 5;
    kit_peer(&kit, SLOT_2, &met);
    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = SLOT_2});
    CHECK(span_is(ask(&kit, wish)->error, "E_UNREACHABLE"));
    kit_close(&kit);
}

TEST(a_server_of_another_history_says_so_and_is_not_let_in)
{
    struct kit kit;
    lead(&kit);
    char wish[WISH_MAX];
    uint8_t key[RAFT_KEY_SIZE];
    memset(key, 9, sizeof key);
    wish_for(9, wish);
    CHECK(span_is(ask(&kit, wish)->error, "E_UNREACHABLE"));
    uint32_t slot = (uint32_t)raft_slot_of(kit.raft, key);
    struct message met = kit_from(&kit, slot, 0, MESSAGE_MET);
    met.peer.history = met.met.history = 77;
    kit_peer(&kit, slot, &met);
    CHECK(complains_of(&kit, "000000000000004d") && complains_of(&kit, "0000000000000005"));
    const struct message_members_are *are = ask(&kit, wish);
    CHECK(span_is(are->error, "E_HISTORY") && !are->done);
    CHECK(memmem(are->detail.data, are->detail.size, "000000000000004d", 16) != NULL);
    CHECK(kit.raft->config_count == 1);
    met.peer.history = met.met.history = 0; /* it was cleared */
    memset(met.peer.cluster, 0, CLUSTER_ID_SIZE);
    kit_peer(&kit, slot, &met);
    CHECK(ask(&kit, wish)->error.size == 0);
    kit_close(&kit);
}

/* A cluster in its second history; what comes from the first one is not of it (R97). */
TEST(a_server_of_another_history_is_heard_in_nothing)
{
    struct kit kit = {0};
    static const enum message_type types[] = {MESSAGE_VOTE, MESSAGE_APPEND, MESSAGE_NOTE,
                                              MESSAGE_FORWARD, MESSAGE_ASK_INDEX};
    kit_make_members(&kit);
    kit.members.parent = 4;
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1}, 1, true);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct message message = kit_from(&kit, SLOT_2, 9, types[i]);
        message.vote.candidate_term = 9;
        kit_peer(&kit, SLOT_2, &message);
        CHECK(kit.raft->term == 1 && kit.raft->leader == RAFT_NOBODY);
        CHECK(kit_count(&kit, OUTPUT_SEND) == 0);
        CHECK(i > 0 || complains_of(&kit, "E_HISTORY")); /* once */
    }
    struct message vote = kit_from(&kit, SLOT_2, 9, MESSAGE_VOTE);
    vote.peer.history = 5;
    vote.vote.candidate_term = 9;
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(kit.raft->term == 9);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0)->peer.history == 5);
    kit_close(&kit);
}

/* It gets the log from its start, where the history is still the first one. */
TEST(a_learner_is_in_the_history_of_its_leader_before_its_log_says_so)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit_open_core(&kit);
    members_drop(&kit.members, 0); /* it is nobody here */
    kit_load(&kit, 1, (uint64_t[]){1}, 1, true);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    for (int i = 0; i < 2; i++) {
        struct bytes noop = {0};
        uint64_t next = kit.raft->log.last + 1;
        kit_record(&noop, next, 1, ENTRY_NOOP, (struct span){0}, kit.hash);
        struct message append = kit_append(&kit, SLOT_2, 2, bytes_span(&noop));
        append.append.prev_index = next - 1;
        append.peer.history = 77;
        kit_peer(&kit, SLOT_2, &append);
        CHECK(kit.raft->log.last == next);
        kit_balloted(&kit);
        kit_flush(&kit);
        kit_stored(&kit, LIFE, 2);
        kit_flush(&kit);
        CHECK(kit_out(&kit, MESSAGE_APPENDED, 0)->peer.history == 77);
        bytes_close(&noop);
    }
    struct message vote = kit_from(&kit, SLOT_3, 9, MESSAGE_VOTE); /* of the first history */
    vote.vote.candidate_term = 9;
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(kit.raft->term == 2);
    kit_close(&kit);
}

TEST_MAIN(T(a_member_is_added_again_only_by_its_own_word), T(a_word_ends_with_its_connection),
          T(a_server_of_another_history_says_so_and_is_not_let_in),
          T(a_server_of_another_history_is_heard_in_nothing),
          T(a_learner_is_in_the_history_of_its_leader_before_its_log_says_so))
