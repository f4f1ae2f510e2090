/* door.c - ROUTER and XPUB towards clients. */
#include "protocol/door.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <zmq.h>

enum {
    ASK_BYTES_MAX = 5 << 20,
    ASK_HWM = 4096,
    STREAM_HWM = 20000,
    HEARTBEAT_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 5000,
};

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
}

/* ---- asks ------------------------------------------------------------------------------------ */

/* The frames of one client message, as many as are of use. */
struct parcel {
    struct door_route route;
    zmq_msg_t body;
    size_t route_size;
    bool fits;
};

static void keep_frame(struct parcel *parcel, zmq_msg_t *frame)
{
    struct door_route *route = &parcel->route;
    size_t size = zmq_msg_size(frame);
    parcel->fits = parcel->fits && route->frames < DOOR_FRAMES_MAX &&
                   parcel->route_size + size <= DOOR_ROUTE_MAX;
    if (!parcel->fits)
        return;
    memcpy(route->bytes + parcel->route_size, zmq_msg_data(frame), size);
    route->sizes[route->frames++] = (uint8_t)size;
    parcel->route_size += size;
}

/* Takes one message; the body is left open for the caller. */
static bool take(struct door *door, struct parcel *parcel)
{
    parcel->route.frames = 0;
    parcel->route_size = 0;
    parcel->fits = true;
    zmq_msg_init(&parcel->body);
    if (zmq_msg_recv(&parcel->body, door->asks, ZMQ_DONTWAIT) < 0)
        return false;
    while (zmq_msg_more(&parcel->body)) {
        keep_frame(parcel, &parcel->body);
        if (zmq_msg_recv(&parcel->body, door->asks, ZMQ_DONTWAIT) < 0)
            return false;
    }
    return true;
}

/* Counted all, told once in a thousand: hostile bytes must not fill the log. */
static void note_refusal(struct door *door, const char *reason, enum err err)
{
    if (door->refused++ % 1000 == 0)
        log_warn("client_refused", kv_text("reason", reason), kv_err(err),
                 kv_u64("count", door->refused));
}

static void handle(struct door *door, struct parcel *parcel)
{
    struct message message;
    const char *field;
    door->received++;
    if (!parcel->fits || parcel->route.frames == 0) {
        note_refusal(door, "wrong number of frames", ERR_BAD_MESSAGE);
        return;
    }
    struct span body = SPAN(zmq_msg_data(&parcel->body), zmq_msg_size(&parcel->body));
    enum err err = message_decode_map(body, &message, &field);
    if (err == ERR_NONE && !message_info(message.type)->is_ask)
        err = ERR_UNKNOWN_VERB;
    if (err == ERR_NONE) {
        door->rules->ask(door->owner, &parcel->route, &message);
        return;
    }
    note_refusal(door, "not an ask", err);
    door->rules->refuse(door->owner, &parcel->route, message.request, err, field);
}

static uint32_t drain_asks(void *owner)
{
    struct door *door = owner;
    struct parcel parcel;
    uint32_t found = 0;
    for (; found < LOOP_DRAIN_MAX && take(door, &parcel); found++) {
        handle(door, &parcel);
        zmq_msg_close(&parcel.body);
    }
    if (found < LOOP_DRAIN_MAX)
        zmq_msg_close(&parcel.body);
    return found;
}

/* The body exists before the first frame goes: a message that was begun is ended, or what follows
 * would reach the wrong client. */
static bool make_body(struct door *door, zmq_msg_t *body)
{
    if (zmq_msg_init_size(body, door->out.size) != 0)
        return false;
    memcpy(zmq_msg_data(body), door->out.data, door->out.size);
    return true;
}

