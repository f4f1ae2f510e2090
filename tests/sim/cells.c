/* cells.c - membership change x point of failure (R107). */
#include "tests/sim/cells.h"

#include "common/keys.h"
#include "consensus/plan.h"
#include "tests/sim/world.h"

#include <stdio.h>

enum { NEW = 3, NODES = 4, ASK_MS = 150, DOWN_MS = 1500, LIMIT_MS = 60000 };

/* How far the change is when somebody dies. */
enum step { ASKED, APPENDED, COMMITTED, JOINT, JOINT_COMMITTED, LEFT, LEFT_COMMITTED, STEPS };
static const char *const step_names[STEPS] = {"asked",          "appended",        "committed",
                                              "joint",          "joint committed", "leave appended",
                                              "leave committed"};

enum who { LEADER, TARGET, OTHER, GONE, WHO };
static const char *const who_names[WHO] = {"leader", "target", "other", "target, for ever"};

enum cell_change {
    ADD,
    ADD_REPLICA,
    REMOVE,
    REMOVE_LEADER,
    REPLACE,
    REPLACE_LEADER,
    MOVE,
    CHANGES
};
static const struct {
    const char *name;
    bool adds, removes, of_leader;
    bool joint; /* the majority changes */
} changes[CHANGES] = {
    [ADD] = {"add", true, false, false, true},
    [ADD_REPLICA] = {"add replica", true, false, false, false},
    [REMOVE] = {"remove", false, true, false, true},
    [REMOVE_LEADER] = {"remove the leader", false, true, true, true},
    [REPLACE] = {"replace", true, true, false, true},
    [REPLACE_LEADER] = {"replace the leader", true, true, true, true},
    [MOVE] = {"change address", false, false, false, false},
};

struct cell {
    enum cell_change change;
    enum step step;
    enum who who;
    uint32_t target, victim;
    char texts[2][160];
    const char *wishes[3];
    uint64_t before; /* log index of the configuration */
};

static struct world world;

static void open_cell(struct cell *cell)
{
    world = (struct world){.seed = 7u + cell->change,
                           .count = NODES,
                           .founders = NODES - 1,
                           .delay_min = 1,
                           .delay_max = 3,
                           .disk_min = 1,
                           .disk_max = 3,
                           .tail_bytes = 1 << 20,
                           .tail_told = 100,
                           .heartbeat_ms = 100,
                           .election_min_ms = 500,
                           .election_max_ms = 1000};
    world_open(&world);
    for (uint32_t i = 0; i < NODES; i++)
        node_start(&world, i);
    world_run_to_leader(&world, 10000);
    uint32_t leader = (uint32_t)world_leader(&world);
    node_propose(&world, leader, 20, 100);
    world_run(&world, 300);
    uint32_t follower = leader == 0 ? 1 : 0;
    cell->target = changes[cell->change].of_leader ? leader : follower;
    if (changes[cell->change].adds && !changes[cell->change].removes)
        cell->target = NEW;
    cell->victim = leader;
    if (cell->who == TARGET || cell->who == GONE)
        cell->victim = cell->target;
    for (uint32_t i = 0; cell->who == OTHER && i < NODES - 1; i++)
        if (i != leader && i != cell->target)
            cell->victim = i;
    cell->before = state_config_index(world.nodes[leader].raft);
}

static void make_wishes(struct cell *cell)
{
    char key[KEY_TEXT_SIZE];
    uint32_t count = 0;
    if (changes[cell->change].adds) {
        keys_print(world.nodes[NEW].key, key);
        snprintf(cell->texts[count], sizeof cell->texts[count], "add peer=tcp://sim:9 key=%s%s",
                 key, cell->change == ADD_REPLICA ? " role=replica" : "");
        cell->wishes[count] = cell->texts[count];
        count++;
    }
    keys_print(world.nodes[cell->target].key, key);
    if (changes[cell->change].removes)
        snprintf(cell->texts[count], sizeof cell->texts[count], "remove key=%s", key);
    if (cell->change == MOVE)
        snprintf(cell->texts[count], sizeof cell->texts[count], "set key=%s peer=tcp://sim:8", key);
    if (cell->texts[count][0])
        cell->wishes[count] = cell->texts[count];
}

static const struct raft *leading(void)
{
    int leader = world_leader(&world);
    return leader >= 0 ? world.nodes[leader].raft : NULL;
}

