/* identity.h - the data directory as the supervisor sees it: its lock, the
 * directory of the ipc sockets, and who this node is (S11, P5, Z7).
 *
 * What the children keep inside it is theirs. */
#ifndef SUPERVISOR_IDENTITY_H
#define SUPERVISOR_IDENTITY_H

#include "common/keys.h"

#include <limits.h>
#include <sys/types.h>

struct identity {
    int lock_fd;                            /* 0: not open */
    char data[PATH_MAX], run_dir[PATH_MAX]; /* absolute */
    pid_t holder; /* with ERR_LOCKED: who holds the lock; 0 if it does not say */
    struct keys keys;
};

/* Makes the data directory where missing (mode 0700) and takes its lock; waits for it at most
 * wait_ms, asking `go_on` in between.
 * ERR_LOCKED: another supervisor runs here.  ERR_SYSTEM: the log says what.
 * ERR_CLOSED: go_on said no. */
MUST_USE enum err identity_lock(struct identity *identity, const char *data, uint64_t wait_ms,
                                bool (*go_on)(void *owner), void *owner);

/* Makes the directory of the sockets: run/ below the data directory, or, where its name
 * is too long for a socket (107 bytes), a private one below /tmp. `wanted` overrides both.
 * ERR_DENIED: the directory is there and belongs to somebody else.  ERR_SYSTEM. */
MUST_USE enum err identity_make_run_dir(struct identity *identity, const char *wanted);

/* Reads node id and keys, and makes them first where missing. Errors as keys_open. */
MUST_USE enum err identity_keys(struct identity *identity);

void identity_close(struct identity *identity);

#endif
