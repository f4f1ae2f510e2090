/* tally.h - counters by name, as an answer. */
#ifndef STORAGE_TALLY_H
#define STORAGE_TALLY_H

#include "protocol/link.h"
#include "protocol/wire.h"

/* Sends a TALLIED. */
void tally_send(const struct wire_counter *counters, uint32_t count, struct link *link,
                uint32_t neighbour);

#endif