/* Has the change come to this step? By the log of the leader. */
static bool reached(const struct cell *cell, bool asked)
{
    const struct raft *raft = leading();
    if (raft == NULL || !asked)
        return false;
    const struct members *members = state_members(raft);
    bool begun = state_config_index(raft) > cell->before;
    bool committed = begun && raft->commit >= state_config_index(raft);
    bool over = begun && !plan_pending(members) && changes[cell->change].joint;
    switch (cell->step) {
    case ASKED:
        return true;
    case APPENDED:
        return begun && !committed && !members->joint;
    case COMMITTED:
        return committed && !members->joint;
    case JOINT:
        return members->joint;
    case JOINT_COMMITTED:
        return (members->joint && committed) || over;
    case LEFT:
        return over;
    default:
        return over && committed;
    }
}

static bool is_fulfilled(const struct cell *cell)
{
    const struct raft *raft = leading();
    struct memberop op;
    char why[MEMBEROP_WHY_MAX];
    if (raft == NULL || raft->commit < state_config_index(raft) || raft->commit < raft->term_first)
        return false;
    for (uint32_t i = 0; cell->wishes[i]; i++)
        if (memberop_parse(SPAN_TEXT(cell->wishes[i]), &op, why) != ERR_NONE ||
            !plan_fulfils(state_members(raft), &op))
            return false;
    return true;
}

static void ask(const struct cell *cell)
{
    int leader = world_leader(&world);
    if (leader >= 0)
        node_members(&world, (uint32_t)leader, cell->wishes);
}

/* Writes go on: what is proposed is committed, by whoever leads. */
static bool writes_go_on(void)
{
    for (int tries = 0; tries < 100; tries++) {
        int leader = world_leader(&world);
        uint64_t last = leader >= 0 ? world.nodes[leader].raft->log.last + 1 : 0;
        if (leader >= 0)
            node_propose(&world, (uint32_t)leader, 1, 100);
        world_run(&world, 200);
        if (leader >= 0 && world.nodes[leader].up && world.nodes[leader].raft->commit >= last)
            return true;
    }
    return false;
}

/* The new server may be gone for ever: then the change can be taken back. */
static bool ends_well(struct cell *cell)
{
    static const char *const cancel[] = {"cancel", NULL};
    bool may_stay_open =
        cell->who == GONE && changes[cell->change].adds && !changes[cell->change].removes;
    uint64_t end = world.now + LIMIT_MS;
    while (world.now < end && !is_fulfilled(cell) && world.violations == 0) {
        ask(cell);
        world_run(&world, ASK_MS);
        if (may_stay_open && world.now > end - LIMIT_MS / 2) {
            node_members(&world, (uint32_t)world_leader(&world), cancel);
            world_run(&world, 500);
            return leading() && !plan_pending(state_members(leading())) && writes_go_on();
        }
    }
    return is_fulfilled(cell) && writes_go_on();
}

/* "ok", "-" where the change has no such step, or what is wrong. */
static const char *run_cell(struct cell *cell)
{
    bool asked = false, hit = false;
    open_cell(cell);
    make_wishes(cell);
    for (uint64_t ms = 0; ms < 10000 && !hit && !(cell->step == STEPS); ms++) {
        if (ms % ASK_MS == 0) {
            ask(cell);
            asked = ms > 0; /* the first one only calls back */
        }
        hit = reached(cell, asked || !changes[cell->change].adds);
        if (!hit)
            world_run(&world, 1);
        if (is_fulfilled(cell) && !hit && !reached(cell, true))
            break;
    }
    if (hit) {
        node_crash(&world, cell->victim);
        if (cell->who != GONE)
            events_call(&world, DOWN_MS, cell->victim, node_start);
    }
    bool fine = !hit || ends_well(cell);
    fine = fine && world.violations == 0;
    world_close(&world);
    return !fine ? "FAILED" : hit ? "ok" : "-";
}

static bool has_cell(enum cell_change change, enum who who)
{
    if (who == TARGET || who == GONE)
        return !changes[change].of_leader || who == GONE;
    return true;
}

bool cells_run(void)
{
    uint32_t passed = 0, failed = 0;
    printf("| change | who dies |");
    for (int step = 0; step < STEPS; step++)
        printf(" %s |", step_names[step]);
    printf("\n|---|---|---|---|---|---|---|---|---|\n");
    for (int change = 0; change < CHANGES; change++)
        for (int who = 0; who < WHO; who++) {
            if (!has_cell((enum cell_change)change, (enum who)who))
                continue;
            printf("| %s | %s |", changes[change].name, who_names[who]);
            for (int step = 0; step < STEPS; step++) {
                struct cell cell = {.change = (enum cell_change)change,
                                    .step = (enum step)step,
                                    .who = (enum who)who};
                const char *result = run_cell(&cell);
                passed += strcmp(result, "ok") == 0;
                failed += strcmp(result, "FAILED") == 0;
                printf(" %s |", result);
            }
            printf("\n");
        }
    printf("sim: membership change x point of failure: cells=%u failed=%u\n", passed, failed);
    return failed == 0 && passed > 0;
}
