/* peerlink.c - who is called, who is let in, and whose words they are. */
#include "protocol/peerlink.h"

#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

enum {
    HANDSHAKE_MS = 1000, /* who does not let us in yet says nothing: we try again */
    HEARTBEAT_MS = 1000,
    SILENCE_MS = 3000,
    RETRY_MS = 20,
    RETRY_MAX_MS = 500,
};

/* ---- receiving ------------------------------------------------------------------------------ */

static void refuse(struct peerlink *link, const char *reason, enum err err)
{
    if (link->refused++ % 1000 == 0)
        log_warn("peer_refused", kv_text("reason", reason), kv_err(err),
                 kv_u64("count", link->refused));
}

static int slot_of_key(const struct peerlink *link, const uint8_t key[KEY_SIZE])
{
    for (uint32_t i = 0; i < PEERLINK_PEERS_MAX; i++)
        if (link->peers[i].used && memcmp(link->peers[i].key, key, KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

static bool is_peer(void *owner, const uint8_t key[KEY_SIZE])
{
    return slot_of_key(owner, key) >= 0;
}

/* False: refused, and told. */
static bool decode(struct peerlink *link, struct span body, struct message *message)
{
    enum err err = message_decode(body, message);
    const struct message_info *info = message_info(message->type);
    bool fits = info->from == PROCESS_PEER || info->to == PROCESS_PEER;
    if (err != ERR_NONE)
        refuse(link, "not a message", err);
    else if (!fits)
        refuse(link, info->name, ERR_UNKNOWN_VERB);
    return err == ERR_NONE && fits;
}

/* A key may have left the list since it was let in. */
static void on_message(void *owner, struct conn *from, const struct zmtp_message *frames)
{
    struct peerlink *link = owner;
    struct message message;
    int slot = slot_of_key(link, from->zmtp.curve.other_key);
    link->received++;
    if (slot < 0)
        refuse(link, "a key that is no peer's", ERR_DENIED);
    else if (frames->count != 1)
        refuse(link, "wrong number of frames", ERR_BAD_MESSAGE);
    else if (decode(link, frames->frames[0], &message)) {
        link->route = from->id;
        if (from->accepted)
            link->rules->receive(link->owner, (uint32_t)slot, &message);
        else
            link->rules->replied(link->owner, (uint32_t)slot, &message);
    }
}

static uint32_t slot_of_conn(const struct peerlink *link, const struct conn *conn)
{
    return (uint32_t)((const struct peerlink_peer *)conn->user - link->peers);
}

static void on_up(void *owner, struct conn *conn)
{
    if (!conn->accepted)
        log_info("peer_connected", kv_text("endpoint", conn->endpoint));
}

static void on_down(void *owner, struct conn *conn)
{
    struct peerlink *link = owner;
    log_info("peer_disconnected", kv_text("endpoint", conn->endpoint));
    link->rules->down(link->owner, slot_of_conn(link, conn));
}

static void on_unproven(void *owner, struct conn *conn, bool theirs)
{
    log_warn(
        "key_not_proven", kv_text("endpoint", conn->endpoint), kv_u64("times", conn->unproven),
        kv_text("text", theirs ? "who answers there has not the key that is listed for it here"
                               : "who answers there does not list our key"),
        kv_text("advice", "compare with `changeagentd --show-key` of that server and of this"));
}

static const struct zmtp_rules accepts = {
    .type = "ROUTER", .listens = true, .frame_max = FRAME_BYTES_MAX, .allow = is_peer};
static const struct zmtp_rules calls = {.type = "DEALER", .frame_max = FRAME_BYTES_MAX};
static const struct port_rules port_rules = {
    .name = "peers",
    .accepts = &accepts,
    .calls = &calls,
    .waiting_max = MiB(64),
    .handshake_ms = HANDSHAKE_MS,
    .heartbeat_ms = HEARTBEAT_MS,
    .silence_ms = SILENCE_MS,
    .retry_ms = RETRY_MS,
    .retry_max_ms = RETRY_MAX_MS,
    .message = on_message,
    .up = on_up,
    .down = on_down,
    .unproven = on_unproven,
};

/* ---- peers ---------------------------------------------------------------------------------- */

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
    port_hang_up(&peer->conn);
    peer->used = true;
    peer->conn.user = peer;
    memcpy(peer->key, key, KEY_SIZE);
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
    if (*endpoint == '\0')
        return ERR_NONE;
    enum err err = port_call(&link->port, &peer->conn, endpoint, key);
    if (err != ERR_NONE)
        log_error("peer_not_reachable", kv_text("endpoint", endpoint), kv_err(err));
    return err;
}

bool peerlink_connected(const struct peerlink *link, uint32_t slot)
{
    return link->peers[slot].conn.up;
}

const char *peerlink_at(const struct peerlink *link, uint32_t slot)
{
    return link->peers[slot].endpoint;
}

static bool say(struct conn *conn, const struct message *message)
{
    if (conn == NULL || conn_has_room(conn) != ERR_NONE)
        return false;
    message_encode(message, zmtp_begin(&conn->zmtp));
    enum err err = zmtp_end(&conn->zmtp, false);
    assert(err == ERR_NONE); /* its bytes are not soft */
    conn_touch(conn);
    return true;
}

void peerlink_send(struct peerlink *link, uint32_t slot, const struct message *message)
{
    assert(slot < PEERLINK_PEERS_MAX);
    struct peerlink_peer *peer = &link->peers[slot];
    if (peer->endpoint[0] == '\0')
        return;
    bool went = say(&peer->conn, message);
    link->sent += went;
    link->dropped += !went;
}

void peerlink_push(struct peerlink *link)
{
    port_push(&link->port);
}

bool peerlink_reply(struct peerlink *link, uint64_t route, const struct message *message)
{
    return say(port_find(&link->port, route), message);
}

/* ---- opening -------------------------------------------------------------------------------- */

enum err peerlink_open(struct peerlink *link, struct loop *loop, const struct keys *keys,
                       const char *listen, const struct peerlink_rules *rules, void *owner)
{
    assert(link->rules == NULL);
    link->rules = rules;
    link->owner = owner;
    link->keys = *keys;
    TRY(port_open(&link->port, &port_rules, &link->keys, loop, link));
    enum err err = port_listen(&link->port, listen);
    if (err != ERR_NONE)
        log_error("listen_failed", kv_text("endpoint", listen), kv_text("text", strerror(errno)));
    return err;
}

void peerlink_close(struct peerlink *link)
{
    port_close(&link->port);
    keys_close(&link->keys);
    *link = (struct peerlink){0};
}

const char *peerlink_endpoint(const struct peerlink *link, char text[PEERLINK_ENDPOINT_MAX])
{
    port_endpoint(&link->port, text);
    return text;
}
