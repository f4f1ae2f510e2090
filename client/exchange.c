/* exchange.c - asks on their way: the table, sending, what comes back, and the end. */
#include "client/client.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { SPARE_BODY_MAX = 64 << 10 };

/* ---- the table of asks -------------------------------------------------------------------- */

struct ask *client_ask_open(struct ca *ca, enum message_type type)
{
    struct ask *ask = ca->spare;
    if (2 * (uint64_t)ca->asks >= ca->table_size)
        return NULL;
    if (ask != NULL)
        ca->spare = ask->next;
    else
        ask = calloc(1, sizeof *ask);
    if (ask == NULL)
        return NULL;
    struct bytes own = ask->own;
    bytes_clear(&own);
    memset(ask, 0, sizeof *ask);
    ask->own = own;
    ask->own.soft = true;
    ask->message.type = type;
    ask->prefer = ask->slot = CLIENT_ANY;
    return ask;
}

void client_ask_close(struct ca *ca, struct ask *ask)
{
    if (ask->own.room > SPARE_BODY_MAX)
        bytes_close(&ask->own);
    ask->next = ca->spare;
    ca->spare = ask;
}

struct ask *client_ask_find(const struct ca *ca, uint64_t number)
{
    struct ask *ask = ca->table[number % ca->table_size];
    return ask != NULL && ask->number == number ? ask : NULL;
}

/* Numbers are given in a row, but for those whose place a slow ask still holds. */
static void enter(struct ca *ca, struct ask *ask)
{
    do
        ca->last_number++;
    while (ca->table[ca->last_number % ca->table_size] != NULL);
    ask->number = ca->last_number;
    ca->table[ask->number % ca->table_size] = ask;
    ca->asks++;
}

void exchange_put_in_line(struct ca *ca, struct ask *ask)
{
    if (ask->waiting)
        return;
    ask->waiting = true;
    client_queue_push(&ca->waiting, ask);
}

static void take_out_of_line(struct ca *ca, struct ask *ask)
{
    struct ask_queue rest = {0};
    if (!ask->waiting)
        return;
    for (struct ask *each; (each = client_queue_pop(&ca->waiting)) != NULL;)
        if (each != ask)
            client_queue_push(&rest, each);
    ca->waiting = rest;
    ask->waiting = false;
}

void client_ask_start(struct ca *ca, struct ask *ask, ask_done *done, void *owner)
{
    bool is_write = ask->message.type == MESSAGE_PUT;
    ask->done = done;
    ask->owner = owner;
    if (ask->patience_ms == 0)
        ask->patience_ms = ca->options.patience_ms;
    attempt_begin(&ask->attempt, is_write, clock_now_ms(), ca->options.timeout_ms);
    if (ask->named)
        attempt_doubt(&ask->attempt);
    enter(ca, ask);
    exchange_put_in_line(ca, ask);
}

/* ---- the end of an ask -------------------------------------------------------------------- */

static enum ca_code code_of(const struct attempt *attempt)
{
    if (attempt->is_write && attempt->outcome == ERR_OUTCOME_OPEN)
        return CA_OPEN;
    switch (attempt->error) {
    case ERR_NOT_FOUND:
        return CA_NOT_FOUND;
    case ERR_NO_LEADER:
        return CA_NO_LEADER;
    case ERR_TRUNCATED:
        return CA_TRUNCATED;
    case ERR_NOMEM:
        return CA_NOMEM;
    default:
        return err_retryable(attempt->error) ? CA_TIMEOUT : CA_REFUSED;
    }
}

/* The words of the server stay, if they are about the error that is reported. */
static void explain(struct ask *ask)
{
    struct ca_error *error = &ask->result.error;
    const char *name = err_name(ask->attempt.error);
    error->code = code_of(&ask->attempt);
    bool unknown_name = ask->attempt.error == ERR_BAD_MESSAGE && error->name[0] != 0;
    if (unknown_name || strcmp(error->name, name) == 0)
        return;
    client_copy_text(error->name, sizeof error->name, SPAN_TEXT(name));
    client_copy_text(error->detail, sizeof error->detail,
                     SPAN_TEXT(err_sentence(ask->attempt.error)));
}

void exchange_finish(struct ca *ca, struct ask *ask, const struct message *answer)
{
    take_out_of_line(ca, ask);
    ca->table[ask->number % ca->table_size] = NULL;
    ca->asks--;
    if (answer == NULL)
        explain(ask);
    ask->result.attempts = ask->attempt.count;
    ask->result.number = ask->number;
    ask->done(ca, ask, answer);
    if (!ask->kept)
        client_ask_close(ca, ask);
}

void client_ask_cancel(struct ca *ca, struct ask *ask)
{
    attempt_cancel(&ask->attempt);
    exchange_finish(ca, ask, NULL);
}

/* ---- sending ------------------------------------------------------------------------------ */

