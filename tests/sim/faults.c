/* faults.c - what goes wrong in a run, drawn from its seed. */
#include "tests/sim/faults.h"

#include <stdio.h>

static void heal(struct world *world, uint32_t node)
{
    topology_heal(world);
}

static void heal_later(struct world *world, const struct plan *plan)
{
    events_call(world, 1 + world_chance(world, plan->cut_ms), 0, heal);
}

static void start_later(struct world *world, const struct plan *plan, uint32_t at)
{
    events_call(world, 1 + world_chance(world, plan->down_ms), at, node_start);
}

static uint32_t mostly_leader(struct world *world, uint32_t at)
{
    int leader = world_leader(world);
    return leader >= 0 && world_chance(world, 4) != 0 ? (uint32_t)leader : at;
}

/* The memory of less than half may be lost, and only once there is something to remember. */
static bool may_forget(struct world *world, struct plan *plan, uint32_t at)
{
    bool may = world->committed_count > 0 && plan->wiped + 1 <= (world->count - 1) / 2 &&
               !world->nodes[at].disk.wiped;
    plan->wiped += may;
    return may;
}

static bool crash(struct world *world, struct plan *plan, uint32_t at)
{
    node_crash(world, at);
    start_later(world, plan, at);
    return true;
}

static bool kill_consensus(struct world *world, struct plan *plan, uint32_t at)
{
    node_crash_consensus(world, at);
    start_later(world, plan, at);
    return true;
}

static bool kill_at_edge(struct world *world, struct plan *plan, uint32_t at)
{
    world->nodes[at].dies_after = 1 + (uint32_t)world_chance(world, 30);
    return true;
}

static bool kill_api(struct world *world, struct plan *plan, uint32_t at)
{
    if (world->nodes[at].api.session.buckets == NULL)
        return false;
    api_close(&world->nodes[at]);
    api_open(&world->nodes[at]);
    return true;
}

static bool kill_storage(struct world *world, struct plan *plan, uint32_t at)
{
    if (world_chance(world, 4) == 0) { /* so soon that nobody notices */
        node_swap_storage(world, at);
        return true;
    }
    node_crash_storage(world, at);
    start_later(world, plan, at);
    return true;
}

static bool wipe(struct world *world, struct plan *plan, uint32_t at)
{
    if (!may_forget(world, plan, at))
        return false;
    node_wipe(world, at);
    start_later(world, plan, at);
    return true;
}

static bool restore(struct world *world, struct plan *plan, uint32_t at)
{
    if (!may_forget(world, plan, at))
        return false;
    node_restore(world, at);
    start_later(world, plan, at);
    return true;
}

static bool clone(struct world *world, struct plan *plan, uint32_t at)
{
    uint32_t of = (uint32_t)world_chance(world, world->count);
    if (of == at || !may_forget(world, plan, at))
        return false;
    node_clone(world, at, of);
    start_later(world, plan, at);
    return true;
}

static bool stall(struct world *world, struct plan *plan, uint32_t at)
{
    at = mostly_leader(world, at);
    world->nodes[at].store.stalled_until = world->now + world_chance(world, plan->stall_ms);
    return true;
}

/* Only of those who may found: of others it would make the founding wait for them. */
static bool hint(struct world *world, struct plan *plan, uint32_t at)
{
    uint32_t founders = world->founders > 0 ? world->founders : world->count;
    node_hint(world, at, (uint32_t)world_chance(world, founders));
    return true;
}

static bool disk(struct world *world, struct plan *plan, uint32_t at)
{
    node_disk_is(world, mostly_leader(world, at), world_chance(world, 3));
    return true;
}

static bool sides(struct world *world, struct plan *plan, uint32_t at)
{
    topology_sides(world);
    heal_later(world, plan);
    return true;
}

static bool isolate(struct world *world, struct plan *plan, uint32_t at)
{
    topology_isolate(world, mostly_leader(world, at));
    heal_later(world, plan);
    return true;
}

static bool ring(struct world *world, struct plan *plan, uint32_t at)
{
    topology_ring(world);
    heal_later(world, plan);
    return true;
}

static bool one_way(struct world *world, struct plan *plan, uint32_t at)
{
    topology_one_way(world, at, (uint32_t)world_chance(world, world->count));
    heal_later(world, plan);
    return true;
}

static bool link_down(struct world *world, struct plan *plan, uint32_t at)
{
    node_link_down(world, at, (uint32_t)world_chance(world, world->count));
    return true;
}

