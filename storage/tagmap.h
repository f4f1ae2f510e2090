/* tagmap.h - texts as small numbers: each distinct tag gets the next number, from 0.
 *
 * Kept in memory, never forgotten. What a number stands for (a last id, a list
 * of ids) is the caller's array. */
#ifndef STORAGE_TAGMAP_H
#define STORAGE_TAGMAP_H

#include "common/bytes.h"

enum { TAGMAP_NONE = UINT32_MAX };

struct tagmap_name {
    uint64_t print; /* keyed fingerprint: a client cannot choose what collides */
    size_t at;      /* in `texts` */
    uint32_t size;
};

/* Zeroed is empty, but for the key: set it before the first tag. */
struct tagmap {
    uint8_t key[16];
    struct bytes texts;
    struct tagmap_name *names;
    uint32_t count, room;
    uint32_t *slots; /* number + 1; 0 is free */
    uint32_t slot_count;
};

void tagmap_close(struct tagmap *map);

/* The number of a tag; TAGMAP_NONE if it was never added. */
uint32_t tagmap_find(const struct tagmap *map, struct span tag);

/* The number of a tag, given now if it has none. */
uint32_t tagmap_add(struct tagmap *map, struct span tag);

/* Lends the text until the next tagmap_add. */
struct span tagmap_text(const struct tagmap *map, uint32_t number);

#endif
