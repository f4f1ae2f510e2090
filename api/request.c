/* request.c - checks asks; see request.h. */
#include "api/request.h"

#define ALLOWED              ((struct refusal){ERR_NONE, NULL})
#define REFUSED(err, detail) ((struct refusal){err, detail})

/* A body that lies about its inside is refused by apply too, the same everywhere; here the
 * client learns it without a record in the log. */
static struct refusal check_body(const struct standing *standing, const struct message_put *put,
                                 uint32_t *count)
{
    const char *detail = NULL;
    const struct change_limits limits = settings_limits(&standing->settings);
    struct settings settings = standing->settings;
    *count = 0;
    if (put->import + put->settings + put->holder + put->rule > 1)
        return REFUSED(ERR_BAD_REQUEST, "import, settings, holder, rule: one of them");
    if (put->holder) {
        enum err wrong = holders_check(put->body, &detail);
        return REFUSED(wrong, detail);
    }
    if (put->rule) {
        enum err wrong = rules_check(put->body, &detail);
        return REFUSED(wrong, detail);
    }
    if (put->settings) {
        enum err wrong = settings_merge(&settings, put->body, &detail);
        return REFUSED(wrong, detail);
    }
    enum change_form form = put->import ? CHANGE_IMPORT : CHANGE_PUT;
    enum err err = change_body_check(put->body, form, &limits, count, &detail);
    return REFUSED(err, detail);
}

struct refusal request_put(const struct standing *standing, const struct message_put *put,
                           struct entry *entry)
{
    if (put->txid.size != TXID_SIZE)
        return REFUSED(ERR_BAD_REQUEST, "txid: 16 random bytes, drawn before the first send");
    if (put->body.size == 0)
        return REFUSED(ERR_BAD_REQUEST, "body: a msgpack map with changes");
    if (!standing->storage_up || !standing->consensus_up)
        return REFUSED(ERR_NOT_READY,
                       standing->storage_up ? "consensus is starting" : "storage is starting");
    if (standing->removed)
        return REFUSED(ERR_NO_LEADER, REQUEST_REMOVED);
    if (standing->ts == 0)
        return REFUSED(ERR_NOT_READY, "the cluster is not founded yet");
    if (standing->behind_ms > REQUEST_BEHIND_MS)
        return REFUSED(ERR_BEHIND, "this node applies more than 2 s behind the leader");
    uint32_t count;
    struct refusal refusal = check_body(standing, put, &count);
    if (refusal.err != ERR_NONE)
        return refusal;
    *entry = (struct entry){
        .kind = put->settings ? ENTRY_SETTINGS
                : put->holder ? ENTRY_HOLDER
                : put->rule   ? ENTRY_RULE
                : put->import ? ENTRY_IMPORT
                              : ENTRY_DATA,
        .change_count = count,
        .born = put->born != 0 ? put->born : standing->ts,
        .body = put->body,
    };
    memcpy(entry->txid, put->txid.data, TXID_SIZE);
    return ALLOWED;
}

struct refusal request_readable(const struct standing *standing)
{
    if (!standing->storage_up)
        return REFUSED(ERR_NOT_READY, "storage is starting");
    if (!standing->synced)
        return REFUSED(ERR_NOT_READY, "this node has not yet caught up with a leader");
    if (!request_knows_history(standing))
        return REFUSED(ERR_NOT_READY, "this node has not yet applied where its history begins");
    return ALLOWED;
}

static struct refusal take_consistency(struct span text, uint64_t max_lag_ms,
                                       struct request_read *out)
{
    bool bounded = span_is(text, "bounded");
    out->linearizable = bounded || span_is(text, "linearizable");
    out->max_lag_ms = max_lag_ms;
    if (text.size > 0 && !out->linearizable && !span_is(text, "local"))
        return REFUSED(ERR_BAD_REQUEST, "consistency: local, bounded or linearizable");
    if (bounded != (max_lag_ms > 0) || max_lag_ms > REQUEST_LAG_MS_MAX)
        return REFUSED(ERR_BAD_REQUEST, "max_lag_ms: 1 to 3600000, with consistency bounded only");
    return ALLOWED;
}

