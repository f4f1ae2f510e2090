/* zmtp.c - greeting, READY, a subscription; then frames, and an answer to each PING. */
#include "tests/bench/zmtp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GREETING_SIZE = 64, MORE = 1, LONG = 2, COMMAND = 4 };

static const uint8_t greeting[GREETING_SIZE] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                                1,    0x7f, 3, 0, 'N', 'U', 'L', 'L'};
static const uint8_t ready[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";

static bool send_all(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static int dial(const char *endpoint)
{
    char host[128];
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    const char *port = strrchr(endpoint, ':');
    if (strncmp(endpoint, "tcp://", 6) != 0 || port < endpoint + 6)
        return -1;
    snprintf(host, sizeof host, "%.*s", (int)(port - endpoint - 6), endpoint + 6);
    if (getaddrinfo(host, port + 1, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void zmtp_close(struct zmtp *zmtp)
{
    if (zmtp->in != NULL && zmtp->fd >= 0)
        close(zmtp->fd);
    bytes_free(zmtp->in);
    *zmtp = (struct zmtp){0};
}

enum err zmtp_read(struct zmtp *zmtp)
{
    if (zmtp->begin > 0) {
        memmove(zmtp->in, zmtp->in + zmtp->begin, zmtp->end - zmtp->begin);
        zmtp->end -= zmtp->begin;
        zmtp->begin = 0;
    }
    ssize_t got = recv(zmtp->fd, zmtp->in + zmtp->end, ZMTP_ROOM - zmtp->end, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? ERR_NONE : ERR_CLOSED;
    zmtp->end += (size_t)got;
    return got > 0 ? ERR_NONE : ERR_CLOSED;
}

/* PING is a time to live and a context, which PONG brings back. */
static void on_command(const struct zmtp *zmtp, struct span command)
{
    uint8_t pong[64] = {COMMAND, 5, 4, 'P', 'O', 'N', 'G'};
    if (command.size < 7 || command.size - 7 > sizeof pong - 7 ||
        memcmp(command.data, "\x04PING", 5) != 0)
        return;
    pong[1] = (uint8_t)(command.size - 2);
    memcpy(pong + 7, command.data + 7, command.size - 7);
    send_all(zmtp->fd, pong, command.size);
}

static bool take_frame(struct zmtp *zmtp, uint8_t *flags, struct span *frame)
{
    const uint8_t *at = zmtp->in + zmtp->begin;
    size_t there = zmtp->end - zmtp->begin, head = there > 0 && (at[0] & LONG) ? 9 : 2;
    if (there < head)
        return false;
    size_t size = head == 2 ? at[1] : 0;
    for (size_t i = 1; head == 9 && i < head; i++)
        size = size << 8 | at[i];
    if (size > there - head)
        return false;
    *flags = at[0];
    *frame = SPAN(at + head, size);
    zmtp->begin += head + size;
    return true;
}

bool zmtp_next(struct zmtp *zmtp, struct span *frame, uint32_t *number)
{
    uint8_t flags;
    if (!zmtp->greeted) {
        if (zmtp->end - zmtp->begin < GREETING_SIZE)
            return false;
        zmtp->begin += GREETING_SIZE;
        zmtp->greeted = true;
    }
    while (take_frame(zmtp, &flags, frame)) {
        if (flags & COMMAND) {
            on_command(zmtp, *frame);
            continue;
        }
        *number = zmtp->frame;
        zmtp->frame = flags & MORE ? zmtp->frame + 1 : 0;
        return true;
    }
    return false;
}

/* libzmq drops who subscribes before its own side is ready; its welcome says that it is. */
static enum err await_welcome(struct zmtp *zmtp)
{
    struct span frame;
    uint32_t number;
    do
        TRY(zmtp_read(zmtp));
    while (!zmtp_next(zmtp, &frame, &number));
    return ERR_NONE;
}

enum err zmtp_open(struct zmtp *zmtp, const char *endpoint, const char *topic)
{
    uint8_t subscribe[256] = {0, (uint8_t)(strlen(topic) + 1), 1};
    size_t size = strlen(topic);
    zmtp->fd = dial(endpoint);
    zmtp->in = bytes_zeroed(1, ZMTP_ROOM);
    if (zmtp->fd < 0 || size + 3 > sizeof subscribe)
        return ERR_SYSTEM;
    memcpy(subscribe + 3, topic, size);
    if (!send_all(zmtp->fd, greeting, sizeof greeting) ||
        !send_all(zmtp->fd, ready, sizeof ready - 1))
        return ERR_SYSTEM;
    TRY(await_welcome(zmtp));
    if (!send_all(zmtp->fd, subscribe, size + 3))
        return ERR_SYSTEM;
    return fcntl(zmtp->fd, F_SETFL, O_NONBLOCK) == 0 ? ERR_NONE : ERR_SYSTEM;
}
