/* zmtp.h - one conversation of ZMTP 3.1 (rfc.zeromq.org/spec/37), as ROUTER or DEALER.
 *
 * Received bytes in, messages out; messages in, bytes to send out. No sockets and no clock:
 * port.h has them. Mechanism NULL, or CURVE between two keys. What any ZeroMQ library says is
 * understood; what may not be said ends the conversation. Why not libzmq: docs/decisions/0038. */
#ifndef PROTOCOL_ZMTP_H
#define PROTOCOL_ZMTP_H

#include "protocol/curve.h"

enum { ZMTP_FRAMES_MAX = 6, ZMTP_GREETING_SIZE = 64 };

struct zmtp_rules {
    const char *type; /* "ROUTER" or "DEALER" */
    bool listens;     /* the end that was connected to */
    bool soft;        /* out of memory is an error, not the end of the process */
    size_t frame_max; /* bytes of a frame, and of a message */
    /* Of the end that listens, with CURVE: is this proven key let in? */
    bool (*allow)(void *owner, const uint8_t key[KEY_SIZE]);
};

/* CURVE if `own` is given; `server` is the key of the other end, of one that connects. */
struct zmtp_keys {
    const struct keys *own;
    const uint8_t *server;
};

enum zmtp_step { ZMTP_GREETING, ZMTP_HANDSHAKE, ZMTP_READY };

struct zmtp {
    const struct zmtp_rules *rules;
    void *owner;
    enum zmtp_step step;
    bool secure;
    struct curve curve;
    struct bytes in, out;
    size_t sent;                 /* of `out`: what has left */
    size_t begun, message_begun; /* of `out`: where the frame, the message that is built begins */
    bool building;               /* the last frame had more to follow */
    size_t at, first; /* of `in`: parsed up to here; where the message that arrives begins */
    struct {
        size_t at, size;
    } frames[ZMTP_FRAMES_MAX]; /* of the message that arrives */
    uint32_t count;            /* of its frames, also those that are not kept */
};

/* Frames are lent until the next call of zmtp_next or zmtp_room. */
struct zmtp_message {
    struct span frames[ZMTP_FRAMES_MAX];
    uint32_t count; /* above ZMTP_FRAMES_MAX: it had so many, and none is here */
};

/* The greeting waits to be sent at once. The rules are lent for the life of the conversation. */
void zmtp_open(struct zmtp *zmtp, const struct zmtp_rules *rules, struct zmtp_keys keys,
               void *owner);
void zmtp_close(struct zmtp *zmtp);

/* Where to receive to, and how much; NULL: out of memory. Then what came. */
uint8_t *zmtp_room(struct zmtp *zmtp, size_t *room);
void zmtp_received(struct zmtp *zmtp, size_t size);

/* The next whole message. ERR_NOT_FOUND: more must be received first; `step` may have become
 * ZMTP_READY. All else ends the conversation:
 * ERR_BAD_MESSAGE: this is no ZMTP 3, or nothing that may come here.  ERR_LIMIT: a frame or a
 * message that is too large.  ERR_DENIED: another mechanism, or a key that is not let in.
 * ERR_NOMEM. */
MUST_USE enum err zmtp_next(struct zmtp *zmtp, struct zmtp_message *message);

/* Between the two the caller appends a frame's body to what zmtp_begin lends. Only when READY.
 * ERR_NOMEM, only of soft ones: the whole message is as if it had never been begun. */
struct bytes *zmtp_begin(struct zmtp *zmtp);
MUST_USE enum err zmtp_end(struct zmtp *zmtp, bool more);
MUST_USE enum err zmtp_frame(struct zmtp *zmtp, struct span body, bool more);

/* The other end answers with a PONG. */
void zmtp_ping(struct zmtp *zmtp);

/* What is to be sent, and that so much of it was. */
struct span zmtp_waiting(const struct zmtp *zmtp);
void zmtp_sent(struct zmtp *zmtp, size_t size);

/* For the handshake: a command that is not boxed. */
struct bytes *zmtp_begin_command(struct zmtp *zmtp);
MUST_USE enum err zmtp_end_command(struct zmtp *zmtp);
void zmtp_drop_command(struct zmtp *zmtp);

#endif
