#include "storage/query.h"

#include "storage/bloom.h"

/* One read in progress. */
struct query {
    struct shelf *shelf;
    const struct message_read *read;
    struct query_buffers *buffers;
    uint64_t limit;
    size_t bytes;
    uint32_t parts_left;
    uint64_t stopped_at; /* not 0: the parts ran out; ids beyond this one were not looked at */
    struct span rest;    /* of buffers->records, behind `record` */
    struct entry record; /* index 0: none */
    struct change_walk walk;
    uint32_t ordinal; /* of the change that `walk` gives next */
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- which ids match ------------------------------------------------------------------------ */

/* True if a part may hold one of the tags. */
static bool may_match(const struct query *query, const struct shelf_part *part)
{
    if (!part->indexed)
        return true;
    for (uint32_t i = 0; i < query->read->tags.count; i++) {
        if (bloom_has(bytes_span(&part->seal.bloom), query->read->tags.at[i]))
            return true;
    }
    return false;
}

/* The nearest match in one part above (forwards) or below `id`; 0: none. */
static uint64_t match_in(const struct query *query, const struct tagindex *index, uint64_t id,
                         bool forwards)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < query->read->tags.count; i++) {
        struct span tag = query->read->tags.at[i];
        uint64_t found =
            forwards ? tagindex_after(index, tag, id) : tagindex_before(index, tag, id);
        if (found != 0 && (best == 0 || (forwards ? found < best : found > best)))
            best = found;
    }
    return best;
}

/* The nearest match in the part at `slot`; 0: none. */
static enum err match_at(struct query *query, uint32_t slot, uint64_t id, bool forwards,
                         uint64_t *match)
{
    struct shelf_part *part = query->shelf->parts[slot];
    const struct tagindex *index = NULL;
    uint64_t first, next;
    *match = 0;
    shelf_ids(query->shelf, part, &first, &next);
    if (first == next || !may_match(query, part))
        return ERR_NONE;
    TRY(shelf_index(query->shelf, part, &index));
    *match = match_in(query, index, id, forwards);
    return ERR_NONE;
}

