/* deadlock.c - a founding, a stop of all, and a start of two. */
#include "tests/sim/deadlock.h"

#include "tests/sim/world.h"

#include <stdio.h>

static void open_three(struct world *world, uint64_t seed)
{
    *world = (struct world){.seed = seed,
                            .count = 3,
                            .delay_min = 1,
                            .delay_max = 5,
                            .disk_min = 1,
                            .disk_max = 10,
                            .tail_bytes = 1 << 20,
                            .tail_told = 100,
                            .heartbeat_ms = 100,
                            .election_min_ms = 500,
                            .election_max_ms = 1000};
    world_open(world);
    for (uint32_t i = 0; i < 3; i++)
        node_start(world, i);
}

bool deadlock_start(uint64_t seed, uint64_t *worst)
{
    static struct world world;
    open_three(&world, seed);
    bool fine = world_run_to_leader(&world, 10000);
    world_run(&world, world_chance(&world, 200));
    for (uint32_t i = 0; i < 3; i++)
        node_crash(&world, i);
    world_run(&world, 1 + world_chance(&world, 100));
    uint32_t dead = (uint32_t)world_chance(&world, 3);
    uint64_t begin = world.now;
    for (uint32_t i = 0; i < 3; i++)
        if (i != dead)
            events_call(&world, world_chance(&world, 300), i, node_start);
    fine = fine && world_run_to_leader(&world, 10 * world.election_max_ms);
    if (world.now - begin > *worst)
        *worst = world.now - begin;
    if (!fine)
        printf("sim: deadlock seed=%llu\n", (unsigned long long)seed);
    fine = fine && world.violations == 0;
    world_close(&world);
    return fine;
}
