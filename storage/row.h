/* row.h - reads one change by its id, checked: the record by its crc, the change by the hash
 * chain. A damaged one is ERR_CORRUPT, never a wrong byte (S6). The data is read also where it is
 * not wanted: the hash covers it. */
#ifndef STORAGE_ROW_H
#define STORAGE_ROW_H

#include "storage/shelf.h"

/* Zeroed but for shelf and records is open. */
struct row_reader {
    struct shelf *shelf;
    struct bytes *records; /* buffer, the caller's */
    uint64_t along;        /* so many records behind the one wanted are read with it */
    struct span rest;      /* of records, behind `record` */
    struct entry record;   /* index 0: none */
    struct change_walk walk;
    uint32_t ordinal; /* of the change that `walk` gives next */
};

/* Log time of a change, and the bound of its error (0: not known). */
struct row_time {
    uint64_t ts, error_ns;
};

/* Lends the change until the next call. ERR_CORRUPT, ERR_IO. */
MUST_USE enum err row_read(struct row_reader *reader, uint64_t id, struct change *change,
                           struct row_time *time, uint8_t hash[HASH_SIZE]);

/* Only its time; not compared with the hash. */
MUST_USE enum err row_time(struct row_reader *reader, uint64_t id, struct row_time *time);

/* The lowest id whose log time is at or behind `ts`; last_id + 1: there is none. */
MUST_USE enum err row_since(struct row_reader *reader, uint64_t ts, uint64_t *id);

#endif
