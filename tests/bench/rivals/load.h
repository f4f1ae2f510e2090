/* load.h - a closed loop of writes against another system, in that system's own protocol.
 *
 * One thread, epoll, no client library: the client takes as little of the machine as it can, so
 * that what is compared is the servers. A protocol supplies the four calls of struct protocol. */
#ifndef TESTS_BENCH_RIVALS_LOAD_H
#define TESTS_BENCH_RIVALS_LOAD_H

#include "common/bytes.h"

struct conn {
    int fd;
    uint32_t number;
    struct bytes in, out;
    size_t sent; /* of `out` */
    void *own;   /* of the protocol */
};

struct protocol {
    const char *name;
    /* Connected and blocking: the greeting, and what must exist before the first write. */
    bool (*open)(struct conn *conn);
    /* Appends one write to conn->out; it is answered by load_acked(slot). */
    void (*write)(struct conn *conn, uint32_t slot, struct span payload);
    /* After a burst of writes. */
    void (*flush)(struct conn *conn);
    /* Takes whole answers off conn->in; gives how many bytes it took. */
    size_t (*input)(struct conn *conn);
};

extern const struct protocol protocol_etcd, protocol_nats, protocol_redis, protocol_rabbit;

void load_acked(uint32_t slot, bool ok);

/* For `open`: sends what is in conn->out, then reads until `input` bytes contain `text`. */
bool load_say(struct conn *conn);
bool load_expect(struct conn *conn, const char *text);

/* Reads some more; takes so many bytes off the front of conn->in. */
bool load_more(struct conn *conn);
void load_taken(struct conn *conn, size_t size);

#endif
