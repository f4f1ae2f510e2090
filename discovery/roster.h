/* roster.h - PURE: sightings become hints.
 *
 * Each source reports rounds; a round replaces what the source saw before. The
 * hints are the sightings of all sources in their order, each endpoint once.
 * Who is a member is not decided here, nor anywhere in discovery. */
#ifndef DISCOVERY_ROSTER_H
#define DISCOVERY_ROSTER_H

#include "discovery/source.h"

enum { ROSTER_HINTS_MAX = 64 };

enum roster_input_kind {
    ROSTER_ROUND,   /* `source` begins a round */
    ROSTER_SIGHTED, /* it saw `sighting` */
    ROSTER_DONE,    /* it has seen all */
    ROSTER_LINK_UP, /* consensus is there, and knows nothing */
    ROSTER_INPUT_COUNT
};

struct roster_input {
    enum roster_input_kind kind;
    enum source source;
    const struct sighting *sighting;
};

/* `send`: consensus is to be told the hints. */
struct roster_output {
    bool send;
};

struct roster_list {
    struct sighting at[ROSTER_HINTS_MAX];
    uint32_t count;
    uint32_t dropped; /* sightings beyond the bound, in this round */
};

struct roster {
    struct roster_list seen[SOURCE_COUNT], round[SOURCE_COUNT];
    struct roster_list hints;
    bool link_up;
};

void roster_step(struct roster *roster, const struct roster_input *in, struct roster_output *out);

/* Ends the process if an invariant is broken; runs after every step. */
void roster_assert(const struct roster *roster);

#endif
