/* bloom.h - is a tag perhaps in this segment? Says no for sure, yes with an error of 1 %. */
#ifndef STORAGE_BLOOM_H
#define STORAGE_BLOOM_H

#include "common/bytes.h"

/* A filter is just bytes: in memory, and as they stand in an .index file. */
void bloom_begin(struct bytes *bloom, uint32_t tag_count); /* empty, with room for so many */
void bloom_add(struct bytes *bloom, struct span tag);
bool bloom_has(struct span bloom, struct span tag);

#endif
