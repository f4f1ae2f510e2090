/* tally.h - what the runs exercised, summed over seeds and processes. */
#ifndef SIM_TALLY_H
#define SIM_TALLY_H

#include "tests/sim/faults.h"

struct tally {
    uint64_t seeds, ms, steps, violations;
    uint64_t faults[FAULT_COUNT];
    uint64_t sent[MESSAGE_TYPE_MAX];
    uint64_t cells[ROLE_COUNT][WORLD_INPUTS];
};

void tally_add_world(struct tally *tally, const struct world *world);
void tally_add(struct tally *tally, const struct tally *other);

/* Prints what was never exercised, and how many that are (K10). A run of few seeds is not asked
 * for rules that are rarely reached. */
uint32_t tally_missing(const struct tally *tally);

/* excuses.c: why a rule (a role, an input or a peer message by its type) may stay unexercised;
 * NULL: it may not. */
const char *excuse(enum raft_role role, uint32_t column);

void tally_print(const struct tally *tally); /* counts by class */
uint64_t tally_faults(const struct tally *tally);

#endif
