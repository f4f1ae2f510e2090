/* stream.c - the shell of a follower: its socket, its pages, its moves between nodes.
 * What may be delivered is decided in follow.c. */
#include "client/client.h"
#include "client/position.h"
#include "client/topics.h"

#include "common/clock.h"

#include <stdlib.h>

enum { LIST_BYTES = 1 << 20, LIST_LIMIT = 2000, LAG_MS = 50, STEP_MS = 50, MOVE_MS = 1000 };

struct ca_follow {
    struct ca_follow *next; /* of this handle */
    struct ca *ca;
    struct follow core;
    struct topics topics;
    struct position position;
    struct talk talk;
    uint32_t slot, tried; /* the node, CLIENT_ANY: none yet; the one tried last */
    uint64_t moved_ms;
    bool from_now; /* the head must be asked for before all else */
    struct ask *ask;
    struct ca_page *page;
    uint32_t page_slot;
    uint64_t pause_ms;     /* no list before this */
    uint64_t ahead_due_ms; /* a node that is behind us must have caught up by then; 0: none is */
    struct ca_error error;
    char history[20];  /* of all that was delivered; empty: not known yet */
    struct ca_row row; /* from the stream */
    struct ca_bytes row_tags[TEXTS_MAX];
};

/* ---- moving to a node ---------------------------------------------------------------------- */

static bool subscribe_all(struct ca_follow *follow)
{
    if (talk_subscribe(&follow->talk, SPAN("h", 1)) != ERR_NONE)
        return false;
    for (uint32_t i = 0; i < follow->topics.count; i++)
        if (talk_subscribe(&follow->talk, follow->topics.at[i]) != ERR_NONE)
            return false;
    return true;
}

/* The old socket goes with all that still lies in it: the list bridges it. */
static bool move_to(struct ca_follow *follow, uint32_t slot, uint64_t now)
{
    struct ca *ca = follow->ca;
    talk_close(&follow->talk);
    follow->slot = CLIENT_ANY;
    follow->tried = slot;
    follow->moved_ms = now;
    if (ca->nodes[slot].stream[0] == 0)
        return false;
    enum err err = talk_stream_open(&follow->talk, ca->context, ca->nodes[slot].stream, &ca->keys);
    if (err != ERR_NONE || !subscribe_all(follow)) {
        client_log(ca, "no stream at", ca->nodes[slot].stream);
        talk_close(&follow->talk);
        return false;
    }
    port_watch(&ca->port, follow->talk.fd);
    follow->slot = slot;
    follow_moved(&follow->core, now);
    return true;
}

static bool should_move(const struct ca_follow *follow, uint64_t now)
{
    if (follow->slot == CLIENT_ANY)
        return follow->moved_ms == 0 || now >= follow->moved_ms + STEP_MS;
    bool gone = follow->ca->endpoints.at[follow->slot].state != ENDPOINT_READY;
    if (gone)
        return follow->core.state == FOLLOW_LIVE && now >= follow->moved_ms + STEP_MS;
    return follow_is_silent(&follow->core, now) && now >= follow->moved_ms + MOVE_MS;
}

static void find_node(struct ca_follow *follow, uint64_t now)
{
    struct ca *ca = follow->ca;
    uint32_t slot;
    if (!should_move(follow, now))
        return;
    if (follow->slot != CLIENT_ANY)
        client_log(ca, "follower leaves silent node", ca->nodes[follow->slot].endpoint);
    if (endpoints_next(&ca->endpoints, follow->tried, &slot))
        move_to(follow, slot, now);
}

/* ---- lists --------------------------------------------------------------------------------- */

static void end_with(struct ca_follow *follow, enum ca_code code, enum err err)
{
    follow->error.code = code;
    client_copy_text(follow->error.name, sizeof follow->error.name, SPAN_TEXT(err_name(err)));
    client_copy_text(follow->error.detail, sizeof follow->error.detail,
                     SPAN_TEXT(err_sentence(err)));
}

/* A node that lags says E_AHEAD of what another one has shown us: it, or the next one, catches up.
 */
static bool may_catch_up(struct ca_follow *follow, const struct ca_error *error, uint64_t now)
{
    if (strcmp(error->name, err_name(ERR_AHEAD)) != 0)
        return false;
    if (follow->ahead_due_ms == 0)
        follow->ahead_due_ms = now + follow->ca->options.timeout_ms;
    return now < follow->ahead_due_ms;
}

/* Only what asking again cannot change ends a follower. */
static void list_failed(struct ca_follow *follow, const struct ca_error *error)
{
    uint64_t now = clock_now_ms();
    bool passing = error->code == CA_TIMEOUT || error->code == CA_NO_LEADER;
    follow->pause_ms = now + LAG_MS;
    if (!passing && !may_catch_up(follow, error, now))
        follow->error = *error;
}