void door_answer(struct door *door, const struct door_route *route, const struct message *message)
{
    const uint8_t *at = route->bytes;
    zmq_msg_t body;
    bytes_clear(&door->out);
    message_encode_map(message, &door->out);
    loop_touch(door->loop, door->asks);
    if (!make_body(door, &body)) {
        door->lost++;
        return;
    }
    for (uint8_t i = 0; i < route->frames; i++) {
        if (zmq_send(door->asks, at, route->sizes[i], ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
            door->lost++; /* Z3: gone, or not reading; only the first frame can be refused */
            zmq_msg_close(&body);
            return;
        }
        at += route->sizes[i];
    }
    door->answered++;
    if (zmq_msg_send(&body, door->asks, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&body);
        door->lost++;
    }
    if (door->out.room > MiB(1))
        bytes_close(&door->out);
}

/* ---- the stream ------------------------------------------------------------------------------ */

static uint32_t drain_stream(void *owner)
{
    struct door *door = owner;
    uint8_t frame[DOOR_TOPIC_MAX + 1];
    uint32_t found = 0;
    for (; found < LOOP_DRAIN_MAX; found++) {
        int size = zmq_recv(door->stream, frame, sizeof frame, ZMQ_DONTWAIT);
        if (size < 0)
            break;
        if (size < 1 || (size_t)size > sizeof frame || frame[0] > 1)
            note_refusal(door, "not a subscription", ERR_BAD_MESSAGE);
        else
            door->rules->subscribed(door->owner, SPAN(frame + 1, (size_t)size - 1), frame[0] == 1);
    }
    return found;
}

void door_publish(struct door *door, struct span topic, struct span body)
{
    loop_touch(door->loop, door->stream);
    if (zmq_send(door->stream, topic.data, topic.size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(door->stream, body.data, body.size, ZMQ_DONTWAIT) < 0)
        door->lost++;
    else
        door->published++;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum err bind_to(void *socket, const char *endpoint)
{
    if (zmq_bind(socket, endpoint) == 0)
        return ERR_NONE;
    log_error("listen_failed", kv_text("endpoint", endpoint), kv_text("text", zmq_strerror(errno)));
    return errno == EADDRINUSE ? ERR_SYSTEM : ERR_CONFIG;
}

static enum err make_socket(void *context, int type, int hwm, void **socket)
{
    int64_t frame_max = ASK_BYTES_MAX;
    *socket = zmq_socket(context, type);
    if (*socket == NULL)
        return ERR_SYSTEM;
    set_int(*socket, ZMQ_LINGER, 1000);
    set_int(*socket, ZMQ_SNDHWM, hwm);
    set_int(*socket, ZMQ_RCVHWM, hwm);
    set_int(*socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(*socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    int rc = zmq_setsockopt(*socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    assert(rc == 0);
    return gate_guard(*socket, GATE_CLIENT, NULL);
}

enum err door_open(struct door *door, struct loop *loop, void *context, const char *listen,
                   const char *stream, const struct door_rules *rules, void *owner)
{
    assert(door->asks == NULL);
    door->loop = loop;
    door->rules = rules;
    door->owner = owner;
    TRY(gate_open(&door->gate, loop, context));
    TRY(make_socket(context, ZMQ_ROUTER, ASK_HWM, &door->asks));
    set_int(door->asks, ZMQ_ROUTER_MANDATORY, 1);
    TRY(make_socket(context, ZMQ_XPUB, STREAM_HWM, &door->stream));
    set_int(door->stream, ZMQ_XPUB_VERBOSE, 1);
    int rc = zmq_setsockopt(door->stream, ZMQ_XPUB_WELCOME_MSG, "h", 1);
    assert(rc == 0);
    TRY(gate_watch_open(&door->asks_watch, loop, context, door->asks, "asks"));
    TRY(gate_watch_open(&door->stream_watch, loop, context, door->stream, "stream"));
    TRY(bind_to(door->asks, listen));
    TRY(bind_to(door->stream, stream));
    loop_add_socket(loop, door->asks, drain_asks, door);
    loop_add_socket(loop, door->stream, drain_stream, door);
    return ERR_NONE;
}

void door_close(struct door *door)
{
    if (door->loop != NULL)
        loop_remove(door->loop, door);
    gate_watch_close(&door->asks_watch);
    gate_watch_close(&door->stream_watch);
    if (door->asks != NULL)
        zmq_close(door->asks);
    if (door->stream != NULL)
        zmq_close(door->stream);
    gate_close(&door->gate);
    bytes_close(&door->out);
    *door = (struct door){0};
}

void door_endpoints(struct door *door, char listen[256], char stream[256])
{
    size_t size = 256;
    listen[0] = stream[0] = '\0';
    zmq_getsockopt(door->asks, ZMQ_LAST_ENDPOINT, listen, &size);
    size = 256;
    zmq_getsockopt(door->stream, ZMQ_LAST_ENDPOINT, stream, &size);
}
