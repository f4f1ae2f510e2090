/* dumpfile.h - a dump that is being written: what its file holds already, and what goes behind it.
 *
 * Nothing of a file is cut off before a node has said that it is the same log. Of the binary form
 * the end is written by dumpfile_end, and cut off again by what is written next. */
#ifndef CMD_CHANGEAGENT_DUMPFILE_H
#define CMD_CHANGEAGENT_DUMPFILE_H

#include "cmd/changeagent/intake.h"
#include "common/hash.h"

/* Members are for reading, but for those that the caller sets. */
struct dumpfile {
    const char *verb;        /* set: for messages */
    FILE *file;              /* set to stdout, or by dumpfile_take_up */
    const struct form *form; /* set; NULL: as the file is, or lines */
    uint64_t since;          /* set, or as the file has it: everything up to here is written */
    uint8_t hash[HASH_SIZE]; /* of that change */
    bool has_hash;
    uint64_t first;   /* id of the first change of the file; 0: it has none, or lines */
    uint64_t whole;   /* bytes of the file; what is behind goes before anything is written */
    uint64_t count;   /* changes that the file holds */
    uint64_t written; /* of them by us, into this file and those before */
    bool begun;       /* what is written next follows what was written last */
    bool ended;       /* the end stands behind `whole` */
};

/* Each gives EXIT_OK, or the exit code, and has told why. */

/* Opens the file, makes it if it is missing, and reads where it ends. */
int dumpfile_take_up(struct dumpfile *dump, const char *path);

/* Behind a file that is full and ended: the changes go on in this new one. */
int dumpfile_go_on(struct dumpfile *dump, const char *path);

/* Asks the node whether the last change is in its log. */
int dumpfile_check(const struct dumpfile *dump, struct ca *ca, const struct ca_head *head);

/* Writes changes up to the head, or until the file has `bytes_max`. What does not follow from the
 * change before is not written. */
int dumpfile_write(struct dumpfile *dump, struct ca *ca, const struct ca_head *head,
                   uint64_t bytes_max);

/* Makes durable what was written. */
int dumpfile_sync(const struct dumpfile *dump);

/* The same, with the end behind it: the file is whole. */
int dumpfile_end(struct dumpfile *dump);

void dumpfile_close(struct dumpfile *dump);

#endif
