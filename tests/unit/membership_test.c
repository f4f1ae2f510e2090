/* membership_test.c - the members change, seen from one core of three (I8 .. I11). */
#include "common/keys.h"
#include "consensus/plan.h"
#include "tests/unit/members_kit.h"

#include <stdio.h>

static const struct members *active(const struct kit *kit)
{
    return state_members(kit->raft);
}

TEST(no_configuration_before_an_entry_of_the_own_term)
{
    struct kit kit;
    kit_lead(&kit);
    CHECK(span_is(ask(&kit, "remove node=3")->error, "E_NOT_READY"));
    CHECK(kit.raft->log.last == 2 && kit.raft->config_count == 1);
    kit_close(&kit);
}

TEST(one_configuration_at_a_time)
{
    struct kit kit;
    lead(&kit);
    CHECK(ask(&kit, "set node=3 name=three")->error.size == 0);
    CHECK(kit.raft->log.last == 3 && state_config_index(kit.raft) == 3);
    CHECK(entry_kind_of(raftlog_record(&kit.raft->log, 3)) == ENTRY_CONFIG);
    CHECK(!ask(&kit, "set node=2 name=two")->done);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 3);
    kit_stored(&kit, LIFE, 2);
    acknowledge(&kit, SLOT_2, 3, 2);
    CHECK(ask(&kit, "set node=3 name=three")->done);
    ask(&kit, "set node=2 name=two");
    CHECK(kit.raft->log.last == 4);
    kit_close(&kit);
}

TEST(while_joint_an_entry_needs_both_majorities)
{
    struct kit kit;
    lead(&kit);
    ask(&kit, "remove node=3");
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    acknowledge(&kit, SLOT_2, 3, 2);
    kit_flush(&kit); /* the wish is committed: joint */
    CHECK(active(&kit)->joint && kit.raft->log.last == 4 && kit.raft->commit == 3);
    kit_stored(&kit, LIFE, 2);
    acknowledge(&kit, SLOT_3, 4, 3);
    CHECK(kit.raft->commit == 3); /* two of three, but one of the two that stay */
    acknowledge(&kit, SLOT_2, 4, 3);
    CHECK(kit.raft->commit == 4);
    kit_flush(&kit);
    CHECK(!active(&kit)->joint && kit.raft->log.last == 5);
    kit_stored(&kit, LIFE, 2);
    acknowledge(&kit, SLOT_3, 5, 4);
    CHECK(kit.raft->commit == 4); /* it was removed: it gets the log, and counts for nothing */
    acknowledge(&kit, SLOT_2, 5, 4);
    CHECK(kit.raft->commit == 5);
    kit_close(&kit);
}

/* What could not be committed is not begun: the other one that stays does not answer. */
TEST(no_joint_configuration_without_both_majorities_in_sight)
{
    struct kit kit;
    lead(&kit);
    for (int i = 0; i < 6; i++) { /* node 2 falls silent */
        kit_tick(&kit, 100);
        acknowledge(&kit, SLOT_3, 2, 2);
        kit_flush(&kit);
    }
    ask(&kit, "remove node=3");
    kit_flush(&kit);
    kit_stored(&kit, LIFE, 2);
    acknowledge(&kit, SLOT_3, 3, 2);
    CHECK(kit.raft->commit == 3);
    kit_flush(&kit);
    kit_tick(&kit, 100);
    kit_flush(&kit);
    CHECK(kit.raft->role == ROLE_LEADER && !active(&kit)->joint && plan_pending(active(&kit)));
    acknowledge(&kit, SLOT_2, 3, 3);
    kit_flush(&kit);
    CHECK(active(&kit)->joint);
    kit_close(&kit);
}

/* Nobody campaigns when told to: the leader goes alone, and only when a voter that remains knows
 * that it may (I10). */
