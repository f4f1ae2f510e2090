/* claims_test.c - two lives under one node id, seen by who judges and by who is judged (I18).
 *
 * The wires are played: what claims.c sends is kept, and a connection can be cut. */
#include "consensus/claims.h"

#include "tests/unit/raft_kit.h"

enum { SENT_MAX = 64 };

static struct sent {
    uint32_t slot; /* of a send; a reply has its route */
    bool reply;
    struct message message;
    char other[RAFT_ENDPOINT_MAX], error[64];
} sent[SENT_MAX];

static uint32_t sent_count;
static uint8_t cut; /* this route is gone; 0: none */

static void keep(uint32_t slot, bool reply, const struct message *message)
{
    CHECK(sent_count < SENT_MAX);
    struct sent *at = &sent[sent_count++];
    *at = (struct sent){.slot = slot, .reply = reply, .message = *message};
    const struct message_claimed *claimed = &message->claimed;
    if (!reply)
        return;
    if (claimed->error.size == 0)
        return;
    memcpy(at->other, claimed->other.data, claimed->other.size);
    memcpy(at->error, claimed->error.data, claimed->error.size);
}

void peerlink_send(struct peerlink *link, uint32_t slot, const struct message *message)
{
    keep(slot, false, message);
}

bool peerlink_reply(struct peerlink *link, uint64_t route, const struct message *message)
{
    if (route == cut)
        return false;
    keep((uint32_t)route, true, message);
    return true;
}

struct stage {
    struct kit kit;
    struct peerlink link;
    struct service_base base;
    struct claims claims;
};

static void open_stage(struct stage *stage)
{
    *stage = (struct stage){.base.life = 100};
    kit_open(&stage->kit);
    strcpy(stage->kit.raft->peers.at[SLOT_2].endpoint, "tcp://two:1");
    strcpy(stage->kit.raft->peers.at[SLOT_3].endpoint, "tcp://three:1");
    sent_count = cut = 0;
    claims_open(&stage->claims, stage->kit.raft, &stage->link, &stage->base, "tcp://one:1");
}

static void close_stage(struct stage *stage)
{
    kit_close(&stage->kit);
}

/* Node 2 claims its id, as this life, at this address, on this connection. */
static bool claim(struct stage *stage, uint64_t life, const char *endpoint, uint8_t route,
                  uint64_t nonce)
{
    struct message message = kit_from(&stage->kit, SLOT_2, 1, MESSAGE_CLAIM);
    message.claim.life = life;
    message.claim.endpoint = SPAN_TEXT(endpoint);
    message.claim.nonce = nonce;
    stage->link.route = route;
    sent_count = 0;
    return claims_take(&stage->claims, SLOT_2, &message);
}

/* What the last claim made them be asked; 0: nothing. */
static uint64_t asked(uint8_t route)
{
    for (uint32_t i = 0; i < sent_count; i++)
        if (sent[i].reply && sent[i].slot == route && sent[i].error[0] == 0)
            return sent[i].message.claimed.nonce;
    return 0;
}

/* The route that was told E_CLONE, and by the address of whom; 0: none. */
static uint8_t refused(const char *stays)
{
    for (uint32_t i = 0; i < sent_count; i++)
        if (sent[i].reply && strcmp(sent[i].error, "E_CLONE") == 0 &&
            strcmp(sent[i].other, stays) == 0)
            return (uint8_t)sent[i].slot;
    return 0;
}

TEST(one_life_is_left_in_peace)
{
    struct stage stage;
    open_stage(&stage);
    for (int i = 0; i < 3; i++)
        CHECK(claim(&stage, 7, "tcp://two:1", 1, 0) && sent_count == 0);
    close_stage(&stage);
}

/* Both live: the one at the address that the configuration has stays, whoever came first. */
TEST(of_two_lives_the_one_at_home_stays)
{
    struct stage stage;
    for (int at_home_first = 0; at_home_first < 2; at_home_first++) {
        const char *first = at_home_first ? "tcp://two:1" : "tcp://copy:1";
        const char *second = at_home_first ? "tcp://copy:1" : "tcp://two:1";
        open_stage(&stage);
        claim(&stage, 7, first, 1, 0);
        claim(&stage, 8, second, 2, 0);
        uint64_t nonce = asked(1);
        CHECK(nonce != 0 && asked(2) == nonce && refused("tcp://two:1") == 0);
        claim(&stage, 7, first, 1, nonce);
        CHECK(sent_count == 0); /* the other has not answered */
        claim(&stage, 8, second, 2, nonce);
        CHECK(refused("tcp://two:1") == (at_home_first ? 2 : 1));
        close_stage(&stage);
    }
}

TEST(of_two_lives_elsewhere_the_first_stays)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://there:1", 1, 0);
    claim(&stage, 8, "tcp://elsewhere:1", 2, 0);
    uint64_t nonce = asked(1);
    claim(&stage, 8, "tcp://elsewhere:1", 2, nonce);
    claim(&stage, 7, "tcp://there:1", 1, nonce);
    CHECK(refused("tcp://there:1") == 2);
    close_stage(&stage);
}

