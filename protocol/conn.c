/* conn.c - one connection: its number, its life, and what waits to be sent. */
#include "protocol/conn.h"

#include "common/clock.h"
#include "common/log.h"
#include "protocol/handshake.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LOOKUP_MS = 20, SETTLE_MS = 500 };

/* ---- the table of connections ---------------------------------------------------------------- */

struct port_slot *conn_slots(const struct port *port)
{
    return (struct port_slot *)(void *)port->slots.data;
}

/* The number of a connection: its place, and the how manieth there, from 1. */
static enum err give_id(struct port *port, struct conn *conn)
{
    uint32_t slot = 0;
    while (slot < port->slot_count && conn_slots(port)[slot].conn != NULL)
        slot++;
    if (slot == port->slot_count) {
        struct port_slot *fresh = (void *)bytes_reserve(&port->slots, sizeof *fresh);
        port->slots.failed = false;
        if (fresh == NULL)
            return ERR_NOMEM;
        *fresh = (struct port_slot){0};
        port->slots.size += sizeof *fresh;
        port->slot_count++;
    }
    conn_slots(port)[slot].conn = conn;
    conn->id = (uint64_t)++conn_slots(port)[slot].generation << 32 | slot;
    return ERR_NONE;
}

struct conn *port_find(const struct port *port, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    if (slot >= port->slot_count || conn_slots(port)[slot].generation != id >> 32)
        return NULL;
    return conn_slots(port)[slot].conn;
}

