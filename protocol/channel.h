/* channel.h - frames over a unix-domain stream socket, between two processes of one node.
 *
 * A frame is a head of 8 bytes (mark, size of the body) and the body. What is
 * sent in a turn of the loop leaves at its end in one write; what arrives is
 * handed on frame by frame, lent. Nothing here knows who speaks or what a
 * message means: see link.h. Why not ZeroMQ: docs/decisions/0032. */
#ifndef PROTOCOL_CHANNEL_H
#define PROTOCOL_CHANNEL_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/loop.h"

enum { CHANNEL_HEAD_SIZE = 8, CHANNEL_MARK = 0x316e6863 /* "chn1" */ };

/* What waits in a channel whose other end does not read. */
#define CHANNEL_WAITING_MAX MiB(64)

/* Zeroed is closed. */
struct channel {
    bool open, stuck; /* stuck: the other end does not read fast enough */
    int fd;
    struct loop *loop;
    struct bytes in, out;
    size_t sent, begun; /* of `out`: what has left; where the frame that is being built stands */
};

typedef void channel_frame(void *owner, struct span body);

/* Binds a listening socket; what lay at the path is gone. ERR_SYSTEM. */
MUST_USE enum err channel_listen(const char *path, int *fd);

/* Takes one who waits. ERR_NOT_FOUND: nobody.  ERR_DENIED: another user, who was hung up on.
 * ERR_SYSTEM. */
MUST_USE enum err channel_accept(int listener, int *fd);

/* ERR_CLOSED: nobody listens there, now. */
MUST_USE enum err channel_connect(const char *path, int *fd);

/* Owns the descriptor. The caller's drain is called with `owner` when there is something to read.
 */
void channel_open(struct channel *channel, struct loop *loop, int fd, loop_drain *drain,
                  void *owner);
void channel_close(struct channel *channel);

/* Between the two the caller appends the body to what channel_begin lends; never NULL.
 * Nothing has left before channel_push. */
struct bytes *channel_begin(struct channel *channel);
void channel_end(struct channel *channel);

/* ERR_BUSY: CHANNEL_WAITING_MAX. Asked before channel_begin. */
MUST_USE enum err channel_has_room(const struct channel *channel);

/* Sends what waits; the rest when the other end has read. ERR_CLOSED: it is gone. */
MUST_USE enum err channel_push(struct channel *channel);

/* Receives once. `*more`: there was more than that. ERR_CLOSED: the other end hung up. */
MUST_USE enum err channel_receive(struct channel *channel, bool *more);

/* Lends the next whole frame's body; it is valid until channel_receive or channel_forget. `*at` is
 * the place in what was received, 0 at first. ERR_NOT_FOUND: none.  ERR_BAD_MESSAGE: no frame. */
MUST_USE enum err channel_next(const struct channel *channel, size_t *at, struct span *body);

/* Forgets what was taken up to `at`. */
void channel_forget(struct channel *channel, size_t at);

#endif
