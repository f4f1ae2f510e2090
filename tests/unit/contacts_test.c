/* contacts_test.c - from slots to links: whom a node tries, where, and for how long.
 *
 * The wires are played: what contacts.c sets is kept, and a link can be up or down. */
#include "consensus/contacts.h"

#include "tests/unit/raft_kit.h"

#include <stdio.h>

static struct {
    bool up;
    uint32_t set;
    char endpoint[RAFT_ENDPOINT_MAX];
} wires[RAFT_PEERS_MAX];

static enum err next_set;

enum err peerlink_set(struct peerlink *link, uint32_t slot, const uint8_t key[KEY_SIZE],
                      const char *endpoint)
{
    wires[slot].set++;
    snprintf(wires[slot].endpoint, sizeof wires[slot].endpoint, "%s", endpoint);
    return next_set;
}

bool peerlink_connected(const struct peerlink *link, uint32_t slot)
{
    return wires[slot].up;
}

const char *peerlink_at(const struct peerlink *link, uint32_t slot)
{
    return wires[slot].endpoint;
}

struct stage {
    struct kit kit;
    struct contacts contacts;
};

static void open_stage(struct stage *stage)
{
    *stage = (struct stage){0};
    memset(wires, 0, sizeof wires);
    next_set = ERR_NONE;
    kit_open(&stage->kit);
    contacts_connect(&stage->contacts, stage->kit.raft, NULL);
}

static bool is_at(uint32_t slot, const char *endpoint)
{
    return strcmp(wires[slot].endpoint, endpoint) == 0;
}

static void hint(struct stage *stage, uint32_t slot, const char *endpoint)
{
    strcpy(stage->kit.raft->peers.at[slot].hinted, endpoint);
}

static void look(struct stage *stage, uint64_t now_ms)
{
    contacts_look(&stage->contacts, stage->kit.raft, NULL, now_ms);
}

TEST(links_are_set_when_the_peers_change_and_not_else)
{
    struct stage stage;
    open_stage(&stage);
    CHECK(wires[SLOT_2].set == 1 && wires[SLOT_3].set == 1 && is_at(SLOT_2, "tcp://x"));
    contacts_connect(&stage.contacts, stage.kit.raft, NULL);
    CHECK(wires[SLOT_2].set == 1);
    next_set = ERR_BAD_REQUEST; /* told in the log; the others are set all the same */
    stage.kit.raft->peers.version++;
    contacts_connect(&stage.contacts, stage.kit.raft, NULL);
    CHECK(wires[SLOT_2].set == 2 && wires[SLOT_3].set == 2);
    kit_close(&stage.kit);
}

TEST(who_is_dead_where_it_should_be_is_tried_where_a_hint_says)
{
    struct stage stage;
    open_stage(&stage);
    hint(&stage, SLOT_2, "tcp://y");
    hint(&stage, SLOT_3, "tcp://x"); /* the same as in the configuration: nothing to try */
    look(&stage, 1000);
    look(&stage, 3999);
    CHECK(is_at(SLOT_2, "tcp://x"));
    look(&stage, 4000);
    CHECK(is_at(SLOT_2, "tcp://y") && wires[SLOT_3].set == 1);
    look(&stage, 6999);
    CHECK(is_at(SLOT_2, "tcp://y"));
    look(&stage, 7000); /* not there either: back, in turn */
    CHECK(is_at(SLOT_2, "tcp://x"));
    kit_close(&stage.kit);
}

TEST(who_answers_is_left_where_it_is)
{
    struct stage stage;
    open_stage(&stage);
    hint(&stage, SLOT_2, "tcp://y");
    look(&stage, 1000);
    wires[SLOT_2].up = true;
    look(&stage, 3000); /* patience begins anew */
    wires[SLOT_2].up = false;
    look(&stage, 4000);
    look(&stage, 6999);
    CHECK(is_at(SLOT_2, "tcp://x"));
    look(&stage, 7000);
    CHECK(is_at(SLOT_2, "tcp://y"));
    kit_close(&stage.kit);
}

/* The peers change while it is tried elsewhere: who answers there stays, who does not goes back. */
TEST(a_change_of_the_peers_keeps_what_works)
{
    struct stage stage;
    open_stage(&stage);
    for (uint32_t slot = SLOT_2; slot <= SLOT_3; slot++)
        hint(&stage, slot, "tcp://y");
    look(&stage, 1000);
    look(&stage, 4000);
    CHECK(is_at(SLOT_2, "tcp://y") && is_at(SLOT_3, "tcp://y"));
    wires[SLOT_2].up = true;
    stage.kit.raft->peers.version++;
    contacts_connect(&stage.contacts, stage.kit.raft, NULL);
    CHECK(is_at(SLOT_2, "tcp://y") && is_at(SLOT_3, "tcp://x"));
    hint(&stage, SLOT_2, "tcp://z"); /* connected, but no longer where the hint says */
    stage.kit.raft->peers.version++;
    contacts_connect(&stage.contacts, stage.kit.raft, NULL);
    CHECK(is_at(SLOT_2, "tcp://x"));
    kit_close(&stage.kit);
}

TEST_MAIN(T(links_are_set_when_the_peers_change_and_not_else),
          T(who_is_dead_where_it_should_be_is_tried_where_a_hint_says),
          T(who_answers_is_left_where_it_is), T(a_change_of_the_peers_keeps_what_works))