bool exchange_say_hello(struct ca *ca, uint32_t slot)
{
    struct message hello = {.type = MESSAGE_HELLO};
    return asking_send(&ca->nodes[slot].conn, &hello) == ERR_NONE;
}

/* A name for a write is only as good as its `born`: told before the first send, kept ever after. */
static bool may_go(struct ca *ca, struct ask *ask)
{
    if (ask->message.type != MESSAGE_PUT || ask->message.put.born != 0)
        return true;
    ask->message.put.born = ask->result.write.born = ca->born;
    return ca->born != 0;
}

static bool choose_slot(struct ca *ca, struct ask *ask, uint32_t *slot)
{
    bool wished = ask->prefer < ca->endpoints.count && !ask->attempt.other_node &&
                  ca->endpoints.at[ask->prefer].state == ENDPOINT_READY;
    if (ask->pinned || wished) {
        *slot = ask->prefer;
        return true;
    }
    bool same = ask->attempt.same_node && ask->slot < ca->endpoints.count &&
                ca->endpoints.at[ask->slot].state == ENDPOINT_READY;
    if (same) {
        *slot = ask->slot;
        return true;
    }
    uint32_t avoid = ask->attempt.other_node ? ask->slot : CLIENT_ANY;
    bool spread = ca->options.spread && ask->message.type == MESSAGE_PUT;
    return endpoints_choose(&ca->endpoints, spread, avoid, slot);
}

static enum err send_ask(struct ca *ca, struct ask *ask, uint32_t slot)
{
    ask->message.request = ask->number << 8 | ((ask->attempt.count + 1) & 0xff);
    if (ask->message.type == MESSAGE_PUT)
        ask->message.put.attempt = ask->attempt.count + 1;
    TRY(asking_send(&ca->nodes[slot].conn, &ask->message));
    ask->slot = slot;
    attempt_sent(&ask->attempt, clock_now_ms(), ask->patience_ms);
    return ERR_NONE;
}

/* Tries nodes until one takes it. False: none does now. */
static bool send_somewhere(struct ca *ca, struct ask *ask)
{
    for (uint32_t tries = 0; tries <= ca->endpoints.count; tries++) {
        uint32_t slot;
        if (!choose_slot(ca, ask, &slot))
            return false;
        if (send_ask(ca, ask, slot) == ERR_NONE)
            return true;
        if (ask->pinned)
            return false;
        endpoints_silent(&ca->endpoints, slot, clock_now_ms());
    }
    return false;
}

