/* settings.h - what the supervisor can be told, and the check of the whole file
 * before anything is started. */
#ifndef SUPERVISOR_SETTINGS_H
#define SUPERVISOR_SETTINGS_H

#include "common/err.h"
#include "supervisor/restart.h"

#include <limits.h>

struct settings {
    const char *data, *run_dir, *name, *log_level;
    struct restart_rules rules;
    uint64_t lock_wait_ms;
    bool place;          /* a copy of the directory is told by its inodes */
    const char *join;    /* client endpoint of a node of the cluster to be joined; NULL: none */
    const char *config;  /* path of the file; NULL: none */
    const char *restore; /* directory of a backup that a blank node goes on from; NULL: none */
    bool show_key, init, done; /* done: --help or --check-config, nothing is to be started */
    char bin_dir[PATH_MAX];    /* where the programs are: beside our own */
};

/* Reads flags and file, and opens the log.
 * ERR_CONFIG: stderr says what.  ERR_SYSTEM: our own program is not found. */
MUST_USE enum err settings_read(struct settings *settings, int argc, char **argv);

/* Runs every program with --check-config, so that each mistake in the file is told.
 * ERR_CONFIG: at least one complained.  ERR_SYSTEM: one could not be run. */
MUST_USE enum err settings_check_programs(const struct settings *settings, const char *const *names,
                                          uint32_t count);

/* With --restore, before anything is started: the data directory becomes that of the backup.
 * ERR_CONFIG: it is not blank, or there is no backup.  ERR_CORRUPT: the backup is damaged.  ERR_IO:
 * the disk refused.  ERR_SYSTEM. The lines of storage say more. */
MUST_USE enum err settings_restore(const struct settings *settings, const char *data);

/* With --init, before the founding: does a server answer where the file says that servers are?
 * ERR_CONFIG: one does, and the log says which.  ERR_SYSTEM: it could not be asked. */
MUST_USE enum err settings_probe(const struct settings *settings);

#endif