/* Only a process that lives now knows the question of this moment. */
TEST(an_old_answer_proves_nothing)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://two:1", 1, 99); /* nothing was asked */
    claim(&stage, 8, "tcp://copy:1", 2, 0);
    uint64_t nonce = asked(1);
    claim(&stage, 7, "tcp://two:1", 1, nonce + 2);
    claim(&stage, 8, "tcp://copy:1", 2, nonce);
    CHECK(refused("tcp://two:1") == 0);
    claim(&stage, 9, "tcp://third:1", 3, nonce); /* neither of the two that were asked */
    CHECK(refused("tcp://two:1") == 0);
    close_stage(&stage);
}

/* A restart: the connection of the life before is gone. */
TEST(a_restart_is_no_clone)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://two:1", 1, 0);
    cut = 1;
    claim(&stage, 8, "tcp://two:1", 2, 0);
    CHECK(stage.claims.at[0].holder.life == 8 && stage.claims.at[0].rival.life == 0);
    claim(&stage, 8, "tcp://two:1", 2, asked(2));
    CHECK(sent_count == 0);
    close_stage(&stage);
}

TEST(a_rival_that_is_gone_is_forgotten)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://two:1", 1, 0);
    cut = 2;
    claim(&stage, 8, "tcp://copy:1", 2, 0);
    CHECK(stage.claims.at[0].holder.life == 7 && stage.claims.at[0].rival.life == 0);
    close_stage(&stage);
}

/* Its connection stands, and it says nothing: paused, or dead with its machine. */
TEST(a_holder_that_keeps_silent_gives_way)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://two:1", 1, 0);
    claim(&stage, 8, "tcp://two:1", 2, 0);
    uint64_t nonce = asked(2);
    claim(&stage, 8, "tcp://two:1", 2, nonce);
    CHECK(stage.claims.at[0].holder.life == 7);
    stage.base.loop.now_ms += 3000;
    claim(&stage, 8, "tcp://two:1", 2, 0);
    CHECK(stage.claims.at[0].holder.life == 8);
    close_stage(&stage);
}

TEST(where_both_keep_silent_they_are_asked_again)
{
    struct stage stage;
    open_stage(&stage);
    claim(&stage, 7, "tcp://two:1", 1, 0);
    claim(&stage, 8, "tcp://two:1", 2, 0);
    uint64_t nonce = asked(1);
    stage.base.loop.now_ms += 2999;
    claim(&stage, 7, "tcp://two:1", 1, 0);
    CHECK(asked(1) == 0);
    stage.base.loop.now_ms += 1;
    claim(&stage, 7, "tcp://two:1", 1, 0);
    CHECK(asked(1) != 0 && asked(1) != nonce);
    CHECK(stage.claims.at[0].holder.life == 7);
    close_stage(&stage);
}

TEST(what_claims_nothing_is_dropped)
{
    struct stage stage;
    struct message message;
    open_stage(&stage);
    message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_APPEND);
    CHECK(!claims_take(&stage.claims, SLOT_2, &message)); /* for somebody else */
    CHECK(claim(&stage, 0, "tcp://two:1", 1, 0));
    message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_CLAIM);
    message.peer.from = 0;
    message.claim.life = 7;
    CHECK(claims_take(&stage.claims, SLOT_2, &message));
    CHECK(stage.claims.at[0].holder.life == 0);
    close_stage(&stage);
}

/* R101: both ids and both addresses are told, once; what it claims counts for nothing. */
TEST(a_claim_of_another_cluster_is_told_and_dropped)
{
    struct stage stage;
    open_stage(&stage);
    for (int i = 0; i < 2; i++) {
        struct message message = kit_from(&stage.kit, SLOT_3, 1, MESSAGE_CLAIM);
        message.claim.life = 7;
        message.claim.endpoint = SPAN_TEXT("tcp://three:1");
        memset(message.peer.cluster, 'x', CLUSTER_ID_SIZE);
        CHECK(claims_take(&stage.claims, SLOT_3, &message));
    }
    CHECK(stage.claims.foreign_told == 1u << SLOT_3 && stage.claims.at[0].holder.life == 0);
    struct message message = kit_from(&stage.kit, SLOT_3, 1, MESSAGE_CLAIM);
    memset(message.peer.cluster, 0, CLUSTER_ID_SIZE); /* it belongs to none yet */
    message.claim.life = 7;
    CHECK(claims_take(&stage.claims, SLOT_3, &message));
    CHECK(stage.claims.foreign_told == 1u << SLOT_3 && stage.claims.at[0].holder.life == 7);
    close_stage(&stage);
}