uint32_t exchange_send(struct ca *ca)
{
    struct ask_queue left = {0};
    uint32_t sent = 0;
    bool stuck = false;
    for (struct ask *ask; (ask = client_queue_pop(&ca->waiting)) != NULL;) {
        bool went = (!stuck || ask->pinned) && may_go(ca, ask) && send_somewhere(ca, ask);
        ask->waiting = !went;
        sent += went;
        if (!went) {
            stuck = stuck || !ask->pinned; /* the order of a connection's writes stays */
            client_queue_push(&left, ask);
        }
    }
    ca->waiting = left;
    return sent;
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void note_born(struct ca *ca, uint64_t born)
{
    if (born > ca->born)
        ca->born = born;
}

/* "tcp://0.0.0.0:7601" or "tcp://STAR:7601": the host is the one we asked. */
static void resolve_stream(struct node *node, struct span stream)
{
    char text[CLIENT_TEXT_MAX + 1];
    client_copy_text(text, sizeof text, stream);
    const char *port = strrchr(text, ':'), *own_port = strrchr(node->endpoint, ':');
    bool any = strncmp(text, "tcp://*:", 8) == 0 || strncmp(text, "tcp://0.0.0.0:", 14) == 0 ||
               strncmp(text, "tcp://[::]:", 11) == 0;
    if (any && port != NULL && own_port != NULL)
        snprintf(node->stream, sizeof node->stream, "%.*s%s", (int)(own_port - node->endpoint),
                 node->endpoint, port);
    else
        memcpy(node->stream, text, sizeof text);
}

static void on_hello(struct ca *ca, uint32_t slot, const struct message_hello_is *hello)
{
    struct node *node = &ca->nodes[slot];
    char cluster[sizeof ca->cluster];
    client_copy_text(cluster, sizeof cluster, hello->cluster);
    if (cluster[0] != 0 && ca->cluster[0] != 0 && strcmp(cluster, ca->cluster) != 0) {
        endpoints_foreign(&ca->endpoints, slot);
        client_log(ca, "endpoint belongs to another cluster, not used:", node->endpoint);
        return;
    }
    if (cluster[0] != 0)
        memcpy(ca->cluster, cluster, sizeof cluster);
    if (hello->history.size > 0)
        client_copy_text(ca->history, sizeof ca->history, hello->history);
    if (hello->change_bytes_max > 0)
        ca->change_bytes_max = (uint32_t)hello->change_bytes_max;
    if (hello->body_bytes_max > 0)
        ca->body_bytes_max = (uint32_t)hello->body_bytes_max;
    resolve_stream(node, hello->stream);
    note_born(ca, hello->born);
    endpoints_ready(&ca->endpoints, slot);
}

static enum err_outcome outcome_by_name(struct span name, enum err error)
{
    if (span_is(name, "open"))
        return ERR_OUTCOME_OPEN;
    if (span_is(name, "final"))
        return ERR_OUTCOME_FINAL;
    return span_is(name, "none") ? ERR_OUTCOME_NONE : err_outcome(error);
}

/* What this handle has seen is there: a node that says E_AHEAD of it lags, and does not know. */
static bool lags(const struct ca *ca, const struct message *ask, enum err err)
{
    bool own_place =
        (ask->type == MESSAGE_LIST && (ask->list.cursor.size > 0 || ask->list.since > ca->seen)) ||
        (ask->type == MESSAGE_ESTIMATE && ask->estimate.since > ca->seen);
    return err == ERR_AHEAD && ask->type != MESSAGE_PUT && !own_place;
}

/* What this node cannot read of its disk another one may have: it is asked once each, for where all
 * of them say so a wait changes nothing. */
static bool is_damage(const struct ca *ca, const struct ask *ask, enum err err)
{
    return (err == ERR_CORRUPT || err == ERR_IO) && ask->message.type != MESSAGE_PUT &&
           !ask->pinned && ask->attempt.count < ca->endpoints.count;
}

static void on_failed(struct ca *ca, struct ask *ask, uint32_t send,
                      const struct message_failed *failed)
{
    struct ca_error *error = &ask->result.error;
    enum err err = err_by_name((const char *)failed->error.data, failed->error.size);
    struct attempt_refusal refusal = {
        .error = err == ERR_NONE ? ERR_BAD_MESSAGE : err,
        .retryable = failed->retryable || lags(ca, &ask->message, err) || is_damage(ca, ask, err),
        .outcome = outcome_by_name(failed->outcome, err),
        .retry_after_ms = failed->retry_after_ms,
    };
    client_copy_text(error->name, sizeof error->name, failed->error);
    client_copy_text(error->detail, sizeof error->detail, failed->detail);
    error->first_id = failed->first_id;
    attempt_refused(&ask->attempt, send, &refusal, clock_now_ms(), (uint32_t)ask->number);
    if (ask->attempt.state == ATTEMPT_FAILED)
        exchange_finish(ca, ask, NULL);
}

static void note_progress(struct ca *ca, const struct message *answer)
{
    switch (answer->type) {
    case MESSAGE_PUT_DONE:
        note_born(ca, answer->put_done.born);
        client_saw(ca, answer->put_done.last_id);
        break;
    case MESSAGE_GET_IS:
        note_born(ca, answer->get_is.born);
        break;
    case MESSAGE_LIST_IS:
        note_born(ca, answer->list_is.born);
        break;
    case MESSAGE_ESTIMATE_IS:
        note_born(ca, answer->estimate_is.born);
        client_saw(ca, answer->estimate_is.scanned_to);
        break;
    case MESSAGE_HEAD_IS:
        note_born(ca, answer->head_is.born);
        client_saw(ca, answer->head_is.id);
        break;
    case MESSAGE_FAILED:
        note_born(ca, answer->failed.born);
        break;
    default:
        break;
    }
}

static void on_message(struct ca *ca, uint32_t slot, struct span body)
{
    struct message answer;
    if (message_decode_map(body, &answer, NULL) != ERR_NONE) {
        client_log(ca, "answer not understood, from", ca->nodes[slot].endpoint);
        return;
    }
    note_progress(ca, &answer);
    if (answer.type == MESSAGE_HELLO_IS)
        on_hello(ca, slot, &answer.hello_is);
    struct ask *ask = client_ask_find(ca, answer.request >> 8);
    if (ask == NULL)
        return; /* a late answer to what is settled */
    uint32_t send = (ask->attempt.count & ~0xffu) | (answer.request & 0xff);
    if (send > ask->attempt.count)
        send -= 256;
    if (answer.type == MESSAGE_FAILED) {
        on_failed(ca, ask, send, &answer.failed);
    } else if (answer.type == ask->message.type + 1) {
        attempt_answered(&ask->attempt);
        exchange_finish(ca, ask, &answer);
    }
}

uint32_t exchange_receive(struct ca *ca)
{
    uint32_t found = 0;
    struct conn *from;
    struct zmtp_message message;
    struct span body;
    for (; port_next(&ca->port, &from, &message); found++) {
        uint32_t slot = (uint32_t)((struct node *)from->user - ca->nodes);
        if (asking_take(&message, &body))
            on_message(ca, slot, body);
    }
    return found;
}
