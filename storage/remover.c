#include "storage/remover.h"

#include "common/log.h"

/* Would it go with this state, if that is all there is? */
static bool may_go(struct shelf *shelf, const struct apply_mark *state, uint64_t durable_index)
{
    uint64_t first, next;
    if (shelf->count < 2 || shelf->parts[1]->first > durable_index)
        return false;
    struct shelf_part *oldest = shelf->parts[0];
    if (!oldest->indexed || oldest->handed != NULL)
        return false;
    shelf_ids(shelf, oldest, &first, &next);
    return next <= state->first_id && oldest->last < state->keep_index &&
           oldest->last <= durable_index;
}

bool remover_due(struct shelf *shelf, const struct late *late)
{
    return may_go(shelf, &late->durable_at, late->durable);
}

bool remover_waits(struct shelf *shelf, const struct late *late, uint64_t now_ms)
{
    return late->durable < late->written && now_ms >= late->not_before_ms &&
           may_go(shelf, &late->written_at, late->written) && !remover_due(shelf, late);
}

enum err remover_step(struct shelf *shelf)
{
    struct shelf_part *oldest = shelf->parts[0];
    log_info("segment_cut", kv_text("path", oldest->path), kv_u64("last", oldest->last));
    shelf_close_reader(oldest);
    TRY(segment_remove_sealed(oldest->path));
    TRY(seal_remove(oldest->path));
    shelf_drop_oldest(shelf);
    return ERR_NONE;
}
