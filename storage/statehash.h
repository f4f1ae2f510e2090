/* statehash.h - one hash over all that state.db means: the same on every node at the same
 * applied index, and after a replay from record 1 (K6). */
#ifndef STORAGE_STATEHASH_H
#define STORAGE_STATEHASH_H

#include "storage/state.h"

/* ERR_CORRUPT, ERR_IO: the file cannot be read. */
MUST_USE enum err statehash_of(struct state *state, uint8_t hash[HASH_SIZE]);

#endif
