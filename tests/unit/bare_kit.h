/* bare_kit.h - sockets that speak to a port with bytes of their own, and break off where they like.
 */
#ifndef TESTS_UNIT_BARE_KIT_H
#define TESTS_UNIT_BARE_KIT_H

#include "tests/unit/port_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static inline struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static inline uint16_t number_of(const char *endpoint)
{
    return (uint16_t)atoi(strrchr(endpoint, ':') + 1);
}

static inline int bare_call(const struct party *party)
{
    struct sockaddr_in at = loopback(number_of(party->endpoint));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static inline int bare_listen(char endpoint[ADDRESS_TEXT_MAX])
{
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    snprintf(endpoint, ADDRESS_TEXT_MAX, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

static inline int bare_accept(int listener)
{
    int fd = -1;
    UNTIL((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

/* Greeting and READY of the mechanism NULL, without waiting for those of the other side. */
static inline void bare_greet(int fd)
{
    static const uint8_t greeting[64] = {0xff, [9] = 0x7f, 3, 1, 'N', 'U', 'L', 'L'};
    static const char ready[] = "\x04\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER";
    CHECK(write(fd, greeting, sizeof greeting) == sizeof greeting);
    CHECK(write(fd, ready, sizeof ready - 1) == sizeof ready - 1);
}

/* True once the other side has closed it. */
static inline bool is_shut(int fd)
{
    uint8_t bytes[4096];
    ssize_t size = recv(fd, bytes, sizeof bytes, 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
}

#endif
