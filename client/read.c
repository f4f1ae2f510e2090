/* read.c - errors, the wait for one answer, and get, list, head, status. */
#include "client/client.h"
#include "protocol/change.h"

#include "protocol/wire.h"

#include <stdlib.h>

/* ---- errors -------------------------------------------------------------------------------- */

static const char *const code_names[] = {
    [CA_OK] = "ok",
    [CA_REFUSED] = "refused",
    [CA_USAGE] = "usage",
    [CA_NOT_FOUND] = "not found",
    [CA_TIMEOUT] = "timeout",
    [CA_OPEN] = "open",
    [CA_NO_LEADER] = "no leader",
    [CA_TRUNCATED] = "truncated",
    [CA_NOMEM] = "out of memory",
    [CA_AGAIN] = "again",
};

const char *ca_code_name(enum ca_code code)
{
    return (size_t)code < COUNT_OF(code_names) ? code_names[code] : "unknown";
}

const struct ca_error *ca_last_error(const struct ca *ca)
{
    return &ca->error;
}

enum ca_code client_fail(struct ca *ca, enum ca_code code, enum err err, const char *detail)
{
    const char *sentence = detail != NULL ? detail : err_sentence(err);
    ca->error = (struct ca_error){.code = code};
    client_copy_text(ca->error.name, sizeof ca->error.name, SPAN_TEXT(err_name(err)));
    client_copy_text(ca->error.detail, sizeof ca->error.detail, SPAN_TEXT(sentence));
    return code;
}

enum ca_code client_failed_as(struct ca *ca, const struct ca_error *error)
{
    ca->error = *error;
    return error->code;
}

enum ca_code client_no_memory(struct ca *ca)
{
    return client_fail(ca, CA_NOMEM, ERR_NOMEM, NULL);
}

/* ---- waiting for one ask --------------------------------------------------------------------- */

/* Where the answer of a blocking call goes. */
struct wait {
    bool over;
    enum ca_code code;
    enum err (*take)(void *into, const struct message *answer);
    void *into;
};

static void wait_over(struct ca *ca, struct ask *ask, const struct message *answer)
{
    struct wait *wait = ask->owner;
    wait->over = true;
    wait->code = CA_OK;
    if (answer == NULL) {
        wait->code = client_failed_as(ca, &ask->result.error);
        return;
    }
    enum err err = wait->take(wait->into, answer);
    if (err != ERR_NONE)
        wait->code = client_fail(ca, err == ERR_NOMEM ? CA_NOMEM : CA_REFUSED, err, NULL);
}

enum ca_code client_wait_for(struct ca *ca, struct ask *ask,
                             enum err (*take)(void *, const struct message *), void *into)
{
    struct wait wait = {.take = take, .into = into};
    client_ask_start(ca, ask, wait_over, &wait);
    while (!wait.over)
        client_work(ca, 1000);
    return wait.code;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct span client_text(const char *text)
{
    return text != NULL ? SPAN_TEXT(text) : (struct span){0};
}

struct span client_consistency(const struct ca *ca, uint64_t *max_lag_ms)
{
    *max_lag_ms = ca->options.linearizable ? ca->options.max_lag_ms : 0;
    if (!ca->options.linearizable)
        return (struct span){0};
    return *max_lag_ms > 0 ? SPAN_TEXT("bounded") : SPAN_TEXT("linearizable");
}

static enum err take_get(void *into, const struct message *answer)
{
    return page_open(answer->get_is.change, true, into);
}

enum ca_code ca_get(struct ca *ca, uint64_t id, struct ca_page **page)
{
    *page = NULL;
    struct ask *ask = client_ask_open(ca, MESSAGE_GET);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->message.get.id = id;
    ask->message.get.min_id = ca->seen;
    ask->message.get.consistency = client_consistency(ca, &ask->message.get.max_lag_ms);
    return client_wait_for(ca, ask, take_get, page);
}

static bool is_key(const char *key)
{
    return key == NULL || strlen(key) <= CHANGE_KEY_MAX;
}

enum ca_code ca_get_key(struct ca *ca, const char *key, struct ca_page **page)
{
    *page = NULL;
    if (key == NULL || key[0] == 0 || !is_key(key))
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "key: 1 to 1024 bytes");
    struct ask *ask = client_ask_open(ca, MESSAGE_GET);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->message.get.key = SPAN_TEXT(key);
    ask->message.get.min_id = ca->seen;
    ask->message.get.consistency = client_consistency(ca, &ask->message.get.max_lag_ms);
    return client_wait_for(ca, ask, take_get, page);
}

static enum err take_scan(void *into, const struct message *answer)
{
    struct ca_page **page = into;
    TRY(page_open(answer->scan_is.changes, false, page));
    page_note_keys(*page, &answer->scan_is);
    return ERR_NONE;
}

enum ca_code ca_scan(struct ca *ca, const struct ca_scan *scan, struct ca_page **page)
{
    *page = NULL;
    if (!is_key(scan->after) || !is_key(scan->prefix))
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "after, prefix: at most 1024 bytes");
    struct ask *ask = client_ask_open(ca, MESSAGE_SCAN);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->message.scan.after = client_text(scan->after);
    ask->message.scan.prefix = client_text(scan->prefix);
    ask->message.scan.limit = scan->limit;
    ask->message.scan.bytes = scan->bytes;
    ask->message.scan.min_id = ca->seen;
    ask->message.scan.consistency = client_consistency(ca, &ask->message.scan.max_lag_ms);
    return client_wait_for(ca, ask, take_scan, page);
}

