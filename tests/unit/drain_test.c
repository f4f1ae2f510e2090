/* drain_test.c - a node that shall not lead: it hands over, and stands only as the last one. */
#include "tests/unit/raft_kit.h"

static void acknowledge(struct kit *kit, uint32_t slot, uint64_t match, bool drained)
{
    struct message message = kit_appended(kit, slot, match);
    message.appended.drained = drained;
    kit_peer(kit, slot, &message);
}

static void drain(struct kit *kit, bool on)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_DRAIN, .number = on});
}

/* Leads term 2 with log index 2. */
static void lead(struct kit *kit)
{
    kit_lead(kit);
    kit_flush(kit);
    kit_stored(kit, LIFE, 2);
}

TEST(a_hand_over_never_goes_to_a_drained_node)
{
    struct kit kit;
    lead(&kit);
    acknowledge(&kit, SLOT_2, 2, true);
    acknowledge(&kit, SLOT_3, 1, false);
    kit_step(&kit, (struct raft_input){.kind = INPUT_TRANSFER, .number = 2});
    CHECK(kit_kept(&kit) == ERR_DRAINED);
    kit_step(&kit, (struct raft_input){.kind = INPUT_TRANSFER});
    CHECK(kit.raft->transfer.running && kit.raft->transfer.target == SLOT_3);
    kit_close(&kit);
}

TEST(a_drained_leader_hands_over)
{
    struct kit kit;
    lead(&kit);
    acknowledge(&kit, SLOT_3, 2, false);
    drain(&kit, true);
    CHECK(kit.raft->role == ROLE_LEADER && !kit.raft->transfer.running);
    kit_tick(&kit, 100);
    CHECK(kit.raft->transfer.running && kit.raft->transfer.target == SLOT_3);
    kit_close(&kit);
}

TEST(a_drained_leader_without_another_leads_on_and_looks_again)
{
    struct kit kit;
    lead(&kit);
    acknowledge(&kit, SLOT_2, 2, true);
    drain(&kit, true);
    for (int i = 0; i < 5; i++)
        kit_tick(&kit, 100);
    CHECK(kit.raft->role == ROLE_LEADER && !kit.raft->transfer.running);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit.raft->log.last == 3); /* no write waits for it */
    acknowledge(&kit, SLOT_2, 2, false);
    kit_tick(&kit, 100);
    CHECK(kit.raft->transfer.running && kit.raft->transfer.target == SLOT_2);
    kit_close(&kit);
}

static bool stands_late(const struct kit *kit)
{
    uint64_t timeouts = 5 * kit->raft->election_max_ms;
    return kit->raft->election_due_ms >= kit->raft->now_ms + timeouts;
}

TEST(a_drained_follower_stands_late)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    drain(&kit, true);
    CHECK(stands_late(&kit));
    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = SLOT_2});
    CHECK(stands_late(&kit));
    drain(&kit, false);
    CHECK(kit.raft->election_due_ms <= kit.raft->now_ms + kit.raft->election_max_ms);
    kit_close(&kit);
}

TEST(a_drained_follower_tells_the_leader_and_heeds_no_word_to_campaign)
{
    struct kit kit;
    kit_open(&kit);
    drain(&kit, true);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    kit_flush(&kit);
    const struct message *answer = kit_out(&kit, MESSAGE_APPENDED, 0);
    CHECK(answer && answer->appended.ok && answer->appended.drained);
    struct message now = kit_from(&kit, SLOT_2, 1, MESSAGE_TIMEOUT_NOW);
    now.timeout_now.last_index = now.timeout_now.last_term = 1;
    kit_peer(&kit, SLOT_2, &now);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    drain(&kit, false);
    kit_peer(&kit, SLOT_2, &now);
    CHECK(kit.raft->role == ROLE_CANDIDATE);
    kit_close(&kit);
}

/* Two of three are left, and only the drained one has all that is committed. */
TEST(a_drained_follower_stands_soon_where_a_candidate_lacks_its_entries)
{
    struct kit kit;
    kit_open(&kit);
    drain(&kit, true);
    struct message vote = kit_from(&kit, SLOT_3, 1, MESSAGE_VOTE);
    vote.vote.pre = true;
    vote.vote.candidate_term = 2;
    vote.vote.last_index = vote.vote.last_term = 1;
    kit_peer(&kit, SLOT_3, &vote); /* has as much: it can win */
    CHECK(stands_late(&kit));
    vote.vote.last_index = vote.vote.last_term = 0;
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(!stands_late(&kit));
    kit_tick(&kit, 50);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    kit_close(&kit);
}

/* It stood as the last one, late, and leads; then it may lead again. The clock that it stood by is
 * as late, and a candidate that lacks its entries deposes it, and cannot win. */
TEST(a_leader_that_is_drained_no_longer_stands_in_time_when_it_is_deposed)
{
    struct kit kit;
    kit_open(&kit);
    drain(&kit, true);
    kit_tick(&kit, 6000);
    kit_vote(&kit, SLOT_2, 2, true);
    kit_balloted(&kit);
    kit_vote(&kit, SLOT_2, 2, false);
    CHECK(kit.raft->role == ROLE_LEADER && stands_late(&kit));
    drain(&kit, false);
    struct message vote = kit_from(&kit, SLOT_3, 3, MESSAGE_VOTE);
    vote.vote.candidate_term = 3;
    vote.vote.last_index = vote.vote.last_term = 1;
    vote.vote.transfer = true;
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(kit.raft->role == ROLE_FOLLOWER && kit.raft->term == 3 && kit.raft->vote == 0);
    kit_balloted(&kit);
    kit_tick(&kit, kit.raft->election_max_ms);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    kit_close(&kit);
}

TEST_MAIN(T(a_hand_over_never_goes_to_a_drained_node), T(a_drained_leader_hands_over),
          T(a_drained_leader_without_another_leads_on_and_looks_again),
          T(a_drained_follower_stands_late),
          T(a_drained_follower_tells_the_leader_and_heeds_no_word_to_campaign),
          T(a_drained_follower_stands_soon_where_a_candidate_lacks_its_entries),
          T(a_leader_that_is_drained_no_longer_stands_in_time_when_it_is_deposed))