static void listed(struct ca *ca, struct ask *ask, const struct message *answer)
{
    struct ca_follow *follow = ask->owner;
    follow->ask = NULL;
    if (answer == NULL) {
        list_failed(follow, &ask->result.error);
        return;
    }
    enum err err = position_fits_page(&follow->position, answer->list_is.next)
                       ? page_open(answer->list_is.changes, false, &follow->page)
                       : ERR_HISTORY;
    if (err != ERR_NONE) {
        end_with(follow, err == ERR_NOMEM ? CA_NOMEM : CA_REFUSED, err);
        return;
    }
    page_note(follow->page, &answer->list_is);
    follow->page_slot = 0;
    follow->position.start[0] = 0;
    follow->ahead_due_ms = 0;
}

/* The first ask of a follower from now on: where is the head? */
static void placed_at_head(struct ca *ca, struct ask *ask, const struct message *answer)
{
    struct ca_follow *follow = ask->owner;
    follow->ask = NULL;
    if (answer == NULL) {
        list_failed(follow, &ask->result.error);
        return;
    }
    follow_begin(&follow->core, follow->topics.count, answer->head_is.id, clock_now_ms());
    position_move(&follow->position, answer->head_is.id, answer->head_is.hash);
    follow->from_now = false;
}

static void ask_page(struct ca_follow *follow)
{
    struct ca *ca = follow->ca;
    struct ask *ask = client_ask_open(ca, MESSAGE_LIST);
    if (ask == NULL)
        return; /* too much under way: in a later step */
    struct message_list *list = &ask->message.list;
    list->since = follow->core.position;
    list->cursor = SPAN_TEXT(follow->position.start);
    list->limit = LIST_LIMIT;
    list->bytes = LIST_BYTES;
    list->min_id = follow->core.wanted;
    for (uint32_t i = 0; i < follow->topics.tags; i++)
        list->tags.at[list->tags.count++] = topics_tag(&follow->topics, i);
    ask->prefer = follow->slot;
    follow->ask = ask;
    client_ask_start(ca, ask, listed, follow);
}

static void ask_head(struct ca_follow *follow)
{
    struct ask *ask = client_ask_open(follow->ca, MESSAGE_HEAD);
    if (ask == NULL)
        return;
    ask->message.head.min_id = follow->ca->seen;
    follow->ask = ask;
    client_ask_start(follow->ca, ask, placed_at_head, follow);
}

static bool deliver(struct ca_follow *follow, const struct ca_row *row, const struct ca_row **out)
{
    position_move(&follow->position, row->id, SPAN(row->hash.data, row->hash.size));
    client_saw(follow->ca, row->id);
    *out = row;
    return true;
}

/* The page stays until the call after its last row: rows are lent. */
static bool deliver_page(struct ca_follow *follow, uint64_t now, const struct ca_row **out)
{
    struct ca_page_info info;
    while (follow->page_slot < ca_page_count(follow->page)) {
        const struct ca_row *row = ca_page_row(follow->page, follow->page_slot++);
        if (follow_listed(&follow->core, row->id) == FOLLOW_DELIVER)
            return deliver(follow, row, out);
    }
    ca_page_info(follow->page, &info);
    bool live = follow_page_done(&follow->core, info.scanned_to, info.at_end, now);
    if (!live && info.at_end)
        follow->pause_ms = now + LAG_MS; /* that node is behind the one we hear */
    ca_page_close(follow->page);
    follow->page = NULL;
    return false;
}

/* ---- the stream ---------------------------------------------------------------------------- */

static void fill_row(struct ca_follow *follow, const struct message_event *event)
{
    follow->row = (struct ca_row){
        .id = event->id,
        .ts = event->ts,
        .type = event->type,
        .has_key = event->key.size > 0,
        .removes = event->delete,
        .key = page_bytes(event->key),
        .ctype = page_bytes(event->ctype),
        .data = page_bytes(event->data),
        .hash = page_bytes(event->hash),
        .headers = page_bytes(event->headers),
        .tags = follow->row_tags,
        .tag_count = event->tags.count,
    };
    for (uint32_t i = 0; i < event->tags.count; i++)
        follow->row_tags[i] = page_bytes(event->tags.at[i]);
}

static void on_progress(struct ca_follow *follow, struct span topic,
                        const struct message_progress *progress, uint64_t now)
{
    uint32_t slot = topics_slot(&follow->topics, topic);
    if (!position_fits(&follow->position, progress->history)) {
        end_with(follow, CA_REFUSED, ERR_HISTORY);
        return;
    }
    if (slot < follow->topics.count)
        follow_progress(&follow->core, slot, progress->prev, now);
    else
        follow_heard(&follow->core, progress->contact_ms, now);
}

