/* peerlink.c - sockets between servers. */
#include "protocol/peerlink.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <zmq.h>

enum {
    HWM = 1000,
    HEARTBEAT_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 3000,
    RECONNECT_MS = 20,
    TRY_AGAIN_MS = 2000,
    HANDSHAKE_MS = 1000, /* who does not let us in yet says nothing: we try again */
    RECONNECT_MAX_MS = 500,
    LISTEN_MAX = 16,
};

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    assert(rc == 0);
}

static void set_common(void *socket)
{
    int64_t frame_max = FRAME_BYTES_MAX;
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_SNDHWM, HWM);
    set_int(socket, ZMQ_RCVHWM, HWM);
    set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    assert(rc == 0);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void refuse(struct peerlink *link, const char *reason, enum err err)
{
    if (link->refused++ % 1000 == 0)
        log_warn("peer_refused", kv_text("reason", reason), kv_err(err),
                 kv_u64("count", link->refused));
}

/* Z2: the key stands in the metadata of the last frame. */
static int slot_of_sender(struct peerlink *link, zmq_msg_t *body)
{
    uint8_t key[KEY_SIZE];
    const char *user = zmq_msg_gets(body, "User-Id");
    if (user == NULL || keys_parse(SPAN_TEXT(user), key) != ERR_NONE)
        return -1;
    for (uint32_t i = 0; i < PEERLINK_PEERS_MAX; i++)
        if (link->peers[i].used && memcmp(link->peers[i].key, key, KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

/* False: refused, and told. */
static bool decode(struct peerlink *link, zmq_msg_t *body, struct message *message)
{
    enum err err = message_decode(SPAN(zmq_msg_data(body), zmq_msg_size(body)), message);
    const struct message_info *info = message_info(message->type);
    bool fits = info->from == PROCESS_PEER || info->to == PROCESS_PEER;
    if (err != ERR_NONE)
        refuse(link, "not a message", err);
    else if (!fits)
        refuse(link, info->name, ERR_UNKNOWN_VERB);
    return err == ERR_NONE && fits;
}

static void receive_body(struct peerlink *link, zmq_msg_t *body)
{
    struct message message;
    int slot = slot_of_sender(link, body);
    link->received++;
    if (slot < 0)
        refuse(link, "a key that is no peer's", ERR_DENIED);
    else if (decode(link, body, &message))
        link->rules->receive(link->owner, (uint32_t)slot, &message);
}

static void keep_route(struct peerlink *link, zmq_msg_t *frame)
{
    struct peerlink_route *route = &link->route;
    size_t size = zmq_msg_size(frame);
    route->size = size <= sizeof route->bytes ? (uint8_t)size : 0; /* ZeroMQ's own have 5 */
    memcpy(route->bytes, zmq_msg_data(frame), route->size);
}

/* Exactly two frames: the route and the body. */
static bool receive_one(struct peerlink *link)
{
    zmq_msg_t frame;
    int count = 0;
    bool more = true;
    for (; more; count++) {
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return count > 0;
        }
        more = zmq_msg_more(&frame);
        if (count == 0)
            keep_route(link, &frame);
        if (count == 1 && !more)
            receive_body(link, &frame);
        zmq_msg_close(&frame);
    }
    if (count != 2)
        refuse(link, "wrong number of frames", ERR_BAD_MESSAGE);
    return true;
}

static uint32_t drain(void *owner)
{
    struct peerlink *link = owner;
    uint32_t found = 0;
    while (found < LOOP_DRAIN_MAX && receive_one(link))
        found++;
    return found;
}

static uint32_t drain_monitor(void *owner)
{
    struct peerlink_peer *peer = owner;
    struct peerlink *link = peer->link;
    uint32_t found = 0;
    bool connected;
    for (; found < LOOP_DRAIN_MAX && gate_event(peer->monitor, &connected); found++) {
        bool lost = peer->connected && !connected;
        peer->connected = connected;
        peer->tried_ms = link->loop->now_ms;
        log_info(connected ? "peer_connected" : "peer_disconnected",
                 kv_text("endpoint", peer->endpoint));
        if (lost)
            link->rules->down(link->owner, (uint32_t)(peer - link->peers));
    }
    return found;
}

/* ---- peers ---------------------------------------------------------------------------------- */

static void close_peer_sockets(struct peerlink *link, struct peerlink_peer *peer)
{
    if (peer->monitor != NULL) {
        loop_remove(link->loop, peer);
        zmq_socket_monitor(peer->socket, NULL, 0);
        zmq_close(peer->monitor);
    }
    if (peer->socket != NULL)
        zmq_close(peer->socket);
    peer->socket = peer->monitor = NULL;
    peer->connected = false;
}

static enum err connect_peer(struct peerlink *link, struct peerlink_peer *peer)
{
    char name[64];
    peer->socket = zmq_socket(link->context, ZMQ_DEALER);
    if (peer->socket == NULL)
        return ERR_SYSTEM;
    set_common(peer->socket);
    set_int(peer->socket, ZMQ_IMMEDIATE, 1);
    set_int(peer->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(peer->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(peer->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    int rc = zmq_setsockopt(peer->socket, ZMQ_CURVE_SERVERKEY, peer->key, KEY_SIZE);
    rc |= zmq_setsockopt(peer->socket, ZMQ_CURVE_PUBLICKEY, link->keys.public_key, KEY_SIZE);
    rc |= zmq_setsockopt(peer->socket, ZMQ_CURVE_SECRETKEY, link->keys.secret_key, KEY_SIZE);
    snprintf(name, sizeof name, "inproc://monitor-%llu", (unsigned long long)link->sequence++);
    peer->monitor = gate_monitor(link->context, peer->socket, name);
    if (rc != 0 || peer->monitor == NULL)
        return ERR_SYSTEM;
    loop_add_socket(link->loop, peer->monitor, drain_monitor, peer);
    peer->tried_ms = link->loop->now_ms;
    return zmq_connect(peer->socket, peer->endpoint) == 0 ? ERR_NONE : ERR_CONFIG;
}

enum err peerlink_set(struct peerlink *link, uint32_t slot, const uint8_t key[KEY_SIZE],
                      const char *endpoint)
{
    assert(slot < PEERLINK_PEERS_MAX);
    struct peerlink_peer *peer = &link->peers[slot];
    bool same_key = peer->used && memcmp(peer->key, key, KEY_SIZE) == 0;
    if (same_key && strcmp(peer->endpoint, endpoint) == 0)
        return ERR_NONE;
    if (strlen(endpoint) >= sizeof peer->endpoint)
        return ERR_LIMIT;
    close_peer_sockets(link, peer);
    if (peer->used && !same_key)
        gate_forbid(&link->gate, peer->key);
    peer->used = true;
    peer->link = link;
    memcpy(peer->key, key, KEY_SIZE);
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
    TRY(gate_allow(&link->gate, key));
    if (*endpoint == '\0')
        return ERR_NONE;
    enum err err = connect_peer(link, peer);
    if (err != ERR_NONE)
        log_error("peer_not_reachable", kv_text("endpoint", endpoint),
                  kv_text("text", zmq_strerror(errno)));
    return err;
}

/* libzmq gives a connection up for good, and says nothing, when the other side breaks the protocol:
 * somebody else was at that address for a while. Who is not connected is connected to anew. */
static void try_again(void *owner)
{
    struct peerlink *link = owner;
    for (uint32_t slot = 0; slot < PEERLINK_PEERS_MAX; slot++) {
        struct peerlink_peer *peer = &link->peers[slot];
        if (peer->socket == NULL || peer->connected ||
            link->loop->now_ms < peer->tried_ms + TRY_AGAIN_MS)
            continue;
        peer->tried_ms = link->loop->now_ms;
        (void)zmq_disconnect(peer->socket, peer->endpoint); /* it may know of none any more */
        if (zmq_connect(peer->socket, peer->endpoint) != 0)
            log_warn("peer_not_reachable", kv_text("endpoint", peer->endpoint),
                     kv_text("text", zmq_strerror(errno)));
    }
}

bool peerlink_connected(const struct peerlink *link, uint32_t slot)
{
    return link->peers[slot].connected;
}

const char *peerlink_at(const struct peerlink *link, uint32_t slot)
{
    return link->peers[slot].endpoint;
}

void peerlink_send(struct peerlink *link, uint32_t slot, const struct message *message)
{
    assert(slot < PEERLINK_PEERS_MAX);
    void *socket = link->peers[slot].socket;
    if (socket == NULL)
        return;
    bytes_clear(&link->out);
    message_encode(message, &link->out);
    if (zmq_send(socket, link->out.data, link->out.size, ZMQ_DONTWAIT) < 0)
        link->dropped++;
    else
        link->sent++;
}

bool peerlink_reply(struct peerlink *link, const struct peerlink_route *route,
                    const struct message *message)
{
    bytes_clear(&link->out);
    message_encode(message, &link->out);
    loop_touch(link->loop, link->socket);
    if (route->size == 0 ||
        zmq_send(link->socket, route->bytes, route->size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    return zmq_send(link->socket, link->out.data, link->out.size, ZMQ_DONTWAIT) >= 0;
}

static void listen_to(struct peerlink *link, uint32_t slot)
{
    zmq_msg_t body;
    for (int i = 0; i < LISTEN_MAX && link->peers[slot].socket != NULL; i++) {
        struct message message;
        zmq_msg_init(&body);
        bool here = zmq_msg_recv(&body, link->peers[slot].socket, ZMQ_DONTWAIT) >= 0;
        if (here && !zmq_msg_more(&body) && decode(link, &body, &message))
            link->rules->replied(link->owner, slot, &message);
        zmq_msg_close(&body);
        if (!here)
            return;
    }
}

void peerlink_listen(struct peerlink *link)
{
    for (uint32_t slot = 0; slot < PEERLINK_PEERS_MAX; slot++)
        listen_to(link, slot);
}

/* ---- opening -------------------------------------------------------------------------------- */

enum err peerlink_open(struct peerlink *link, struct loop *loop, void *context,
                       const struct keys *keys, const char *listen,
                       const struct peerlink_rules *rules, void *owner)
{
    assert(link->socket == NULL);
    link->context = context;
    link->loop = loop;
    link->rules = rules;
    link->owner = owner;
    link->keys = *keys;
    TRY(gate_open(&link->gate, loop, context));
    link->socket = zmq_socket(context, ZMQ_ROUTER);
    if (link->socket == NULL)
        return ERR_SYSTEM;
    set_common(link->socket);
    set_int(link->socket, ZMQ_ROUTER_MANDATORY, 1);
    TRY(gate_guard(link->socket, GATE_PEER, keys));
    TRY(gate_watch_open(&link->watch, loop, context, link->socket, "peers"));
    if (zmq_bind(link->socket, listen) != 0) {
        log_error("listen_failed", kv_text("endpoint", listen),
                  kv_text("text", zmq_strerror(errno)));
        return errno == EADDRINUSE ? ERR_SYSTEM : ERR_CONFIG;
    }
    loop_add_socket(loop, link->socket, drain, link);
    loop_add_timer(loop, TRY_AGAIN_MS, TRY_AGAIN_MS, try_again, link);
    return ERR_NONE;
}

void peerlink_close(struct peerlink *link)
{
    for (uint32_t i = 0; i < PEERLINK_PEERS_MAX; i++)
        close_peer_sockets(link, &link->peers[i]);
    gate_watch_close(&link->watch);
    if (link->socket != NULL) {
        loop_remove(link->loop, link);
        zmq_close(link->socket);
    }
    gate_close(&link->gate);
    keys_close(&link->keys);
    bytes_close(&link->out);
    *link = (struct peerlink){0};
}

const char *peerlink_endpoint(struct peerlink *link, char text[PEERLINK_ENDPOINT_MAX])
{
    size_t size = PEERLINK_ENDPOINT_MAX;
    text[0] = '\0';
    if (zmq_getsockopt(link->socket, ZMQ_LAST_ENDPOINT, text, &size) != 0)
        text[0] = '\0';
    return text;
}
