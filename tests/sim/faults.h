/* faults.h - the plan of a run: which faults, how often, how long. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "tests/sim/world.h"

/* Classes of faults; RELIABILITY section 7 as far as a simulation can have them. Loss, doubling,
 * reordering, delay and malformed messages are the network's (world.h). */
enum fault_kind {
    FAULT_CRASH,     /* power is lost, with what was not synced; a transaction may be torn */
    FAULT_CONSENSUS, /* that process is killed */
    FAULT_EDGE,      /* the same, between two things that one step does */
    FAULT_API,       /* that process is killed: who waited there hears nothing */
    FAULT_STORAGE,   /* storage restarts under a living core */
    FAULT_WIPE,      /* an empty directory */
    FAULT_RESTORE,   /* an old copy of it */
    FAULT_CLONE,     /* a copy of another one's */
    FAULT_STALL,     /* the disk hangs */
    FAULT_DISK,      /* the disk is low, or full */
    FAULT_SIDES,     /* halves and bridges */
    FAULT_ISOLATE,   /* one alone, mostly the leader */
    FAULT_RING,      /* each reaches its neighbours only */
    FAULT_ONE_WAY,   /* one link, one direction */
    FAULT_LINKDOWN,  /* a connection breaks */
    FAULT_PAUSE,     /* a process stands still, longer than an election */
    FAULT_RATE,      /* a clock runs at another rate */
    FAULT_WALL,      /* the time of day jumps */
    FAULT_TRANSFER,  /* somebody asks for a hand-over */
    FAULT_DRAIN,     /* somebody asks that a node leads no more, or may again */
    FAULT_MEMBERS,   /* somebody wishes for other members */
    FAULT_HINT,      /* discovery has seen a server */
    FAULT_COUNT
};

struct plan {
    uint32_t per[FAULT_COUNT]; /* of 10000 steps */
    uint64_t down_ms, cut_ms, stall_ms, pause_ms;
    uint64_t faulty_ms;
    uint32_t raw_percent; /* puts that no client waits for, in batches */
    uint32_t wiped;
};

const char *fault_name(enum fault_kind kind);

/* Clears the world and draws its options and the plan. */
void faults_draw(struct world *world, struct plan *plan, uint64_t seed);

/* One line that, with the commit, says all there is to know of a run. */
void faults_print(const struct world *world, const struct plan *plan);

/* Between two steps: perhaps something breaks. */
void faults_maybe(struct world *world, struct plan *plan);

/* Liveness: no fault is left, and every node is up. */
void faults_freeze(struct world *world);

/* churn.c: a wish; and in the end everybody is to vote. */
bool churn_wish(struct world *world, struct plan *plan, uint32_t node);
void churn_restore(struct world *world);

/* topology.c */
void topology_heal(struct world *world);
void topology_sides(struct world *world);
void topology_isolate(struct world *world, uint32_t node);
void topology_ring(struct world *world);
void topology_one_way(struct world *world, uint32_t from, uint32_t to);

#endif
