/* handshake.h - how a conversation of ZMTP begins: greeting, mechanism, metadata.
 * For zmtp.c, whose state it moves on until it is ZMTP_READY. */
#ifndef PROTOCOL_HANDSHAKE_H
#define PROTOCOL_HANDSHAKE_H

#include "protocol/zmtp.h"

/* Appends what both ends say first. */
void handshake_greet(struct zmtp *zmtp);

/* True as long as what came may be a greeting: as early as it can be seen, for who speaks
 * something else would not say more. */
bool handshake_may_be_greeting(struct span in);

/* Takes the greeting of the other end. ERR_DENIED: another mechanism.  ERR_NOMEM. */
MUST_USE enum err handshake_begin(struct zmtp *zmtp, const uint8_t greeting[ZMTP_GREETING_SIZE]);

/* Takes a command before the conversation is ready. Errors are those of zmtp_next. */
MUST_USE enum err handshake_take(struct zmtp *zmtp, struct span command);

/* Of one that called and whose other end went away: the key that was still to be proven. */
enum handshake_doubt {
    HANDSHAKE_NO_DOUBT,
    HANDSHAKE_THEIRS, /* it did not answer HELLO: it has not the key that we called with */
    HANDSHAKE_OURS,   /* it did not answer INITIATE: it does not let ours in */
};
enum handshake_doubt handshake_doubt(const struct zmtp *zmtp);

/* The name at the front of metadata or of a command, with its length before it. */
bool handshake_take_name(struct span *rest, struct span *name);

#endif
