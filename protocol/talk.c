/* talk.c - raw libzmq for the follower of a client: no loop, no process-wide state. */
#include "protocol/talk.h"

#include "protocol/message.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

enum {
    STREAM_QUEUE = 1000, /* what is lost beyond is healed by a list */
    RECONNECT_MS = 50,
    RECONNECT_MAX_MS = 1000,
    HANDSHAKE_MS = 3000,
    HEARTBEAT_MS = 1000,
    DRAIN_MAX = 64,
};

_Static_assert(sizeof(zmq_msg_t) <= sizeof((struct talk){0}.frames[0]),
               "a frame holds a zmq_msg_t");

static zmq_msg_t *frame_of(struct talk *talk, int slot)
{
    return (zmq_msg_t *)(void *)talk->frames[slot];
}

static bool set(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_text(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, strlen(text)) == 0;
}

/* A dead node must not hold up the program that uses us, nor collect its asks. */
static bool set_common(void *socket)
{
    int64_t frame_max = FRAME_BYTES_MAX;
    return set(socket, ZMQ_LINGER, 0) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0 &&
           set(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           set(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
           set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           set(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
           set(socket, ZMQ_HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS) && set(socket, ZMQ_IPV6, 1);
}

static bool set_keys(void *socket, const struct talk_keys *keys)
{
    if (keys == NULL || keys->server == NULL)
        return true;
    return keys->client_public != NULL && keys->client_secret != NULL &&
           set_text(socket, ZMQ_CURVE_SERVERKEY, keys->server) &&
           set_text(socket, ZMQ_CURVE_PUBLICKEY, keys->client_public) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, keys->client_secret);
}

static enum err open_socket(struct talk *talk, void *context, const struct talk_keys *keys)
{
    size_t size = sizeof talk->fd;
    talk->socket = zmq_socket(context, ZMQ_SUB);
    if (talk->socket == NULL)
        return ERR_NOMEM;
    if (!set_common(talk->socket) || !set_keys(talk->socket, keys))
        return ERR_BAD_REQUEST;
    if (zmq_getsockopt(talk->socket, ZMQ_FD, &talk->fd, &size) != 0)
        return ERR_SYSTEM;
    return ERR_NONE;
}

static enum err connect_socket(struct talk *talk, const char *endpoint)
{
    return zmq_connect(talk->socket, endpoint) == 0 ? ERR_NONE : ERR_BAD_REQUEST;
}

void *talk_context_open(void)
{
    return zmq_ctx_new();
}

void talk_context_close(void *context)
{
    if (context == NULL)
        return;
    while (zmq_ctx_term(context) != 0 && errno == EINTR)
        ; /* interrupted by a signal of the program: not yet ended */
}

enum err talk_stream_open(struct talk *talk, void *context, const char *endpoint,
                          const struct talk_keys *keys)
{
    TRY(open_socket(talk, context, keys));
    if (!set(talk->socket, ZMQ_RCVHWM, STREAM_QUEUE))
        return ERR_SYSTEM;
    return connect_socket(talk, endpoint);
}

static void drop_frames(struct talk *talk)
{
    if (!talk->holds)
        return;
    zmq_msg_close(frame_of(talk, 0));
    zmq_msg_close(frame_of(talk, 1));
    talk->holds = false;
}

void talk_close(struct talk *talk)
{
    if (talk->socket != NULL) {
        drop_frames(talk);
        zmq_close(talk->socket);
    }
    *talk = (struct talk){0};
}

/* Reads one message into the two frames and counts what it had. */
static int receive_frames(struct talk *talk)
{
    zmq_msg_t spare;
    zmq_msg_init(&spare);
    int count = 0;
    for (bool more = true; more; count++) {
        zmq_msg_t *frame = count < 2 ? frame_of(talk, count) : &spare;
        if (zmq_msg_recv(frame, talk->socket, ZMQ_DONTWAIT) < 0)
            break;
        more = zmq_msg_more(frame) != 0;
    }
    zmq_msg_close(&spare);
    return count;
}

bool talk_receive(struct talk *talk, struct span *topic, struct span *body)
{
    for (int tries = 0; tries < DRAIN_MAX; tries++) {
        drop_frames(talk);
        zmq_msg_init(frame_of(talk, 0));
        zmq_msg_init(frame_of(talk, 1));
        talk->holds = true;
        int count = receive_frames(talk);
        if (count == 0)
            return false;
        if (count != 2)
            continue;
        *topic = SPAN(zmq_msg_data(frame_of(talk, 0)), zmq_msg_size(frame_of(talk, 0)));
        *body = SPAN(zmq_msg_data(frame_of(talk, 1)), zmq_msg_size(frame_of(talk, 1)));
        return true;
    }
    return false;
}

static int events_of(struct talk *talk)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(talk->socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

bool talk_readable(struct talk *talk)
{
    return (events_of(talk) & ZMQ_POLLIN) != 0;
}

enum err talk_subscribe(struct talk *talk, struct span topic)
{
    return zmq_setsockopt(talk->socket, ZMQ_SUBSCRIBE, topic.data, topic.size) == 0 ? ERR_NONE
                                                                                    : ERR_SYSTEM;
}
