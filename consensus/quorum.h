/* quorum.h - majority arithmetic, and nothing else. */
#ifndef CONSENSUS_QUORUM_H
#define CONSENSUS_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

/* How many of `voters` are a majority; at least 1. */
uint32_t quorum_size(uint32_t voters);

bool quorum_reached(uint32_t yes, uint32_t voters);

/* The highest value that a majority has reached; 0 for no voters. Reorders `values`. */
uint64_t quorum_value(uint64_t *values, uint32_t voters);

#endif
