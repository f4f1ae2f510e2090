#include "storage/backlog.h"

#include "protocol/entry.h"

#include <assert.h>

static struct backlog_place *place_at(const struct backlog *backlog, uint32_t slot)
{
    return &backlog->ring[(backlog->begin + slot) & (backlog->ring_size - 1)];
}

static void grow(struct backlog *backlog)
{
    uint32_t size = backlog->ring_size ? backlog->ring_size * 2 : 1024;
    struct backlog_place *ring = bytes_zeroed(size, sizeof *ring);
    for (uint32_t slot = 0; slot < backlog->count; slot++)
        ring[slot] = *place_at(backlog, slot);
    bytes_free(backlog->ring);
    backlog->ring = ring;
    backlog->ring_size = size;
    backlog->begin = 0;
}

static void push(struct backlog *backlog, struct blob *blob, struct span record)
{
    if (backlog->count == backlog->ring_size)
        grow(backlog);
    backlog->count++;
    *place_at(backlog, backlog->count - 1) = (struct backlog_place){
        blob_hold(blob), (uint32_t)(record.data - blob->data), (uint32_t)record.size};
    backlog->bytes += record.size;
}

static void release(struct backlog *backlog, struct backlog_place *place)
{
    backlog->bytes -= place->size;
    blob_release(place->blob);
}

/* Forgets what is known at `index` and above. */
static void cut(struct backlog *backlog, uint64_t index)
{
    while (backlog->count > 0 && backlog->first + backlog->count > index) {
        release(backlog, place_at(backlog, backlog->count - 1));
        backlog->count--;
    }
    if (backlog->disk_last >= index)
        backlog->disk_last = index - 1;
}

void backlog_open(struct backlog *backlog, uint64_t last)
{
    backlog->disk_last = last;
}

void backlog_close(struct backlog *backlog)
{
    cut(backlog, 1);
    bytes_free(backlog->ring);
    *backlog = (struct backlog){0};
}

uint64_t backlog_last(const struct backlog *backlog)
{
    return backlog->count > 0 ? backlog->first + backlog->count - 1 : backlog->disk_last;
}

enum err backlog_store(struct backlog *backlog, struct blob *records, uint64_t first)
{
    struct span rest = blob_span(records), record;
    if (first <= backlog->applied || first > backlog_last(backlog) + 1)
        return ERR_CORRUPT;
    cut(backlog, first);
    if (backlog->count == 0)
        backlog->first = first;
    for (uint64_t index = first; entry_next(&rest, &record); index++) {
        if (entry_index_of(record) != index)
            return ERR_CORRUPT;
        push(backlog, records, record);
    }
    return rest.size == 0 ? ERR_NONE : ERR_CORRUPT;
}

void backlog_vouch(struct backlog *backlog, uint64_t index, uint64_t term)
{
    if (index <= backlog->applied)
        return;
    uint32_t at = backlog->pair_count;
    while (at > 0 && backlog->pairs[at - 1].index > index)
        at--;
    bool known =
        at > 0 && backlog->pairs[at - 1].index == index && backlog->pairs[at - 1].term == term;
    if (known)
        return;
    if (backlog->pair_count == BACKLOG_PAIRS_MAX) {
        if (at < BACKLOG_PAIRS_MAX)
            return; /* an older one than the newest: the pairs above say more */
        at = BACKLOG_PAIRS_MAX - 1;
        backlog->pair_count--;
    }
    memmove(&backlog->pairs[at + 1], &backlog->pairs[at],
            (backlog->pair_count - at) * sizeof backlog->pairs[0]);
    backlog->pairs[at] = (struct backlog_pair){index, term};
    backlog->pair_count++;
}

enum err backlog_target(struct backlog *backlog, const struct backlog_source *source,
                        uint64_t *target)
{
    struct span record;
    *target = backlog->applied;
    for (uint32_t slot = backlog->pair_count; slot-- > 0;) {
        struct backlog_pair pair = backlog->pairs[slot];
        uint64_t term = 0;
        if (pair.index > backlog_last(backlog))
            continue;
        if (backlog_record(backlog, pair.index, &record))
            term = entry_term_of(record);
        else
            TRY(source->term(source->owner, pair.index, &term));
        if (term != pair.term)
            continue;
        *target = pair.index;
        return ERR_NONE;
    }
    return ERR_NONE;
}

bool backlog_is_hungry(const struct backlog *backlog)
{
    return backlog->pair_count > 0;
}

bool backlog_record(const struct backlog *backlog, uint64_t index, struct span *record)
{
    if (backlog->count == 0 || index < backlog->first || index >= backlog->first + backlog->count)
        return false;
    const struct backlog_place *place = place_at(backlog, (uint32_t)(index - backlog->first));
    *record = SPAN(place->blob->data + place->at, place->size);
    return true;
}

void backlog_applied(struct backlog *backlog, uint64_t index)
{
    uint32_t past = 0;
    assert(index >= backlog->applied && index <= backlog_last(backlog));
    backlog->applied = index;
    while (backlog->count > 0 && backlog->first <= index) {
        release(backlog, place_at(backlog, 0));
        backlog->begin = (backlog->begin + 1) & (backlog->ring_size - 1);
        backlog->count--;
        backlog->first++;
    }
    if (backlog->count == 0 && backlog->disk_last < index)
        backlog->disk_last = index;
    while (past < backlog->pair_count && backlog->pairs[past].index <= index)
        past++;
    backlog->pair_count -= past;
    memmove(backlog->pairs, backlog->pairs + past, backlog->pair_count * sizeof backlog->pairs[0]);
}