static enum err take_list(void *into, const struct message *answer)
{
    struct ca_page **page = into;
    TRY(page_open(answer->list_is.changes, false, page));
    page_note(*page, &answer->list_is);
    return ERR_NONE;
}

static bool tags_fit(const char *const *tags, uint32_t count)
{
    for (uint32_t i = 0; i < count && count <= TEXTS_MAX; i++)
        if (tags[i] == NULL || strlen(tags[i]) > 256 || tags[i][0] == 0)
            return false;
    return count <= TEXTS_MAX;
}

bool client_query_fits(const struct ca_query *query)
{
    size_t max = 192;
    return client_text(query->cursor).size <= max && client_text(query->before).size <= max &&
           tags_fit(query->tags, query->tag_count) && tags_fit(query->all_tags, query->all_count) &&
           tags_fit(query->no_tags, query->no_count);
}

void client_fill_tags(struct texts *texts, const char *const *tags, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        texts->at[texts->count++] = client_text(tags[i]);
}

static void fill_list(struct message_list *list, const struct ca_query *query)
{
    list->since = query->since;
    list->cursor = client_text(query->cursor);
    list->before = client_text(query->before);
    list->now = query->now;
    list->limit = query->limit;
    list->bytes = query->bytes;
    list->block_ms = query->block_ms;
    client_fill_tags(&list->tags, query->tags, query->tag_count);
    client_fill_tags(&list->all_tags, query->all_tags, query->all_count);
    client_fill_tags(&list->no_tags, query->no_tags, query->no_count);
    list->until = query->until;
    list->since_time = query->since_time;
    list->until_time = query->until_time;
    list->at_time = query->at_time;
    list->last = query->last;
    list->reverse = query->reverse;
    list->headers_only = query->headers_only;
    list->latest = query->latest;
}

enum ca_code ca_list(struct ca *ca, const struct ca_query *query, struct ca_page **page)
{
    *page = NULL;
    if (!client_query_fits(query))
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "tags: at most 64 of 1 to 256 bytes");
    struct ask *ask = client_ask_open(ca, MESSAGE_LIST);
    if (ask == NULL)
        return client_no_memory(ca);
    fill_list(&ask->message.list, query);
    ask->message.list.min_id = ca->seen;
    ask->message.list.consistency = client_consistency(ca, &ask->message.list.max_lag_ms);
    ask->patience_ms = ca->options.patience_ms + query->block_ms;
    enum ca_code code = client_wait_for(ca, ask, take_list, page);
    uint32_t count = *page != NULL ? ca_page_count(*page) : 0;
    if (count > 0)
        client_saw(ca, ca_page_row(*page, query->reverse ? 0 : count - 1)->id);
    return code;
}

static enum err take_head(void *into, const struct message *answer)
{
    const struct message_head_is *is = &answer->head_is;
    struct ca_head *head = into;
    *head = (struct ca_head){.id = is->id, .ts = is->ts, .stale = is->stale};
    if (is->hash.size == sizeof head->hash)
        memcpy(head->hash, is->hash.data, sizeof head->hash);
    client_copy_text(head->cursor, sizeof head->cursor, is->cursor);
    return ERR_NONE;
}

enum ca_code ca_head(struct ca *ca, struct ca_head *head)
{
    struct ask *ask = client_ask_open(ca, MESSAGE_HEAD);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->message.head.min_id = ca->seen;
    ask->message.head.consistency = client_consistency(ca, &ask->message.head.max_lag_ms);
    return client_wait_for(ca, ask, take_head, head);
}

#define COPY_FIELD(status, is, field) \
    client_copy_text((status)->field, sizeof(status)->field, (is)->field)

static enum err take_status(void *into, const struct message *answer)
{
    const struct message_status_is *is = &answer->status_is;
    struct ca_status *status = into;
    *status = (struct ca_status){
        .term = is->term,
        .commit_index = is->commit_index,
        .applied_index = is->applied_index,
        .last_index = is->last_index,
        .first_id = is->first_id,
        .last_id = is->last_id,
        .outcome_floor = is->outcome_floor,
        .drained = is->drained,
        .ready = is->ready,
    };
    COPY_FIELD(status, is, node);
    COPY_FIELD(status, is, name);
    COPY_FIELD(status, is, role);
    COPY_FIELD(status, is, leader);
    COPY_FIELD(status, is, cluster);
    COPY_FIELD(status, is, history);
    COPY_FIELD(status, is, chain);
    COPY_FIELD(status, is, waits_for);
    if (is->processes.size == 0)
        return ERR_NONE;
    status->processes = malloc(is->processes.size);
    if (status->processes == NULL)
        return ERR_NOMEM;
    memcpy(status->processes, is->processes.data, is->processes.size);
    status->processes_size = is->processes.size;
    return ERR_NONE;
}

enum ca_code ca_status(struct ca *ca, int slot, struct ca_status *status)
{
    *status = (struct ca_status){0};
    if (slot >= (int)ca->endpoints.count)
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "no endpoint has this slot");
    struct ask *ask = client_ask_open(ca, MESSAGE_STATUS);
    if (ask == NULL)
        return client_no_memory(ca);
    ask->pinned = slot >= 0;
    ask->prefer = slot >= 0 ? (uint32_t)slot : CLIENT_ANY;
    return client_wait_for(ca, ask, take_status, status);
}

void ca_status_close(struct ca_status *status)
{
    free(status->processes);
    *status = (struct ca_status){0};
}
