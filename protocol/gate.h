/* gate.h - who may subscribe: the ZAP handler of a process (Z1, Z2), and who knocks and does not
 * come in.
 *
 * Without a handler libzmq lets everybody in, so gate_open proves that the handler answers before
 * the socket is bound. For sockets of libzmq: those of port.h have their own ways. */
#ifndef PROTOCOL_GATE_H
#define PROTOCOL_GATE_H

#include "common/loop.h"

#define GATE_CLIENT \
    "client" /* the domain (RFC 27): NULL, everybody: the api decides where it binds */

struct gate {
    void *socket;
    struct loop *loop;
    uint64_t accepted, refused;
};

/* ERR_SYSTEM: the handler could not be bound, or did not answer its proof. */
MUST_USE enum err gate_open(struct gate *gate, struct loop *loop, void *context);
void gate_close(struct gate *gate);

/* Puts a server socket behind the gate: domain, option 93, the limit of a handshake. */
MUST_USE enum err gate_guard(void *socket, const char *domain);

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

#endif
