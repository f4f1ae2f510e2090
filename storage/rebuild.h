/* rebuild.h - the part of the index that is in memory only, made anew at the start.
 *
 * One scan over the segments without .index, up to the applied index: state.db
 * says which records took effect, the log has them, the hash chain proves it. */
#ifndef STORAGE_REBUILD_H
#define STORAGE_REBUILD_H

#include "storage/shelf.h"
#include "storage/state.h"

/* ERR_CORRUPT: state.db and the log do not agree: the state is to be made anew from record 1.
 * ERR_IO: the disk refused. */
MUST_USE enum err rebuild_shelf(struct shelf *shelf, struct state *state,
                                const struct apply_mark *at);

#endif
