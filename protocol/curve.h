/* curve.h - the handshake and the boxes of CurveZMQ (rfc.zeromq.org/spec/26), by libsodium.
 *
 * Bytes of commands in, bytes of commands out; no sockets. Each side proves its long-term key and
 * makes a short-term one, which dies with the connection. A box carries a number that only grows:
 * one that comes again is refused. libzmq speaks the same, and the tests let the two meet. */
#ifndef PROTOCOL_CURVE_H
#define PROTOCOL_CURVE_H

#include "common/keys.h"

enum {
    CURVE_MAC_SIZE = 16,
    CURVE_HEAD_SIZE = 16,   /* of a MESSAGE command: its name and its number */
    CURVE_COOKIE_SIZE = 96, /* opaque to the client */
    CURVE_METADATA_MAX = 512,
    CURVE_COMMAND_MAX = 1024, /* of the handshake */
};

/* What stands before the body of a MESSAGE command: name, number, MAC, one byte of flags. */
#define CURVE_BEFORE (CURVE_HEAD_SIZE + CURVE_MAC_SIZE + 1)

enum curve_step {
    CURVE_HELLO,    /* the server waits for it; the client has not sent it */
    CURVE_WELCOME,  /* the client waits for it */
    CURVE_INITIATE, /* the server waits for it */
    CURVE_READY,    /* the client waits for it */
    CURVE_DONE,
};

struct curve {
    enum curve_step step;
    bool server;
    uint8_t public_key[KEY_SIZE], secret_key[KEY_SIZE]; /* own, long-term */
    uint8_t other_key[KEY_SIZE]; /* long-term; of a client it counts from CURVE_DONE on */
    uint8_t short_public[KEY_SIZE], short_secret[KEY_SIZE], other_short[KEY_SIZE];
    uint8_t shared[KEY_SIZE]; /* of the two short-term keys */
    uint8_t cookie[CURVE_COOKIE_SIZE];
    uint64_t sent, taken; /* numbers of the last box each way */
};

/* `server`: the key of the end that is connected to; NULL: we are that end. */
void curve_open(struct curve *curve, const struct keys *own, const uint8_t *server);
void curve_close(struct curve *curve); /* wipes */

/* Appends the client's first command, HELLO. */
void curve_say_hello(struct curve *curve, struct bytes *out);

/* Takes a command of the handshake, and appends the body of the one that answers it (nothing, if
 * none does). `own` is the metadata that we tell; `other` gets what it told, when it did: from
 * CURVE_DONE on. ERR_BAD_MESSAGE: not the command that is due, or not a box for us. */
MUST_USE enum err curve_take(struct curve *curve, struct span command, struct span own,
                             struct bytes *out, struct bytes *other);

/* Boxes `size` bytes in place. Before them lie CURVE_BEFORE bytes, which are filled in; the last
 * of those is `flags`. */
void curve_seal(struct curve *curve, uint8_t *body, size_t size, uint8_t flags);

/* Opens a MESSAGE command in place and lends what is in it.
 * ERR_BAD_MESSAGE: no such command, changed on the way, or seen before. */
MUST_USE enum err curve_unseal(struct curve *curve, uint8_t *command, size_t size, uint8_t *flags,
                               struct span *body);

#endif
