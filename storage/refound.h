/* refound.h - a new history: the log of this directory goes on with this node as its only voter.
 *
 * Offline, with no other process at work. The last act of a restored backup, and of a cluster that
 * has lost its majority for good. A founding record is written behind the last one: the same
 * cluster, a new history, one voter under a new incarnation. Who has the log of before without
 * this record has another history, and the two never mix (docs/decisions/0023). */
#ifndef STORAGE_REFOUND_H
#define STORAGE_REFOUND_H

#include "common/keys.h"
#include "protocol/members.h"
#include "storage/apply.h"
#include "storage/journal.h"

struct refound {
    struct recovery recovery;
    struct journal journal;
    struct keys keys;
    struct members members; /* the newest that the log names */
    struct apply_mark mark; /* what is known to be committed */
    bool alone;             /* this directory is the only voter already: nothing is to be done */
};

/* Opens the directory as a start of the node does, and says what is there.
 * ERR_NOT_FOUND: it is not the directory of a node, or there is no cluster in its log.
 * ERR_CORRUPT: what is left of the log cannot be applied any more.  ERR_LOCKED: a node is at work.
 * ERR_IO, ERR_VERSION, ERR_DENIED: as recovery_run, keys_read. */
MUST_USE enum err refound_open(struct refound *refound, const char *data_dir);
void refound_close(struct refound *refound);

/* Writes the record; *history is the new one. Killed at any point the directory is that of before,
 * which does not vote until this has been called again, or the new one.
 * ERR_NOSPACE: make room, then again.  ERR_IO. */
MUST_USE enum err refound_write(struct refound *refound, uint64_t *history);

#endif
