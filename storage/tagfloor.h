/* tagfloor.h - the first change that the rule of a tag keeps: found by the lists of its tags, and
 * remembered, for it is asked for again every second. */
#ifndef STORAGE_TAGFLOOR_H
#define STORAGE_TAGFLOOR_H

#include "protocol/rules.h"
#include "storage/shelf.h"

/* What is known of one rule. While time goes on, what was found stays the first one until it is too
 * old itself; and where there was nothing, nothing will come. Time may go back: a leader asks by
 * its clock, and writes that down only with an entry. Then nothing is known. */
struct tagfloor_of {
    uint64_t found;  /* the first change that it kept, or 0 */
    uint64_t looked; /* with 0: up to and with this id there is none */
};

/* Zeroed is: nothing is known. */
struct tagfloor {
    struct rules rules; /* of which the rest tells */
    uint64_t ts;        /* of the last ask */
    uint32_t parts_max; /* see match.h */
    struct tagfloor_of of[RULES_MAX];
};

/* The first change that any rule keeps at this log time; 0: none does. Bounded as a read is: where
 * a search ends early, what was not looked at is kept. ERR_CORRUPT, ERR_IO. */
MUST_USE enum err tagfloor_find(struct tagfloor *floors, struct shelf *shelf,
                                const struct rules *rules, uint64_t ts, uint64_t *id);

#endif
