/* asking.h - the side that asks a node: an empty frame, as REQ has it, and the map of an ask.
 * For the client library and for discovery; what answers it is door.h. */
#ifndef PROTOCOL_ASKING_H
#define PROTOCOL_ASKING_H

#include "protocol/message.h"
#include "protocol/port.h"

/* Without `message`: whoever has a loop copies them and sets it. Nothing in them ends the process:
 * the client library is a guest. */
extern const struct port_rules asking_rules;

/* It leaves with the next push. ERR_CLOSED: the connection does not stand.  ERR_BUSY: the other end
 * does not read.  ERR_NOMEM. Nothing was sent then. */
MUST_USE enum err asking_send(struct conn *conn, const struct message *message);

/* Lends the map of an answer. False: it is none. */
bool asking_take(const struct zmtp_message *message, struct span *body);

#endif
