/* pidfile.h - run/pids.json: which processes this node has, and where it listens.
 *
 * Written whole, beside itself, and renamed, so that a reader never sees a
 * half. A pid alone is not a process: the start time (field 22 of
 * /proc/PID/stat) tells it from a later one with the same number. */
#ifndef SUPERVISOR_PIDFILE_H
#define SUPERVISOR_PIDFILE_H

#include "common/err.h"

#include <stdint.h>
#include <sys/types.h>

enum { PIDFILE_PROCESSES_MAX = 8, PIDFILE_PLACES_MAX = 8, PIDFILE_TEXT_MAX = 256 };

struct pidfile_process {
    const char *name; /* lent for ever; NULL from pidfile_read */
    pid_t pid;        /* 0: it does not run */
    uint64_t start;
};

struct pidfile_place {
    char key[16], value[PIDFILE_TEXT_MAX];
};

struct pidfile {
    const char *name, *data, *run_dir; /* lent */
    struct pidfile_process supervisor, children[PIDFILE_PROCESSES_MAX];
    uint32_t child_count;
    struct pidfile_place places[PIDFILE_PLACES_MAX]; /* api, stream, peer … as announced */
    uint32_t place_count;
};

/* Start time of a process; 0 if there is none. */
uint64_t pidfile_start_of(pid_t pid);
/* False too for one that is dead and only waits to be reaped. */
bool pidfile_runs(const struct pidfile_process *process);

/* Notes what a child announced; the newest value of a key counts. Too long or too many: false. */
bool pidfile_place(struct pidfile *pidfile, const char *key, const char *value);

/* ERR_SYSTEM: the log says what; the old file stands. */
MUST_USE enum err pidfile_write(const struct pidfile *pidfile, const char *path);

/* Fills supervisor and children from a file that pidfile_write left; a file that is missing
 * or damaged has none. */
void pidfile_read(struct pidfile *pidfile, const char *path);

#endif
