/* lookup.h - the index of one part of the log, wherever it is: in memory while the part grows,
 * in its .index file once it is sealed. */
#ifndef STORAGE_LOOKUP_H
#define STORAGE_LOOKUP_H

#include "storage/sealread.h"
#include "storage/tagindex.h"

/* One of the two is set; both are lent. */
struct lookup {
    const struct tagindex *memory;
    struct sealread *file;
};

/* Where the change is in the log. ERR_CORRUPT: also if the id is not in this part. */
MUST_USE enum err lookup_find(const struct lookup *lookup, uint64_t id, uint64_t *log_index,
                              uint32_t *ordinal);

/* The same without a look at a sealed file; see sealread_guess. */
bool lookup_guess(const struct lookup *lookup, uint64_t id, uint64_t *log_index);

/* Copies the change hash at `id`, from the one before the first id of the part on. ERR_CORRUPT. */
MUST_USE enum err lookup_hash(const struct lookup *lookup, uint64_t id, uint8_t hash[HASH_SIZE]);

/* The ids of a term of a filter in this part, rising, each once, less its first id. */
struct lookup_list {
    const uint32_t *offsets; /* lent by the index or by `own` */
    uint32_t count;
    struct bytes own;
};
MUST_USE enum err lookup_list(const struct lookup *lookup, struct span term,
                              struct lookup_list *list);
void lookup_list_close(struct lookup_list *list);

/* Slot of the first offset at or above `offset`; count if there is none. */
uint32_t lookup_slot(const struct lookup_list *list, uint64_t offset);

#endif
