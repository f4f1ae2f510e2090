/* zmtp.h - a subscriber without any library: ZMTP 3 over a socket of its own
 * (rfc.zeromq.org/spec/23).
 *
 * For measuring: a hundred SUB sockets of a library in one process cost more than what they are
 * to measure. Gives what arrives frame by frame; knows nothing of what is in a frame. */
#ifndef TESTS_BENCH_ZMTP_H
#define TESTS_BENCH_ZMTP_H

#include "common/bytes.h"
#include "common/err.h"

enum { ZMTP_ROOM = 256 << 10 };

struct zmtp {
    int fd;
    bool greeted;
    uint32_t frame; /* of the message that is arriving */
    size_t begin, end;
    uint8_t *in;
};

/* Connects to tcp://HOST:PORT, waits for the welcome of the other side, subscribes to the topic.
 * ERR_SYSTEM, ERR_CLOSED. */
MUST_USE enum err zmtp_open(struct zmtp *zmtp, const char *endpoint, const char *topic);
void zmtp_close(struct zmtp *zmtp);

/* Reads what has arrived. ERR_CLOSED: the other side left, or speaks something else. */
MUST_USE enum err zmtp_read(struct zmtp *zmtp);

/* The next frame of those read, and which one of its message it is; lent until the next read. */
bool zmtp_next(struct zmtp *zmtp, struct span *frame, uint32_t *number);

#endif
