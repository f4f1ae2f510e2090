/* door.c - asks by port.h, the stream by libzmq. */
#include "protocol/door.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <zmq.h>

enum {
    ASK_BYTES_MAX = 5 << 20,
    STREAM_HWM = 20000,
    HANDSHAKE_MS = 5000,
    HEARTBEAT_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 5000,
};

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
}

/* ---- asks ------------------------------------------------------------------------------------ */

/* Counted all, told once in a thousand: hostile bytes must not fill the log. */
static void note_refusal(struct door *door, const char *reason, enum err err)
{
    if (door->refused++ % 1000 == 0)
        log_warn("client_refused", kv_text("reason", reason), kv_err(err),
                 kv_u64("count", door->refused));
}

/* The envelope is all but the last frame. False: it is none that could be sent back. */
static bool keep_route(struct door_route *route, const struct zmtp_message *message)
{
    size_t at = 0;
    if (message->count > DOOR_FRAMES_MAX + 1)
        return false;
    for (uint32_t i = 0; i + 1 < message->count; i++) {
        struct span frame = message->frames[i];
        if (frame.size > sizeof route->bytes - at)
            return false;
        if (frame.size > 0)
            memcpy(route->bytes + at, frame.data, frame.size);
        route->sizes[route->frames++] = (uint8_t)frame.size;
        at += frame.size;
    }
    return true;
}

static void on_message(void *owner, struct conn *from, const struct zmtp_message *frames)
{
    struct door *door = owner;
    struct message message;
    struct door_route route = {.conn = from->id};
    const char *field;
    door->received++;
    if (!keep_route(&route, frames)) {
        note_refusal(door, "wrong number of frames", ERR_BAD_MESSAGE);
        return;
    }
    enum err err = message_decode_map(frames->frames[frames->count - 1], &message, &field);
    if (err == ERR_NONE && !message_info(message.type)->is_ask)
        err = ERR_UNKNOWN_VERB;
    if (err == ERR_NONE) {
        door->rules->ask(door->owner, &route, &message);
        return;
    }
    note_refusal(door, "not an ask", err);
    door->rules->refuse(door->owner, &route, message.request, err, field);
}

static const struct zmtp_rules ask_zmtp = {
    .type = "ROUTER", .listens = true, .frame_max = ASK_BYTES_MAX};
static const struct port_rules ask_rules = {
    .name = "asks",
    .accepts = &ask_zmtp,
    .waiting_max = MiB(32),
    .handshake_ms = HANDSHAKE_MS,
    .heartbeat_ms = HEARTBEAT_MS,
    .silence_ms = HEARTBEAT_TIMEOUT_MS,
    .message = on_message,
};

/* Z3: a client that is gone, or does not read, loses its answer. */
void door_answer(struct door *door, const struct door_route *route, const struct message *message)
{
    struct conn *conn = port_find(&door->asks, route->conn);
    const uint8_t *at = route->bytes;
    if (conn == NULL || conn_has_room(conn) != ERR_NONE) {
        door->lost++;
        return;
    }
    enum err err = ERR_NONE;
    for (uint8_t i = 0; i < route->frames && err == ERR_NONE; i++) {
        err = zmtp_frame(&conn->zmtp, SPAN(at, route->sizes[i]), true);
        at += route->sizes[i];
    }
    message_encode_map(message, zmtp_begin(&conn->zmtp));
    err = zmtp_end(&conn->zmtp, false);
    assert(err == ERR_NONE); /* its bytes are not soft */
    conn_touch(conn);
    door->answered++;
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

static enum err tell(enum err err, const char *endpoint)
{
    if (err != ERR_NONE)
        log_error("listen_failed", kv_text("endpoint", endpoint),
                  kv_text("text", zmq_strerror(errno)));
    return err;
}

static enum err bind_to(void *socket, const char *endpoint)
{
    if (zmq_bind(socket, endpoint) == 0)
        return ERR_NONE;
    return errno == EADDRINUSE ? ERR_SYSTEM : ERR_CONFIG;
}

static enum err open_stream(struct door *door, void *context)
{
    int64_t frame_max = ASK_BYTES_MAX;
    door->stream = zmq_socket(context, ZMQ_XPUB);
    if (door->stream == NULL)
        return ERR_SYSTEM;
    set_int(door->stream, ZMQ_LINGER, 1000);
    set_int(door->stream, ZMQ_SNDHWM, STREAM_HWM);
    set_int(door->stream, ZMQ_RCVHWM, STREAM_HWM);
    set_int(door->stream, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(door->stream, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_int(door->stream, ZMQ_XPUB_VERBOSE, 1);
    int rc = zmq_setsockopt(door->stream, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    rc |= zmq_setsockopt(door->stream, ZMQ_XPUB_WELCOME_MSG, "h", 1);
    assert(rc == 0);
    return gate_guard(door->stream, GATE_CLIENT);
}

enum err door_open(struct door *door, struct loop *loop, void *context, const char *listen,
                   const char *stream, const struct door_rules *rules, void *owner)
{
    assert(door->stream == NULL);
    door->loop = loop;
    door->rules = rules;
    door->owner = owner;
    TRY(gate_open(&door->gate, loop, context));
    TRY(open_stream(door, context));
    TRY(port_open(&door->asks, &ask_rules, NULL, loop, door));
    TRY(gate_watch_open(&door->stream_watch, loop, context, door->stream, "stream"));
    TRY(tell(port_listen(&door->asks, listen), listen));
    TRY(tell(bind_to(door->stream, stream), stream));
    loop_add_socket(loop, door->stream, drain_stream, door);
    return ERR_NONE;
}

void door_close(struct door *door)
{
    if (door->loop != NULL)
        loop_remove(door->loop, door);
    port_close(&door->asks);
    gate_watch_close(&door->stream_watch);
    if (door->stream != NULL)
        zmq_close(door->stream);
    gate_close(&door->gate);
    *door = (struct door){0};
}

void door_endpoints(struct door *door, char listen[256], char stream[256])
{
    size_t size = 256;
    stream[0] = '\0';
    port_endpoint(&door->asks, listen);
    zmq_getsockopt(door->stream, ZMQ_LAST_ENDPOINT, stream, &size);
}
