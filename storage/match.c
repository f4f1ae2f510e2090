#include "storage/match.h"

#include "storage/bloom.h"

/* ---- the lists of one part --------------------------------------------------------------------
 */

static void forget(struct match *match)
{
    for (uint32_t i = 0; i < match->list_count; i++)
        lookup_list_close(&match->lists[i]);
    match->list_count = 0;
    match->part = NULL;
}

void match_close(struct match *match)
{
    forget(match);
}

void match_again(struct match *match)
{
    match->parts = match->steps = 0;
    match->stopped = false;
}

static bool may_have(const struct shelf_part *part, struct span term)
{
    struct span prefix;
    bool below = filter_is_prefix(term, &prefix);
    return bloom_has(bytes_span(&part->seal.bloom), below ? prefix : term);
}

/* True if a part may hold a match, by its Bloom filter. */
static bool may_match(const struct match *match, const struct shelf_part *part)
{
    const struct texts *any = match->filter.any, *all = match->filter.all;
    if (!part->indexed)
        return true;
    for (uint32_t i = 0; i < all->count; i++)
        if (!may_have(part, all->at[i]))
            return false;
    for (uint32_t i = 0; i < any->count; i++)
        if (may_have(part, any->at[i]))
            return true;
    return any->count == 0;
}

static enum err take_lists(struct match *match, const struct lookup *lookup,
                           const struct texts *terms)
{
    for (uint32_t i = 0; i < terms->count; i++)
        TRY(lookup_list(lookup, terms->at[i], &match->lists[match->list_count++]));
    return ERR_NONE;
}

/* Makes the lists those of the part. */
static enum err enter(struct match *match, struct shelf_part *part)
{
    struct lookup lookup;
    if (match->part == part)
        return ERR_NONE;
    forget(match);
    TRY(shelf_lookup(match->shelf, part, &lookup));
    TRY(take_lists(match, &lookup, match->filter.any));
    TRY(take_lists(match, &lookup, match->filter.all));
    TRY(take_lists(match, &lookup, match->filter.none));
    match->part = part;
    return ERR_NONE;
}

static bool is_in(const struct lookup_list *list, uint64_t offset)
{
    uint32_t slot = lookup_slot(list, offset);
    return slot < list->count && list->offsets[slot] == offset;
}

/* The nearest candidate at or behind `offset` (forwards), or at or before it: the nearest of all
 * tags of `any`, else of the first of `all`, else the offset itself. False: none. */
static bool candidate(const struct match *match, bool forwards, uint64_t offset, uint64_t *found)
{
    uint32_t any = match->filter.any->count, count = any > 0 ? any : match->filter.all->count > 0;
    bool some = count == 0;
    *found = offset;
    for (uint32_t i = 0; i < count; i++) {
        const struct lookup_list *list = &match->lists[i];
        uint32_t slot = lookup_slot(list, forwards ? offset : offset + 1);
        if (forwards ? slot == list->count : slot == 0)
            continue;
        uint64_t near = list->offsets[forwards ? slot : slot - 1];
        if (!some || (forwards ? near < *found : near > *found))
            *found = near;
        some = true;
    }
    return some;
}

static bool fits(const struct match *match, uint64_t offset)
{
    uint32_t at = match->filter.any->count, none = at + match->filter.all->count;
    for (; at < none; at++)
        if (!is_in(&match->lists[at], offset))
            return false;
    for (; at < match->list_count; at++)
        if (is_in(&match->lists[at], offset))
            return false;
    return true;
}

static bool out_of_steps(struct match *match, uint64_t id)
{
    match->steps += match->list_count + 1;
    if (match->steps < MATCH_STEPS_MAX)
        return false;
    match->stopped = true;
    match->reached = id;
    return true;
}

static bool out_of_parts(struct match *match)
{
    uint32_t most = match->parts_max > 0 ? match->parts_max : MATCH_PARTS_MAX;
    return ++match->parts == most;
}

/* The nearest match from `id` on within the part at hand, which has ids first..next - 1. */
static uint64_t search(struct match *match, uint64_t id, bool forwards)
{
    uint64_t offset = id - match->first, end = match->next - match->first, at;
    while (candidate(match, forwards, offset, &at) && at < end) {
        if (fits(match, at))
            return match->first + at;
        if ((forwards && at + 1 == end) || (!forwards && at == 0))
            return 0;
        offset = forwards ? at + 1 : at - 1;
        if (out_of_steps(match, match->first + at))
            return 0;
    }
    return 0;
}