static void take_id(struct conn *conn)
{
    conn_slots(conn->port)[(uint32_t)conn->id].conn = NULL;
    conn->id = 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

void conn_want_tick(struct port *port, uint64_t at_ms)
{
    if (at_ms >= port->due_ms)
        return;
    port->due_ms = at_ms;
    uint64_t now_ms = clock_now_ms();
    if (port->loop != NULL)
        loop_move_timer(port->loop, port->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* ---- lists ----------------------------------------------------------------------------------- */

void conn_set_ready(struct conn *conn)
{
    if (conn->is_ready)
        return;
    conn->is_ready = true;
    conn->next_ready = NULL;
    *conn->port->ready_last = conn;
    conn->port->ready_last = &conn->next_ready;
}

void conn_leave_ready(struct conn *conn)
{
    struct port *port = conn->port;
    struct conn **at = &port->ready;
    if (!conn->is_ready)
        return;
    while (*at != conn)
        at = &(*at)->next_ready;
    *at = conn->next_ready;
    if (*at == NULL)
        port->ready_last = at;
    conn->is_ready = false;
}

void conn_touch(struct conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    conn->next_dirty = conn->port->dirty;
    conn->port->dirty = conn;
}

void conn_leave_dirty(struct conn *conn)
{
    struct conn **at = &conn->port->dirty;
    if (!conn->is_dirty)
        return;
    while (*at != conn)
        at = &(*at)->next_dirty;
    *at = conn->next_dirty;
    conn->is_dirty = false;
}

/* ---- the end of a connection ----------------------------------------------------------------- */

/* What is left is a connection at rest, or none. */
static void shut(struct conn *conn)
{
    struct port *port = conn->port;
    assert(port->lending != conn);
    conn_leave_ready(conn);
    conn_leave_dirty(conn);
    if (conn->fd >= 0)
        close(conn->fd);
    zmtp_close(&conn->zmtp);
    address_lookup_close(conn->lookup);
    conn->lookup = NULL;
    conn->fd = -1;
    conn->up = conn->ended = conn->stuck = false;
    conn->state = CONN_CLOSED;
    if (!conn->accepted)
        return;
    take_id(conn);
    bytes_free(conn);
}

static void retry_later(struct conn *conn)
{
    const struct port_rules *rules = conn->port->rules;
    conn->due_ms = clock_now_ms() + conn->retry_ms;
    conn->retry_ms *= 2;
    if (conn->retry_ms > rules->retry_max_ms)
        conn->retry_ms = rules->retry_max_ms;
    conn_want_tick(conn->port, conn->due_ms);
}

/* Told when their time is over: see port_tick. */
static void note_stranger(struct port *port)
{
    uint64_t now_ms = clock_now_ms();
    if (port->strangers++ == port->strangers_told)
        port->strangers_due_ms = now_ms + port->rules->handshake_ms + SETTLE_MS;
    if (port->strangers >= 2 * port->strangers_told)
        conn_want_tick(port, port->strangers_due_ms);
}

static void note_refusal(struct conn *conn)
{
    struct address other = {.size = sizeof other.at};
    char text[ADDRESS_TEXT_MAX] = "";
    if (conn->port->refused++ % 100 != 0)
        return;
    if (getpeername(conn->fd, (struct sockaddr *)&other.at, &other.size) == 0)
        address_print(&other, text);
    log_warn("connection_refused", kv_text("address", text), kv_u64("count", conn->port->refused));
}

/* Of one that was called: it ended while a key had yet to be proven. Now and then that happens to
 * everybody whose other end is stopped; told is who does it again and again. */
static void note_unproven(struct conn *conn)
{
    const struct port_rules *rules = conn->port->rules;
    enum handshake_doubt doubt = handshake_doubt(&conn->zmtp);
    if (conn->state != CONN_OPEN || doubt == HANDSHAKE_NO_DOUBT)
        return;
    conn->unproven++;
    bool again = conn->unproven >= 4 && (conn->unproven & (conn->unproven - 1)) == 0;
    if (again && rules->unproven != NULL)
        rules->unproven(conn->port->owner, conn, doubt == HANDSHAKE_THEIRS);
}

/* Who was accepted and never finished the handshake is a stranger. */
void conn_lose(struct conn *conn, enum err err)
{
    struct port *port = conn->port;
    bool called = !conn->accepted, was_up = conn->up;
    if (!called && !was_up && err == ERR_DENIED && conn->zmtp.step == ZMTP_HANDSHAKE)
        note_refusal(conn);
    else if (!called && !was_up)
        note_stranger(port);
    if (called && err == ERR_CLOSED)
        note_unproven(conn);
    shut(conn);
    if (!called)
        return;
    retry_later(conn);
    if (was_up && port->rules->down != NULL)
        port->rules->down(port->owner, conn);
}

void port_hang_up(struct conn *conn)
{
    if (conn->port == NULL)
        return;
    bool called = !conn->accepted;
    shut(conn);
    if (!called)
        return;
    take_id(conn);
    conn->port = NULL;
}

/* ---- sending --------------------------------------------------------------------------------- */

static void watch_fd(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = conn->id};
    int rc = epoll_ctl(conn->port->epoll, operation, conn->fd, &event);
    conn->ended = conn->ended || rc != 0;
}

enum err conn_has_room(const struct conn *conn)
{
    if (!conn->up)
        return ERR_CLOSED;
    return zmtp_waiting(&conn->zmtp).size < conn->port->rules->waiting_max ? ERR_NONE : ERR_BUSY;
}

/* An end of the connection is seen by who reads: its last words come first. */
void conn_push(struct conn *conn)
{
    struct span left = zmtp_waiting(&conn->zmtp);
    while (left.size > 0) {
        ssize_t size = send(conn->fd, left.data, left.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            break;
        if (conn->stuck) /* it reads, so it lives: a question would be behind all that waits */
            conn->heard_ms = clock_now_ms();
        zmtp_sent(&conn->zmtp, (size_t)size);
        left = zmtp_waiting(&conn->zmtp);
    }
    if (conn->stuck == (left.size > 0))
        return;
    conn->stuck = !conn->stuck;
    watch_fd(conn, EPOLL_CTL_MOD, conn->stuck ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void begin_talk(struct conn *conn)
{
    struct port *port = conn->port;
    const struct zmtp_rules *rules = conn->accepted ? port->rules->accepts : port->rules->calls;
    struct zmtp_keys keys = {port->keys, conn->accepted ? NULL : conn->server_key};
    int on = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not of a local one */
    zmtp_open(&conn->zmtp, rules, keys, port->owner);
    conn->state = CONN_OPEN;
    conn->began_ms = conn->heard_ms = conn->pinged_ms = clock_now_ms();
    conn_want_tick(port, conn->began_ms + port->rules->handshake_ms);
    conn_touch(conn);
}

void conn_accept(struct port *port, int fd)
{
    struct conn *conn = bytes_zeroed(1, sizeof *conn);
    conn->port = port;
    conn->fd = fd;
    conn->accepted = true;
    enum err err = give_id(port, conn);
    assert(err == ERR_NONE); /* who accepts is no guest: the memory is there, or we are not */
    watch_fd(conn, EPOLL_CTL_ADD, EPOLLIN);
    begin_talk(conn);
}

static void connect_to(struct conn *conn, const struct address *address)
{
    conn->tries++;
    conn->fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        conn_lose(conn, ERR_SYSTEM);
        return;
    }
    conn->state = CONN_CONNECTING;
    conn->began_ms = clock_now_ms();
    int rc = connect(conn->fd, (const struct sockaddr *)&address->at, address->size);
    if (rc != 0 && errno != EINPROGRESS) {
        conn_lose(conn, ERR_CLOSED);
        return;
    }
    watch_fd(conn, EPOLL_CTL_ADD, EPOLLOUT);
    conn_want_tick(conn->port, conn->began_ms + conn->port->rules->handshake_ms);
}

void conn_call_now(struct conn *conn)
{
    struct address address;
    enum err err = address_parse(conn->endpoint, false, &address);
    if (err == ERR_NONE) {
        connect_to(conn, &address);
        return;
    }
    conn->lookup = address_look_up(conn->endpoint);
    if (conn->lookup == NULL) {
        retry_later(conn);
        return;
    }
    conn->state = CONN_LOOKUP;
    conn->due_ms = clock_now_ms() + LOOKUP_MS / 4;
    conn_want_tick(conn->port, conn->due_ms);
}

/* Of several addresses each gets its turn. */
void conn_look_again(struct conn *conn)
{
    struct address found[ADDRESSES_MAX];
    uint32_t count;
    enum err err = address_found(conn->lookup, found, &count);
    if (err == ERR_BUSY) {
        conn->due_ms = clock_now_ms() + LOOKUP_MS;
        conn_want_tick(conn->port, conn->due_ms);
        return;
    }
    address_lookup_close(conn->lookup);
    conn->lookup = NULL;
    if (err == ERR_NONE)
        connect_to(conn, &found[conn->tries % count]);
    else
        conn_lose(conn, err);
}

/* Who calls a number of this machine that nobody has may be given that very number for its own
 * end: it would speak with itself, and be in the way of who wants to listen there. */
static bool is_own_end(int fd)
{
    struct address own = {.size = sizeof own.at}, other = {.size = sizeof other.at};
    return getsockname(fd, (struct sockaddr *)&own.at, &own.size) == 0 &&
           getpeername(fd, (struct sockaddr *)&other.at, &other.size) == 0 &&
           own.size == other.size && memcmp(&own.at, &other.at, own.size) == 0;
}

void conn_connected(struct conn *conn)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0 ||
        is_own_end(conn->fd)) {
        conn_lose(conn, ERR_CLOSED);
        return;
    }
    watch_fd(conn, EPOLL_CTL_MOD, EPOLLIN);
    begin_talk(conn);
}

/* ---- calling --------------------------------------------------------------------------------- */

enum err port_call(struct port *port, struct conn *conn, const char *endpoint,
                   const uint8_t *server_key)
{
    struct address address;
    assert(conn->port == NULL && (server_key != NULL) == (port->keys != NULL));
    enum err err = address_parse(endpoint, false, &address);
    if (strlen(endpoint) >= sizeof conn->endpoint || (err != ERR_NONE && err != ERR_NOT_FOUND))
        return ERR_CONFIG;
    *conn = (struct conn){.port = port, .fd = -1, .user = conn->user};
    memcpy(conn->endpoint, endpoint, strlen(endpoint) + 1);
    if (server_key != NULL)
        memcpy(conn->server_key, server_key, KEY_SIZE);
    conn->retry_ms = port->rules->retry_ms;
    conn->due_ms = clock_now_ms();
    err = give_id(port, conn);
    if (err != ERR_NONE)
        conn->port = NULL;
    else
        conn_want_tick(port, conn->due_ms);
    return err;
}