/* A cursor of this log, and the position it names. */
static struct refusal use_cursor(const struct standing *standing, struct span text,
                                 struct cursor *cursor)
{
    if (cursor_parse(text, cursor) != ERR_NONE)
        return REFUSED(ERR_BAD_REQUEST, "not a cursor; hand back one that an answer gave");
    if (memcmp(cursor->cluster, standing->cluster, CLUSTER_ID_SIZE) != 0)
        return REFUSED(ERR_HISTORY, "the cursor belongs to another cluster");
    if (cursor->history != standing->history)
        return REFUSED(ERR_HISTORY, "the cursor belongs to another history of this log");
    return ALLOWED;
}

static struct refusal list_start(const struct standing *standing, const struct message_list *list,
                                 struct request_read *out)
{
    struct cursor cursor;
    bool backwards = list->before.size > 0;
    if (backwards && (list->cursor.size > 0 || list->now))
        return REFUSED(ERR_BAD_REQUEST, "before: goes with neither cursor nor now");
    if (list->at_time > 0 && (backwards || list->last || list->until_time > 0))
        return REFUSED(ERR_BAD_REQUEST, "at_time: goes with none of before, last, until_time");
    out->now = list->now;
    out->read.since = list->now ? standing->last_id : list->since;
    if (list->cursor.size == 0 && !backwards)
        return ALLOWED;
    struct refusal refusal = use_cursor(standing, backwards ? list->before : list->cursor, &cursor);
    if (refusal.err != ERR_NONE)
        return refusal;
    if (backwards) {
        out->read.since = list->since;
        out->read.before = cursor.id > 0 ? cursor.id : 1;
        return ALLOWED;
    }
    out->read.since = cursor.id;
    out->has_since_hash = cursor.id > 0;
    memcpy(out->since_hash, cursor.hash, HASH_SIZE);
    return ALLOWED;
}

/* The page ends at a place that is known: nothing more can come. */
static bool has_end(const struct message_list *list)
{
    return list->before.size > 0 || list->last || list->reverse || list->until > 0 ||
           list->until_time > 0 || list->at_time > 0;
}

static struct refusal take_filter(const struct message_list *list, struct request_read *out)
{
    const char *detail = NULL;
    struct filter filter = {&list->tags, &list->all_tags, &list->no_tags};
    enum err err = filter_check(&filter, &detail);
    out->read.tags = list->tags;
    out->read.all_tags = list->all_tags;
    out->read.no_tags = list->no_tags;
    return REFUSED(err, detail);
}

static void take_range(const struct message_list *list, struct request_read *out)
{
    out->read.until = list->until;
    out->read.since_time = list->since_time;
    out->read.until_time = list->until_time;
    out->read.at_time = list->at_time;
    out->read.last = list->last;
    out->read.reverse = list->reverse;
    out->read.headers_only = list->headers_only;
    out->read.latest = list->latest;
}

static struct refusal check_list_limits(const struct message_list *list)
{
    if (list->limit > REQUEST_LIMIT_MAX)
        return REFUSED(ERR_LIMIT, "limit: at most 10000 changes");
    if (list->bytes > REQUEST_BYTES_MAX)
        return REFUSED(ERR_LIMIT, "bytes: at most 4194304");
    if (list->block_ms > REQUEST_BLOCK_MAX_MS)
        return REFUSED(ERR_LIMIT, "block_ms: at most 60000");
    if (list->block_ms > 0 && has_end(list))
        return REFUSED(ERR_BAD_REQUEST,
                       "block_ms: goes with no end, for nothing can come before it");
    return ALLOWED;
}

