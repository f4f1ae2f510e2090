#include "storage/told.h"

void told_begin(struct told *told, const struct effect *effect)
{
    told->effect = effect;
    told->id = effect->first_id - 1;
    told->links = effect->links;
    told->broken = false;
    change_walk_begin(&told->walk, effect->body);
}

bool told_next(struct told *told)
{
    if (!change_walk_next(&told->walk, &told->change))
        return false;
    told->id++;
    told->ts = change_ts(&told->change, told->effect->ts);
    told->broken = !effect_link_next(&told->links, &told->link) ||
                   told->link.tag_count != told->change.tags.count;
    return !told->broken;
}

enum err told_end(const struct told *told)
{
    bool ended = told->id == told->effect->last_id && told->walk.left == 0 && told->links.size == 0;
    return ended && !told->broken ? ERR_NONE : ERR_CORRUPT;
}
