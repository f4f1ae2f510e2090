/* topology.c - who still reaches whom. */
#include "tests/sim/faults.h"

void topology_heal(struct world *world)
{
    memset(world->cut, 0, sizeof world->cut);
}

/* Halves, an isolated node, a bridge: every node is on side 0, 1, or (bridge) on both. */
void topology_sides(struct world *world)
{
    uint32_t side[WORLD_NODES_MAX];
    for (uint32_t i = 0; i < world->count; i++)
        side[i] = (uint32_t)world_chance(world, 5) == 0 ? 3 : 1 + (uint32_t)world_chance(world, 2);
    for (uint32_t i = 0; i < world->count; i++)
        for (uint32_t k = 0; k < world->count; k++)
            world->cut[i][k] = i != k && (side[i] & side[k]) == 0;
}

void topology_isolate(struct world *world, uint32_t at)
{
    for (uint32_t i = 0; i < world->count; i++)
        world->cut[at][i] = world->cut[i][at] = i != at;
}

void topology_ring(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++)
        for (uint32_t k = 0; k < world->count; k++) {
            uint32_t apart = (k + world->count - i) % world->count;
            world->cut[i][k] = apart > 1 && apart < world->count - 1;
        }
}

void topology_one_way(struct world *world, uint32_t from, uint32_t to)
{
    world->cut[from][to] = from != to;
}
