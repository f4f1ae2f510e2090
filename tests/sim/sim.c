/* sim.c - draws faults from a seed, runs a cluster under them, then heals it.
 *
 *   sim --seed N     one run: options, counts, trace hash
 *   sim --seeds N    N runs (from --from, default 1): one summary line
 *   sim --deadlock N two of three up after the founding, N starts */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    uint32_t crash, consensus, storage, stall, cut, one_way, linkdown, wipe; /* per 10000 steps */
    uint64_t down_ms, cut_ms, stall_ms;
    uint64_t faulty_ms;
    uint32_t propose_percent, body_max;
    uint32_t wiped;
};

static uint64_t total_ms, total_faults, total_sent[MESSAGE_TYPE_MAX], total_steps;

static uint32_t some(struct world *world, uint32_t below)
{
    return world_chance(world, 3) == 0 ? 0 : (uint32_t)world_chance(world, below);
}

static void draw(struct world *world, struct plan *plan, uint64_t seed)
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

static void print_options(const struct world *world, const struct plan *plan)
{
    printf("sim: seed=%llu nodes=%u loss=%u dup=%u delay=%llu..%llu slow=1/%llu:%llu "
           "disk=%llu..%llu tail=%llu told=%llu crash=%u consensus=%u storage=%u stall=%u cut=%u "
           "one_way=%u linkdown=%u wipe=%u down=%llu cut_ms=%llu stall_ms=%llu faulty=%llu "
           "propose=%u%% body=%u\n",
           (unsigned long long)world->seed, world->count, world->loss, world->dup,
           (unsigned long long)world->delay_min, (unsigned long long)world->delay_max,
           (unsigned long long)world->slow_one_in, (unsigned long long)world->slow_ms,
           (unsigned long long)world->disk_min, (unsigned long long)world->disk_max,
           (unsigned long long)world->tail_bytes, (unsigned long long)world->tail_told, plan->crash,
           plan->consensus, plan->storage, plan->stall, plan->cut, plan->one_way, plan->linkdown,
           plan->wipe, (unsigned long long)plan->down_ms, (unsigned long long)plan->cut_ms,
           (unsigned long long)plan->stall_ms, (unsigned long long)plan->faulty_ms,
           plan->propose_percent, plan->body_max);
}

static void restart(struct world *world, uint32_t node)
{
    world_start(world, node);
}

static void heal(struct world *world, uint32_t node)
{
    memset(world->cut, 0, sizeof world->cut);
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

static void maybe_fault(struct world *world, struct plan *plan)
{
    uint32_t at = (uint32_t)world_chance(world, world->count);
    uint64_t down = 1 + world_chance(world, plan->down_ms);
    bool fell = true;
    if (hits(world, plan->crash))
        world_crash(world, at);
    else if (hits(world, plan->consensus))
        world_crash_consensus(world, at);
    else if (hits(world, plan->storage))
        world_crash_storage(world, at);
    else if (may_wipe(world, plan, at) && hits(world, plan->wipe)) {
        plan->wiped++;
        world_wipe(world, at);
    } else
        fell = false;
    if (fell)
        world_call(world, down, at, restart);
    if (hits(world, plan->stall))
        world->nodes[at].store.stalled_until = world->now + world_chance(world, plan->stall_ms);
    if (hits(world, plan->linkdown))
        world_link_down(world, at, (uint32_t)world_chance(world, world->count));
    if (hits(world, plan->cut)) {
        cut_sides(world);
        world_call(world, 1 + world_chance(world, plan->cut_ms), 0, heal);
    }
    if (hits(world, plan->one_way)) {
        world->cut[at][world_chance(world, world->count)] = true;
        world_call(world, 1 + world_chance(world, plan->cut_ms), 0, heal);
    }
}

static void faulty_phase(struct world *world, struct plan *plan)
{
    uint64_t end = world->now + plan->faulty_ms;
    while (world->now < end && world->violations == 0) {
        maybe_fault(world, plan);
        if (world_chance(world, 100) < plan->propose_percent)
            world_propose(world, (uint32_t)world_chance(world, world->count),
                          1 + (uint32_t)world_chance(world, 8),
                          (uint32_t)world_chance(world, plan->body_max));
        world_run(world, 5);
    }
}

/* Faults are frozen: a leader within 10 election timeouts, and what is proposed is committed. */
static void quiet_phase(struct world *world)
{
    heal(world, 0);
    world->loss = world->dup = 0;
    world->slow_one_in = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        world->nodes[i].store.stalled_until = 0;
        world_start(world, i);
    }
    if (!world_run_to_leader(world, 10 * world->election_max_ms)) {
        if (world->violations == 0)
            world_violated(world, "G8: no leader within 10 election timeouts");
        return;
    }
    world_run(world, 2000);
    for (int i = 0; i < 20; i++) {
        world_propose(world, (uint32_t)world_chance(world, world->count), 2, 100);
        world_run(world, 50);
    }
    for (int i = 0; i < 200 && world->violations == 0 && !check_alike(world); i++)
        world_run(world, 1000);
    if (world->violations == 0)
        check_quiet(world);
}

