/* faults.h - the plan of a run: which faults, how often, how long. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "tests/sim/world.h"

struct plan {
    /* per 10000 steps */
    uint32_t crash, consensus, storage, stall, cut, one_way, linkdown, wipe, transfer;
    uint64_t down_ms, cut_ms, stall_ms;
    uint64_t faulty_ms;
    uint32_t propose_percent, body_max;
    uint32_t wiped;
};

/* Clears the world and draws its options and the plan. */
void faults_draw(struct world *world, struct plan *plan, uint64_t seed);

/* One line that, with the commit, says all there is to know of a run. */
void faults_print(const struct world *world, const struct plan *plan);

/* Between two steps: perhaps something breaks. */
void faults_maybe(struct world *world, struct plan *plan);
void faults_heal(struct world *world); /* every link is whole again */

#endif
