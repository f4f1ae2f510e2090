/* source.h - what a way to look for servers answers: sightings, round by round.
 *
 * A source looks and reports; what becomes of it is decided in roster.h. */
#ifndef DISCOVERY_SOURCE_H
#define DISCOVERY_SOURCE_H

#include "common/bytes.h"

/* Static entries first: where two sources see the same endpoint, the lower one counts. */
enum source { SOURCE_STATIC, SOURCE_FILE, SOURCE_JOIN, SOURCE_COUNT };

enum { SIGHTING_MAX = 255 };

/* "ENDPOINT" or "ENDPOINT KEY", checked by source_check. */
struct sighting {
    char text[SIGHTING_MAX + 1];
    uint32_t endpoint_size; /* of the part before the key */
};

/* Reads one line. False: it is no sighting, and `*reason` lends why. */
bool source_check(struct span line, struct sighting *sighting, const char **reason);

#endif
