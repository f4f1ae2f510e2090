/* generation.h - which directory of the node holds log and state.
 *
 * Generation 0 is the data directory itself; a snapshot is staged as DATA/generation-N and
 * becomes the data of the node by the one ballot transaction that sets N. Ballot, identity
 * and run directory are outside of all generations. What is in one is known in recovery.h. */
#ifndef STORAGE_GENERATION_H
#define STORAGE_GENERATION_H

#include "common/bytes.h"
#include "common/err.h"

/* Gives the path; freed by bytes_free. */
char *generation_home(const char *data_dir, uint64_t generation);

/* The highest generation that lies there; 0 if there is none. For a node without a ballot. */
uint64_t generation_highest(const char *data_dir);

/* Removes every generation but this one: one that was replaced, or staged and never installed.
 * ERR_IO: something could not be removed; it is tried again at the next start. */
MUST_USE enum err generation_sweep(const char *data_dir, uint64_t generation);

/* Removes a directory of plain files, and its directories, if it is there. */
MUST_USE enum err generation_remove(const char *directory);

/* Locks the data directory (S11); waits up to two seconds for a dying process.
 * ERR_LOCKED: another storage has it.  ERR_IO. */
MUST_USE enum err generation_lock(const char *data_dir, int *lock_fd);

#endif
