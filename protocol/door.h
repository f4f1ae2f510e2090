/* door.h - the sockets that clients meet: a ROUTER for asks (port.h), an XPUB of
 * libzmq for the live stream.
 *
 * REQ and DEALER both work: the envelope is kept and echoed up to the empty
 * frame, the body is the last frame. What an ask means is not known here. */
#ifndef PROTOCOL_DOOR_H
#define PROTOCOL_DOOR_H

#include "protocol/gate.h"
#include "protocol/message.h"
#include "protocol/port.h"
#include "protocol/route.h"

enum { DOOR_TOPIC_MAX = 300 };

struct door_rules {
    /* A well-formed ask. */
    void (*ask)(void *owner, const struct door_route *route, const struct message *message);
    /* Anything else that has a way back. `field` may be NULL. */
    void (*refuse)(void *owner, const struct door_route *route, uint64_t request, enum err err,
                   const char *field);
    /* A topic gained a subscriber (each one, also the second), or lost its last one. */
    void (*subscribed)(void *owner, struct span topic, bool on);
};

struct door {
    struct port asks;
    void *stream;
    struct loop *loop;
    const struct door_rules *rules;
    void *owner;
    struct gate gate;
    struct gate_watch stream_watch;
    uint64_t received, answered, lost, refused, published;
};

/* ERR_CONFIG: no address of this machine.  ERR_SYSTEM: in use. */
MUST_USE enum err door_open(struct door *door, struct loop *loop, void *context, const char *listen,
                            const char *stream, const struct door_rules *rules, void *owner);
void door_close(struct door *door);

/* Where the sockets were really bound. */
void door_endpoints(struct door *door, char listen[256], char stream[256]);

/* A client that went away, or that does not read, loses its answer. */
void door_answer(struct door *door, const struct door_route *route, const struct message *message);

void door_publish(struct door *door, struct span topic, struct span body);

#endif