/* Hostile peers may claim any id: what is kept stays bounded, and the oldest goes. */
TEST(more_ids_than_there_may_be_push_out_the_oldest)
{
    struct stage stage;
    open_stage(&stage);
    for (uint64_t node = 1; node <= RAFT_PEERS_MAX + 1; node++) {
        struct message message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_CLAIM);
        message.peer.from = node;
        message.claim.life = 1000 + node;
        stage.base.loop.now_ms = 10 * (node == 1 ? 9999 : node); /* node 2 is the oldest */
        CHECK(claims_take(&stage.claims, SLOT_2, &message));
    }
    uint64_t first = 0, second = 0;
    for (uint32_t i = 0; i < RAFT_PEERS_MAX; i++) {
        first += stage.claims.at[i].node == 1;
        second += stage.claims.at[i].node == 2;
    }
    CHECK(first == 1 && second == 0);
    close_stage(&stage);
}

TEST(an_address_is_kept_within_its_bound)
{
    struct stage stage;
    char longest[256 + 1];
    open_stage(&stage);
    memset(longest, 'a', 256);
    longest[256] = 0;
    claim(&stage, 7, longest, 1, 0);
    CHECK(strlen(stage.claims.at[0].holder.endpoint) == RAFT_ENDPOINT_MAX - 1);
    close_stage(&stage);
}

TEST(the_own_id_is_claimed_from_every_peer_now_and_then)
{
    struct stage stage;
    open_stage(&stage);
    for (int tick = 0; tick < 4; tick++)
        claims_tick(&stage.claims);
    CHECK(sent_count == 4); /* two peers, every third tick */
    CHECK(sent[0].slot == SLOT_2 && sent[1].slot == SLOT_3);
    const struct message *message = &sent[0].message;
    CHECK(message->type == MESSAGE_CLAIM && message->claim.life == 100);
    CHECK(message->peer.from == 1 && message->peer.from_incarnation == 11);
    CHECK(span_is(message->claim.endpoint, "tcp://one:1") && message->claim.nonce == 0);
    kit_step(&stage.kit, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    sent_count = 0;
    for (int tick = 0; tick < 4; tick++)
        claims_tick(&stage.claims);
    CHECK(sent_count == 0); /* it does not know who it is */
    close_stage(&stage);
}

static void answered(struct stage *stage, uint64_t life, uint64_t nonce, const char *error)
{
    struct message message = kit_from(&stage->kit, SLOT_2, 1, MESSAGE_CLAIMED);
    message.claimed.life = life;
    message.claimed.nonce = nonce;
    message.claimed.error = SPAN_TEXT(error);
    message.claimed.other = SPAN_TEXT("tcp://copy:1");
    sent_count = 0;
    claims_answered(&stage->claims, SLOT_2, &message);
}

TEST(a_question_is_answered_at_once)
{
    struct stage stage;
    open_stage(&stage);
    answered(&stage, 100, 55, "");
    CHECK(sent_count == 1 && sent[0].slot == SLOT_2 && sent[0].message.claim.nonce == 55);
    CHECK(!stage.base.loop.stopped);
    answered(&stage, 99, 55, ""); /* asked of a life before this one */
    CHECK(sent_count == 0);
    close_stage(&stage);
}

TEST(told_that_it_is_the_clone_the_process_ends)
{
    struct stage stage;
    open_stage(&stage);
    answered(&stage, 99, 0, "E_CLONE"); /* another life */
    CHECK(!stage.base.loop.stopped);
    answered(&stage, 100, 0, "E_BUSY");
    CHECK(!stage.base.loop.stopped);
    struct message message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_CLAIMED);
    message.claimed.life = 100;
    message.claimed.error = SPAN_TEXT("E_CLONE");
    message.peer.to = 9; /* another node id */
    claims_answered(&stage.claims, SLOT_2, &message);
    CHECK(!stage.base.loop.stopped);
    message = kit_from(&stage.kit, SLOT_2, 1, MESSAGE_APPEND);
    claims_answered(&stage.claims, SLOT_2, &message);
    CHECK(!stage.base.loop.stopped);
    answered(&stage, 100, 0, "E_CLONE");
    CHECK(stage.base.loop.stopped && stage.base.loop.exit_code == EXIT_CONFIG);
    close_stage(&stage);
}

TEST_MAIN(T(one_life_is_left_in_peace), T(of_two_lives_the_one_at_home_stays),
          T(of_two_lives_elsewhere_the_first_stays), T(an_old_answer_proves_nothing),
          T(a_restart_is_no_clone), T(a_rival_that_is_gone_is_forgotten),
          T(a_holder_that_keeps_silent_gives_way), T(where_both_keep_silent_they_are_asked_again),
          T(what_claims_nothing_is_dropped), T(a_claim_of_another_cluster_is_told_and_dropped),
          T(more_ids_than_there_may_be_push_out_the_oldest), T(an_address_is_kept_within_its_bound),
          T(the_own_id_is_claimed_from_every_peer_now_and_then), T(a_question_is_answered_at_once),
          T(told_that_it_is_the_clone_the_process_ends))
