/* port.h - conversations of ZMTP on sockets: those that are accepted, those that are called.
 *
 * One descriptor (an epoll) stands for all of them. What is sent in a turn leaves at its end, in
 * one write for each connection; what arrives is handed on message by message, lent. A connection
 * that says nothing is asked (PING) and, in the end, closed; one that was called is called again.
 * Nothing here knows what a message means. No thread: whoever turns the loop does all the work. */
#ifndef PROTOCOL_PORT_H
#define PROTOCOL_PORT_H

#include "common/loop.h"
#include "protocol/address.h"
#include "protocol/zmtp.h"

struct conn;

struct port_rules {
    const char *name;                         /* for people, in the log */
    const struct zmtp_rules *accepts, *calls; /* NULL: this port does not */
    size_t waiting_max;                       /* bytes for one who does not read */
    uint32_t handshake_ms, heartbeat_ms, silence_ms;
    uint32_t retry_ms, retry_max_ms; /* doubles between them, until the connection stands */
    /* For a port with a loop. Must not hang up on `from`. */
    void (*message)(void *owner, struct conn *from, const struct zmtp_message *message);
    void (*up)(void *owner, struct conn *conn);   /* may be NULL */
    void (*down)(void *owner, struct conn *conn); /* one that was called, and up; may be NULL */
    /* One that was called has ended `conn->unproven` handshakes in a row, 4, 8, 16 …: with CURVE at
     * its HELLO (`theirs`: it has not the key that we called with) or later (ours is not let in).
     * May be NULL. */
    void (*unproven)(void *owner, struct conn *conn, bool theirs);
};

enum conn_state { CONN_CLOSED, CONN_LOOKUP, CONN_CONNECTING, CONN_OPEN };

/* One that was called is the caller's memory, zeroed at first. */
struct conn {
    struct port *port;
    enum conn_state state;
    uint64_t id; /* 0: none; never given twice */
    int fd;
    bool accepted, up, ended, stuck, is_ready, is_dirty;
    struct conn *next_ready, *next_dirty;
    struct zmtp zmtp;
    uint64_t began_ms, heard_ms, pinged_ms, due_ms;
    uint32_t retry_ms, tries, unproven;
    char endpoint[ADDRESS_TEXT_MAX]; /* that was called */
    uint8_t server_key[KEY_SIZE];
    struct address_lookup *lookup;
    void *user; /* the owner's */
};

struct port_slot {
    struct conn *conn;
    uint32_t generation;
};

struct port {
    const struct port_rules *rules;
    void *owner;
    const struct keys *keys; /* NULL: no CURVE */
    struct loop *loop;
    int epoll, listener;
    uint32_t timer;
    uint64_t due_ms; /* port_tick has something to do then */
    struct bytes slots;
    uint32_t slot_count;
    struct conn *ready, **ready_last, *dirty;
    const struct conn *lending;
    uint64_t paused_until_ms; /* no descriptor is left for whom we would accept; 0: there are */
    char path[108];           /* of a listener of ipc:// */
    uint64_t strangers, strangers_told, strangers_due_ms, refused;
};

/* `rules` and `keys` are lent for the life of the port. `loop` may be NULL: then the caller says
 * port_wait, port_next, port_tick and port_push by itself. ERR_SYSTEM: no descriptor. */
MUST_USE enum err port_open(struct port *port, const struct port_rules *rules,
                            const struct keys *keys, struct loop *loop, void *owner);
void port_close(struct port *port); /* and every connection */

/* ERR_CONFIG: no address of this machine.  ERR_SYSTEM: in use. errno says more. */
MUST_USE enum err port_listen(struct port *port, const char *endpoint);
/* Where it was really bound. */
void port_endpoint(const struct port *port, char text[ADDRESS_TEXT_MAX]);

/* Calls, again and again, until it is hung up. `server_key`: with CURVE, that is where the port
 * has keys; else NULL. `endpoint` must not be the one in `conn`. ERR_NOMEM.
 * ERR_CONFIG: no such endpoint. */
MUST_USE enum err port_call(struct port *port, struct conn *conn, const char *endpoint,
                            const uint8_t *server_key);
void port_hang_up(struct conn *conn); /* without a word; one that was called is at rest */

struct conn *port_find(const struct port *port, uint64_t id); /* NULL: it is gone */

/* Asked before a message is built by zmtp_begin and zmtp_end; then conn_touch: it leaves with the
 * next push. ERR_CLOSED: the connection does not stand.  ERR_BUSY: the other end does not read. */
MUST_USE enum err conn_has_room(const struct conn *conn);
void conn_touch(struct conn *conn);

/* ---- without a loop -------------------------------------------------------------------------- */

/* Sleeps until something comes, at most wait_ms, and receives it. */
void port_wait(struct port *port, uint32_t wait_ms);
/* The next message of those received, and whose; lent until the next call. False: no more. */
bool port_next(struct port *port, struct conn **from, struct zmtp_message *message);
void port_tick(struct port *port); /* when due_ms has come, and as often as one likes */
void port_push(struct port *port); /* sends what waits */
/* The descriptor of something else wakes port_wait, too. */
void port_watch(struct port *port, int fd);

#endif
