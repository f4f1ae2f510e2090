/* link.h - a socket between two processes of one node: it drains and dispatches.
 *
 * One end binds (ROUTER) and has many neighbours, the other connects (DEALER)
 * and has one, neighbour 0. Both open with LINK_HELLO(life) and repeat
 * LINK_ALIVE every 400 ms: a new life, or 1 s of silence, is reported as `down`
 * (ZeroMQ hides reconnects). Nothing here knows what a message means.
 * For clients see door.h, for other servers peerlink.h. */
#ifndef PROTOCOL_LINK_H
#define PROTOCOL_LINK_H

#include "common/loop.h"
#include "protocol/gate.h"
#include "protocol/message.h"

enum { LINK_NEIGHBOURS_MAX = 16, LINK_SILENCE_MS = 1000, LINK_ALIVE_MS = 400 };

struct link;

/* Runs to its end and never waits. An error is logged with the message's name. */
typedef enum err link_handler(void *owner, uint32_t neighbour, const struct message *message);
typedef void link_event(void *owner, uint32_t neighbour);

struct link_rules {
    const char *process;           /* own name, for the log */
    link_handler *const *handlers; /* [MESSAGE_TYPE_MAX] */
    link_event *up, *down;         /* may be NULL */
    uint64_t life;
};

struct link_neighbour {
    uint8_t route[8];
    uint8_t route_size;
    bool up;
    uint64_t life, heard_ms;
    char process[33];
};

struct link {
    void *socket;
    struct loop *loop;
    const struct link_rules *rules;
    void *owner;
    bool binds;
    struct link_neighbour neighbours[LINK_NEIGHBOURS_MAX];
    struct gate_watch watch; /* of the end that binds */
    struct bytes out;
    uint64_t received, sent, refused, dropped; /* counters */
};

/* `rules` is lent for the life of the link. Endpoint: ipc:// (or inproc:// in tests).
 * ERR_SYSTEM: the socket could not be bound. */
MUST_USE enum err link_bind(struct link *link, struct loop *loop, void *context,
                            const char *endpoint, const struct link_rules *rules, void *owner);
MUST_USE enum err link_connect(struct link *link, struct loop *loop, void *context,
                               const char *endpoint, const struct link_rules *rules, void *owner);
void link_close(struct link *link);

bool link_is_up(const struct link *link, uint32_t neighbour);

/* ERR_CLOSED: nobody is there.  ERR_BUSY: the high-water mark; nothing was sent. */
MUST_USE enum err link_send(struct link *link, uint32_t neighbour, const struct message *message);

/* As above, for a caller to whom a lost message is the same as a slow one. */
void link_tell(struct link *link, uint32_t neighbour, const struct message *message);

/* Table row of a handler: [MESSAGE_STORE] = on_store */
#define ON(NAME, handler) [MESSAGE_##NAME] = handler

#endif
