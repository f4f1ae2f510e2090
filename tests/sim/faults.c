/* faults.c - what goes wrong in a run, drawn from its seed. */
#include "tests/sim/faults.h"

#include <stdio.h>

static uint32_t some(struct world *world, uint32_t below)
{
    return world_chance(world, 3) == 0 ? 0 : (uint32_t)world_chance(world, below);
}

void faults_draw(struct world *world, struct plan *plan, uint64_t seed)
{
    *world = (struct world){.seed = seed, .chance = seed * 77 + 1};
    static const uint32_t counts[] = {1, 3, 3, 3, 3, 3, 5, 5};
    world->count = counts[world_chance(world, COUNT_OF(counts))];
    world->loss = some(world, 150);
    world->dup = some(world, 100);
    world->delay_min = 1;
    world->delay_max = 1 + world_chance(world, 30);
    world->slow_one_in = some(world, 200);
    world->slow_ms = 1 + world_chance(world, 2000);
    world->disk_min = world_chance(world, 2);
    world->disk_max = world->disk_min + world_chance(world, world_chance(world, 4) ? 30 : 400);
    world->tail_bytes = 1000 + world_chance(world, 100000);
    world->tail_told = world_chance(world, 200);
    world->heartbeat_ms = 100;
    world->election_min_ms = 500;
    world->election_max_ms = 1000;
    *plan = (struct plan){
        .crash = some(world, 30),
        .consensus = some(world, 30),
        .storage = some(world, 30),
        .stall = some(world, 20),
        .cut = some(world, 30),
        .one_way = some(world, 30),
        .linkdown = some(world, 30),
        .wipe = some(world, 3),
        .transfer = some(world, 100),
        .down_ms = 50 + world_chance(world, 5000),
        .cut_ms = 50 + world_chance(world, 5000),
        .stall_ms = 50 + world_chance(world, 4000),
        .faulty_ms = 10000 + world_chance(world, 30000),
        .propose_percent = (uint32_t)world_chance(world, 100),
        .body_max = world_chance(world, 12) == 0 ? 200000 : 600,
    };
    if (plan->body_max > 600) /* large bodies, not large sums of them */
        plan->propose_percent = plan->propose_percent / 20 + 1;
}

void faults_print(const struct world *world, const struct plan *plan)
{
    printf("sim: seed=%llu nodes=%u loss=%u dup=%u delay=%llu..%llu slow=1/%llu:%llu "
           "disk=%llu..%llu tail=%llu told=%llu crash=%u consensus=%u storage=%u stall=%u cut=%u "
           "one_way=%u linkdown=%u wipe=%u transfer=%u down=%llu cut_ms=%llu stall_ms=%llu "
           "faulty=%llu "
           "propose=%u%% body=%u\n",
           (unsigned long long)world->seed, world->count, world->loss, world->dup,
           (unsigned long long)world->delay_min, (unsigned long long)world->delay_max,
           (unsigned long long)world->slow_one_in, (unsigned long long)world->slow_ms,
           (unsigned long long)world->disk_min, (unsigned long long)world->disk_max,
           (unsigned long long)world->tail_bytes, (unsigned long long)world->tail_told, plan->crash,
           plan->consensus, plan->storage, plan->stall, plan->cut, plan->one_way, plan->linkdown,
           plan->wipe, plan->transfer, (unsigned long long)plan->down_ms,
           (unsigned long long)plan->cut_ms, (unsigned long long)plan->stall_ms,
           (unsigned long long)plan->faulty_ms, plan->propose_percent, plan->body_max);
}

void faults_heal(struct world *world)
{
    memset(world->cut, 0, sizeof world->cut);
}

static void heal(struct world *world, uint32_t node)
{
    faults_heal(world);
}

/* Halves, an isolated node, a bridge: every node is on side 0, 1, or (bridge) on both. */
static void cut_sides(struct world *world)
{
    uint32_t side[WORLD_NODES_MAX];
    for (uint32_t i = 0; i < world->count; i++)
        side[i] = (uint32_t)world_chance(world, 5) == 0 ? 3 : 1 + (uint32_t)world_chance(world, 2);
    for (uint32_t i = 0; i < world->count; i++)
        for (uint32_t k = 0; k < world->count; k++)
            world->cut[i][k] = i != k && (side[i] & side[k]) == 0;
}

static bool hits(struct world *world, uint32_t per)
{
    bool hit = per > 0 && world_chance(world, 10000) < per;
    world->faults += hit;
    return hit;
}

static bool may_wipe(const struct world *world, const struct plan *plan, uint32_t at)
{
    return world->committed_count > 0 && plan->wiped + 1 <= (world->count - 1) / 2 &&
           !world->nodes[at].disk.wiped;
}

static uint32_t mostly_leader(struct world *world, uint32_t at)
{
    int leader = world_leader(world);
    return leader >= 0 && world_chance(world, 4) != 0 ? (uint32_t)leader : at;
}

void faults_maybe(struct world *world, struct plan *plan)
{
    uint32_t at = (uint32_t)world_chance(world, world->count);
    uint64_t down = 1 + world_chance(world, plan->down_ms);
    bool fell = true;
    if (hits(world, plan->crash))
        node_crash(world, at);
    else if (hits(world, plan->consensus))
        node_crash_consensus(world, at);
    else if (hits(world, plan->storage))
        node_crash_storage(world, at);
    else if (may_wipe(world, plan, at) && hits(world, plan->wipe)) {
        plan->wiped++;
        node_wipe(world, at);
    } else
        fell = false;
    if (fell)
        events_call(world, down, at, node_start);
    if (hits(world, plan->stall))
        world->nodes[at].store.stalled_until = world->now + world_chance(world, plan->stall_ms);
    if (hits(world, plan->linkdown))
        node_link_down(world, at, (uint32_t)world_chance(world, world->count));
    if (hits(world, plan->transfer))
        node_transfer(world, mostly_leader(world, at),
                      (int)world_chance(world, world->count + 1) - 1);
    if (hits(world, plan->cut)) {
        cut_sides(world);
        events_call(world, 1 + world_chance(world, plan->cut_ms), 0, heal);
    }
    if (hits(world, plan->one_way)) {
        world->cut[at][world_chance(world, world->count)] = true;
        events_call(world, 1 + world_chance(world, plan->cut_ms), 0, heal);
    }
}
