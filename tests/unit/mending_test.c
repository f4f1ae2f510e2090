/* mending_test.c - asking for what cannot be read here, and giving to others what can (S6).
 *
 * The wires are played: what mending.c sends is kept. */
#include "consensus/mending.h"

#include "tests/unit/raft_kit.h"

static struct message to_keeper, to_peer;
static uint32_t keeper_count, peer_count, peer_slot;

void peerlink_send(struct peerlink *link, uint32_t slot, const struct message *message)
{
    to_peer = *message;
    peer_slot = slot;
    peer_count++;
}

void link_tell(struct link *link, uint32_t neighbour, const struct message *message)
{
    to_keeper = *message;
    keeper_count++;
}

struct stage {
    struct kit kit;
    struct loop loop;
    struct mending mending;
};

static void open_stage(struct stage *stage)
{
    *stage = (struct stage){.loop.now_ms = 10000};
    kit_open(&stage->kit);
    keeper_count = peer_count = 0;
    mending_open(&stage->mending, stage->kit.raft, NULL, NULL, &stage->loop);
}

static void close_stage(struct stage *stage)
{
    kit_close(&stage->kit);
}

static void timer(struct stage *stage)
{
    stage->loop.timers[0].call(stage->loop.timers[0].owner);
}

static void mend_at(struct stage *stage, uint64_t from)
{
    struct message message = {.type = MESSAGE_MEND_AT, .mend_at = {from, from + 9}};
    peer_count = 0;
    CHECK(mending_told(&stage->mending, &message));
}

static void given(struct stage *stage, uint64_t from)
{
    struct message message = kit_from(&stage->kit, SLOT_2, 1, MESSAGE_GIVEN);
    message.given.from = from;
    message.given.entries = SPAN_TEXT("entries");
    keeper_count = 0;
    CHECK(mending_take(&stage->mending, SLOT_2, &message));
}

TEST(storage_is_asked_again_and_again)
{
    struct stage stage;
    open_stage(&stage);
    timer(&stage);
    CHECK(keeper_count == 1 && to_keeper.type == MESSAGE_MEND && to_keeper.mend.entries.size == 0);
    timer(&stage); /* it has not answered yet */
    CHECK(keeper_count == 1);
    stage.loop.now_ms += 2000;
    timer(&stage);
    CHECK(keeper_count == 2);
    mend_at(&stage, 0); /* nothing is damaged */
    CHECK(peer_count == 0);
    close_stage(&stage);
}

TEST(members_are_asked_in_turn_until_one_can_help)
{
    struct stage stage;
    open_stage(&stage);
    mend_at(&stage, 5);
    CHECK(peer_count == 1 && peer_slot == SLOT_2 && to_peer.type == MESSAGE_GIVE);
    CHECK(to_peer.give.from == 5 && to_peer.give.to == 14 && to_peer.peer.to == 2);
    mend_at(&stage, 5); /* still damaged: that one could not */
    CHECK(peer_slot == SLOT_3 && to_peer.peer.to == 3);
    mend_at(&stage, 7); /* that one could, and is asked for the next page */
    CHECK(peer_slot == SLOT_3);
    stage.kit.raft->peers.at[SLOT_3].member = -1; /* it is removed */
    mend_at(&stage, 9);
    CHECK(peer_slot == SLOT_2);
    stage.kit.raft->peers.at[SLOT_2].member = -1;
    mend_at(&stage, 11);
    CHECK(peer_count == 0); /* nobody is left */
    stage.mending.slot = RAFT_PEERS_MAX;
    mend_at(&stage, 12);
    CHECK(peer_count == 0);
    close_stage(&stage);
}

TEST(what_is_given_goes_to_storage_if_it_was_asked_for)
{
    struct stage stage;
    open_stage(&stage);
    given(&stage, 0); /* nothing is wanted */
    CHECK(keeper_count == 0);
    mend_at(&stage, 5);
    given(&stage, 4); /* late */
    CHECK(keeper_count == 0);
    given(&stage, 5);
    CHECK(keeper_count == 1 && span_is(to_keeper.mend.entries, "entries"));
    close_stage(&stage);
}

