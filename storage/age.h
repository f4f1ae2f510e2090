/* age.h - where in the log a moment lies, by log time: that of an imported change is when it came.
 */
#ifndef STORAGE_AGE_H
#define STORAGE_AGE_H

#include "storage/shelf.h"

/* The first kept change that is younger than `cutoff`; behind the last one if none is.
 * ERR_CORRUPT, ERR_IO. */
MUST_USE enum err age_first_younger(struct shelf *shelf, uint64_t cutoff, uint64_t *id);

#endif