/* The lowest match above `id`; 0: none, or query->stopped_at is set. */
static enum err next_match(struct query *query, uint64_t id, uint64_t *match)
{
    struct shelf *shelf = query->shelf;
    *match = 0;
    if (id >= shelf->last_id)
        return ERR_NONE;
    if (query->read->tags.count == 0) {
        *match = id + 1;
        return ERR_NONE;
    }
    uint64_t first, next;
    for (uint32_t slot = shelf_slot_of_id(shelf, id + 1); slot < shelf->count; slot++) {
        shelf_ids(shelf, shelf->parts[slot], &first, &next);
        TRY(match_at(query, slot, id, true, match));
        if (*match > shelf->last_id)
            *match = 0;
        if (*match != 0 || next > shelf->last_id)
            return ERR_NONE;
        if (--query->parts_left == 0) {
            query->stopped_at = next - 1;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

/* The highest match below `id`; 0: none, or query->stopped_at is set. */
static enum err previous_match(struct query *query, uint64_t id, uint64_t *match)
{
    struct shelf *shelf = query->shelf;
    *match = 0;
    id = lower(id, shelf->last_id + 1);
    if (id <= shelf->first_id)
        return ERR_NONE;
    if (query->read->tags.count == 0) {
        *match = id - 1;
        return ERR_NONE;
    }
    uint64_t first, next;
    uint32_t oldest = shelf_slot_of_id(shelf, shelf->first_id);
    for (uint32_t slot = shelf_slot_of_id(shelf, id - 1) + 1; slot-- > 0;) {
        shelf_ids(shelf, shelf->parts[slot], &first, &next);
        TRY(match_at(query, slot, id, false, match));
        if (*match < shelf->first_id)
            *match = 0; /* cut, though its file may still be there */
        if (*match != 0 || slot <= oldest)
            return ERR_NONE;
        if (--query->parts_left == 0) {
            query->stopped_at = first;
            return ERR_NONE;
        }
    }
    return ERR_NONE;
}

/* ---- one row -------------------------------------------------------------------------------- */

/* Takes the next record of those read in one go. */
static bool next_record(struct query *query)
{
    struct span record;
    if (!entry_next(&query->rest, &record) || entry_decode(record, &query->record) != ERR_NONE)
        return false;
    query->ordinal = 0;
    if (entry_is_write(query->record.kind))
        change_walk_begin(&query->walk, query->record.body);
    return true;
}

/* Makes the record at a log index the present one. Neighbours are read along where the
 * next rows will want them. */
static enum err find_record(struct query *query, uint64_t index)
{
    while (query->record.index != 0 && query->record.index < index && next_record(query))
        continue;
    if (query->record.index == index)
        return ERR_NONE;
    bool neighbours =
        query->read->tags.count == 0 && query->read->before == 0 && !query->read->exact;
    bytes_clear(&query->buffers->records);
    query->record.index = 0;
    TRY(shelf_read(query->shelf, index, neighbours ? index + query->limit : index,
                   neighbours ? lower(query->bytes, KiB(256)) : 1, &query->buffers->records));
    query->rest = bytes_span(&query->buffers->records);
    return next_record(query) && query->record.index == index ? ERR_NONE : ERR_CORRUPT;
}

/* Lends the change at `ordinal` of the present record. */
static enum err find_change(struct query *query, uint32_t ordinal, struct change *change)
{
    if (!entry_is_write(query->record.kind))
        return ERR_CORRUPT;
    if (query->ordinal > ordinal) {
        change_walk_begin(&query->walk, query->record.body);
        query->ordinal = 0;
    }
    do {
        if (!change_walk_next(&query->walk, change))
            return ERR_CORRUPT;
    } while (query->ordinal++ < ordinal);
    return ERR_NONE;
}

/* Appends the row of an id, checked. What damages it is never "not found". */
static enum err append_row(struct query *query, uint64_t id)
{
    const struct tagindex *index = NULL;
    struct shelf_part *part = shelf_part_of_id(query->shelf, id);
    struct change change;
    uint64_t log_index;
    uint32_t ordinal;
    uint8_t hash[HASH_SIZE];
    if (part == NULL)
        return ERR_CORRUPT;
    TRY(shelf_index(query->shelf, part, &index));
    if (!tagindex_find(index, id, &log_index, &ordinal))
        return ERR_CORRUPT;
    enum err err = find_record(query, log_index);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    TRY(find_change(query, ordinal, &change));
    uint64_t ts = change_ts(&change, query->record.ts);
    change_hash(tagindex_hash(index, id - 1), id, ts, &change, hash);
    if (memcmp(hash, tagindex_hash(index, id), HASH_SIZE) != 0)
        return ERR_CORRUPT;
    change_row_encode(id, ts, hash, &change, &query->buffers->rows);
    return ERR_NONE;
}

/* As append_row, unless the row does not fit any more. */
static enum err append_fitting(struct query *query, uint64_t id, uint64_t count, bool *fits)
{
    size_t before = query->buffers->rows.size;
    TRY(append_row(query, id));
    *fits = count == 0 || query->buffers->rows.size <= query->bytes;
    if (!*fits)
        query->buffers->rows.size = before;
    return ERR_NONE;
}

/* ---- pages ---------------------------------------------------------------------------------- */

/* The hash at an id; zeros where there is none yet. */
static enum err hash_at(struct query *query, uint64_t id, uint8_t hash[HASH_SIZE])
{
    memset(hash, 0, HASH_SIZE);
    return id > query->shelf->last_id ? ERR_NONE : shelf_hash(query->shelf, id, hash);
}

/* True if no tag of the filter was used at `since` or before; what was cut counts as used. */
static enum err nothing_before(struct query *query, const struct query_tags *tags, uint64_t since,
                               bool *nothing)
{
    *nothing = since == 0;
    for (uint32_t i = 0; i < query->read->tags.count; i++) {
        uint64_t first;
        TRY(tags->first(tags->owner, query->read->tags.at[i], &first));
        if (i == 0)
            *nothing = true;
        *nothing = *nothing && (first == 0 || first > since);
    }
    return ERR_NONE;
}

static enum err read_forwards(struct query *query, const struct query_tags *tags,
                              struct message_page *page)
{
    uint64_t at = query->read->since, match;
    bool fits = true;
    page->prev_id = at + 1;
    TRY(nothing_before(query, tags, at, &page->at_start));
    for (;;) {
        TRY(next_match(query, at, &match));
        if (match == 0 || page->count == query->limit)
            break;
        TRY(append_fitting(query, match, page->count, &fits));
        if (!fits)
            break;
        if (page->count++ == 0)
            page->prev_id = match;
        at = match;
    }
    page->at_end = match == 0 && query->stopped_at == 0;
    page->scanned_to = page->at_end ? query->shelf->last_id : match == 0 ? query->stopped_at : at;
    page->next_id = page->scanned_to;
    return ERR_NONE;
}

/* Rows were found from the last one on; clients read them from the first one on. */
static void turn_rows(struct query_buffers *buffers, const size_t *ends, uint64_t count)
{
    struct bytes turned = {0};
    for (uint64_t row = count; row-- > 0;) {
        size_t begin = row == 0 ? 0 : ends[row - 1];
        bytes_append(&turned, buffers->rows.data + begin, ends[row] - begin);
    }
    bytes_close(&buffers->rows);
    buffers->rows = turned;
}

static enum err read_backwards(struct query *query, const struct query_tags *tags, size_t *ends,
                               struct message_page *page)
{
    uint64_t before = lower(query->read->before, query->shelf->last_id + 1);
    uint64_t at = before, match, behind;
    bool fits = true;
    for (;;) {
        TRY(previous_match(query, at, &match));
        if (match == 0 || page->count == query->limit)
            break;
        TRY(append_fitting(query, match, page->count, &fits));
        if (!fits)
            break;
        ends[page->count++] = query->buffers->rows.size;
        at = match;
    }
    turn_rows(query->buffers, ends, page->count);
    bool nothing;
    TRY(nothing_before(query, tags, at - 1, &nothing));
    page->at_start = match == 0 && query->stopped_at == 0 && nothing;
    page->prev_id = query->stopped_at != 0 ? query->stopped_at : at;
    page->next_id = page->scanned_to = before - 1;
    query->parts_left = QUERY_PARTS_MAX;
    query->stopped_at = 0;
    TRY(next_match(query, before - 1, &behind));
    page->at_end = behind == 0 && query->stopped_at == 0;
    return ERR_NONE;
}

static enum err read_exact(struct query *query, struct message_page *page)
{
    uint64_t id = query->read->since + 1;
    if (id > query->shelf->last_id)
        return ERR_NOT_FOUND;
    TRY(append_row(query, id));
    page->count = 1;
    page->at_start = id == 1;
    page->at_end = id == query->shelf->last_id;
    page->prev_id = page->next_id = page->scanned_to = id;
    return ERR_NONE;
}

/* The position a reader comes from must be one of this log. */
static enum err check_position(struct query *query)
{
    const struct message_read *read = query->read;
    uint8_t hash[HASH_SIZE];
    if (read->exact && read->since >= query->shelf->last_id)
        return ERR_NOT_FOUND;
    if (read->since > query->shelf->last_id)
        return ERR_AHEAD;
    bool below = read->before != 0 ? read->before <= query->shelf->first_id
                                   : read->since + 1 < query->shelf->first_id;
    if (below && query->shelf->first_id > 1)
        return ERR_TRUNCATED;
    if (read->since_hash.size == 0)
        return ERR_NONE;
    TRY(shelf_hash(query->shelf, read->since, hash));
    return span_equal(read->since_hash, SPAN(hash, sizeof hash)) ? ERR_NONE : ERR_AHEAD;
}

static enum err read_page(struct query *query, const struct query_tags *tags,
                          struct message_page *page)
{
    TRY(check_position(query));
    if (query->read->exact) {
        TRY(read_exact(query, page));
    } else if (query->read->before == 0) {
        TRY(read_forwards(query, tags, page));
    } else {
        size_t *ends = bytes_zeroed(query->limit, sizeof *ends);
        enum err err = read_backwards(query, tags, ends, page);
        bytes_free(ends);
        TRY(err);
    }
    TRY(hash_at(query, page->next_id, query->buffers->next_hash));
    return hash_at(query, page->prev_id, query->buffers->prev_hash);
}

void query_read(struct shelf *shelf, const struct query_tags *tags, const struct message_read *read,
                struct query_buffers *buffers, struct message_page *page)
{
    struct query query = {
        .shelf = shelf,
        .read = read,
        .buffers = buffers,
        .limit = read->limit ? lower(read->limit, QUERY_LIMIT_MAX) : QUERY_LIMIT_PRESET,
        .bytes = (size_t)(read->bytes ? lower(read->bytes, QUERY_BYTES_MAX) : MiB(1)),
        .parts_left = QUERY_PARTS_MAX,
    };
    bytes_clear(&buffers->rows);
    *page = (struct message_page){.ticket = read->ticket};
    enum err err = read_page(&query, tags, page);
    if (err != ERR_NONE) {
        *page = (struct message_page){.ticket = read->ticket, .error = SPAN_TEXT(err_name(err))};
        bytes_clear(&buffers->rows);
    } else {
        page->next_hash = SPAN(buffers->next_hash, HASH_SIZE);
        page->prev_hash = SPAN(buffers->prev_hash, HASH_SIZE);
    }
    page->first_id = shelf->last_id ? shelf->first_id : 0;
    page->last_id = shelf->last_id;
    page->rows = bytes_span(&buffers->rows);
}
