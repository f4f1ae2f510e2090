/* talk.h - the client's side of the live stream: a SUB socket of libzmq to one endpoint.
 *
 * Topic, then the map. Asks go by port.h. What a body means is not known here.
 * Nothing here ends the process: client/ is a guest. */
#ifndef PROTOCOL_TALK_H
#define PROTOCOL_TALK_H

#include "common/bytes.h"
#include "common/err.h"

/* CURVE keys in Z85, all or none; the texts are copied by the socket. */
struct talk_keys {
    const char *server, *client_public, *client_secret;
};

struct talk {
    void *socket;
    int fd;                             /* readable when the socket may have something */
    _Alignas(16) uint8_t frames[2][64]; /* the message lent by talk_receive */
    bool holds;                         /* frames are in use */
};

/* Gives a context; NULL: out of memory or descriptors. */
void *talk_context_open(void);
void talk_context_close(void *context); /* after every talk_close; NULL is fine */

/* Connects in the background. ERR_NOMEM: no socket; ERR_BAD_REQUEST: no such address or key. */
MUST_USE enum err talk_stream_open(struct talk *talk, void *context, const char *endpoint,
                                   const struct talk_keys *keys);
void talk_close(struct talk *talk);

/* Lends the next message until the next call on this talk. Messages with another count of frames
 * are dropped. False: nothing is there. */
bool talk_receive(struct talk *talk, struct span *topic, struct span *body);

/* True if talk_receive would find something. Also rearms the descriptor. */
bool talk_readable(struct talk *talk);

MUST_USE enum err talk_subscribe(struct talk *talk, struct span topic);

#endif
