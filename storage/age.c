#include "storage/age.h"

/* Log time of the first record at or behind a log index; the time of arrival, also of an import. */
static enum err time_at(struct shelf *shelf, uint64_t index, uint64_t *ts)
{
    SCOPED(bytes) record = {0};
    TRY(shelf_read(shelf, index, index, 1, &record));
    *ts = entry_ts_of(bytes_span(&record));
    return ERR_NONE;
}

static enum err time_of(struct shelf *shelf, uint64_t id, uint64_t *ts)
{
    struct lookup lookup;
    uint64_t at;
    uint32_t ordinal;
    struct shelf_part *part = shelf_part_of_id(shelf, id);
    if (part == NULL)
        return ERR_CORRUPT;
    TRY(shelf_lookup(shelf, part, &lookup));
    TRY(lookup_find(&lookup, id, &at, &ordinal));
    return time_at(shelf, at, ts);
}

/* The last part that begins at or before `cutoff`: only its index is needed then. */
static enum err find_part(struct shelf *shelf, uint64_t cutoff, uint32_t *slot)
{
    uint32_t low = 0, high = shelf->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t ts = UINT64_MAX;
        if (shelf->parts[middle]->first <= shelf->applied)
            TRY(time_at(shelf, shelf->parts[middle]->first, &ts));
        if (ts <= cutoff)
            low = middle;
        else
            high = middle;
    }
    *slot = low;
    return ERR_NONE;
}

enum err age_first_younger(struct shelf *shelf, uint64_t cutoff, uint64_t *id)
{
    uint64_t low, high, ts;
    uint32_t slot;
    *id = shelf->first_id;
    if (shelf->first_id > shelf->last_id)
        return ERR_NONE;
    TRY(time_of(shelf, shelf->first_id, &ts));
    if (ts > cutoff)
        return ERR_NONE;
    TRY(find_part(shelf, cutoff, &slot));
    shelf_ids(shelf, shelf->parts[slot], &low, &high);
    low = low < shelf->first_id ? shelf->first_id : low;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        TRY(time_of(shelf, middle, &ts));
        if (ts <= cutoff)
            low = middle + 1;
        else
            high = middle;
    }
    *id = low;
    return ERR_NONE;
}
