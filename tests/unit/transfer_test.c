/* transfer_test.c - leadership handed over: I14, from the leader's side and from the target's. */
#include "tests/unit/raft_kit.h"

static void ask_transfer(struct kit *kit, uint64_t node)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_TRANSFER, .number = node});
}

TEST(no_proposal_gets_in_while_leadership_is_handed_over)
{
    struct kit kit;
    kit_lead_together(&kit);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    ask_transfer(&kit, 3);
    CHECK(kit_kept(&kit) == ERR_COUNT && kit.raft->log.last == 3);
    kit_propose(&kit, 2, 10, ENTRY_DATA);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 3);
    CHECK(kit_out(&kit, MESSAGE_TIMEOUT_NOW, 0) == NULL); /* the target lacks index 3 */

    kit_acknowledge(&kit, SLOT_2, 3);
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_TIMEOUT_NOW, 0) == NULL); /* another one has it */
    kit_acknowledge(&kit, SLOT_3, 3);
    kit_flush(&kit);
    const struct message *now = kit_out(&kit, MESSAGE_TIMEOUT_NOW, 0);
    CHECK(now && now->peer.to == 3 && now->timeout_now.last_index == 3 &&
          now->timeout_now.last_term == 2);
    kit_close(&kit);
}

TEST(after_an_election_timeout_the_leader_goes_on_with_what_it_held)
{
    struct kit kit;
    kit_lead_together(&kit);
    ask_transfer(&kit, 3);
    kit_propose(&kit, 2, 10, ENTRY_DATA);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    for (int i = 0; i < 10; i++) {
        CHECK(kit.raft->log.last == 2);
        kit_tick(&kit, 100);
        CHECK(kit_out(&kit, MESSAGE_TIMEOUT_NOW, 0) != NULL || i == 0 || i == 9);
        kit_acknowledge(&kit, SLOT_2, 2);
        kit_flush(&kit);
    }
    CHECK(kit.raft->role == ROLE_LEADER && kit.raft->log.last == 5);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    CHECK(kit.raft->log.last == 6);
    kit_close(&kit);
}

TEST(a_hand_over_is_refused_by_name)
{
    struct kit kit;
    kit_open(&kit);
    ask_transfer(&kit, 3);
    CHECK(kit_kept(&kit) == ERR_NO_LEADER);
    kit_close(&kit);

    kit_lead(&kit);
    ask_transfer(&kit, 1);
    CHECK(kit_kept(&kit) == ERR_NONE); /* it leads already */
    ask_transfer(&kit, 99);
    CHECK(kit_kept(&kit) == ERR_NOT_FOUND);
    ask_transfer(&kit, 3);
    CHECK(kit_kept(&kit) == ERR_NOT_READY); /* nothing was heard of it in this term */
    ask_transfer(&kit, 0);
    CHECK(kit_kept(&kit) == ERR_NOT_READY);
    kit_acknowledge(&kit, SLOT_3, 1);
    ask_transfer(&kit, 0);
    CHECK(kit_kept(&kit) == ERR_COUNT && kit.raft->transfer.target == SLOT_3);
    ask_transfer(&kit, 2);
    CHECK(kit_kept(&kit) == ERR_BUSY && kit.raft->transfer.target == SLOT_3);
    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = SLOT_3});
    CHECK(kit_kept(&kit) == ERR_CLOSED && !kit.raft->transfer.running);
    kit_close(&kit);
}

TEST(what_is_held_has_a_bound)
{
    struct kit kit;
    kit_lead_together(&kit);
    ask_transfer(&kit, 3);
    for (int i = 0; i < 7; i++) {
        kit_propose(&kit, 1, 1 << 20, ENTRY_DATA);
        CHECK(kit_count(&kit, OUTPUT_REFUSED) == 0);
    }
    kit_propose(&kit, 1, 1 << 20, ENTRY_DATA);
    CHECK(kit_count(&kit, OUTPUT_REFUSED) == 1);
    CHECK(span_is(kit_out(&kit, MESSAGE_REFUSED, 0)->refused.error, "E_BUSY"));
    kit_close(&kit);
}

TEST(of_voters_the_one_with_most_of_the_log_is_chosen)
{
    struct kit kit;
    kit_lead_together(&kit);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    kit_flush(&kit);
    kit_acknowledge(&kit, SLOT_3, 3);
    ask_transfer(&kit, 0);
    CHECK(kit.raft->transfer.target == SLOT_3);
    kit_close(&kit);
}

static struct message timeout_now(struct kit *kit, uint32_t slot, uint64_t term, uint64_t last,
                                  uint64_t last_term)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_TIMEOUT_NOW);
    message.timeout_now.last_index = last;
    message.timeout_now.last_term = last_term;
    return message;
}

