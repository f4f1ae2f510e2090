/* sealtables.h - how a tagindex becomes rows of an .index file: blocks that fit on a page, and the
 * tags in the order of their bytes. Each row has its checksum (seal_crc). */
#ifndef STORAGE_SEALTABLES_H
#define STORAGE_SEALTABLES_H

#include "storage/store.h"
#include "storage/tagindex.h"

/* Into empty tables, in the transaction at hand. Gives way between rows. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err sealtables_write(struct store *store, const struct tagindex *index);

#endif
