/* run.c - the two phases of a run. */
#include "tests/sim/run.h"

#include <stdio.h>

enum { STEP_MS = 5, TIMEOUTS_MAX = 10 };

/* Safety: everything may break, nothing may be wrong. */
static void faulty_phase(struct world *world, struct plan *plan)
{
    uint64_t end = world->now + plan->faulty_ms;
    while (world->now < end && world->violations == 0) {
        faults_maybe(world, plan);
        if (world_chance(world, 100) < plan->raw_percent)
            node_propose(world, (uint32_t)world_chance(world, world->count),
                         1 + (uint32_t)world_chance(world, 8), (uint32_t)clients_body_size(world));
        clients_step(world, false);
        if (world_chance(world, 20) == 0)
            reads_ask(world, (uint32_t)world_chance(world, world->count));
        world_run(world, STEP_MS);
    }
}

/* What hung is still to be written. */
static void end_stalls(struct world *world)
{
    uint64_t end = world->now;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct store_model *store = &world->nodes[i].store;
        end = store->busy_until > end ? store->busy_until : end;
        end = store->next_until > end ? store->next_until : end;
    }
    world_run(world, end - world->now);
}

/* Who waits gets an answer: the writes that are under way, then new ones. */
static void quiet_clients(struct world *world)
{
    clients_hurry(world);
    for (int round = 0; round < 2; round++) {
        if (round > 0)
            clients_step(world, false);
        for (int i = 0; i < 2000 && world->violations == 0 && clients_wait(world); i++) {
            clients_step(world, true);
            world_run(world, STEP_MS);
        }
        if (world->violations == 0 && clients_wait(world))
            world_violated(world, "liveness: a client waits for ever");
    }
}

static uint64_t entries_on_disks(const struct world *world)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < world->count; i++)
        sum += world->nodes[i].disk.count;
    return sum;
}

/* G8: a leader within 10 election timeouts. Its first commit may have to wait for a majority that
 * lacks much of the log: as long as it goes on leading and disks fill, that is progress. */
static void run_to_commit(struct world *world)
{
    uint64_t before, term = 0, ms = TIMEOUTS_MAX * world->election_max_ms;
    for (bool first = true; world->violations == 0; first = false) {
        before = entries_on_disks(world);
        if (world_run_to_leader(world, ms))
            return;
        int leader = world_leader(world);
        if (leader < 0 || (!first && world->nodes[leader].term != term))
            break;
        if (entries_on_disks(world) == before)
            break;
        term = world->nodes[leader].term;
    }
    if (world->violations == 0)
        world_violated(world, "G8: no leader within %d election timeouts", TIMEOUTS_MAX);
}

/* Everybody is to vote; wishes for something else that are still under way come first. */
static void restore_members(struct world *world)
{
    world_run(world, world->delay_max + world->slow_ms);
    if (world->violations == 0)
        churn_restore(world);
}

/* Writes and reads anywhere for a second: how many reads got their index. */
static uint32_t propose_and_read(struct world *world)
{
    uint32_t answered = 0;
    for (int i = 0; i < 20; i++) {
        node_propose(world, (uint32_t)world_chance(world, world->count), 2, 100);
        uint64_t before = world->reads_answered;
        reads_ask(world, (uint32_t)world_chance(world, world->count));
        world_run(world, 50);
        answered += world->reads_answered > before;
    }
    return answered;
}

/* A leader that slept through its lease is still called one when faults end, and gives up a moment
 * later: then the time of the next one begins only there. */
static void quiet_reads(struct world *world)
{
    world_run(world, 2000);
    if (propose_and_read(world) > 0 || world->violations > 0)
        return;
    run_to_commit(world);
    if (world->violations == 0 && propose_and_read(world) == 0)
        world_violated(world, "liveness: no read index in a quiet cluster");
}

/* Liveness: somebody leads, and what is proposed is committed. */
static void quiet_phase(struct world *world, const struct plan *plan)
{
    faults_freeze(world);
    end_stalls(world);
    run_to_commit(world);
    if (plan->per[FAULT_MEMBERS] > 0 && world->violations == 0)
        restore_members(world);
    if (world->violations > 0)
        return;
    quiet_reads(world);
    quiet_clients(world);
    for (int i = 0; i < 200 && world->violations == 0 && !check_alike(world); i++)
        world_run(world, 1000);
    if (world->violations == 0)
        check_quiet(world);
}

bool run_seed(uint64_t seed, enum run_voice voice, struct tally *tally, uint64_t *hash)
{
    static struct world world;
    struct plan plan;
    faults_draw(&world, &plan, seed);
    world.verbose = voice == RUN_VERBOSE;
    if (voice != RUN_QUIET)
        faults_print(&world, &plan);
    world_open(&world);
    for (uint32_t i = 0; i < world.count; i++)
        events_call(&world, 1 + world_chance(&world, 3000), i, node_start);
    faulty_phase(&world, &plan);
    if (world.violations == 0)
        quiet_phase(&world, &plan);
    bool fine = world.violations == 0;
    if (voice != RUN_QUIET)
        printf("sim: steps=%llu committed=%llu trace=%016llx violations=%u\n",
               (unsigned long long)world.steps, (unsigned long long)world.committed_count,
               (unsigned long long)world.hash, world.violations);
    else if (!fine)
        faults_print(&world, &plan);
    if (!fine)
        printf("sim: replay with: make sim SEED=%llu\n", (unsigned long long)seed);
    tally_add_world(tally, &world);
    *hash = world.hash;
    world_close(&world);
    return fine;
}
