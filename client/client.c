/* client.c - the shell of a handle: sockets, time, and turns. */
#include "client/client.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TIMEOUT_MS = 30000,
    PATIENCE_MS = 1500,
    OUTSTANDING = 4096,
    SCAN_MS = 10,
    START_MS = 2,
    QUIET_MS = 1000,
    BORN_MS = 50,
};

/* ---- small helpers ------------------------------------------------------------------------ */

void client_queue_push(struct ask_queue *queue, struct ask *ask)
{
    ask->next = NULL;
    if (queue->first == NULL)
        queue->last = &queue->first;
    *queue->last = ask;
    queue->last = &ask->next;
}

struct ask *client_queue_pop(struct ask_queue *queue)
{
    struct ask *ask = queue->first;
    if (ask != NULL)
        queue->first = ask->next;
    return ask;
}

void client_copy_text(char *to, size_t room, struct span text)
{
    size_t size = text.size < room ? text.size : room - 1;
    if (size > 0)
        memcpy(to, text.data, size);
    to[size] = 0;
}

void client_log(const struct ca *ca, const char *event, const char *about)
{
    char line[2 * CLIENT_TEXT_MAX];
    if (ca->options.log == NULL)
        return;
    snprintf(line, sizeof line, "%s %s", event, about);
    ca->options.log(ca->options.log_owner, line);
}

void client_saw(struct ca *ca, uint64_t id)
{
    if (id > ca->seen)
        ca->seen = id;
}

/* ---- time --------------------------------------------------------------------------------- */

static void greet(struct ca *ca, uint64_t now)
{
    bool need_born = ca->waiting.first != NULL && ca->born == 0 && now >= ca->born_due_ms;
    for (uint32_t slot = 0; slot < ca->endpoints.count; slot++) {
        bool due = endpoints_hello_due(&ca->endpoints, slot, now) == slot;
        if ((due || need_born) && exchange_say_hello(ca, slot))
            endpoints_hello_sent(&ca->endpoints, slot, now);
    }
    if (need_born)
        ca->born_due_ms = now + BORN_MS;
}

/* A killed node shows at once: its connection is gone, and its asks go elsewhere. */
static bool is_cut_off(struct ca *ca, const struct ask *ask, const bool *gone)
{
    return ask->attempt.state == ATTEMPT_SENT && ask->slot < ca->endpoints.count && gone[ask->slot];
}

static void find_gone(struct ca *ca, bool *gone, uint64_t now)
{
    for (uint32_t slot = 0; slot < ca->endpoints.count; slot++) {
        gone[slot] = !ca->nodes[slot].conn.up;
        if (!gone[slot] || ca->endpoints.at[slot].state != ENDPOINT_READY)
            continue;
        endpoints_silent(&ca->endpoints, slot, now);
        client_log(ca, "connection lost to", ca->nodes[slot].endpoint);
    }
}

static void tick_ask(struct ca *ca, struct ask *ask, const bool *gone, uint64_t now)
{
    bool was_sent = ask->attempt.state == ATTEMPT_SENT;
    if (is_cut_off(ca, ask, gone))
        attempt_lost(&ask->attempt);
    attempt_tick(&ask->attempt, now);
    if (ask->attempt.state == ATTEMPT_READY) {
        if (was_sent && ask->slot < ca->endpoints.count)
            endpoints_silent(&ca->endpoints, ask->slot, now);
        exchange_put_in_line(ca, ask);
    } else if (ask->attempt.state == ATTEMPT_FAILED) {
        exchange_finish(ca, ask, NULL);
    }
}

static void scan(struct ca *ca)
{
    uint64_t now = clock_now_ms();
    bool gone[ENDPOINTS_MAX];
    if (now >= ca->port.due_ms)
        port_tick(&ca->port);
    if (now < ca->scan_due_ms)
        return;
    ca->scan_due_ms = now + (ca->born == 0 ? START_MS : SCAN_MS);
    find_gone(ca, gone, now);
    for (uint64_t at = 0; at < ca->table_size && ca->asks > 0; at++)
        if (ca->table[at] != NULL)
            tick_ask(ca, ca->table[at], gone, now);
    greet(ca, now);
}

/* ---- turns -------------------------------------------------------------------------------- */

static uint32_t turn(struct ca *ca)
{
    uint32_t found = exchange_receive(ca);
    scan(ca);
    found += exchange_send(ca);
    port_push(&ca->port);
    return found;
}

uint32_t client_work(struct ca *ca, uint32_t wait_ms)
{
    port_wait(&ca->port, 0);
    uint32_t found = turn(ca), longest = ca_wait_ms(ca);
    if (found > 0 || wait_ms == 0)
        return found;
    port_wait(&ca->port, wait_ms < longest ? wait_ms : longest);
    stream_rearm(ca);
    return turn(ca);
}

uint32_t ca_poll(struct ca *ca, uint32_t wait_ms)
{
    uint32_t found = client_work(ca, 0) + stream_rearm(ca);
    if (found > 0 || wait_ms == 0)
        return found;
    return client_work(ca, wait_ms) + stream_rearm(ca);
}

static uint32_t longest_wait(const struct ca *ca)
{
    if (ca->asks > 0)
        return ca->born == 0 ? START_MS : SCAN_MS;
    for (uint32_t slot = 0; slot < ca->endpoints.count; slot++)
        if (ca->endpoints.at[slot].state == ENDPOINT_UNKNOWN)
            return 5 * SCAN_MS;
    return ca->follows != NULL ? 5 * SCAN_MS : QUIET_MS;
}

