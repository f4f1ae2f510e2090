/* link.c - ROUTER and DEALER behind the promises of link.h. */
#include "protocol/link.h"

#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>
#include <zmq.h>

enum { HWM = 100000, DRAIN_MS = 50, RECONNECT_MS = 10, RECONNECT_MAX_MS = 200 };

static enum err refuse_socket(const char *endpoint)
{
    log_error("socket_failed", kv_text("endpoint", endpoint), kv_text("text", zmq_strerror(errno)));
    return ERR_SYSTEM;
}

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
}

static enum err set_up(struct link *link, struct loop *loop, void *context, int type,
                       const struct link_rules *rules, void *owner)
{
    int64_t frame_max = FRAME_BYTES_MAX;
    assert(link->socket == NULL);
    link->socket = zmq_socket(context, type);
    if (link->socket == NULL)
        return refuse_socket(rules->process);
    link->loop = loop;
    link->rules = rules;
    link->owner = owner;
    link->binds = type == ZMQ_ROUTER;
    set_int(link->socket, ZMQ_LINGER, 0);
    set_int(link->socket, ZMQ_SNDHWM, HWM);
    set_int(link->socket, ZMQ_RCVHWM, HWM);
    zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    return ERR_NONE;
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum err send_frames(struct link *link, const struct link_neighbour *to)
{
    if (link->binds &&
        zmq_send(link->socket, to->route, to->route_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? ERR_BUSY : ERR_CLOSED;
    if (zmq_send(link->socket, link->out.data, link->out.size, ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? ERR_BUSY : ERR_CLOSED;
    link->sent++;
    return ERR_NONE;
}

static enum err send_to(struct link *link, const struct link_neighbour *to,
                        const struct message *message)
{
    bytes_clear(&link->out);
    message_encode(message, &link->out);
    enum err err = send_frames(link, to);
    loop_touch(link->loop, link->socket);
    if (link->out.room > MiB(1)) /* one large message does not keep its room */
        bytes_close(&link->out);
    return err;
}

enum err link_send(struct link *link, uint32_t neighbour, const struct message *message)
{
    assert(neighbour < LINK_NEIGHBOURS_MAX);
    if (!link->neighbours[neighbour].up)
        return ERR_CLOSED;
    enum err err = send_to(link, &link->neighbours[neighbour], message);
    link->dropped += err != ERR_NONE;
    return err;
}

void link_tell(struct link *link, uint32_t neighbour, const struct message *message)
{
    enum err err = link_send(link, neighbour, message);
    if (err == ERR_BUSY)
        log_warn("link_full", kv_text("message", message_info(message->type)->name));
}

bool link_is_up(const struct link *link, uint32_t neighbour)
{
    return link->neighbours[neighbour].up;
}

static void say(struct link *link, const struct link_neighbour *to, enum message_type type)
{
    struct message message = {.type = type};
    message.link_alive.life = link->rules->life;
    if (type == MESSAGE_LINK_HELLO) {
        message.link_hello.life = link->rules->life;
        message.link_hello.process = SPAN_TEXT(link->rules->process);
    }
    enum err err = send_to(link, to, &message);
    (void)err; /* silence is what the other side judges by */
}

/* ---- who is there --------------------------------------------------------------------------- */

static uint32_t slot_of(const struct link *link, const struct link_neighbour *neighbour)
{
    return (uint32_t)(neighbour - link->neighbours);
}

static void mark_down(struct link *link, struct link_neighbour *neighbour, const char *reason)
{
    if (!neighbour->up)
        return;
    neighbour->up = false;
    log_info("link_down", kv_text("neighbour", neighbour->process), kv_text("reason", reason));
    if (link->rules->down != NULL)
        link->rules->down(link->owner, slot_of(link, neighbour));
}

static void mark_up(struct link *link, struct link_neighbour *neighbour, uint64_t life,
                    struct span process)
{
    if (neighbour->up && neighbour->life == life)
        return;
    mark_down(link, neighbour, "a new life");
    neighbour->up = true;
    neighbour->life = life;
    size_t size =
        process.size < sizeof neighbour->process ? process.size : sizeof neighbour->process - 1;
    if (size > 0)
        memcpy(neighbour->process, process.data, size);
    neighbour->process[size] = '\0';
    log_debug("link_up", kv_text("neighbour", neighbour->process));
    say(link, neighbour, MESSAGE_LINK_HELLO);
    if (link->rules->up != NULL)
        link->rules->up(link->owner, slot_of(link, neighbour));
}

static struct link_neighbour *by_route(struct link *link, struct span route)
{
    if (!link->binds)
        return &link->neighbours[0];
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        struct link_neighbour *at = &link->neighbours[i];
        if (at->route_size > 0 && span_equal(route, SPAN(at->route, at->route_size)))
            return at;
    }
    return NULL;
}

/* A place for a newcomer: a free one, else one that is down. */
static struct link_neighbour *admit(struct link *link, struct span route)
{
    struct link_neighbour *place = NULL;
    if (route.size > sizeof place->route)
        return NULL;
    for (uint32_t i = LINK_NEIGHBOURS_MAX; i > 0; i--) {
        struct link_neighbour *at = &link->neighbours[i - 1];
        if (!at->up && (place == NULL || at->route_size == 0))
            place = at;
    }
    if (place == NULL)
        return NULL;
    *place = (struct link_neighbour){.route_size = (uint8_t)route.size};
    memcpy(place->route, route.data, route.size);
    return place;
}

static void on_tick(void *owner)
{
    struct link *link = owner;
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        struct link_neighbour *at = &link->neighbours[i];
        if (at->up && link->loop->now_ms - at->heard_ms > LINK_SILENCE_MS)
            mark_down(link, at, "silence");
        if (at->up)
            say(link, at, MESSAGE_LINK_ALIVE);
        else if (!link->binds && i == 0)
            say(link, at, MESSAGE_LINK_HELLO);
    }
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void refuse(struct link *link, const char *reason, enum err err)
{
    if (link->refused++ % 1000 == 0) /* hostile bytes must not fill the log */
        log_warn("refused", kv_text("reason", reason), kv_err(err), kv_u64("count", link->refused));
}

static void greet(struct link *link, struct link_neighbour *from, struct span route,
                  const struct message *message)
{
    if (from == NULL)
        from = admit(link, route);
    if (from == NULL) {
        refuse(link, "too many neighbours", ERR_LIMIT);
        return;
    }
    bool known = from->up && from->life == message->link_hello.life;
    from->heard_ms = link->loop->now_ms;
    mark_up(link, from, message->link_hello.life, message->link_hello.process);
    /* It gave us up, while we were paused and noticed nothing: without an answer it would
     * say hello for ever. Only the end that binds answers so, or two would never stop. */
    if (known && link->binds)
        say(link, from, MESSAGE_LINK_HELLO);
}

static void dispatch(struct link *link, struct link_neighbour *from, const struct message *message)
{
    link_handler *handler = link->rules->handlers[message->type];
    from->heard_ms = link->loop->now_ms;
    if (message->type == MESSAGE_LINK_ALIVE) {
        if (message->link_alive.life == from->life)
            return;
        mark_down(link, from, message->link_alive.life != 0 ? "a new life" : "it gave us up");
        if (!link->binds)
            say(link, from, MESSAGE_LINK_HELLO);
        return;
    }
    if (handler == NULL) {
        refuse(link, message_info(message->type)->name, ERR_UNKNOWN_VERB);
        return;
    }
    enum err err = handler(link->owner, slot_of(link, from), message);
    if (err != ERR_NONE)
        log_warn("handler_failed", kv_text("message", message_info(message->type)->name),
                 kv_err(err));
}

/* Somebody who knew our former life, or whom we gave up while it was paused. Life 0 tells it
 * that the conversation is over; it says hello at once. A hello from us would not do: one that
 * never noticed anything would take it for the answer to its own. */
static void answer_stranger(struct link *link, struct span route)
{
    struct link_neighbour stranger = {.route_size = (uint8_t)route.size};
    struct message message = {.type = MESSAGE_LINK_ALIVE};
    if (!link->binds || route.size > sizeof stranger.route)
        return;
    memcpy(stranger.route, route.data, route.size);
    enum err err = send_to(link, &stranger, &message);
    (void)err; /* it will speak again */
}

static void receive(struct link *link, struct span route, struct span frame)
{
    struct message message;
    struct link_neighbour *from = by_route(link, route);
    enum err err = message_decode(frame, &message);
    link->received++;
    if (err != ERR_NONE)
        refuse(link, "not a message", err);
    else if (message.type == MESSAGE_LINK_HELLO)
        greet(link, from, route, &message);
    else if (from == NULL || !from->up)
        answer_stranger(link, route);
    else
        dispatch(link, from, &message);
}

/* Takes one message of exactly the frames we expect; others are drained and refused. */
static bool receive_one(struct link *link)
{
    zmq_msg_t frames[2];
    int wanted = link->binds ? 2 : 1, got = 0;
    bool more = true;
    for (; more && got < wanted; got++) {
        zmq_msg_init(&frames[got]);
        if (zmq_msg_recv(&frames[got], link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frames[got]);
            break;
        }
        more = zmq_msg_more(&frames[got]);
    }
    bool found = got > 0;
    if (got == wanted && !more) {
        struct span route = SPAN(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]));
        struct span body =
            SPAN(zmq_msg_data(&frames[wanted - 1]), zmq_msg_size(&frames[wanted - 1]));
        receive(link, route, body);
    } else if (found) {
        refuse(link, "wrong number of frames", ERR_BAD_MESSAGE);
        while (more) {
            zmq_msg_t extra;
            zmq_msg_init(&extra);
            more = zmq_msg_recv(&extra, link->socket, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&extra);
            zmq_msg_close(&extra);
        }
    }
    while (got > 0)
        zmq_msg_close(&frames[--got]);
    return found;
}

static uint32_t drain(void *owner)
{
    struct link *link = owner;
    uint32_t found = 0;
    while (found < LOOP_DRAIN_MAX && receive_one(link)) {
        found++;
        if (clock_now_ms() - link->loop->now_ms > DRAIN_MS)
            return LOOP_DRAIN_MAX; /* the rest in the next turn: timers and neighbours wait */
    }
    return found;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* A process that lacks a handler for an ask addressed to it is our mistake; each of the
 * sockets of one process may serve a part, so the whole is checked by the unit test of
 * the table, and here only that there is one handler at all. */
static void check_handlers(const struct link_rules *rules)
{
    bool any = false;
    for (unsigned type = 0; type < MESSAGE_TYPE_MAX; type++)
        any = any || rules->handlers[type] != NULL;
    assert(any);
}

enum err link_bind(struct link *link, struct loop *loop, void *context, const char *endpoint,
                   const struct link_rules *rules, void *owner)
{
    check_handlers(rules);
    TRY(set_up(link, loop, context, ZMQ_ROUTER, rules, owner));
    set_int(link->socket, ZMQ_ROUTER_MANDATORY, 1);
    set_int(link->socket, ZMQ_IPC_FILTER_UID, (int)geteuid()); /* Z7: the directory is not all */
    TRY(gate_watch_open(&link->watch, loop, context, link->socket, rules->process));
    if (zmq_bind(link->socket, endpoint) != 0)
        return refuse_socket(endpoint);
    loop_add_socket(loop, link->socket, drain, link);
    loop_add_timer(loop, LINK_ALIVE_MS, LINK_ALIVE_MS, on_tick, link);
    return ERR_NONE;
}

enum err link_connect(struct link *link, struct loop *loop, void *context, const char *endpoint,
                      const struct link_rules *rules, void *owner)
{
    check_handlers(rules);
    TRY(set_up(link, loop, context, ZMQ_DEALER, rules, owner));
    set_int(link->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(link->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    if (zmq_connect(link->socket, endpoint) != 0)
        return refuse_socket(endpoint);
    loop_add_socket(loop, link->socket, drain, link);
    loop_add_timer(loop, LINK_ALIVE_MS, LINK_ALIVE_MS, on_tick, link);
    loop->now_ms = clock_now_ms();
    on_tick(link); /* the hello goes out at once; it waits for the connection */
    return ERR_NONE;
}

void link_close(struct link *link)
{
    if (link->socket == NULL)
        return;
    loop_remove(link->loop, link);
    gate_watch_close(&link->watch);
    zmq_close(link->socket);
    bytes_close(&link->out);
    *link = (struct link){0};
}
