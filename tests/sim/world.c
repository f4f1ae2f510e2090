/* world.c - chance, time, and the turn of a whole cluster. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t world_chance(struct world *world, uint64_t below)
{
    world->chance += 0x9e3779b97f4a7c15u;
    uint64_t z = world->chance;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below ? z % below : z;
}

void world_trace(struct world *world, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (world->trace)
        world->trace(world, line);
    if (world->verbose)
        printf("%8llu %s\n", (unsigned long long)world->now, line);
}

void world_violated(struct world *world, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    world->violations++;
    fprintf(stderr, "violation seed=%llu at=%llu: %s\n", (unsigned long long)world->seed,
            (unsigned long long)world->now, line);
    world_trace(world, "violation: %s", line);
}

/* Who is paused finds everything in its queues when it goes on. */
static bool waits(struct world *world, struct event *event)
{
    if (!events_to_consensus(event) || !node_paused(world, event->node))
        return false;
    event->at = world->nodes[event->node].paused_until;
    events_push(world, *event);
    return true;
}

static void handle(struct world *world, struct event *event)
{
    if (waits(world, event))
        return;
    if (event->kind == EVENT_PEER)
        network_deliver(world, event);
    else if (event->kind == EVENT_LINK)
        node_link_down(world, event->node, event->from);
    else if (event->kind == EVENT_CALL)
        event->call(world, event->node);
    else if (event->kind == EVENT_ANSWER)
        storage_tell(world, event);
    else
        storage_do(world, event);
    bytes_close(&event->frame);
}

static void turn(struct world *world)
{
    while (world->event_count > 0 && world->events[0].at <= world->now) {
        struct event event = events_pop(world);
        handle(world, &event);
    }
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        api_turn(world, i);
        if (node_paused(world, i))
            continue;
        if (node->up && clock_now(world, i) >= raft_due_ms(node->raft))
            node_step(world, i, (struct raft_input){.kind = INPUT_TICK});
        for (int tries = 0; node->up && raft_wants_flush(node->raft) && tries < 4; tries++)
            node_step(world, i, (struct raft_input){.kind = INPUT_FLUSH});
    }
}

static uint64_t node_due(const struct world *world, uint32_t at)
{
    const struct node *node = &world->nodes[at];
    if (!node->up)
        return UINT64_MAX;
    uint64_t due = clock_world_time(world, at, raft_due_ms(node->raft));
    return due > node->paused_until ? due : node->paused_until;
}

/* Skips the milliseconds in which nothing is due. */
static uint64_t next_moment(const struct world *world, uint64_t end)
{
    uint64_t next = end;
    if (world->event_count > 0 && world->events[0].at < next)
        next = world->events[0].at;
    for (uint32_t i = 0; i < world->count; i++) {
        uint64_t due = node_due(world, i);
        next = due < next ? due : next;
    }
    return next > world->now ? next : world->now + 1;
}

void world_run(struct world *world, uint64_t ms)
{
    uint64_t end = world->now + ms;
    while (world->now < end && world->violations == 0) {
        world->now = next_moment(world, end);
        turn(world);
    }
}

int world_leader(const struct world *world)
{
    int leader = -1;
    for (uint32_t i = 0; i < world->count; i++) {
        const struct node *node = &world->nodes[i];
        if (node->up && node->raft->role == ROLE_LEADER &&
            (leader < 0 || node->raft->term > world->nodes[leader].raft->term))
            leader = (int)i;
    }
    return leader;
}

bool world_run_to_leader(struct world *world, uint64_t ms)
{
    uint64_t end = world->now + ms;
    while (world->now < end && world->violations == 0) {
        int leader = world_leader(world);
        if (leader >= 0 &&
            world->nodes[leader].raft->commit >= world->nodes[leader].raft->term_first)
            return true;
        world_run(world, 10);
    }
    return false;
}

void world_open(struct world *world)
{
    world->chance = world->seed;
    world->now = 1000;
    world->wall_ns = 1700000000000000000u;
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        node->id = 100 + i;
        clock_reset(world, i);
        for (size_t k = 0; k < RAFT_KEY_SIZE; k += 8)
            save_u64(node->key + k, world_chance(world, 0));
    }
}

void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->count; i++) {
        struct node *node = &world->nodes[i];
        raft_close(&node->raft);
        raft_outputs_close(&node->outputs);
        api_close(node);
        view_close(&node->store.view);
        view_close(&node->kept);
        disk_close(&node->disk);
    }
    events_close(world);
    clients_close(world);
    snapshot_close(world);
    bytes_free(world->writes);
    bytes_free(world->committed);
    bytes_free(world->leaders);
    *world = (struct world){0};
}
