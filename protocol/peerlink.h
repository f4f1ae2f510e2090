/* peerlink.h - the wires between servers: tcp with CURVE, one connection per
 * direction (Z10).
 *
 * What we say goes out on a DEALER per peer, what we hear comes in on one
 * ROUTER. Only replies about a connection itself go back on it. A message may be lost, delayed,
 * doubled or reordered; the core lives with that. Identity is the proven key. */
#ifndef PROTOCOL_PEERLINK_H
#define PROTOCOL_PEERLINK_H

#include "protocol/gate.h"
#include "protocol/message.h"

enum { PEERLINK_PEERS_MAX = 32, PEERLINK_ENDPOINT_MAX = 256 };

struct peerlink_rules {
    void (*receive)(void *owner, uint32_t slot, const struct message *message);
    /* What peerlink_listen found: came back on our own connection to this peer. */
    void (*replied)(void *owner, uint32_t slot, const struct message *message);
    void (*down)(void *owner, uint32_t slot); /* the connection to this peer broke */
};

struct peerlink;

/* One connection of a peer to us. */
struct peerlink_route {
    uint8_t bytes[8], size;
};

struct peerlink_peer {
    struct peerlink *link;
    void *socket, *monitor;
    uint8_t key[KEY_SIZE];
    char endpoint[PEERLINK_ENDPOINT_MAX];
    bool used, connected;
    uint64_t tried_ms; /* when it was last connected to, or lost */
};

struct peerlink {
    void *context, *socket;
    struct loop *loop;
    const struct peerlink_rules *rules;
    void *owner;
    struct keys keys;
    struct gate gate;
    struct gate_watch watch;
    struct peerlink_peer peers[PEERLINK_PEERS_MAX];
    struct peerlink_route route; /* of the message that is being received */
    struct bytes out;
    uint64_t received, sent, dropped, refused, sequence;
};

/* Opens the gate, then binds. ERR_SYSTEM: in use, or not an address of this machine. */
MUST_USE enum err peerlink_open(struct peerlink *link, struct loop *loop, void *context,
                                const struct keys *keys, const char *listen,
                                const struct peerlink_rules *rules, void *owner);
void peerlink_close(struct peerlink *link);

/* Where the socket was really bound; lent until the next call. */
const char *peerlink_endpoint(struct peerlink *link, char text[PEERLINK_ENDPOINT_MAX]);

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

/* Back on the connection that a message came by; the other side reads it by peerlink_listen.
 * False: that connection is gone, or full. */
bool peerlink_reply(struct peerlink *link, const struct peerlink_route *route,
                    const struct message *message);

/* Reads what came back on our own connections. Not for the loop: nothing there is urgent. */
void peerlink_listen(struct peerlink *link);

#endif
