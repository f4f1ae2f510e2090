#include "storage/query.h"

#include "storage/match.h"
#include "storage/row.h"

enum { ALONG_MAX = 1000, LOOKED_MAX = 20000 /* rows read for one page */ };

/* One read in progress. */
struct query {
    struct shelf *shelf;
    const struct message_read *read;
    const struct query_tags *tags;
    struct query_buffers *buffers;
    struct match match;
    struct row_reader rows;
    uint64_t limit;
    size_t bytes;
    uint64_t since, end; /* the range: changes above `since`, up to `end` */
    uint32_t looked;
    bool backwards;
    bool error_known; /* of all times looked at; page->clock_error_ns is their bound then */
};

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- the range --------------------------------------------------------------------------------
 */

static void note_error(struct query *query, struct message_page *page, const struct row_time *time)
{
    query->error_known = query->error_known && time->error_ns > 0;
    page->clock_error_ns = query->error_known ? higher(page->clock_error_ns, time->error_ns) : 0;
}

/* The lowest id at or behind a time. Both of its neighbours decided it, so both errors count. */
static enum err find_time(struct query *query, uint64_t ts, struct message_page *page, uint64_t *id)
{
    struct row_time time;
    TRY(row_since(&query->rows, ts, id));
    if (*id <= query->shelf->last_id) {
        TRY(row_time(&query->rows, *id, &time));
        note_error(query, page, &time);
    }
    if (*id > query->shelf->first_id) {
        TRY(row_time(&query->rows, *id - 1, &time));
        note_error(query, page, &time);
    }
    return ERR_NONE;
}

static enum err limit_by_time(struct query *query, struct message_page *page)
{
    const struct message_read *read = query->read;
    uint64_t id;
    if (read->since_time > 0) {
        TRY(find_time(query, read->since_time, page, &id));
        if (id == query->shelf->first_id && id > 1) /* what was cut may belong to it */
            return ERR_TRUNCATED;
        query->since = higher(query->since, id - 1);
    }
    if (read->until_time > 0) {
        TRY(find_time(query, read->until_time, page, &id));
        query->end = lower(query->end, id - 1);
    }
    if (read->at_time > 0) {
        TRY(find_time(query, read->at_time + 1, page, &id));
        query->end = lower(query->end, id - 1);
    }
    return ERR_NONE;
}

/* A reader comes from a position of this log, and never skips what was cut unseen. */
static enum err check_position(struct query *query)
{
    const struct message_read *read = query->read;
    uint64_t first = query->shelf->first_id;
    uint8_t hash[HASH_SIZE];
    if (read->exact && read->since >= query->shelf->last_id)
        return ERR_NOT_FOUND;
    if (read->since > query->shelf->last_id)
        return ERR_AHEAD;
    bool from_since = !query->backwards && read->since_time == 0;
    if ((from_since || read->since > 0) && read->since + 1 < first)
        return ERR_TRUNCATED;
    if (query->backwards && first > 1 && query->end < first && query->shelf->last_id > 0)
        return ERR_TRUNCATED;
    if (read->since_hash.size == 0)
        return ERR_NONE;
    TRY(shelf_hash(query->shelf, read->since, hash));
    return span_equal(read->since_hash, SPAN(hash, sizeof hash)) ? ERR_NONE : ERR_AHEAD;
}

