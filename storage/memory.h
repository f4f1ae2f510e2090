/* memory.h - what view must know of state.db before it applies: read once, at the start. */
#ifndef STORAGE_MEMORY_H
#define STORAGE_MEMORY_H

#include "storage/apply.h"
#include "storage/state.h"

/* Opens `state` as a reader of HOME/state.db and fills `apply` from it: where it stands, the
 * outcomes of its window, the last id of every tag.
 * ERR_CONFIG: the path is too long.  ERR_IO also: a row is damaged, and the file is doubted now.
 * ERR_CORRUPT: as state_open_reader. */
MUST_USE enum err memory_load(const char *home, struct state *state, struct apply *apply);

#endif