struct refusal request_list(const struct standing *standing, const struct message_list *list,
                            struct request_read *out)
{
    struct refusal refusal = request_readable(standing);
    if (refusal.err == ERR_NONE)
        refusal = check_list_limits(list);
    if (refusal.err != ERR_NONE)
        return refusal;
    *out = (struct request_read){.block_ms = list->block_ms};
    out->read.limit = list->limit != 0 ? list->limit : REQUEST_LIMIT_DEFAULT;
    out->read.bytes = list->bytes != 0 ? list->bytes : REQUEST_BYTES_DEFAULT;
    take_range(list, out);
    refusal = take_filter(list, out);
    if (refusal.err == ERR_NONE)
        refusal = take_consistency(list->consistency, list->max_lag_ms, out);
    if (refusal.err == ERR_NONE)
        refusal = list_start(standing, list, out);
    out->wait_for = list->min_id > out->read.since ? list->min_id : out->read.since;
    return refusal;
}

struct refusal request_get(const struct standing *standing, const struct message_get *get,
                           struct request_read *out)
{
    struct refusal refusal = request_readable(standing);
    if (refusal.err != ERR_NONE)
        return refusal;
    if ((get->id == 0) == (get->key.size == 0))
        return REFUSED(ERR_BAD_REQUEST, "id or key, one of them; change ids start at 1");
    *out = (struct request_read){.wait_for = get->min_id, .by_key = get->key.size > 0};
    if (out->by_key)
        out->keys = (struct message_scan_keys){.after = get->key, .limit = 1, .exact = true};
    else
        out->read = (struct message_read){
            .since = get->id - 1, .limit = 1, .bytes = REQUEST_BYTES_MAX, .exact = true};
    return take_consistency(get->consistency, get->max_lag_ms, out);
}

struct refusal request_estimate(const struct standing *standing,
                                const struct message_estimate *estimate, struct request_read *out)
{
    const struct message_list list = {
        .since = estimate->since,
        .until = estimate->until,
        .tags = estimate->tags,
        .all_tags = estimate->all_tags,
        .no_tags = estimate->no_tags,
        .since_time = estimate->since_time,
        .until_time = estimate->until_time,
        .min_id = estimate->min_id,
        .consistency = estimate->consistency,
        .max_lag_ms = estimate->max_lag_ms,
    };
    struct refusal refusal = request_list(standing, &list, out);
    if (refusal.err == ERR_NONE) {
        out->weighs = true;
        out->exact = estimate->exact;
    }
    return refusal;
}

struct refusal request_scan(const struct standing *standing, const struct message_scan *scan,
                            struct request_read *out)
{
    struct refusal refusal = request_readable(standing);
    if (refusal.err != ERR_NONE)
        return refusal;
    if (scan->limit > REQUEST_LIMIT_MAX)
        return REFUSED(ERR_LIMIT, "limit: at most 10000 keys");
    if (scan->bytes > REQUEST_BYTES_MAX)
        return REFUSED(ERR_LIMIT, "bytes: at most 4194304");
    *out = (struct request_read){.wait_for = scan->min_id, .by_key = true};
    out->keys = (struct message_scan_keys){
        .after = scan->after, .prefix = scan->prefix, .limit = scan->limit, .bytes = scan->bytes};
    return take_consistency(scan->consistency, scan->max_lag_ms, out);
}

struct refusal request_head(const struct standing *standing, const struct message_head *head,
                            struct request_read *out)
{
    *out = (struct request_read){.wait_for = head->min_id};
    if (!standing->storage_up)
        return REFUSED(ERR_NOT_READY, "storage is starting");
    return take_consistency(head->consistency, head->max_lag_ms, out);
}

size_t request_cursor(const struct standing *standing, uint64_t id, const uint8_t hash[HASH_SIZE],
                      char text[CURSOR_TEXT_MAX])
{
    struct cursor cursor = {.history = standing->history, .id = id};
    memcpy(cursor.cluster, standing->cluster, CLUSTER_ID_SIZE);
    memcpy(cursor.hash, hash, HASH_SIZE);
    return cursor_print(&cursor, text);
}