static bool stand_still(struct world *world, struct plan *plan, uint32_t at)
{
    at = mostly_leader(world, at);
    node_pause(world, at, 1 + world_chance(world, plan->pause_ms));
    if (world_chance(world, 2) == 0) /* the whole node */
        world->nodes[at].store.stalled_until = world->nodes[at].paused_until;
    return true;
}

static bool rate(struct world *world, struct plan *plan, uint32_t at)
{
    uint64_t spread = CLOCK_FASTEST - CLOCK_SLOWEST + 1;
    clock_set_rate(world, at, CLOCK_SLOWEST + world_chance(world, spread));
    return true;
}

static bool wall(struct world *world, struct plan *plan, uint32_t at)
{
    int64_t hours = (int64_t)world_chance(world, 5) - 2;
    world->nodes[at].clock.wall_ns = hours * 3600000000000 + (int64_t)world_chance(world, 1u << 30);
    return true;
}

static bool transfer(struct world *world, struct plan *plan, uint32_t at)
{
    node_transfer(world, mostly_leader(world, at), (int)world_chance(world, world->count + 1) - 1);
    return true;
}

static bool drain(struct world *world, struct plan *plan, uint32_t at)
{
    node_drain(world, mostly_leader(world, at), world_chance(world, 2) == 0);
    return true;
}

/* Drawn below `below` of 10000 steps, in two of three runs. */
static const struct fault {
    const char *name;
    uint32_t below;
    bool (*happen)(struct world *world, struct plan *plan, uint32_t node);
} faults[FAULT_COUNT] = {
    [FAULT_CRASH] = {"crash", 30, crash},
    [FAULT_CONSENSUS] = {"consensus", 30, kill_consensus},
    [FAULT_EDGE] = {"edge", 30, kill_at_edge},
    [FAULT_API] = {"api", 20, kill_api},
    [FAULT_STORAGE] = {"storage", 30, kill_storage},
    [FAULT_WIPE] = {"wipe", 3, wipe},
    [FAULT_RESTORE] = {"restore", 3, restore},
    [FAULT_CLONE] = {"clone", 3, clone},
    [FAULT_STALL] = {"stall", 20, stall},
    [FAULT_DISK] = {"disk", 10, disk},
    [FAULT_SIDES] = {"sides", 20, sides},
    [FAULT_ISOLATE] = {"isolate", 20, isolate},
    [FAULT_RING] = {"ring", 15, ring},
    [FAULT_ONE_WAY] = {"one_way", 30, one_way},
    [FAULT_LINKDOWN] = {"linkdown", 30, link_down},
    [FAULT_PAUSE] = {"pause", 20, stand_still},
    [FAULT_RATE] = {"rate", 6, rate},
    [FAULT_WALL] = {"wall", 10, wall},
    [FAULT_TRANSFER] = {"transfer", 80, transfer},
    [FAULT_DRAIN] = {"drain", 10, drain},
    [FAULT_MEMBERS] = {"members", 100, churn_wish},
    [FAULT_HINT] = {"hint", 30, hint},
};

const char *fault_name(enum fault_kind kind)
{
    return faults[kind].name;
}

static uint32_t some(struct world *world, uint32_t below)
{
    return world_chance(world, 3) == 0 ? 0 : (uint32_t)world_chance(world, below);
}

static void draw_world(struct world *world)
{
    static const uint32_t counts[] = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5};
    world->count = counts[world_chance(world, COUNT_OF(counts))];
    world->loss = some(world, 150);
    world->dup = some(world, 100);
    world->garble = some(world, 30);
    world->delay_min = 1;
    world->delay_max = 1 + world_chance(world, 30);
    world->slow_one_in = some(world, 200);
    world->slow_ms = 1 + world_chance(world, 2000);
    world->disk_min = world_chance(world, 2);
    world->disk_max = world->disk_min + world_chance(world, world_chance(world, 4) ? 30 : 400);
    world->answer_max = some(world, world_chance(world, 4) ? 10 : 200);
    world->rot = some(world, 200);
    world->tail_bytes = 1000 + world_chance(world, 50000);
    world->tail_told = world_chance(world, 200);
    world->heartbeat_ms = 100;
    world->election_min_ms = 500;
    world->election_max_ms = 1000;
}

/* Members come and go in every other run. Then none loses its memory: it may be one of two. */
static void draw_churn(struct world *world, struct plan *plan)
{
    if (world_chance(world, 2) == 0)
        plan->per[FAULT_MEMBERS] = 0;
    if (plan->per[FAULT_MEMBERS] == 0)
        return;
    plan->per[FAULT_WIPE] = plan->per[FAULT_RESTORE] = plan->per[FAULT_CLONE] = 0;
    world->founders = world->count;
    world->count += (uint32_t)world_chance(world, WORLD_NODES_MAX - world->count + 1);
}

