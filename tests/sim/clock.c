/* clock.c - the clocks of the nodes: too fast, too slow, and wrong about the day. */
#include "tests/sim/world.h"

void clock_reset(struct world *world, uint32_t at)
{
    world->nodes[at].clock =
        (struct node_clock){.from = world->now, .base = world->now, .per_mille = 1000};
}

uint64_t clock_now(const struct world *world, uint32_t at)
{
    const struct node_clock *clock = &world->nodes[at].clock;
    return clock->base + (world->now - clock->from) * clock->per_mille / 1000;
}

void clock_set_rate(struct world *world, uint32_t at, uint64_t per_mille)
{
    struct node_clock *clock = &world->nodes[at].clock;
    clock->base = clock_now(world, at);
    clock->from = world->now;
    clock->per_mille = per_mille;
}

uint64_t clock_wall(const struct world *world, uint32_t at)
{
    const struct node_clock *clock = &world->nodes[at].clock;
    return world->wall_ns + world->now * 1000000 + (uint64_t)clock->wall_ns;
}

/* What a kernel would say that knows its clock: never less than it is off. */
uint64_t clock_error(const struct world *world, uint32_t at)
{
    int64_t off = world->nodes[at].clock.wall_ns;
    return (uint64_t)(off < 0 ? -off : off) + 1;
}

/* When the world has come so far that the node's clock shows `at_ms`. */
uint64_t clock_world_time(const struct world *world, uint32_t at, uint64_t at_ms)
{
    const struct node_clock *clock = &world->nodes[at].clock;
    if (at_ms == UINT64_MAX)
        return at_ms;
    if (at_ms <= clock->base)
        return clock->from;
    return clock->from + ((at_ms - clock->base) * 1000 + clock->per_mille - 1) / clock->per_mille;
}

uint64_t clock_longest(const struct world *world, uint32_t at, uint64_t ms)
{
    const struct node_clock *clock = &world->nodes[at].clock;
    bool right = clock->per_mille == 1000 && clock->base == clock->from; /* and always was */
    return right ? ms : ms * 1000 / CLOCK_SLOWEST;
}
