/* record.h - a long run in slices: what earlier ones counted stands in a file. */
#ifndef SIM_RECORD_H
#define SIM_RECORD_H

#include "tests/sim/tally.h"

struct record {
    char magic[8];
    uint64_t size;         /* of this struct: one of another build is refused */
    uint64_t next, cpu_ms; /* the seed that comes next; processor time of all slices */
    struct tally tally;
};

/* A file that is not there yet begins at seed `from`. False: it is none of ours, or unreadable. */
bool record_load(struct record *record, const char *path, uint64_t from);

/* Whole or not at all. False: it could not be written. */
bool record_save(const struct record *record, const char *path);

#endif
