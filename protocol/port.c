/* port.c - epoll, who knocks, what arrives, and the time that passes. */
#include "protocol/port.h"

#include "common/clock.h"
#include "common/log.h"
#include "protocol/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BACKLOG = 512, ACCEPT_MAX = 64, EVENTS_MAX = 64, PAUSE_MS = 1000 };

/* In epoll, what is no connection. */
#define OTHER    0
#define LISTENER UINT64_MAX

/* ---- who knocks ------------------------------------------------------------------------------ */

/* No descriptor is left: the listener would wake us without end. */
static void stop_accepting(struct port *port)
{
    log_warn("accept_failed", kv_text("port", port->rules->name), kv_text("text", strerror(errno)),
             kv_text("advice", "raise the limit of open files (ulimit -n, LimitNOFILE=)"));
    port->paused_until_ms = clock_now_ms() + PAUSE_MS;
    epoll_ctl(port->epoll, EPOLL_CTL_DEL, port->listener, NULL);
    conn_want_tick(port, port->paused_until_ms);
}

static void accept_all(struct port *port)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accept(port, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            stop_accepting(port);
        return;
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void receive(struct conn *conn)
{
    size_t room;
    uint8_t *at = zmtp_room(&conn->zmtp, &room);
    ssize_t size = at != NULL ? recv(conn->fd, at, room, MSG_DONTWAIT) : 0;
    if (size > 0) {
        zmtp_received(&conn->zmtp, (size_t)size);
        conn->heard_ms = clock_now_ms();
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        conn->ended = true;
    }
    conn_set_ready(conn);
}

static void on_event(struct port *port, const struct epoll_event *event)
{
    struct conn *conn = event->data.u64 == OTHER ? NULL : port_find(port, event->data.u64);
    if (event->data.u64 == LISTENER)
        accept_all(port);
    else if (conn != NULL && conn->state == CONN_CONNECTING)
        conn_connected(conn);
    else if (conn != NULL && conn->state == CONN_OPEN) {
        if (event->events & EPOLLOUT)
            conn_touch(conn);
        if (event->events & ~(uint32_t)EPOLLOUT)
            receive(conn);
    }
}

void port_wait(struct port *port, uint32_t wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(port->epoll, events, EVENTS_MAX, (int)wait_ms);
    for (int i = 0; i < count; i++)
        on_event(port, &events[i]);
}

/* A tick looks at every connection: those of many fall together, eight in the time of a heartbeat
 * at most. */
static void want_heartbeat(struct conn *conn, uint64_t last_ms)
{
    uint32_t heartbeat_ms = conn->port->rules->heartbeat_ms, grid_ms = heartbeat_ms / 8 + 1;
    conn_want_tick(conn->port, (last_ms + heartbeat_ms + grid_ms - 1) / grid_ms * grid_ms);
}

/* False: who was told of it hung up. */
static bool note_up(struct conn *conn)
{
    struct port *port = conn->port;
    uint64_t id = conn->id;
    if (conn->up || conn->zmtp.step != ZMTP_READY)
        return true;
    conn->up = true;
    conn->retry_ms = port->rules->retry_ms;
    conn->unproven = 0;
    want_heartbeat(conn, conn->heard_ms);
    if (port->rules->up != NULL)
        port->rules->up(port->owner, conn);
    return port_find(port, id) == conn;
}

bool port_next(struct port *port, struct conn **from, struct zmtp_message *message)
{
    port->lending = NULL;
    for (struct conn *conn; (conn = port->ready) != NULL;) {
        enum err err = zmtp_next(&conn->zmtp, message);
        if (zmtp_waiting(&conn->zmtp).size > 0)
            conn_touch(conn); /* of the handshake, or a PONG */
        if ((err == ERR_NONE || err == ERR_NOT_FOUND) && !note_up(conn))
            continue;
        if (err == ERR_NONE) {
            port->lending = *from = conn;
            return true;
        }
        conn_leave_ready(conn);
        if (err != ERR_NOT_FOUND || conn->ended)
            conn_lose(conn, err == ERR_NOT_FOUND ? ERR_CLOSED : err);
    }
    return false;
}

/* ---- ticks ----------------------------------------------------------------------------------- */

static void tick_up(struct conn *conn, uint64_t now_ms)
{
    const struct port_rules *rules = conn->port->rules;
    uint64_t last_ms = conn->heard_ms > conn->pinged_ms ? conn->heard_ms : conn->pinged_ms;
    if (now_ms >= conn->heard_ms + rules->silence_ms) {
        conn_lose(conn, ERR_TIMEOUT);
        return;
    }
    if (now_ms >= last_ms + rules->heartbeat_ms) {
        conn->pinged_ms = last_ms = now_ms;
        if (zmtp_waiting(&conn->zmtp).size == 0) /* else it does not read, and has enough to hear */
            zmtp_ping(&conn->zmtp);
        conn_touch(conn);
    }
    want_heartbeat(conn, last_ms);
}

static void tick(struct conn *conn, uint64_t now_ms)
{
    uint64_t until_ms = conn->began_ms + conn->port->rules->handshake_ms;
    bool waits = conn->state == CONN_CLOSED || conn->state == CONN_LOOKUP;
    if (conn->up)
        tick_up(conn, now_ms);
    else if (waits && now_ms < conn->due_ms)
        conn_want_tick(conn->port, conn->due_ms);
    else if (conn->state == CONN_CLOSED)
        conn_call_now(conn);
    else if (conn->state == CONN_LOOKUP)
        conn_look_again(conn);
    else if (now_ms < until_ms)
        conn_want_tick(conn->port, until_ms);
    else
        conn_lose(conn, ERR_TIMEOUT);
}

/* Told when the first ones have all been seen, and each time they have doubled. */
static void tell_strangers(struct port *port, uint64_t now_ms)
{
    if (port->strangers == port->strangers_told || port->strangers < 2 * port->strangers_told)
        return;
    if (now_ms < port->strangers_due_ms) {
        conn_want_tick(port, port->strangers_due_ms);
        return;
    }
    port->strangers_told = port->strangers;
    log_warn("strangers_refused", kv_text("port", port->rules->name),
             kv_u64("count", port->strangers));
}

static void listen_again(struct port *port, uint64_t now_ms)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LISTENER};
    bool due = now_ms >= port->paused_until_ms;
    if (port->paused_until_ms == 0)
        return;
    if (due && epoll_ctl(port->epoll, EPOLL_CTL_ADD, port->listener, &event) == 0)
        port->paused_until_ms = 0;
    else
        conn_want_tick(port, due ? now_ms + PAUSE_MS : port->paused_until_ms);
}

