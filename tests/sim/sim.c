/* sim.c - draws faults from a seed, runs a cluster under them, then heals it.
 *
 *   sim --seed N     one run: options, counts, trace hash
 *   sim --seeds N    N runs (from --from, default 1): one summary line
 *   sim --deadlock N two of three up after the founding, N starts */
#include "tests/sim/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t total_ms, total_faults, total_sent[MESSAGE_TYPE_MAX], total_steps;

static void faulty_phase(struct world *world, struct plan *plan)
{
    uint64_t end = world->now + plan->faulty_ms;
    while (world->now < end && world->violations == 0) {
        faults_maybe(world, plan);
        if (world_chance(world, 100) < plan->propose_percent)
            node_propose(world, (uint32_t)world_chance(world, world->count),
                         1 + (uint32_t)world_chance(world, 8),
                         (uint32_t)world_chance(world, plan->body_max));
        if (world_chance(world, 4) == 0)
            reads_ask(world, (uint32_t)world_chance(world, world->count));
        world_run(world, 5);
    }
}

/* Faults are frozen: a leader within 10 election timeouts, and what is proposed is committed. */
static void quiet_phase(struct world *world)
{
    faults_heal(world);
    world->loss = world->dup = 0;
    world->slow_one_in = 0;
    for (uint32_t i = 0; i < world->count; i++) {
        world->nodes[i].store.stalled_until = 0;
        node_start(world, i);
    }
    if (!world_run_to_leader(world, 10 * world->election_max_ms)) {
        if (world->violations == 0)
            world_violated(world, "G8: no leader within 10 election timeouts");
        return;
    }
    world_run(world, 2000);
    uint32_t quiet_reads = 0;
    for (int i = 0; i < 20; i++) {
        node_propose(world, (uint32_t)world_chance(world, world->count), 2, 100);
        uint64_t answered = world->reads_answered;
        reads_ask(world, (uint32_t)world_chance(world, world->count));
        world_run(world, 50);
        quiet_reads += world->reads_answered > answered;
    }
    if (world->violations == 0 && quiet_reads == 0)
        world_violated(world, "liveness: no read index in a quiet cluster");
    for (int i = 0; i < 200 && world->violations == 0 && !check_alike(world); i++)
        world_run(world, 1000);
    if (world->violations == 0)
        check_quiet(world);
}

static bool run_seed(uint64_t seed, bool alone, bool verbose)
{
    static struct world world;
    struct plan plan;
    faults_draw(&world, &plan, seed);
    world.verbose = verbose;
    if (alone)
        faults_print(&world, &plan);
    world_open(&world);
    for (uint32_t i = 0; i < world.count; i++)
        events_call(&world, 1 + world_chance(&world, 3000), i, node_start);
    faulty_phase(&world, &plan);
    if (world.violations == 0)
        quiet_phase(&world);
    if (alone)
        printf("sim: steps=%llu committed=%llu faults=%llu trace=%016llx violations=%u\n",
               (unsigned long long)world.steps, (unsigned long long)world.committed_count,
               (unsigned long long)world.faults, (unsigned long long)world.hash, world.violations);
    bool fine = world.violations == 0;
    if (!fine && !alone)
        faults_print(&world, &plan);
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
    for (unsigned type = 60; type < 130; type++) {
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
        node_start(&world, i);
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