static bool run_seed(uint64_t seed, bool alone, bool verbose)
{
    static struct world world;
    struct plan plan;
    draw(&world, &plan, seed);
    world.verbose = verbose;
    if (alone)
        print_options(&world, &plan);
    world_open(&world);
    for (uint32_t i = 0; i < world.count; i++)
        world_call(&world, 1 + world_chance(&world, 3000), i, restart);
    faulty_phase(&world, &plan);
    if (world.violations == 0)
        quiet_phase(&world);
    if (alone)
        printf("sim: steps=%llu committed=%llu faults=%llu trace=%016llx violations=%u\n",
               (unsigned long long)world.steps, (unsigned long long)world.committed_count,
               (unsigned long long)world.faults, (unsigned long long)world.hash, world.violations);
    bool fine = world.violations == 0;
    if (!fine && !alone)
        print_options(&world, &plan);
    total_ms += world.now;
    total_faults += world.faults;
    total_steps += world.steps;
    for (size_t i = 0; i < MESSAGE_TYPE_MAX; i++)
        total_sent[i] += world.sent[i];
    world_close(&world);
    return fine;
}

/* The generator must exercise every message of the core (K10). */
static uint32_t unexercised(void)
{
    uint32_t missing = 0;
    for (unsigned type = 60; type < 110; type++) {
        const struct message_info *info = message_info(type);
        bool ours = info->name && info->from == PROCESS_CONSENSUS && (info->is_ask || type >= 100);
        bool peer = info->name && info->from == PROCESS_PEER;
        if ((ours || peer) && total_sent[type] == 0) {
            printf("sim: message %s was never sent\n", info->name);
            missing++;
        }
    }
    return missing;
}

static int run_seeds(uint64_t from, uint64_t count)
{
    uint32_t violations = 0;
    for (uint64_t seed = from; seed < from + count; seed++)
        violations += !run_seed(seed, false, false);
    if (count >= 40)
        violations += unexercised();
    printf("sim: seeds=%llu simulated_hours=%.1f faults=%llu violations=%u\n",
           (unsigned long long)count, (double)total_ms / 3600000, (unsigned long long)total_faults,
           violations);
    return violations == 0 ? 0 : 1;
}

/* The seed's "election deadlock": after the founding, any two of three find a leader. */
static bool start_two(uint64_t seed, uint64_t *worst)
{
    static struct world world;
    world = (struct world){.seed = seed,
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
    world_open(&world);
    for (uint32_t i = 0; i < 3; i++)
        world_start(&world, i);
    bool fine = world_run_to_leader(&world, 10000);
    world_run(&world, world_chance(&world, 200));
    for (uint32_t i = 0; i < 3; i++)
        world_crash(&world, i);
    world_run(&world, 1 + world_chance(&world, 100));
    uint32_t dead = (uint32_t)world_chance(&world, 3);
    uint64_t begin = world.now;
    for (uint32_t i = 0; i < 3; i++)
        if (i != dead)
            world_call(&world, world_chance(&world, 300), i, restart);
    fine = fine && world_run_to_leader(&world, 10 * world.election_max_ms);
    if (world.now - begin > *worst)
        *worst = world.now - begin;
    total_ms += world.now;
    if (!fine)
        printf("sim: deadlock seed=%llu\n", (unsigned long long)seed);
    fine = fine && world.violations == 0;
    world_close(&world);
    return fine;
}

static int run_deadlock(uint64_t count)
{
    uint32_t violations = 0;
    uint64_t worst = 0;
    for (uint64_t seed = 1; seed <= count; seed++)
        violations += !start_two(seed, &worst);
    printf("sim: two of three up after the founding: starts=%llu slowest_leader_ms=%llu "
           "violations=%u\n",
           (unsigned long long)count, (unsigned long long)worst, violations);
    return violations == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t from = 1;
    bool verbose = false;
    for (int i = 1; i + 1 < argc || (i < argc && strcmp(argv[i], "--verbose") == 0); i += 2) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
            i--;
            continue;
        }
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--from") == 0)
            from = number;
        else if (strcmp(argv[i], "--seed") == 0)
            return run_seed(number, true, verbose) ? 0 : 1;
        else if (strcmp(argv[i], "--seeds") == 0)
            return run_seeds(from, number);
        else if (strcmp(argv[i], "--deadlock") == 0)
            return run_deadlock(number);
    }
    fprintf(stderr, "usage: sim [--verbose] [--from N] --seed N | --seeds N | --deadlock N\n");
    return 2;
}