static enum err find_range(struct query *query, struct message_page *page)
{
    const struct message_read *read = query->read;
    query->since = read->since;
    query->end = query->shelf->last_id;
    if (read->until > 0)
        query->end = lower(query->end, read->until);
    if (read->before > 0)
        query->end = lower(query->end, read->before - 1);
    TRY(check_position(query));
    return limit_by_time(query, page);
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* With `latest`: a change of the key came after it. */
static enum err is_superseded(struct query *query, const struct change *change, uint64_t id,
                              bool *superseded)
{
    uint64_t newest;
    *superseded = false;
    if (!query->read->latest || !change->has_key)
        return ERR_NONE;
    TRY(query->tags->newest(query->tags->owner, change->key, &newest));
    *superseded = newest > id;
    return ERR_NONE;
}

/* *fits false: the row does not fit any more. *skip: it is not wanted. */
static enum err append_row(struct query *query, uint64_t id, struct message_page *page, bool *fits,
                           bool *skip)
{
    struct bytes *rows = &query->buffers->rows;
    size_t before = rows->size;
    struct change change;
    struct row_time time;
    uint8_t hash[HASH_SIZE];
    *fits = true;
    TRY(row_read(&query->rows, id, &change, &time, hash));
    TRY(is_superseded(query, &change, id, skip));
    if (*skip)
        return ERR_NONE;
    if (query->read->headers_only)
        change_row_encode_bare(id, time.ts, hash, &change, rows);
    else
        change_row_encode(id, time.ts, hash, &change, rows);
    *fits = page->count == 0 || rows->size <= query->bytes;
    if (*fits)
        page->count++;
    else
        rows->size = before;
    return ERR_NONE;
}

/* ---- pages ------------------------------------------------------------------------------------
 */

/* The hash at an id; zeros where there is none yet. */
static enum err hash_at(struct query *query, uint64_t id, uint8_t hash[HASH_SIZE])
{
    memset(hash, 0, HASH_SIZE);
    return id > query->shelf->last_id ? ERR_NONE : shelf_hash(query->shelf, id, hash);
}

/* Tags alone, any of them: the state knows their first use, so no index is asked. */
static enum err no_use_before(struct query *query, uint64_t since, bool *nothing)
{
    const struct texts *any = query->match.filter.any;
    *nothing = true;
    for (uint32_t i = 0; i < any->count; i++) {
        uint64_t first;
        TRY(query->tags->first(query->tags->owner, any->at[i], &first));
        *nothing = *nothing && (first == 0 || first > since);
    }
    return ERR_NONE;
}

static bool is_plain(const struct filter *filter)
{
    struct span prefix;
    for (uint32_t i = 0; i < filter->any->count; i++)
        if (filter_is_prefix(filter->any->at[i], &prefix))
            return false;
    return filter->any->count > 0 && filter->all->count + filter->none->count == 0;
}

/* True only if it is surely so: nothing that matches lies at `since` or before, nor was cut. */
static enum err nothing_before(struct query *query, uint64_t since, bool *nothing)
{
    uint64_t match;
    if (is_plain(&query->match.filter))
        return no_use_before(query, since, nothing);
    TRY(match_previous(&query->match, since + 1, 0, &match));
    *nothing = match == 0 && !query->match.stopped && query->shelf->first_id == 1;
    match_again(&query->match);
    return ERR_NONE;
}

/* A page ends also where too many rows were looked at for the few that it shows. */
static bool is_full(struct query *query, const struct message_page *page)
{
    return page->count == query->limit || query->looked++ == LOOKED_MAX;
}

static enum err read_forwards(struct query *query, struct message_page *page)
{
    uint64_t at = query->since, match;
    bool fits = true, skip = false;
    page->prev_id = at + 1;
    TRY(nothing_before(query, at, &page->at_start));
    for (;;) {
        TRY(match_next(&query->match, at, query->end, &match));
        if (match == 0 || is_full(query, page))
            break;
        TRY(append_row(query, match, page, &fits, &skip));
        if (!fits)
            break;
        if (page->count == 1 && !skip)
            page->prev_id = match;
        at = match;
    }
    bool stopped = query->match.stopped;
    page->at_end = match == 0 && !stopped;
    page->scanned_to = page->at_end ? query->end : match == 0 ? query->match.reached : at;
    page->scanned_to = higher(page->scanned_to, query->since);
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

/* The page at the end of the range; what lies behind it counts only where the reader came from
 * there, by `before`. */
static enum err read_backwards(struct query *query, size_t *ends, struct message_page *page)
{
    uint64_t at = query->end + 1, match, behind = 0;
    bool fits = true, skip = false;
    for (;;) {
        TRY(match_previous(&query->match, at, query->since + 1, &match));
        if (match == 0 || is_full(query, page))
            break;
        TRY(append_row(query, match, page, &fits, &skip));
        if (!fits)
            break;
        if (!skip)
            ends[page->count - 1] = query->buffers->rows.size;
        at = match;
    }
    if (!query->read->reverse)
        turn_rows(query->buffers, ends, page->count);
    bool stopped = query->match.stopped;
    page->at_start = match == 0 && !stopped;
    if (page->at_start && query->since == 0) /* what was cut counts, too */
        TRY(nothing_before(query, at - 1, &page->at_start));
    page->prev_id = stopped ? query->match.reached : at;
    page->next_id = page->scanned_to = query->end;
    match_again(&query->match);
    if (query->read->before > 0)
        TRY(match_next(&query->match, query->end, UINT64_MAX, &behind));
    page->at_end = behind == 0 && !query->match.stopped;
    return ERR_NONE;
}

static enum err read_exact(struct query *query, struct message_page *page)
{
    uint64_t id = query->read->since + 1;
    bool fits, skip;
    TRY(append_row(query, id, page, &fits, &skip));
    page->at_start = id == 1;
    page->at_end = id == query->shelf->last_id;
    page->prev_id = page->next_id = page->scanned_to = id;
    return ERR_NONE;
}

static enum err read_page(struct query *query, struct message_page *page)
{
    TRY(find_range(query, page));
    if (query->read->exact) {
        TRY(read_exact(query, page));
    } else if (!query->backwards) {
        TRY(read_forwards(query, page));
    } else {
        size_t *ends = bytes_zeroed(query->limit, sizeof *ends);
        enum err err = read_backwards(query, ends, page);
        bytes_free(ends);
        TRY(err);
    }
    TRY(hash_at(query, page->next_id, query->buffers->next_hash));
    return hash_at(query, page->prev_id, query->buffers->prev_hash);
}

static void query_open(struct query *query, struct shelf *shelf, const struct query_tags *tags,
                       const struct message_read *read, struct query_buffers *buffers)
{
    *query = (struct query){
        .shelf = shelf,
        .read = read,
        .tags = tags,
        .buffers = buffers,
        .limit = read->limit ? lower(read->limit, QUERY_LIMIT_MAX) : QUERY_LIMIT_PRESET,
        .bytes = (size_t)(read->bytes ? lower(read->bytes, QUERY_BYTES_MAX) : MiB(1)),
        .backwards = read->before > 0 || read->at_time > 0 || read->last || read->reverse,
        .error_known = true,
    };
    query->match.shelf = query->rows.shelf = shelf;
    query->match.filter = (struct filter){&read->tags, &read->all_tags, &read->no_tags};
    query->rows.records = &buffers->records;
    bool neighbours = filter_is_empty(&query->match.filter) && !query->backwards && !read->exact;
    query->rows.along = neighbours ? lower(query->limit, ALONG_MAX) : 0;
}

void query_read(struct shelf *shelf, const struct query_tags *tags, const struct message_read *read,
                struct query_buffers *buffers, struct message_page *page)
{
    struct query *query = bytes_zeroed(1, sizeof *query);
    query_open(query, shelf, tags, read, buffers);
    bytes_clear(&buffers->rows);
    *page = (struct message_page){.ticket = read->ticket};
    enum err err = read_page(query, page);
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
    match_close(&query->match);
    bytes_free(query);
}
