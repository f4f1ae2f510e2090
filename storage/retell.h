/* retell.h - log records in order, some of them missing, become changes of a dump.
 *
 * While nothing is missing, apply says which id, time and hash each change has, as it once did.
 * Behind a gap the hints say it; where they do not, a change is told without its place. */
#ifndef STORAGE_RETELL_H
#define STORAGE_RETELL_H

#include "protocol/form.h"
#include "storage/apply.h"
#include "storage/hints.h"

#include <stdio.h>

struct retell {
    FILE *out;
    const struct form *form;
    struct hints *hints; /* lent */
    bool exact;          /* apply stands right behind the last record */
    bool from_state;     /* apply was loaded from the state of the hints */
    struct apply apply;
    struct overlay overlay;
    struct outcomes seen; /* txids, while apply does not tell */
    struct bytes effects, told;
    uint8_t hash[HASH_SIZE]; /* change hash at last_id, if has_hash */
    bool has_hash, failed;   /* failed: `out` takes no more */
    uint64_t last_index;     /* of the record before */
    uint64_t records, changes, unplaced, unproven, refused, gaps;
    uint64_t first_id, last_id; /* of changes that have a place; 0: none */
    uint64_t missing_records, missing_changes;
};

/* `hints` and `out` are lent for the life of it. */
void retell_open(struct retell *retell, struct hints *hints, const struct form *form, FILE *out);
void retell_close(struct retell *retell);

/* Behind the last record. */
void retell_end(struct retell *retell);

/* The next record; its index is above that of the one before. */
void retell_record(struct retell *retell, struct span record);

#endif