TEST(only_the_leader_of_this_term_with_this_log_may_say_so)
{
    struct kit kit;
    kit_open(&kit);
    struct message now = timeout_now(&kit, SLOT_2, 1, 1, 1);
    kit_peer(&kit, SLOT_2, &now);
    CHECK(kit.raft->role == ROLE_FOLLOWER); /* no leader is known */
    struct message append = kit_append(&kit, SLOT_2, 2, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    kit_balloted(&kit);
    kit_peer(&kit, SLOT_2, &now); /* of a term that has passed */
    now = timeout_now(&kit, SLOT_3, 2, 1, 1);
    kit_peer(&kit, SLOT_3, &now); /* does not lead */
    now = timeout_now(&kit, SLOT_2, 2, 2, 2);
    kit_peer(&kit, SLOT_2, &now); /* has more */
    now = timeout_now(&kit, SLOT_2, 2, 1, 2);
    kit_peer(&kit, SLOT_2, &now); /* has another log */
    now = timeout_now(&kit, SLOT_2, 2, 1, 1);
    now.peer.from_incarnation = 999;
    kit_peer(&kit, SLOT_2, &now); /* is another incarnation */
    CHECK(kit.raft->role == ROLE_FOLLOWER && kit.raft->term == 2);
    kit_close(&kit);
}

TEST(the_target_campaigns_at_once_and_only_once_above_stickiness)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 2, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    kit_balloted(&kit);
    struct message now = timeout_now(&kit, SLOT_2, 2, 1, 1);
    kit_peer(&kit, SLOT_2, &now);
    CHECK(kit.raft->role == ROLE_CANDIDATE && kit.raft->term == 3);
    CHECK(kit_out(&kit, MESSAGE_VOTE, 0) == NULL); /* before the ballot is on disk (I2) */
    kit_balloted(&kit);
    const struct message *vote = kit_out(&kit, MESSAGE_VOTE, 1);
    CHECK(vote && vote->vote.transfer && !vote->vote.pre && vote->vote.candidate_term == 3);

    kit_tick(&kit, 2000); /* nobody answered: the next try is an ordinary one */
    vote = kit_out(&kit, MESSAGE_VOTE, 0);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE && vote && vote->vote.pre && !vote->vote.transfer);
    kit_vote(&kit, SLOT_2, 4, true);
    kit_balloted(&kit);
    vote = kit_out(&kit, MESSAGE_VOTE, 0);
    CHECK(vote && !vote->vote.pre && !vote->vote.transfer);
    kit_close(&kit);
}

TEST(who_hears_a_leader_votes_for_the_one_it_named)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    struct message vote = kit_from(&kit, SLOT_3, 2, MESSAGE_VOTE);
    vote.vote.candidate_term = 2;
    vote.vote.last_index = vote.vote.last_term = 1;
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(kit.raft->term == 1);
    vote.vote.transfer = true;
    kit_peer(&kit, SLOT_3, &vote);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0)->voted.granted && kit.raft->vote == 3);
    kit_close(&kit);
}

/* Deposed, the core drops what it held: each api proposes its own again, to the new leader. */
TEST(a_leader_that_is_deposed_hands_nothing_over)
{
    struct kit kit;
    kit_lead_together(&kit);
    ask_transfer(&kit, 3);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    struct message vote = kit_from(&kit, SLOT_3, 3, MESSAGE_VOTE);
    vote.vote.candidate_term = 3;
    vote.vote.last_index = vote.vote.last_term = 2;
    vote.vote.transfer = true;
    uint64_t epoch = kit.raft->epoch;
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(kit.raft->role == ROLE_FOLLOWER && !kit.raft->transfer.running);
    CHECK(kit.raft->transfer.held.size == 0 && kit.raft->log.last == 2);
    CHECK(kit.raft->epoch > epoch && kit_kept(&kit) == ERR_COUNT);
    kit_close(&kit);
}

TEST(a_full_disk_hands_over_once_and_then_steps_down)
{
    struct kit kit;
    kit_lead_together(&kit);
    struct message disk = {.type = MESSAGE_DISK_IS, .disk_is = {.state = DISK_FULL}};
    kit_tell(&kit, INPUT_DISK, &disk);
    kit_tick(&kit, 100);
    CHECK(kit.raft->transfer.running && kit.raft->role == ROLE_LEADER);
    CHECK(raft_due_ms(kit.raft) > kit.now); /* no heartbeat is due (I13) */
    kit_flush(&kit);
    CHECK(kit_out(&kit, MESSAGE_TIMEOUT_NOW, 0) != NULL &&
          kit_out(&kit, MESSAGE_APPEND, 0) == NULL);
    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = kit.raft->transfer.target});
    CHECK(!kit.raft->transfer.running);
    kit_tick(&kit, 100);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_close(&kit);
}

TEST_MAIN(T(no_proposal_gets_in_while_leadership_is_handed_over),
          T(after_an_election_timeout_the_leader_goes_on_with_what_it_held),
          T(a_hand_over_is_refused_by_name), T(what_is_held_has_a_bound),
          T(of_voters_the_one_with_most_of_the_log_is_chosen),
          T(only_the_leader_of_this_term_with_this_log_may_say_so),
          T(the_target_campaigns_at_once_and_only_once_above_stickiness),
          T(who_hears_a_leader_votes_for_the_one_it_named),
          T(a_leader_that_is_deposed_hands_nothing_over),
          T(a_full_disk_hands_over_once_and_then_steps_down))