/* We were paused, or busy for long: what nobody could hear is no silence of theirs. */
static void excuse_all(struct port *port, uint64_t now_ms, uint64_t late_ms)
{
    for (uint32_t slot = 0; slot < port->slot_count; slot++) {
        struct conn *conn = conn_slots(port)[slot].conn;
        if (conn != NULL)
            conn->heard_ms = conn->heard_ms + late_ms < now_ms ? conn->heard_ms + late_ms : now_ms;
    }
}

void port_tick(struct port *port)
{
    uint64_t now_ms = clock_now_ms();
    if (now_ms > port->due_ms && now_ms - port->due_ms >= port->rules->heartbeat_ms)
        excuse_all(port, now_ms, now_ms - port->due_ms);
    port->lending = NULL;
    port->due_ms = UINT64_MAX;
    listen_again(port, now_ms);
    for (uint32_t slot = 0; slot < port->slot_count; slot++)
        if (conn_slots(port)[slot].conn != NULL)
            tick(conn_slots(port)[slot].conn, now_ms);
    tell_strangers(port, now_ms);
}

void port_push(struct port *port)
{
    for (struct conn *conn; (conn = port->dirty) != NULL;) {
        conn_leave_dirty(conn);
        if (conn->state == CONN_OPEN)
            conn_push(conn);
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t run(void *owner)
{
    struct port *port = owner;
    struct zmtp_message message;
    struct conn *from;
    port_wait(port, 0);
    while (port_next(port, &from, &message))
        port->rules->message(port->owner, from, &message);
    return 0; /* the descriptor stays readable as long as there is more */
}

static void on_timer(void *owner)
{
    port_tick(owner);
}

static void on_push(void *owner)
{
    port_push(owner);
}

enum err port_open(struct port *port, const struct port_rules *rules, const struct keys *keys,
                   struct loop *loop, void *owner)
{
    assert(port->rules == NULL);
    *port = (struct port){.rules = rules, .keys = keys, .owner = owner, .loop = loop};
    port->listener = -1;
    port->due_ms = UINT64_MAX;
    port->ready_last = &port->ready;
    port->slots.soft = (rules->calls != NULL ? rules->calls : rules->accepts)->soft;
    port->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (port->epoll < 0)
        return ERR_SYSTEM;
    if (loop == NULL)
        return ERR_NONE;
    loop_add_fd(loop, port->epoll, run, port);
    loop_add_push(loop, on_push, port);
    port->timer = loop_add_timer(loop, 0, 0, on_timer, port);
    return ERR_NONE;
}

static enum err bind_to(struct port *port, const struct address *address)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = LISTENER};
    int on = 1;
    port->listener = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (port->listener < 0)
        return ERR_SYSTEM;
    setsockopt(port->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(port->listener, (const struct sockaddr *)&address->at, address->size) != 0)
        return errno == EADDRINUSE ? ERR_SYSTEM : ERR_CONFIG;
    if (listen(port->listener, BACKLOG) != 0 ||
        epoll_ctl(port->epoll, EPOLL_CTL_ADD, port->listener, &event) != 0)
        return ERR_SYSTEM;
    return ERR_NONE;
}

