/* deadlock.h - two of three that start after the founding find a leader, whichever two. */
#ifndef SIM_DEADLOCK_H
#define SIM_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Raises `worst` to the milliseconds it took. */
bool deadlock_start(uint64_t seed, uint64_t *worst);

#endif
