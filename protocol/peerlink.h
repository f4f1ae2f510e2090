/* peerlink.h - the wires between servers: tcp with CURVE (port.h), one connection per
 * direction (Z10).
 *
 * What we say goes out on a connection that we called, what we hear comes in on one that we
 * accepted. Only replies about a connection itself go back on it. A message may be lost, delayed,
 * doubled or reordered; the core lives with that. Identity is the proven key: it is let in, and
 * believed, as long as it stands in the list. */
#ifndef PROTOCOL_PEERLINK_H
#define PROTOCOL_PEERLINK_H

#include "protocol/message.h"
#include "protocol/port.h"

enum { PEERLINK_PEERS_MAX = 32, PEERLINK_ENDPOINT_MAX = ADDRESS_TEXT_MAX };

struct peerlink_rules {
    void (*receive)(void *owner, uint32_t slot, const struct message *message);
    /* Came back on our own connection to this peer. */
    void (*replied)(void *owner, uint32_t slot, const struct message *message);
    void (*down)(void *owner, uint32_t slot); /* the connection to this peer broke */
};

struct peerlink;

struct peerlink_peer {
    struct conn conn; /* that we called; at rest where the endpoint is empty */
    uint8_t key[KEY_SIZE];
    char endpoint[PEERLINK_ENDPOINT_MAX];
    bool used;
};

struct peerlink {
    struct port port;
    const struct peerlink_rules *rules;
    void *owner;
    struct keys keys;
    struct peerlink_peer peers[PEERLINK_PEERS_MAX];
    uint64_t route; /* the connection by which the message came that is being received */
    uint64_t received, sent, dropped, refused;
};

/* ERR_SYSTEM: in use.  ERR_CONFIG: not an address of this machine. */
MUST_USE enum err peerlink_open(struct peerlink *link, struct loop *loop, const struct keys *keys,
                                const char *listen, const struct peerlink_rules *rules,
                                void *owner);
void peerlink_close(struct peerlink *link);

/* Where the socket was really bound; lent until the next call. */
const char *peerlink_endpoint(const struct peerlink *link, char text[PEERLINK_ENDPOINT_MAX]);

/* Lets the key in, and connects to the endpoint (anew where it changed; empty: not at all). A slot
 * that had another key belongs to this one from now on, and the other is let in no more. */
MUST_USE enum err peerlink_set(struct peerlink *link, uint32_t slot, const uint8_t key[KEY_SIZE],
                               const char *endpoint);

/* The handshake with this peer was done, and the connection stands. */
bool peerlink_connected(const struct peerlink *link, uint32_t slot);

/* Lends the endpoint that was set last; empty: none. */
const char *peerlink_at(const struct peerlink *link, uint32_t slot);

/* A message that cannot leave now is dropped and counted. */
void peerlink_send(struct peerlink *link, uint32_t slot, const struct message *message);

/* What was sent leaves now, and not at the end of the turn. */
void peerlink_push(struct peerlink *link);

/* Back on the connection that a message came by. False: that connection is gone, or full. */
bool peerlink_reply(struct peerlink *link, uint64_t route, const struct message *message);

#endif
