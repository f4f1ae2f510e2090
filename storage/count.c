#include "storage/count.h"

#include "storage/match.h"
#include "storage/row.h"

/* One ask in progress. */
struct count {
    struct shelf *shelf;
    const struct message_weigh *ask;
    struct query_buffers *buffers;
    struct message_weighed *weighed;
    struct match match;
    struct row_reader rows;
    struct bytes offsets;
    uint64_t end;           /* of the range */
    uint64_t share;         /* changes read of one part; a power of two */
    uint64_t looked, bytes; /* changes read */
};

/* Those of one part that match. */
struct hits {
    const uint32_t *offsets; /* NULL: every id from `first` on */
    uint64_t first, count;
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- sizes ------------------------------------------------------------------------------------
 */

static uint64_t hit_at(const struct hits *hits, uint64_t slot)
{
    return hits->first + (hits->offsets != NULL ? hits->offsets[slot] : slot);
}

static bool is_spent(const struct count *count)
{
    return count->looked >= COUNT_ROWS_MAX || count->bytes >= COUNT_BYTES_MAX;
}

static enum err weigh_row(struct count *count, uint64_t id, uint64_t *size)
{
    struct bytes *rows = &count->buffers->rows;
    struct change change;
    struct row_time time;
    uint8_t hash[HASH_SIZE];
    TRY(row_read(&count->rows, id, &change, &time, hash));
    bytes_clear(rows);
    change_row_encode(id, time.ts, hash, &change, rows);
    *size = rows->size;
    count->looked++;
    count->bytes += rows->size;
    return ERR_NONE;
}

/* Each of them, as far as the bounds allow, and at least one. */
static enum err weigh_all(struct count *count, const struct hits *hits, uint64_t *reached)
{
    for (uint64_t slot = 0; slot < hits->count; slot++) {
        uint64_t id = hit_at(hits, slot), size;
        TRY(weigh_row(count, id, &size));
        count->weighed->count++;
        count->weighed->bytes += size;
        if (is_spent(count) && slot + 1 < hits->count) {
            *reached = id;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

static uint64_t mixed(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    return (number ^ number >> 27) * 0x94d049bb133111ebu >> 16;
}

/* One out of each of `share` stretches of the same length, by chance: sizes may come in a rhythm.
 * The stretches take turns from all over the part, so that fewer of them stand for it as well. */
static enum err weigh_some(struct count *count, const struct hits *hits)
{
    uint64_t sum = 0, taken = 0, stretches = count->share;
    while (taken < stretches && (taken == 0 || !is_spent(count))) {
        uint64_t at = taken * 0x9e3779b1u % stretches, size;
        uint64_t begin = at * hits->count / stretches, end = (at + 1) * hits->count / stretches;
        uint64_t slot = begin + mixed(hits->first + at) % (end - begin);
        TRY(weigh_row(count, hit_at(hits, slot), &size));
        sum += size;
        taken++;
    }
    count->weighed->count += hits->count;
    count->weighed->bytes += sum * hits->count / taken;
    count->weighed->exact = false;
    return ERR_NONE;
}

/* ---- part by part ------------------------------------------------------------------------------
 */

/* `reached`: up to where the ids from..upto of the part were counted. */
static enum err count_part(struct count *count, struct shelf_part *part, uint64_t from,
                           uint64_t upto, uint64_t *reached)
{
    struct match *match = &count->match;
    struct hits hits = {.first = from, .count = upto - from + 1};
    *reached = upto;
    if (filter_is_empty(&match->filter)) {
        match->parts++;
    } else {
        bytes_clear(&count->offsets);
        TRY(match_gather(match, part, from, upto, &count->offsets));
        hits.offsets = (const uint32_t *)(const void *)count->offsets.data;
        hits.count = count->offsets.size / sizeof *hits.offsets;
        hits.first = match->first;
        if (match->stopped)
            *reached = match->reached;
    }
    if (count->ask->exact || hits.count <= count->share)
        return weigh_all(count, &hits, reached);
    return weigh_some(count, &hits);
}

static enum err count_range(struct count *count)
{
    struct shelf *shelf = count->shelf;
    struct message_weighed *weighed = count->weighed;
    uint32_t slot = shelf_slot_of_id(shelf, weighed->scanned_to + 1);
    for (; slot < shelf->count; slot++) {
        uint64_t first, next;
        shelf_ids(shelf, shelf->parts[slot], &first, &next);
        uint64_t from = higher(first, weighed->scanned_to + 1), upto = lower(next - 1, count->end);
        if (first > count->end)
            break;
        if (from > upto)
            continue;
        if (count->match.parts >= COUNT_PARTS_MAX || is_spent(count))
            return ERR_NONE;
        TRY(count_part(count, shelf->parts[slot], from, upto, &weighed->scanned_to));
        if (weighed->scanned_to < upto)
            return ERR_NONE;
    }
    weighed->scanned_to = higher(weighed->scanned_to, count->end);
    weighed->at_end = true;
    return ERR_NONE;
}

/* ---- the range --------------------------------------------------------------------------------
 */

/* What was cut is an error where a reader names a place in it; a range without a beginning is that
 * of all that is kept. */
static enum err find_range(struct count *count)
{
    const struct message_weigh *ask = count->ask;
    uint64_t first = count->shelf->first_id, last = count->shelf->last_id, id;
    uint64_t *since = &count->weighed->scanned_to;
    if (ask->since > last)
        return ERR_AHEAD;
    if (ask->since > 0 && ask->since + 1 < first)
        return ERR_TRUNCATED;
    *since = higher(ask->since, first - 1);
    count->end = ask->until > 0 ? lower(ask->until, last) : last;
    if (ask->since_time > 0) {
        TRY(row_since(&count->rows, ask->since_time, &id));
        if (id == first && id > 1) /* what was cut may belong to it */
            return ERR_TRUNCATED;
        *since = higher(*since, id - 1);
    }
    if (ask->until_time > 0) {
        TRY(row_since(&count->rows, ask->until_time, &id));
        count->end = lower(count->end, id - 1);
    }
    return ERR_NONE;
}

/* What may be read is shared among the parts that one ask can reach. */
static void find_share(struct count *count)
{
    struct shelf *shelf = count->shelf;
    uint64_t from = shelf_slot_of_id(shelf, count->weighed->scanned_to + 1);
    uint64_t parts = 1 + shelf_slot_of_id(shelf, count->end) - from;
    count->share = COUNT_ROWS_MAX;
    while (count->share > 1 && count->share * lower(parts, COUNT_PARTS_MAX) > COUNT_ROWS_MAX)
        count->share /= 2;
}

static enum err count_all(struct count *count)
{
    TRY(find_range(count));
    if (count->weighed->scanned_to < count->end) {
        find_share(count);
        return count_range(count);
    }
    count->weighed->at_end = true;
    return ERR_NONE;
}

void count_read(struct shelf *shelf, const struct message_weigh *ask, struct query_buffers *buffers,
                struct message_weighed *weighed)
{
    struct count *count = bytes_zeroed(1, sizeof *count);
    *weighed = (struct message_weighed){.ticket = ask->ticket, .exact = true};
    *count = (struct count){.shelf = shelf, .ask = ask, .buffers = buffers, .weighed = weighed};
    count->match.shelf = count->rows.shelf = shelf;
    count->match.filter = (struct filter){&ask->tags, &ask->all_tags, &ask->no_tags};
    count->match.steps = MATCH_STEPS_MAX - COUNT_STEPS_MAX;
    count->rows.records = &buffers->records;
    enum err err = count_all(count);
    if (err != ERR_NONE)
        *weighed =
            (struct message_weighed){.ticket = ask->ticket, .error = SPAN_TEXT(err_name(err))};
    weighed->first_id = shelf->last_id ? shelf->first_id : 0;
    weighed->last_id = shelf->last_id;
    match_close(&count->match);
    bytes_close(&count->offsets);
    bytes_free(count);
}
