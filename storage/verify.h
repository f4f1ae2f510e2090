/* verify.h - the offline tool that holds every file of a node to what it claims.
 *
 * Reads, and writes nothing. What is done about a fault is decided elsewhere: a start heals or
 * refuses (recovery.h), salvage.h gives back what is whole. */
#ifndef STORAGE_VERIFY_H
#define STORAGE_VERIFY_H

#include "common/progress.h"
#include "storage/apply.h"
#include "storage/ballot.h"
#include "storage/logdir.h"
#include "storage/state.h"
#include "storage/tagindex.h"

/* One run over one directory. */
struct verify {
    const char *data;
    struct progress progress;
    struct ballot ballot;
    struct logdir logdir;
    struct state state;
    struct apply_mark mark; /* of state.db; zeros: it cannot be read */
    bool has_state, has_ballot;
    char *home;
    /* the log so far */
    struct apply apply;
    struct overlay overlay; /* outcomes that apply gave */
    struct bytes effects;
    bool exact;     /* apply has taken every entry from 1 on */
    bool has_hash;  /* `log_hash` is that of last_index */
    bool seen_mark; /* apply has come by the applied index of state.db, and agreed */
    uint64_t first_index, last_index, last_term;
    uint8_t log_hash[HASH_SIZE];
    struct tagindex index; /* of the segment in work */
    bool has_index;
    /* the verdict */
    uint64_t faults, refused; /* refused: the disk did not give something */
    char first[512];          /* the first fault, in words */
};

/* `changeagent-storage verify DIR`: one line a file and the verdict to stdout. Gives the exit code:
 * 0 sound, 113 damaged, 112 the disk refused something, 111 a node runs on it, 100 no such node. */
int verify_main(int argc, char **argv);

/* A fault of a file, in words; the first one is told again at the end. */
void verify_blame(struct verify *verify, const char *file, enum err err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* verifylog.c: every segment of the row, in order. */
void verify_log(struct verify *verify);

/* verifystate.c: the state that was read in the beginning against what apply made of the log;
 * at the index where state.db stands, and in the end. */
void verify_mark(struct verify *verify);
void verify_state(struct verify *verify);

#endif