TEST(a_leader_that_nobody_succeeds_goes_when_it_is_known)
{
    struct kit kit;
    bool counted_itself = false, was_out = false;
    lead(&kit);
    ask(&kit, "remove node=1");
    for (int i = 0; i < 120 && kit.raft->role == ROLE_LEADER; i++) {
        kit_flush(&kit);
        if (kit.raft->store_count > 0)
            kit_stored(&kit, LIFE, 2);
        bool out = kit.raft->self < 0;
        if (out && !was_out) { /* stored here, acknowledged by one of the two that remain */
            uint64_t last = kit.raft->log.last;
            acknowledge(&kit, SLOT_2, last, kit.raft->commit);
            counted_itself = kit.raft->commit == last;
            acknowledge(&kit, SLOT_3, last, kit.raft->commit);
            CHECK(kit.raft->commit == last);
            kit_flush(&kit);
            CHECK(kit.raft->role == ROLE_LEADER); /* nobody has said that it knows */
        }
        was_out = was_out || out;
        acknowledge(&kit, SLOT_2, kit.raft->log.last, was_out && !out ? 0 : kit.raft->commit);
        acknowledge(&kit, SLOT_3, kit.raft->log.last, kit.raft->commit);
        kit_flush(&kit);
        kit_tick(&kit, 100);
    }
    struct raft_status status;
    raft_status(kit.raft, &status);
    CHECK(was_out && !counted_itself);
    CHECK(kit.raft->role == ROLE_OUTSIDE && strcmp(status.role_name, "removed") == 0);
    CHECK(kit.raft->term == 2);
    kit_tick(&kit, 100000);
    CHECK(kit_out(&kit, MESSAGE_VOTE, 0) == NULL); /* and never campaigns */
    kit_close(&kit);
}

/* A configuration entry as a leader would send it, behind record 1. */
static void make_config(struct kit *kit, struct bytes *out, uint64_t term, const char *name,
                        uint8_t hash[HASH_SIZE])
{
    struct members members = kit->members;
    struct bytes body = {0};
    snprintf(members.at[2].name, sizeof members.at[2].name, "%s", name);
    members.at[2].now = members.at[2].next = members.at[2].wish = MEMBER_REPLICA;
    members_encode(&members, &body);
    kit_record(out, 2, term, ENTRY_CONFIG, bytes_span(&body), hash);
    bytes_close(&body);
}

TEST(a_truncation_brings_back_the_configuration_before)
{
    struct kit kit;
    kit_open(&kit);
    uint8_t hash[HASH_SIZE], other[HASH_SIZE];
    struct bytes config = {0}, noop = {0};
    memcpy(hash, kit.hash, sizeof hash);
    memcpy(other, kit.hash, sizeof other);
    make_config(&kit, &config, 2, "two", hash);
    struct message append = kit_append(&kit, SLOT_2, 2, bytes_span(&config));
    kit_peer(&kit, SLOT_2, &append);
    CHECK(state_config_index(kit.raft) == 2 && members_count(active(&kit), MEMBER_VOTER) == 2);
    CHECK(!kit.raft->peers.at[SLOT_3].votes && kit.raft->peers.at[SLOT_3].member >= 0);

    kit_record(&noop, 2, 3, ENTRY_NOOP, (struct span){0}, other);
    append = kit_append(&kit, SLOT_3, 3, bytes_span(&noop));
    kit_peer(&kit, SLOT_3, &append);
    CHECK(state_config_index(kit.raft) == 1 && members_count(active(&kit), MEMBER_VOTER) == 3);
    CHECK(kit.raft->peers.at[SLOT_3].votes);
    bytes_close(&config);
    bytes_close(&noop);
    kit_close(&kit);
}

static void append_config_without_own_vote(struct kit *kit)
{
    struct bytes body = {0}, config = {0};
    struct members members = kit->members;
    members.at[0].now = members.at[0].next = members.at[0].wish = MEMBER_REPLICA;
    members_encode(&members, &body);
    kit_record(&config, 2, 1, ENTRY_CONFIG, bytes_span(&body), kit->hash);
    struct message append = kit_append(kit, SLOT_2, 1, bytes_span(&config));
    kit_peer(kit, SLOT_2, &append);
    kit_flush(kit);
    kit_stored(kit, LIFE, 1);
    bytes_close(&body);
    bytes_close(&config);
}

/* It stands because it voted before; then its storage, which outlived it, says that the new
 * configuration is applied, so committed. */
TEST(a_candidate_that_learns_that_it_votes_no_more_does_not_lead)
{
    struct kit kit;
    struct message applied = {.type = MESSAGE_APPLIED, .applied = {.index = 2}};
    for (int pre = 0; pre < 2; pre++) {
        kit_open(&kit);
        append_config_without_own_vote(&kit);
        kit_tick(&kit, 2000);
        kit_vote(&kit, SLOT_2, 2, true);
        if (pre == 0)
            kit_vote(&kit, SLOT_3, 2, true);
        kit_balloted(&kit);
        CHECK(kit.raft->role == (pre ? ROLE_PRECANDIDATE : ROLE_CANDIDATE));
        kit_tell(&kit, INPUT_APPLIED, &applied);
        CHECK(kit.raft->role == ROLE_FOLLOWER && kit.raft->commit == 2);
        kit_vote(&kit, SLOT_2, 2, pre);
        kit_vote(&kit, SLOT_3, 2, pre);
        kit_tick(&kit, 60000);
        CHECK(kit.raft->role == ROLE_FOLLOWER);
        kit_close(&kit);
    }
}

