#include "storage/tagmap.h"

#include "common/hash.h"

#include <assert.h>

/* The slot that holds the tag, or the free one where it would go. */
static uint32_t probe(const struct tagmap *map, uint64_t print, struct span tag)
{
    uint32_t mask = map->slot_count - 1;
    for (uint32_t slot = (uint32_t)print & mask;; slot = (slot + 1) & mask) {
        uint32_t number = map->slots[slot];
        if (number == 0)
            return slot;
        const struct tagmap_name *name = &map->names[number - 1];
        if (name->print == print && span_equal(tagmap_text(map, number - 1), tag))
            return slot;
    }
}

static void grow_slots(struct tagmap *map)
{
    map->slot_count = map->slot_count ? map->slot_count * 2 : 64;
    bytes_free(map->slots);
    map->slots = bytes_zeroed(map->slot_count, sizeof *map->slots);
    uint32_t mask = map->slot_count - 1;
    for (uint32_t number = 0; number < map->count; number++) {
        uint32_t slot = (uint32_t)map->names[number].print & mask;
        while (map->slots[slot] != 0)
            slot = (slot + 1) & mask;
        map->slots[slot] = number + 1;
    }
}

static void append_name(struct tagmap *map, uint64_t print, struct span tag)
{
    if (map->count == map->room) {
        map->room = map->room ? map->room * 2 : 32;
        map->names = bytes_resize(map->names, map->room, sizeof *map->names);
    }
    map->names[map->count++] = (struct tagmap_name){print, map->texts.size, (uint32_t)tag.size};
    bytes_append_span(&map->texts, tag);
}

void tagmap_close(struct tagmap *map)
{
    bytes_close(&map->texts);
    bytes_free(map->names);
    bytes_free(map->slots);
    *map = (struct tagmap){0};
}

uint32_t tagmap_find(const struct tagmap *map, struct span tag)
{
    if (map->count == 0)
        return TAGMAP_NONE;
    uint32_t number = map->slots[probe(map, hash_keyed(map->key, tag), tag)];
    return number ? number - 1 : TAGMAP_NONE;
}

uint32_t tagmap_add(struct tagmap *map, struct span tag)
{
    if ((map->count + 1) * 2 > map->slot_count)
        grow_slots(map);
    uint64_t print = hash_keyed(map->key, tag);
    uint32_t slot = probe(map, print, tag);
    if (map->slots[slot] == 0) {
        append_name(map, print, tag);
        map->slots[slot] = map->count;
    }
    return map->slots[slot] - 1;
}

struct span tagmap_text(const struct tagmap *map, uint32_t number)
{
    assert(number < map->count);
    return SPAN(map->texts.data + map->names[number].at, map->names[number].size);
}
