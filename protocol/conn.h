/* conn.h - the inside of a port: one connection. For port.c; see port.h for what others may say. */
#ifndef PROTOCOL_CONN_H
#define PROTOCOL_CONN_H

#include "protocol/port.h"

/* Owns the descriptor of who was accepted, and begins to talk. */
void conn_accept(struct port *port, int fd);

/* Steps of one that was called, when due_ms has come, and when its descriptor has news. */
void conn_call_now(struct conn *conn);
void conn_look_again(struct conn *conn);
void conn_connected(struct conn *conn);

/* It ended, or must end. What was accepted is gone then; what was called is called again. */
void conn_lose(struct conn *conn, enum err err);

void conn_push(struct conn *conn);
void conn_set_ready(struct conn *conn); /* something was received */
void conn_leave_ready(struct conn *conn);
void conn_leave_dirty(struct conn *conn);

/* port_tick looks at that time, or before. */
void conn_want_tick(struct port *port, uint64_t at_ms);

struct port_slot *conn_slots(const struct port *port);

#endif
