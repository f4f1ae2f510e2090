/* churn.c - members come, go and move while everything else breaks. */
#include "common/keys.h"
#include "consensus/plan.h"
#include "tests/sim/faults.h"

#include <stdio.h>

enum { WISH_SIZE = 160, WISHES_MAX = 3 };

static void make_wish(struct world *world, uint32_t of, uint64_t kind, char wish[WISH_SIZE])
{
    static const char *const verbs[] = {"remove", "promote", "set", "add", "add"};
    char key[KEY_TEXT_SIZE];
    keys_print(world->nodes[of].key, key);
    uint32_t port = 1000 + of + 100 * (uint32_t)world_chance(world, 9);
    if (kind >= 3)
        snprintf(wish, WISH_SIZE, "add key=%s peer=tcp://sim:%u%s", key, 1000 + of,
                 kind == 4 ? " role=replica" : "");
    else
        snprintf(wish, WISH_SIZE, "%s key=%s%s", verbs[kind], key,
                 kind == 2 ? " peer=tcp://sim:" : "");
    if (kind == 2)
        snprintf(wish + strlen(wish), 8, "%u", port);
}

bool churn_wish(struct world *world, struct plan *plan, uint32_t at)
{
    char texts[WISHES_MAX][WISH_SIZE];
    const char *wishes[WISHES_MAX + 1] = {NULL};
    uint32_t count = 1 + (uint32_t)world_chance(world, WISHES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        make_wish(world, (uint32_t)world_chance(world, world->count), world_chance(world, 5),
                  texts[i]);
        wishes[i] = texts[i];
    }
    if (world_chance(world, 12) == 0)
        wishes[0] = "cancel";
    int leader = world_leader(world);
    if (leader >= 0 && world_chance(world, 3) != 0)
        at = (uint32_t)leader;
    node_members(world, at, wishes);
    if (world_chance(world, 2) == 0) { /* who was called back is asked for again */
        world_run(world, 2 * world->delay_max);
        node_members(world, at, wishes);
    }
    return true;
}

static bool all_vote(const struct world *world, int leader)
{
    const struct raft *raft = world->nodes[leader].raft;
    const struct members *members = state_members(raft);
    return !plan_pending(members) && raft->commit >= state_config_index(raft) &&
           members_count(members, MEMBER_VOTER) == world->count;
}

void churn_restore(struct world *world)
{
    node_hint_all(world);
    for (int tries = 0; tries < 600 && world->violations == 0; tries++) {
        char texts[WORLD_NODES_MAX][WISH_SIZE];
        const char *wishes[WORLD_NODES_MAX + 1] = {NULL};
        int leader = world_leader(world);
        if (leader >= 0 && all_vote(world, leader))
            return;
        for (uint32_t i = 0; i < world->count; i++) {
            make_wish(world, i, 3, texts[i]);
            wishes[i] = texts[i];
        }
        if (leader >= 0)
            node_members(world, (uint32_t)leader, wishes);
        world_run(world, 100);
    }
    world_violated(world, "liveness: the members never all vote again");
}
