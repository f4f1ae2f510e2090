/* tally.c - counts, and what is missing in them. */
#include "tests/sim/tally.h"

#include <stdio.h>

enum { SEEDS_FOR_MESSAGES = 40, SEEDS_FOR_CELLS = 5000 };

static const char *const input_names[INPUT_COUNT] = {
    [INPUT_TICK] = "TICK",
    [INPUT_STORAGE_UP] = "STORAGE_UP",
    [INPUT_LOADED] = "LOADED",
    [INPUT_BALLOTED] = "BALLOTED",
    [INPUT_STORED] = "STORED",
    [INPUT_FETCHED] = "FETCHED",
    [INPUT_APPLIED] = "APPLIED",
    [INPUT_DISK] = "DISK",
    [INPUT_STORAGE_LOST] = "STORAGE_LOST",
    [INPUT_PROPOSE] = "PROPOSE",
    [INPUT_LINK_DOWN] = "LINK_DOWN",
    [INPUT_HINT] = "HINT",
    [INPUT_TRANSFER] = "TRANSFER",
    [INPUT_DRAIN] = "DRAIN",
    [INPUT_READ_INDEX] = "READ_INDEX",
    [INPUT_CUT] = "CUT",
    [INPUT_MEMBERS] = "MEMBERS",
    [INPUT_PART] = "PART",
    [INPUT_WRITTEN] = "WRITTEN",
    [INPUT_FLUSH] = "FLUSH",
};

static const char *const roles[ROLE_COUNT] = {
    [ROLE_LOADING] = "loading",
    [ROLE_FOUNDING] = "founding",
    [ROLE_OUTSIDE] = "outside",
    [ROLE_FOLLOWER] = "follower",
    [ROLE_PRECANDIDATE] = "precandidate",
    [ROLE_CANDIDATE] = "candidate",
    [ROLE_LEADER] = "leader",
};

static void add(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

void tally_add_world(struct tally *tally, const struct world *world)
{
    tally->seeds++;
    tally->ms += world->now;
    tally->steps += world->steps;
    tally->violations += world->violations > 0;
    add(tally->faults, world->faults, FAULT_COUNT);
    add(tally->sent, world->sent, MESSAGE_TYPE_MAX);
    add(tally->cells[0], world->cells[0], sizeof tally->cells / sizeof tally->cells[0][0]);
}

void tally_add(struct tally *tally, const struct tally *other)
{
    tally->seeds += other->seeds;
    tally->ms += other->ms;
    tally->steps += other->steps;
    tally->violations += other->violations;
    add(tally->faults, other->faults, FAULT_COUNT);
    add(tally->sent, other->sent, MESSAGE_TYPE_MAX);
    add(tally->cells[0], other->cells[0], sizeof tally->cells / sizeof tally->cells[0][0]);
}

uint64_t tally_faults(const struct tally *tally)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        sum += tally->faults[kind];
    return sum;
}

static const char *column_name(uint32_t column)
{
    if (column < INPUT_COUNT)
        return input_names[column];
    return message_info(column - INPUT_COUNT + MESSAGE_MEET)->name;
}

/* Messages between cores, and to storage, that this simulation has a model for. It has none of what
 * heals a damaged log: that is the shell's (consensus/mending.c). */
static bool is_of_core(unsigned type)
{
    return type != MESSAGE_GIVE && type != MESSAGE_GIVEN && type != MESSAGE_MEND;
}

static bool is_sent(unsigned type)
{
    const struct message_info *info = message_info(type);
    if (info->name == NULL || !is_of_core(type))
        return false;
    return info->from == PROCESS_PEER ||
           (info->from == PROCESS_CONSENSUS && (info->is_ask || type >= 100));
}

static uint32_t miss(const char *what, const char *name, const char *of)
{
    printf("sim: %s %s%s%s was never exercised\n", what, name, of ? " of " : "", of ? of : "");
    return 1;
}

static bool is_rule(uint32_t column)
{
    if (column == INPUT_PEER || column_name(column) == NULL)
        return false;
    return column < INPUT_COUNT || is_of_core(column - INPUT_COUNT + MESSAGE_MEET);
}

static uint32_t missing_rules(const struct tally *tally)
{
    uint32_t missing = 0;
    for (uint32_t role = 0; role < ROLE_COUNT; role++)
        for (uint32_t column = 0; column < WORLD_INPUTS; column++) {
            if (!is_rule(column) || tally->cells[role][column] > 0)
                continue;
            const char *why = excuse((enum raft_role)role, column);
            if (why == NULL)
                missing += miss("rule", column_name(column), roles[role]);
            else
                printf("sim: rule %s of %s was not reached: %s\n", column_name(column), roles[role],
                       why);
        }
    return missing;
}

uint32_t tally_missing(const struct tally *tally)
{
    uint32_t missing = 0;
    if (tally->seeds < SEEDS_FOR_MESSAGES)
        return 0;
    for (unsigned type = 60; type < 130; type++)
        if (is_sent(type) && tally->sent[type] == 0)
            missing += miss("message", message_info(type)->name, NULL);
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        if (tally->faults[kind] == 0)
            missing += miss("fault", fault_name((enum fault_kind)kind), NULL);
    return missing + (tally->seeds < SEEDS_FOR_CELLS ? 0 : missing_rules(tally));
}

void tally_print(const struct tally *tally)
{
    printf("sim: faults");
    for (int kind = 0; kind < FAULT_COUNT; kind++)
        printf(" %s=%llu", fault_name((enum fault_kind)kind),
               (unsigned long long)tally->faults[kind]);
    printf("\nsim: messages");
    for (unsigned type = 0; type < MESSAGE_TYPE_MAX; type++)
        if (tally->sent[type] > 0)
            printf(" %s=%llu", message_info(type)->name, (unsigned long long)tally->sent[type]);
    printf("\n");
}