uint32_t ca_wait_ms(const struct ca *ca)
{
    uint64_t now = clock_now_ms(), due = ca->port.due_ms > now ? ca->port.due_ms - now : 0;
    uint32_t longest = longest_wait(ca);
    return due < longest ? (uint32_t)due : longest;
}

int ca_fd(const struct ca *ca)
{
    return ca->port.epoll;
}

/* ---- open and close ----------------------------------------------------------------------- */

static bool take_keys(struct ca *ca, const struct ca_options *options)
{
    const char *given[] = {options->server_key, options->public_key, options->secret_key};
    bool all = given[0] && given[1] && given[2];
    if (!all)
        return !given[0] && !given[1] && !given[2];
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        if (strlen(given[i]) != 40)
            return false;
        memcpy(ca->key_texts[i], given[i], 41);
    }
    ca->keys = (struct talk_keys){ca->key_texts[0], ca->key_texts[1], ca->key_texts[2]};
    return keys_parse(SPAN_TEXT(ca->key_texts[0]), ca->server_key) == ERR_NONE &&
           keys_parse(SPAN_TEXT(ca->key_texts[1]), ca->own_keys.public_key) == ERR_NONE &&
           keys_parse(SPAN_TEXT(ca->key_texts[2]), ca->own_keys.secret_key) == ERR_NONE;
}

static bool take_options(struct ca *ca, const struct ca_options *options)
{
    static const struct ca_options none;
    ca->options = options != NULL ? *options : none;
    if (!take_keys(ca, &ca->options))
        return false;
    if (ca->options.timeout_ms == 0)
        ca->options.timeout_ms = TIMEOUT_MS;
    if (ca->options.patience_ms == 0)
        ca->options.patience_ms = PATIENCE_MS;
    if (ca->options.outstanding == 0)
        ca->options.outstanding = OUTSTANDING;
    return ca->options.outstanding <= CLIENT_SLOTS_MAX / 2;
}

static enum ca_code open_nodes(struct ca *ca, const char *const *endpoints, size_t count)
{
    const uint8_t *server = ca->keys.server != NULL ? ca->server_key : NULL;
    ca->nodes = calloc(count, sizeof *ca->nodes);
    if (ca->nodes == NULL)
        return CA_NOMEM;
    endpoints_begin(&ca->endpoints, (uint32_t)count, 0);
    for (size_t slot = 0; slot < count; slot++) {
        struct node *node = &ca->nodes[slot];
        client_copy_text(node->endpoint, sizeof node->endpoint, SPAN_TEXT(endpoints[slot]));
        node->conn.user = node;
        enum err err = port_call(&ca->port, &node->conn, node->endpoint, server);
        if (err != ERR_NONE)
            return err == ERR_CONFIG ? CA_USAGE : CA_NOMEM;
    }
    port_tick(&ca->port); /* they connect while the caller goes on */
    return CA_OK;
}

static enum ca_code open_parts(struct ca *ca, const char *const *endpoints, size_t count)
{
    ca->txids = txid_open();
    ca->change_bytes_max = MiB(1);
    ca->body_bytes_max = MiB(4);
    ca->table_size = 256;
    while (ca->table_size < 2 * (uint64_t)ca->options.outstanding + 128)
        ca->table_size *= 2;
    ca->table = calloc(ca->table_size, sizeof(struct ask *));
    ca->context = talk_context_open();
    if (ca->table == NULL || ca->context == NULL ||
        port_open(&ca->port, &asking_rules, ca->keys.server != NULL ? &ca->own_keys : NULL, NULL,
                  ca) != ERR_NONE)
        return CA_NOMEM;
    return open_nodes(ca, endpoints, count);
}

enum ca_code ca_open(const char *const *endpoints, size_t count, const struct ca_options *options,
                     struct ca **handle)
{
    *handle = NULL;
    if (count == 0 || count > ENDPOINTS_MAX)
        return CA_USAGE;
    for (size_t i = 0; i < count; i++)
        if (endpoints[i] == NULL || strlen(endpoints[i]) >= ADDRESS_TEXT_MAX)
            return CA_USAGE;
    struct ca *ca = calloc(1, sizeof *ca);
    if (ca == NULL)
        return CA_NOMEM;
    enum ca_code code = take_options(ca, options) ? open_parts(ca, endpoints, count) : CA_USAGE;
    if (code != CA_OK)
        ca_close(ca);
    else
        *handle = ca;
    return code;
}

static void free_ask(struct ask *ask)
{
    bytes_close(&ask->own);
    free(ask);
}

static void free_asks(struct ca *ca)
{
    for (struct ask *ask; (ask = client_queue_pop(&ca->finished)) != NULL;)
        free_ask(ask);
    for (uint64_t at = 0; ca->table != NULL && at < ca->table_size; at++)
        if (ca->table[at] != NULL)
            free_ask(ca->table[at]);
    while (ca->spare != NULL) {
        struct ask *ask = ca->spare;
        ca->spare = ask->next;
        free_ask(ask);
    }
    free(ca->table);
}

void ca_close(struct ca *ca)
{
    if (ca == NULL)
        return;
    while (ca->follows != NULL)
        ca_follow_close(ca->follows);
    free_asks(ca);
    port_close(&ca->port);
    free(ca->nodes);
    talk_context_close(ca->context);
    txid_close(ca->txids);
    memset(ca->key_texts, 0, sizeof ca->key_texts);
    keys_close(&ca->own_keys);
    free(ca);
}
