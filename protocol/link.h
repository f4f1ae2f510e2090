/* link.h - what two processes of one node say to each other: it drains and dispatches.
 *
 * One end binds and has many neighbours, the other connects, again and again,
 * and has one, neighbour 0. A connection is one conversation of two lives: both
 * open with LINK_HELLO(life) and repeat LINK_ALIVE every 400 ms; its end, which 1 s
 * of silence brings about too, is reported as `down`. Nothing here knows what a message means.
 * Bytes travel by channel.h; for clients see door.h, for other servers peerlink.h. */
#ifndef PROTOCOL_LINK_H
#define PROTOCOL_LINK_H

#include "common/loop.h"
#include "protocol/channel.h"
#include "protocol/message.h"

enum {
    LINK_NEIGHBOURS_MAX = 16,
    LINK_SILENCE_MS = 1000,
    LINK_ALIVE_MS = 400,
    LINK_PATH_MAX = 108 /* with the zero, as unix(7) has it */
};

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
    struct link *link;
    struct channel channel;
    bool up;
    uint64_t heard_ms;
    char process[33];
};

struct link {
    struct loop *loop;
    const struct link_rules *rules;
    void *owner;
    char path[LINK_PATH_MAX];
    bool binds, open;
    int listener;             /* of the end that binds */
    uint32_t timer, retry_ms; /* of the end that connects */
    struct link_neighbour neighbours[LINK_NEIGHBOURS_MAX];
    uint64_t received, sent, refused, dropped; /* counters */
};

/* `rules` is lent for the life of the link. The path is that of a socket (service_path).
 * ERR_SYSTEM: the socket could not be bound. */
MUST_USE enum err link_bind(struct link *link, struct loop *loop, const char *path,
                            const struct link_rules *rules, void *owner);
void link_connect(struct link *link, struct loop *loop, const char *path,
                  const struct link_rules *rules, void *owner);
void link_close(struct link *link);

bool link_is_up(const struct link *link, uint32_t neighbour);

/* ERR_CLOSED: nobody is there.  ERR_BUSY: it does not read; nothing was sent. */
MUST_USE enum err link_send(struct link *link, uint32_t neighbour, const struct message *message);

/* As above, for a caller to whom a lost message is the same as a slow one. */
void link_tell(struct link *link, uint32_t neighbour, const struct message *message);

/* What was sent leaves now, and not at the end of the turn: for what has the longest way, while the
 * turn still works on the rest. */
void link_push(struct link *link);

/* Table row of a handler: [MESSAGE_STORE] = on_store */
#define ON(NAME, handler) [MESSAGE_##NAME] = handler

#endif
