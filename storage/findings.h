/* findings.h - PURE: records found in many places, put in the order of the log, one for each index.
 *
 * Where the records lie is not known here (wreck.h, carve.h), nor what they do (retell.h). */
#ifndef STORAGE_FINDINGS_H
#define STORAGE_FINDINGS_H

#include "common/bytes.h"

struct finding {
    uint64_t index, term;
    const uint8_t *record;
};

struct findings {
    struct finding *at;
    size_t count, room;
    uint8_t **own; /* records that lie nowhere in one piece */
    size_t own_count, own_room;
    uint64_t stale; /* of a later end of the log, or of an earlier one that was replaced */
};

void findings_close(struct findings *findings);

/* A whole record; copied unless it stays where it is. */
void findings_add(struct findings *findings, struct span record, bool stays);

/* Sorts, and keeps of each index the record of the highest term; one whose term is below that of
 * an earlier index was replaced, and goes too. */
void findings_settle(struct findings *findings);

struct span findings_record(const struct findings *findings, size_t slot);

#endif
