/* install.h - a staged generation becomes the data of the node, in one ballot transaction.
 *
 * Runs in the journal thread, so that no STORE is between: what was acknowledged is either
 * in the snapshot, or is carried over behind it, or is in nobody's committed log (I16).
 * Afterwards storage begins a new life. */
#ifndef STORAGE_INSTALL_H
#define STORAGE_INSTALL_H

#include "storage/journal.h"
#include "storage/rooms.h"

struct install {
    uint64_t generation;
    uint64_t index, term; /* where the snapshot ends */
    const char *newest;   /* its newest segment */
};

/* ERR_BAD_REQUEST: the state is already beyond it.  ERR_NOT_READY: not now: the ballot is of an
 * older term, or the own log has moved on too far; a newer snapshot will do.  ERR_CORRUPT: the
 * logs differ where they must be the same.  ERR_NOSPACE.  ERR_IO: the outcome is not known. */
MUST_USE enum err install_generation(struct journal *journal, const struct install *install);

/* What ROOM_INSTALL asks for. Another error than ERR_IO was told to keeper. `has_room`: all that
 * came before is on disk. */
MUST_USE enum err install_item(struct journal *journal, const struct room_item *item,
                               bool has_room);

#endif