/* Patience of a few milliseconds makes a storm of retries. */
static void draw_clients(struct world *world)
{
    static const uint64_t patience[] = {20, 200, 1000, 4000, 8000};
    bool large = world_chance(world, 30) == 0;
    world->client_count = (uint32_t)world_chance(world, world_chance(world, 4) ? 5 : 17);
    world->propose_percent = 1 + (uint32_t)world_chance(world, large ? 2 : 6);
    world->patience_ms = patience[world_chance(world, COUNT_OF(patience))];
    world->body_max = large ? 200000 : 300;
    world->outcomes_max = some(world, 100);
}

/* In two of three runs the log is cut, and who lacks a piece of it gets a snapshot. */
static void draw_cuts(struct world *world)
{
    world->cut_percent = some(world, 60);
    world->catchup_entries = 10 + world_chance(world, 300);
    world->catchup_rate = some(world, 4) * 1000000;
}

static void draw_keeper(struct world *world)
{
    world->busy_one_in = world_chance(world, 3) == 0 ? 0 : 5 + world_chance(world, 30);
    world->busy_ms = 1 + world_chance(world, 4000);
}

void faults_draw(struct world *world, struct plan *plan, uint64_t seed)
{
    *world = (struct world){.seed = seed, .chance = seed * 77 + 1};
    draw_world(world);
    draw_clients(world);
    *plan = (struct plan){
        .down_ms = 50 + world_chance(world, 5000),
        .cut_ms = 50 + world_chance(world, 5000),
        .stall_ms = 50 + world_chance(world, 4000),
        .pause_ms = 50 + world_chance(world, 4000),
        .faulty_ms = 55000 + world_chance(world, 10000),
        .raw_percent = some(world, world->body_max > 1000 ? 2 : 8),
    };
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        plan->per[kind] = some(world, faults[kind].below);
    draw_churn(world, plan);
    draw_cuts(world);
    draw_keeper(world);
}

void faults_print(const struct world *world, const struct plan *plan)
{
    printf("sim: seed=%llu nodes=%u founders=%u loss=%u dup=%u garble=%u delay=%llu..%llu "
           "slow=1/%llu:%llu "
           "disk=%llu..%llu answer=%llu rot=%u tail=%llu told=%llu down=%llu cut=%llu stall=%llu "
           "pause=%llu faulty=%llu raw=%u%% clients=%u propose=%u%% patience=%llu body=%llu "
           "outcomes=%llu cuts=%u%% catchup=%llu:%llu busy=1/%llu:%llu",
           (unsigned long long)world->seed, world->count, world->founders, world->loss, world->dup,
           world->garble, (unsigned long long)world->delay_min,
           (unsigned long long)world->delay_max, (unsigned long long)world->slow_one_in,
           (unsigned long long)world->slow_ms, (unsigned long long)world->disk_min,
           (unsigned long long)world->disk_max, (unsigned long long)world->answer_max, world->rot,
           (unsigned long long)world->tail_bytes, (unsigned long long)world->tail_told,
           (unsigned long long)plan->down_ms, (unsigned long long)plan->cut_ms,
           (unsigned long long)plan->stall_ms, (unsigned long long)plan->pause_ms,
           (unsigned long long)plan->faulty_ms, plan->raw_percent, world->client_count,
           world->propose_percent, (unsigned long long)world->patience_ms,
           (unsigned long long)world->body_max, (unsigned long long)world->outcomes_max,
           world->cut_percent, (unsigned long long)world->catchup_entries,
           (unsigned long long)world->catchup_rate, (unsigned long long)world->busy_one_in,
           (unsigned long long)world->busy_ms);
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        printf(" %s=%u", faults[kind].name, plan->per[kind]);
    printf("\n");
}

void faults_maybe(struct world *world, struct plan *plan)
{
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
        if (plan->per[kind] == 0 || world_chance(world, 10000) >= plan->per[kind])
            continue;
        uint32_t at = (uint32_t)world_chance(world, world->count);
        world->faults[kind] += faults[kind].happen(world, plan, at);
    }
}

void faults_freeze(struct world *world)
{
    topology_heal(world);
    world->loss = world->dup = world->garble = world->rot = 0;
    world->slow_one_in = world->busy_one_in = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        node->store.stalled_until = node->store.keeper_until = 0;
        node->dies_after = 0;
        node_wake(world, i);
        clock_set_rate(world, i, 1000);
        node->clock.wall_ns = 0;
        node_disk_is(world, i, 0);
        node_drain(world, i, false);
        node_start(world, i);
    }
}