/* A name is looked up in place: this is said once, at the start. */
static enum err find_own(const char *endpoint, struct address *address)
{
    struct address found[ADDRESSES_MAX];
    struct address_lookup *lookup = address_look_up(endpoint);
    enum err err = lookup != NULL ? address_await(lookup, found) : ERR_NOT_FOUND;
    address_lookup_close(lookup);
    *address = found[0];
    errno = err == ERR_NONE ? 0 : EADDRNOTAVAIL;
    return err == ERR_NONE ? ERR_NONE : ERR_CONFIG;
}

enum err port_listen(struct port *port, const char *endpoint)
{
    struct address address;
    assert(port->listener < 0 && port->rules->accepts != NULL);
    errno = EINVAL;
    enum err err = address_parse(endpoint, true, &address);
    if (err == ERR_NOT_FOUND)
        err = find_own(endpoint, &address);
    if (err != ERR_NONE)
        return err;
    if (address.at.ss_family == AF_UNIX) {
        snprintf(port->path, sizeof port->path, "%s", endpoint + strlen("ipc://"));
        unlink(port->path); /* what lay there is of an earlier life */
    }
    return bind_to(port, &address);
}

void port_endpoint(const struct port *port, char text[ADDRESS_TEXT_MAX])
{
    struct address own = {.size = sizeof own.at};
    text[0] = '\0';
    if (getsockname(port->listener, (struct sockaddr *)&own.at, &own.size) == 0)
        address_print(&own, text);
}

void port_watch(struct port *port, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = OTHER};
    epoll_ctl(port->epoll, EPOLL_CTL_ADD, fd, &event); /* failing: port_wait ends in time */
}

void port_close(struct port *port)
{
    if (port->rules == NULL)
        return;
    port->lending = NULL;
    for (uint32_t slot = 0; slot < port->slot_count; slot++)
        if (conn_slots(port)[slot].conn != NULL)
            port_hang_up(conn_slots(port)[slot].conn);
    if (port->loop != NULL)
        loop_remove(port->loop, port);
    if (port->listener >= 0)
        close(port->listener);
    if (port->path[0] != '\0')
        unlink(port->path);
    if (port->epoll >= 0)
        close(port->epoll);
    bytes_close(&port->slots);
    *port = (struct port){0};
}