TEST(only_a_later_committed_configuration_makes_a_candidate_quiet)
{
    struct kit kit;
    kit_open(&kit);
    kit_tick(&kit, 2000);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    struct message voted = kit_from(&kit, SLOT_2, 1, MESSAGE_VOTED);
    voted.voted.pre = true;
    voted.voted.candidate_term = 2;
    kit_peer(&kit, SLOT_2, &voted); /* an ordinary refusal */
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    voted.voted.removed_at = 9;
    kit_peer(&kit, SLOT_2, &voted);
    CHECK(kit.raft->role == ROLE_OUTSIDE && kit.raft->term == 1);
    kit_tick(&kit, 100000);
    CHECK(kit.out.count == 0);
    struct message vote = kit_from(&kit, SLOT_2, 5, MESSAGE_VOTE); /* it is asked all the same */
    vote.vote.candidate_term = 5;
    vote.vote.last_index = 9;
    vote.vote.last_term = 4;
    kit_peer(&kit, SLOT_2, &vote);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0)->voted.granted);
    kit_close(&kit);
}

/* While others came and went it was away: it lets in whom it is told of, and no more than that. */
TEST(a_refusal_names_somebody_to_let_in)
{
    struct kit kit;
    kit_open(&kit);
    kit_tick(&kit, 2000);
    uint8_t key[RAFT_KEY_SIZE];
    memset(key, 77, sizeof key);
    uint64_t version = raft_peers_version(kit.raft);
    struct message voted = kit_from(&kit, SLOT_2, 1, MESSAGE_VOTED);
    voted.voted.pre = true;
    voted.voted.candidate_term = 2;
    voted.voted.member_key = SPAN(key, sizeof key);
    voted.voted.member_at = SPAN_TEXT("tcp://new:1");
    kit_peer(&kit, SLOT_2, &voted);
    int slot = raft_slot_of(kit.raft, key);
    CHECK(slot >= 0 && raft_peers_version(kit.raft) > version);
    CHECK(!raft_peer(kit.raft, (uint32_t)slot).member);
    for (uint8_t i = 100; i < 200; i++) { /* however many: strangers take no place of a member */
        memset(key, i, sizeof key);
        kit_peer(&kit, SLOT_2, &voted);
    }
    CHECK(raft_peer_count(kit.raft) == RAFT_PEERS_MAX);
    CHECK(raft_peer(kit.raft, SLOT_2).voter && raft_peer(kit.raft, SLOT_3).voter);
    kit_close(&kit);
}

TEST(a_member_without_an_address_is_where_its_file_says)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit.members.count = 1;
    kit.members.at[0].endpoint[0] = 0;
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1}, 1, true);
    kit_tick(&kit, 2000);
    kit_balloted(&kit);
    CHECK(kit.raft->role == ROLE_LEADER);
    kit_flush(&kit);
    CHECK(active(&kit)->at[0].endpoint[0] == 0); /* I9 */
    kit_stored(&kit, LIFE, 2);
    kit_flush(&kit);
    CHECK(strcmp(active(&kit)->at[0].endpoint, "a") == 0 && kit.raft->log.last == 3);
    kit_stored(&kit, LIFE, 2);
    kit_flush(&kit);
    CHECK(kit.raft->log.last == 3); /* once */
    kit_close(&kit);
}

TEST_MAIN(T(a_member_without_an_address_is_where_its_file_says),
          T(no_configuration_before_an_entry_of_the_own_term), T(one_configuration_at_a_time),
          T(while_joint_an_entry_needs_both_majorities),
          T(no_joint_configuration_without_both_majorities_in_sight),
          T(a_leader_that_nobody_succeeds_goes_when_it_is_known),
          T(a_truncation_brings_back_the_configuration_before),
          T(a_candidate_that_learns_that_it_votes_no_more_does_not_lead),
          T(only_a_later_committed_configuration_makes_a_candidate_quiet),
          T(a_refusal_names_somebody_to_let_in))