static void give(struct stage *stage, uint32_t slot, uint64_t from, uint64_t to)
{
    struct message message = kit_from(&stage->kit, slot, 1, MESSAGE_GIVE);
    message.give.from = from;
    message.give.to = to;
    keeper_count = 0;
    CHECK(mending_take(&stage->mending, slot, &message));
}

static void fetched(struct stage *stage, uint64_t ticket, bool ours)
{
    struct message message = {.type = MESSAGE_FETCHED};
    message.fetched.ticket = ticket;
    message.fetched.entries = SPAN_TEXT("page");
    peer_count = 0;
    CHECK(mending_told(&stage->mending, &message) == ours);
}

TEST(only_what_is_committed_is_given_and_only_to_members)
{
    struct stage stage;
    open_stage(&stage);
    stage.kit.raft->commit = 10;
    give(&stage, SLOT_2, 0, 9);
    CHECK(keeper_count == 0);
    give(&stage, SLOT_2, 11, 12);
    CHECK(keeper_count == 0);
    stage.kit.raft->peers.at[SLOT_3].member = -1;
    give(&stage, SLOT_3, 3, 9);
    CHECK(keeper_count == 0);
    give(&stage, SLOT_2, 3, 99);
    CHECK(keeper_count == 1 && to_keeper.type == MESSAGE_FETCH);
    CHECK(to_keeper.fetch.from == 3 && to_keeper.fetch.to == 10);
    close_stage(&stage);
}

TEST(one_page_at_a_time_is_given)
{
    struct stage stage;
    open_stage(&stage);
    stage.kit.raft->commit = 10;
    give(&stage, SLOT_2, 3, 4);
    uint64_t ticket = to_keeper.fetch.ticket;
    CHECK(keeper_count == 1 && to_keeper.fetch.to == 4);
    give(&stage, SLOT_3, 3, 4);
    CHECK(keeper_count == 0);
    fetched(&stage, 1, false); /* the core's */
    fetched(&stage, ticket + 1, true);
    CHECK(peer_count == 0);
    fetched(&stage, ticket, true);
    CHECK(peer_count == 1 && peer_slot == SLOT_2 && to_peer.type == MESSAGE_GIVEN);
    CHECK(to_peer.given.from == 3 && span_is(to_peer.given.entries, "page"));
    fetched(&stage, ticket, true); /* twice */
    CHECK(peer_count == 0);
    give(&stage, SLOT_3, 5, 6);
    CHECK(keeper_count == 1 && to_keeper.fetch.ticket != ticket);
    stage.loop.now_ms += 2000; /* storage was lost with it */
    give(&stage, SLOT_2, 7, 8);
    CHECK(keeper_count == 1);
    stage.mending.give_slot = RAFT_PEERS_MAX;
    fetched(&stage, to_keeper.fetch.ticket, true);
    CHECK(peer_count == 0);
    close_stage(&stage);
}

TEST(other_messages_and_other_clusters_are_left_alone)
{
    struct stage stage;
    open_stage(&stage);
    stage.kit.raft->commit = 10;
    struct message message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_APPEND);
    CHECK(!mending_take(&stage.mending, SLOT_2, &message));
    message = (struct message){.type = MESSAGE_STORED};
    CHECK(!mending_told(&stage.mending, &message));
    message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_GIVE);
    message.give.from = 3;
    message.peer.cluster[0] ^= 1;
    CHECK(mending_take(&stage.mending, SLOT_2, &message) && keeper_count == 0);
    message.peer.cluster[0] ^= 1;
    message.peer.to = 9;
    CHECK(mending_take(&stage.mending, SLOT_2, &message) && keeper_count == 0);
    close_stage(&stage);
}

TEST_MAIN(T(storage_is_asked_again_and_again), T(members_are_asked_in_turn_until_one_can_help),
          T(what_is_given_goes_to_storage_if_it_was_asked_for),
          T(only_what_is_committed_is_given_and_only_to_members), T(one_page_at_a_time_is_given),
          T(other_messages_and_other_clusters_are_left_alone))
