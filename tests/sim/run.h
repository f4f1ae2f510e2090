/* run.h - one seed, one run: a phase with faults (safety), one without (liveness). */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "tests/sim/tally.h"

enum run_voice {
    RUN_QUIET,  /* says what is wrong */
    RUN_ALONE,  /* options and counts */
    RUN_VERBOSE /* every transition */
};

/* False: something was violated. `hash` is of everything that was said in the run. */
bool run_seed(uint64_t seed, enum run_voice voice, struct tally *tally, uint64_t *hash);

#endif
