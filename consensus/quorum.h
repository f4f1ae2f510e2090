/* quorum.h - majority arithmetic, and nothing else. */
#ifndef CONSENSUS_QUORUM_H
#define CONSENSUS_QUORUM_H

#include "protocol/members.h"

#include <stdbool.h>
#include <stdint.h>

/* How many of `voters` are a majority; at least 1. */
uint32_t quorum_size(uint32_t voters);

/* The highest value that a majority has reached; 0 for no voters. Reorders `values`. */
uint64_t quorum_value(uint64_t *values, uint32_t voters);

/* The highest value that a majority of the voters has reached and, while joint, one of the next
 * voters too (Raft section 6). `values` are by position; those of others do not count. */
uint64_t quorum_agreed(const struct members *members, const uint64_t values[MEMBERS_MAX]);

/* The same for a yes (a bit by position). */
bool quorum_agrees(const struct members *members, uint32_t yes);

#endif
