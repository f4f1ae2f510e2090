/* raft_test.c - the door of the core: the table, heads, votes and the ballot. */
#include "tests/unit/raft_kit.h"

TEST(no_cell_of_the_table_is_empty)
{
    for (int role = 0; role < ROLE_COUNT; role++)
        for (int column = 0; column < ON_COUNT; column++)
            CHECK(raft_rule_at((enum raft_role)role, (enum raft_column)column) != NULL);
}

TEST(timeouts_that_contradict_each_other_are_refused)
{
    struct raft *raft = NULL;
    struct raft_options options = {.node = 1, .heartbeat_ms = 400};
    CHECK(raft_open(&raft, &options, 0) == ERR_CONFIG);
    raft_close(&raft);
    options = (struct raft_options){.node = 1, .election_min_ms = 900, .election_max_ms = 800};
    CHECK(raft_open(&raft, &options, 0) == ERR_CONFIG);
    raft_close(&raft);
    options = (struct raft_options){.node = 1};
    CHECK(raft_open(&raft, &options, 0) == ERR_NONE);
    raft_close(&raft);
}

static struct message vote_of(struct kit *kit, uint32_t slot, uint64_t term, uint64_t last)
{
    struct message message = kit_from(kit, slot, term, MESSAGE_VOTE);
    message.vote.candidate_term = term;
    message.vote.last_index = last;
    message.vote.last_term = 1;
    return message;
}

TEST(a_vote_leaves_only_after_the_ballot)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 2, 1);
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0) == NULL);
    const struct message *ballot = kit_out(&kit, MESSAGE_BALLOT, 0);
    CHECK(ballot && ballot->ballot.term == 2 && ballot->ballot.vote == 2);
    CHECK(ballot->ballot.life == LIFE && ballot->ballot.note.size > 0);

    struct message other = {.type = MESSAGE_BALLOTED};
    other.balloted.life = LIFE + 1; /* an earlier life of storage */
    other.balloted.ticket = kit.raft->ballot_ticket;
    kit_tell(&kit, INPUT_BALLOTED, &other);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0) == NULL);

    kit_balloted(&kit);
    const struct message *voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && voted->voted.granted && voted->peer.term == 2 && voted->peer.to == 2);
    kit_close(&kit);
}

TEST(a_vote_is_given_once_per_term)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 2, 1);
    kit_peer(&kit, SLOT_2, &vote);
    kit_balloted(&kit);
    vote = vote_of(&kit, SLOT_3, 2, 1);
    kit_peer(&kit, SLOT_3, &vote);
    const struct message *voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && !voted->voted.granted);
    vote = vote_of(&kit, SLOT_2, 2, 1); /* the answer was lost: the same vote again */
    kit_peer(&kit, SLOT_2, &vote);
    voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && voted->voted.granted);
    kit_close(&kit);
}

TEST(a_shorter_log_gets_no_vote)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 2, 0);
    kit_peer(&kit, SLOT_2, &vote);
    kit_balloted(&kit);
    const struct message *voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && !voted->voted.granted && voted->peer.term == 2);
    kit_close(&kit);
}

TEST(a_pre_vote_changes_no_term)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 9, 1);
    vote.vote.pre = true;
    vote.peer.term = 8;
    kit_peer(&kit, SLOT_2, &vote);
    const struct message *voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && voted->voted.granted && kit.raft->term == 1);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    kit_close(&kit);
}

TEST(who_hears_a_leader_turns_candidates_away)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    struct message vote = vote_of(&kit, SLOT_3, 5, 9);
    kit_peer(&kit, SLOT_3, &vote);
    const struct message *voted = kit_out(&kit, MESSAGE_VOTED, 0);
    CHECK(voted && !voted->voted.granted && kit.raft->term == 1);

    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = SLOT_2});
    CHECK(kit.raft->election_due_ms >= kit.now + 10 && kit.raft->election_due_ms <= kit.now + 50);
    kit_peer(&kit, SLOT_3, &vote);
    CHECK(kit.raft->term == 5);
    kit_close(&kit);
}

/* Two that noticed the death of the leader at once may split the votes: the next try is soon. */
TEST(after_the_leaders_death_candidates_do_not_wait_a_whole_timeout)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 1, (struct span){0});
    kit_peer(&kit, SLOT_2, &append);
    kit_step(&kit, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = SLOT_2});
    for (int tries = 0; tries < 6; tries++) {
        kit_tick(&kit, kit.raft->election_due_ms - kit.now);
        CHECK(kit.raft->role == ROLE_PRECANDIDATE);
        CHECK(kit.raft->election_due_ms <= kit.now + 150);
    }
    kit_tick(&kit, kit.raft->election_due_ms - kit.now);
    CHECK(kit.raft->election_due_ms >= kit.now + kit.raft->election_min_ms);
    kit_close(&kit);
}