static bool deliver_stream(struct ca_follow *follow, uint64_t now, const struct ca_row **out)
{
    struct span topic, body;
    struct message message;
    while (follow->core.state == FOLLOW_LIVE && follow->error.code == CA_OK &&
           follow->slot != CLIENT_ANY && talk_receive(&follow->talk, &topic, &body)) {
        if (message_decode_map(body, &message, NULL) != ERR_NONE)
            continue;
        if (message.type == MESSAGE_PROGRESS) {
            on_progress(follow, topic, &message.progress, now);
        } else if (message.type == MESSAGE_EVENT &&
                   topics_slot(&follow->topics, topic) < follow->topics.count &&
                   follow_event(&follow->core, message.event.id, message.event.prev, now) ==
                       FOLLOW_DELIVER) {
            fill_row(follow, &message.event);
            return deliver(follow, &follow->row, out);
        }
    }
    return false;
}

/* ---- steps --------------------------------------------------------------------------------- */

static bool step(struct ca_follow *follow, const struct ca_row **row)
{
    uint64_t now = clock_now_ms();
    if (follow->page != NULL && deliver_page(follow, now, row))
        return true;
    if (follow->page == NULL && deliver_stream(follow, now, row))
        return true;
    if (follow->page != NULL || follow->error.code != CA_OK)
        return false;
    find_node(follow, now);
    if (follow->ask != NULL || now < follow->pause_ms)
        return false;
    if (follow->from_now)
        ask_head(follow);
    else if (follow->core.state == FOLLOW_HEALING)
        ask_page(follow);
    return false;
}

enum ca_code ca_follow_next(struct ca_follow *follow, uint32_t wait_ms, const struct ca_row **row)
{
    uint64_t end = clock_now_ms() + wait_ms;
    struct ca *ca = follow->ca;
    *row = NULL;
    for (;;) {
        if (follow->error.code == CA_OK && step(follow, row))
            return CA_OK;
        if (follow->error.code != CA_OK)
            return client_failed_as(ca, &follow->error);
        uint64_t now = clock_now_ms();
        if (client_work(ca, 0) > 0 || follow->page != NULL)
            continue;
        if (now >= end)
            return CA_AGAIN;
        bool live = follow->core.state == FOLLOW_LIVE && follow->slot != CLIENT_ANY;
        if (!live || !talk_readable(&follow->talk))
            client_work(ca, end - now < STEP_MS ? (uint32_t)(end - now) : STEP_MS);
    }
}

/* ---- open and close -------------------------------------------------------------------------- */

static enum ca_code open_parts(struct ca_follow *follow, const struct ca_follow_options *options)
{
    enum ca_code code = topics_open(&follow->topics, options->tags, options->tag_count);
    if (code == CA_OK)
        code = position_open(&follow->position, options);
    if (code == CA_OK)
        follow_begin(&follow->core, follow->topics.count, follow->position.id, clock_now_ms());
    return code;
}

enum ca_code ca_follow_open(struct ca *ca, const struct ca_follow_options *options,
                            struct ca_follow **gives)
{
    *gives = NULL;
    struct ca_follow *follow = calloc(1, sizeof *follow);
    if (follow == NULL)
        return client_fail(ca, CA_NOMEM, ERR_NOMEM, NULL);
    follow->ca = ca;
    follow->slot = CLIENT_ANY;
    follow->tried = ca->endpoints.count - 1;
    follow->from_now = options->now;
    follow->next = ca->follows;
    ca->follows = follow;
    enum ca_code code = open_parts(follow, options);
    if (code == CA_OK)
        *gives = follow;
    else
        ca_follow_close(follow);
    return code == CA_OK ? CA_OK
                         : client_fail(ca, code, code == CA_NOMEM ? ERR_NOMEM : ERR_BAD_REQUEST,
                                       "tags: at most 64 of 1 to 256 bytes; or the cursor is none");
}

const char *ca_follow_cursor(struct ca_follow *follow)
{
    return position_print(&follow->position, follow->ca->cluster, follow->ca->history);
}

uint64_t ca_follow_id(const struct ca_follow *follow)
{
    return follow->core.position;
}

uint64_t ca_follow_healed(const struct ca_follow *follow)
{
    return follow->core.gaps;
}

bool ca_follow_live(const struct ca_follow *follow)
{
    return follow->core.state == FOLLOW_LIVE && follow_is_joined(&follow->core) &&
           follow->page == NULL;
}

void ca_follow_close(struct ca_follow *follow)
{
    if (follow == NULL)
        return;
    for (struct ca_follow **at = &follow->ca->follows; *at != NULL; at = &(*at)->next)
        if (*at == follow) {
            *at = follow->next;
            break;
        }
    if (follow->ask != NULL)
        client_ask_cancel(follow->ca, follow->ask);
    talk_close(&follow->talk);
    ca_page_close(follow->page);
    topics_close(&follow->topics);
    free(follow);
}

uint32_t stream_rearm(struct ca *ca)
{
    uint32_t found = 0;
    for (struct ca_follow *follow = ca->follows; follow != NULL; follow = follow->next) {
        bool readable = follow->slot != CLIENT_ANY && talk_readable(&follow->talk);
        found += follow->page != NULL || (readable && follow->core.state == FOLLOW_LIVE);
    }
    return found;
}
