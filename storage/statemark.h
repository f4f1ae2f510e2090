/* statemark.h - PURE: all of the state that is not a table, as the bytes of one row. */
#ifndef STORAGE_STATEMARK_H
#define STORAGE_STATEMARK_H

#include "storage/apply.h"

enum {
    STATEMARK_MAX = 12 * 8 + 16 + 2 * HASH_SIZE + 1 + 2 + HOLDERS_SAVED_MAX + 2 + RULES_SAVED_MAX +
                    SETTINGS_COUNT * 8
};

/* Returns how many bytes it takes. */
size_t statemark_encode(const struct apply_mark *mark, uint8_t content[STATEMARK_MAX]);

/* ERR_CORRUPT: not these bytes.  ERR_VERSION: a feature level above what this version knows, or
 * something in it that it does not know. */
MUST_USE enum err statemark_decode(struct span whole, struct apply_mark *mark);

#endif