TEST(a_vote_of_another_incarnation_does_not_count)
{
    struct kit kit;
    kit_open(&kit);
    kit_tick(&kit, 2000);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE && kit_out(&kit, MESSAGE_VOTE, 1) != NULL);
    struct message voted = kit_from(&kit, SLOT_2, 1, MESSAGE_VOTED);
    voted.voted.pre = voted.voted.granted = true;
    voted.voted.candidate_term = 2;
    voted.peer.from_incarnation = 999;
    kit_peer(&kit, SLOT_2, &voted);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    kit_vote(&kit, SLOT_2, 2, true);
    CHECK(kit.raft->role == ROLE_CANDIDATE);
    CHECK(kit_out(&kit, MESSAGE_VOTE, 0) == NULL); /* the own vote is not on disk yet */
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_VOTE, 1) != NULL);
    kit_close(&kit);
}

TEST(another_cluster_is_refused_and_told_of_once)
{
    struct kit kit;
    kit_open(&kit);
    struct message append = kit_append(&kit, SLOT_2, 9, (struct span){0});
    append.peer.cluster[0] ^= 1;
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 1 && kit.raft->term == 1);
    kit_peer(&kit, SLOT_2, &append);
    CHECK(kit.out.count == 0 && kit.raft->counters.wrong_cluster == 2);
    kit_close(&kit);
}

TEST(what_is_meant_for_another_incarnation_is_dropped)
{
    struct kit kit;
    kit_open(&kit);
    struct message vote = vote_of(&kit, SLOT_2, 9, 9);
    vote.peer.to_incarnation = 999;
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(kit.out.count == 0 && kit.raft->term == 1);
    kit_close(&kit);
}

/* Storage has drawn a new incarnation for it: it stands in no configuration yet. */
TEST(a_damaged_directory_never_votes)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit.members.at[0].incarnation = 999;
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1}, 1, false);
    struct raft_status status;
    raft_status(kit.raft, &status);
    assert_string_equal(status.role_name, "outside");
    CHECK(strstr(status.waits_for, "damaged") != NULL);
    struct message vote = vote_of(&kit, SLOT_2, 9, 9);
    vote.peer.to_incarnation = 999; /* as the others know it */
    kit_peer(&kit, SLOT_2, &vote);
    CHECK(kit.out.count == 0);
    kit_tick(&kit, 100000);
    CHECK(kit.out.count == 0);
    kit_close(&kit);
}

TEST(a_ballot_older_than_the_log_never_votes)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1, 4}, 2, true);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    kit_close(&kit);
}

TEST(a_second_loaded_is_not_taken)
{
    struct kit kit;
    kit_open(&kit);
    kit_load(&kit, 40, (uint64_t[]){1}, 0, true);
    CHECK(kit.raft->term == 1);
    kit_close(&kit);
}

TEST(a_lost_storage_ends_everything_until_it_is_back)
{
    struct kit kit;
    kit_lead(&kit);
    kit_step(&kit, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    CHECK(kit.raft->role == ROLE_LOADING);
    kit_tick(&kit, 5000);
    CHECK(kit.out.count == 0);
    kit_propose(&kit, 1, 10, ENTRY_DATA);
    const struct message *refused = kit_out(&kit, MESSAGE_REFUSED, 0);
    CHECK(refused && span_is(refused->refused.error, "E_NO_LEADER"));
    kit_step(&kit, (struct raft_input){.kind = INPUT_STORAGE_UP});
    CHECK(kit_out(&kit, MESSAGE_LOAD, 0) != NULL);
    kit_close(&kit);
}

TEST(who_is_the_only_voter_stands_at_once)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit.members.count = 1;
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1}, 1, true);
    kit_tick(&kit, 1);
    CHECK(kit.raft->role == ROLE_CANDIDATE);
    kit_close(&kit);
    kit_open(&kit); /* one of three: another one may lead */
    kit_tick(&kit, 1);
    CHECK(kit.raft->role == ROLE_FOLLOWER);
    kit_close(&kit);
}

TEST_MAIN(T(no_cell_of_the_table_is_empty), T(timeouts_that_contradict_each_other_are_refused),
          T(a_vote_leaves_only_after_the_ballot), T(a_vote_is_given_once_per_term),
          T(a_shorter_log_gets_no_vote), T(a_pre_vote_changes_no_term),
          T(who_hears_a_leader_turns_candidates_away),
          T(after_the_leaders_death_candidates_do_not_wait_a_whole_timeout),
          T(a_vote_of_another_incarnation_does_not_count),
          T(another_cluster_is_refused_and_told_of_once),
          T(what_is_meant_for_another_incarnation_is_dropped), T(a_damaged_directory_never_votes),
          T(a_ballot_older_than_the_log_never_votes), T(a_second_loaded_is_not_taken),
          T(a_lost_storage_ends_everything_until_it_is_back),
          T(who_is_the_only_voter_stands_at_once))