/* ---- part by part ------------------------------------------------------------------------------
 */

/* False: no match can be in the part. */
static bool is_worth(struct match *match, struct shelf_part *part)
{
    uint64_t first, next;
    shelf_ids(match->shelf, part, &first, &next);
    return first < next && may_match(match, part);
}

static enum err search_part(struct match *match, struct shelf_part *part, uint64_t id,
                            bool forwards, uint64_t *found)
{
    TRY(enter(match, part));
    shelf_ids(match->shelf, part, &match->first, &match->next);
    uint64_t from = id;
    if (forwards && from < match->first)
        from = match->first;
    if (!forwards && from >= match->next)
        from = match->next - 1;
    *found = search(match, from, forwards);
    return ERR_NONE;
}

enum err match_next(struct match *match, uint64_t id, uint64_t upto, uint64_t *found)
{
    struct shelf *shelf = match->shelf;
    *found = 0;
    if (upto > shelf->last_id)
        upto = shelf->last_id;
    if (id >= upto)
        return ERR_NONE;
    if (filter_is_empty(&match->filter)) {
        *found = id + 1;
        return ERR_NONE;
    }
    for (uint32_t slot = shelf_slot_of_id(shelf, id + 1); slot < shelf->count; slot++) {
        uint64_t first, next;
        struct shelf_part *part = shelf->parts[slot];
        shelf_ids(shelf, part, &first, &next);
        if (first > upto)
            return ERR_NONE;
        if (!is_worth(match, part))
            continue;
        TRY(search_part(match, part, id + 1, true, found));
        if (*found > upto)
            *found = 0;
        if (*found != 0 || match->stopped || next > upto)
            return ERR_NONE;
        if (out_of_parts(match)) {
            match->stopped = true;
            match->reached = next - 1;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

enum err match_previous(struct match *match, uint64_t id, uint64_t downto, uint64_t *found)
{
    struct shelf *shelf = match->shelf;
    *found = 0;
    if (id > shelf->last_id + 1)
        id = shelf->last_id + 1;
    if (downto < shelf->first_id)
        downto = shelf->first_id;
    if (id <= downto)
        return ERR_NONE;
    if (filter_is_empty(&match->filter)) {
        *found = id - 1;
        return ERR_NONE;
    }
    for (uint32_t slot = shelf_slot_of_id(shelf, id - 1) + 1; slot-- > 0;) {
        uint64_t first, next;
        struct shelf_part *part = shelf->parts[slot];
        shelf_ids(shelf, part, &first, &next);
        if (next <= downto)
            return ERR_NONE;
        if (!is_worth(match, part))
            continue;
        TRY(search_part(match, part, id - 1, false, found));
        if (*found != 0 && *found < downto)
            *found = 0;
        if (*found != 0 || match->stopped || first <= downto)
            return ERR_NONE;
        if (out_of_parts(match)) {
            match->stopped = true;
            match->reached = first;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

/* One list says it all. */
static void copy_list(const struct match *match, uint64_t from, uint64_t upto,
                      struct bytes *offsets)
{
    const struct lookup_list *list = &match->lists[0];
    uint32_t begin = lookup_slot(list, from - match->first);
    uint32_t end = lookup_slot(list, upto + 1 - match->first);
    if (end > begin)
        bytes_append(offsets, list->offsets + begin, (end - begin) * sizeof *list->offsets);
}

static void search_all(struct match *match, uint64_t from, uint64_t upto, struct bytes *offsets)
{
    for (uint64_t found; from <= upto; from = found + 1) {
        found = search(match, from, true);
        if (found == 0 || found > upto)
            return;
        uint32_t offset = (uint32_t)(found - match->first);
        bytes_append(offsets, &offset, sizeof offset);
        if (out_of_steps(match, found))
            return;
    }
}

enum err match_gather(struct match *match, struct shelf_part *part, uint64_t from, uint64_t upto,
                      struct bytes *offsets)
{
    if (!is_worth(match, part))
        return ERR_NONE;
    TRY(enter(match, part));
    shelf_ids(match->shelf, part, &match->first, &match->next);
    match->parts++;
    if (match->list_count == 1 && match->filter.none->count == 0)
        copy_list(match, from, upto, offsets);
    else
        search_all(match, from, upto, offsets);
    return ERR_NONE;
}
