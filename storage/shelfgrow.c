/* shelfgrow.c - the parts of a shelf that are not sealed grow with what is applied. */
#include "storage/shelf.h"

#include <assert.h>

/* Gives every part up to the one at `slot` its growing index while last_id is still the id
 * before it: a part may hold no change at all. */
static void begin_parts(struct shelf *shelf, uint32_t slot)
{
    for (uint32_t i = slot + 1; i-- > 0;) {
        struct shelf_part *part = shelf->parts[i];
        if (part->indexed || part->index != NULL)
            return;
        shelf_growing(shelf, part);
    }
}

struct tagindex *shelf_growing(struct shelf *shelf, struct shelf_part *part)
{
    assert(!part->indexed);
    if (part->index == NULL) {
        part->index = bytes_zeroed(1, sizeof *part->index);
        tagindex_open(part->index, shelf->last_id + 1, shelf->last_hash);
    }
    return part->index;
}

enum err shelf_begin_changes(struct shelf *shelf, const struct effect *effect,
                             struct tagindex **index)
{
    uint32_t slot = shelf_slot_of(shelf, effect->index);
    if (slot == shelf->count || effect->first_id != shelf->last_id + 1)
        return ERR_CORRUPT;
    begin_parts(shelf, slot);
    struct shelf_part *part = shelf->parts[slot];
    *index = part->indexed ? NULL : shelf_growing(shelf, part);
    if (*index == NULL)
        return ERR_NONE;
    if ((*index)->next_id != effect->first_id)
        return ERR_CORRUPT;
    tagindex_add_run(*index, effect->index);
    return ERR_NONE;
}

void shelf_add_change(struct shelf *shelf, struct tagindex *index, const struct told *told)
{
    if (index != NULL)
        tagindex_take(index, told);
    shelf->last_id = told->id;
    memcpy(shelf->last_hash, told->link.hash, HASH_SIZE);
}

enum err shelf_add_changes(struct shelf *shelf, const struct effect *effect)
{
    struct tagindex *index;
    struct told told;
    TRY(shelf_begin_changes(shelf, effect, &index));
    told_begin(&told, effect);
    while (told_next(&told))
        shelf_add_change(shelf, index, &told);
    return told_end(&told);
}

void shelf_advance(struct shelf *shelf, uint64_t index)
{
    uint32_t slot = shelf_slot_of(shelf, index);
    if (slot < shelf->count)
        begin_parts(shelf, slot);
    shelf->applied = index;
}
