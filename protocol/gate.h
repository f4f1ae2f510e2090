/* gate.h - who may enter: the ZAP handler of a process (Z1, Z2), and what a
 * socket monitor tells of connections.
 *
 * Without a handler libzmq lets everybody in, so gate_open proves that the
 * handler answers before any socket is bound. The user id given to a CURVE
 * connection is the Z85 text of its proven key. */
#ifndef PROTOCOL_GATE_H
#define PROTOCOL_GATE_H

#include "common/keys.h"
#include "common/loop.h"

enum { GATE_KEYS_MAX = 64 };

/* Domains of RFC 27 that sockets of ours name. */
#define GATE_PEER   "peer"   /* CURVE, a key of the list */
#define GATE_CLIENT "client" /* NULL, everybody: the api decides where it binds */

struct gate {
    void *socket;
    struct loop *loop;
    uint8_t keys[GATE_KEYS_MAX][KEY_SIZE];
    uint32_t key_count;
    uint64_t accepted, refused;
};

/* ERR_SYSTEM: the handler could not be bound, or did not answer its proof. */
MUST_USE enum err gate_open(struct gate *gate, struct loop *loop, void *context);
void gate_close(struct gate *gate);

/* ERR_LIMIT: the list is full. Allowing twice is fine. */
MUST_USE enum err gate_allow(struct gate *gate, const uint8_t key[KEY_SIZE]);

/* From the next connection on; one that stands is the owner's to close or to ignore. */
void gate_forbid(struct gate *gate, const uint8_t key[KEY_SIZE]);

/* Puts a server socket behind the gate: domain, option 93, size and handshake limits.
 * `keys` NULL: no CURVE. */
MUST_USE enum err gate_guard(void *socket, const char *domain, const struct keys *keys);

/* Counts who knocks at a listening socket and never finishes the handshake: bytes that are no
 * ZMTP, an old version of it, a wrong mechanism, silence. libzmq ends such a connection by itself
 * and says nothing. Told in the log when the first one came, and each time they have doubled. */
struct gate_watch {
    void *socket, *monitor;
    struct loop *loop;
    const char *port; /* name of the socket, for people */
    uint64_t accepted, greeted;
    uint64_t settled; /* of the accepted: those whose handshake is over when the timer fires */
    uint64_t told;
    uint32_t timer;
    bool settling;
};

/* Before the socket is bound; the watch is closed before it. */
MUST_USE enum err gate_watch_open(struct gate_watch *watch, struct loop *loop, void *context,
                                  void *socket, const char *port);
void gate_watch_close(struct gate_watch *watch);

/* Opens a monitor of connects and disconnects; gives the PAIR socket, NULL on failure. */
void *gate_monitor(void *context, void *socket, const char *name);

/* Takes one event. False: none is there. */
bool gate_event(void *monitor, bool *connected);

#endif
