#include "common/probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool probe_split(const char *endpoint, char host[128], char port[8])
{
    const char *colon = strrchr(endpoint, ':');
    if (strncmp(endpoint, "tcp://", 6) != 0 || colon == NULL || colon <= endpoint + 6)
        return false;
    const char *begin = endpoint + 6, *end = colon;
    if (*begin == '[' && end[-1] == ']') {
        begin++;
        end--;
    }
    size_t size = (size_t)(end - begin), digits = strlen(colon + 1);
    if (size == 0 || size >= 128 || digits == 0 || digits >= 8)
        return false;
    memcpy(host, begin, size);
    host[size] = '\0';
    memcpy(port, colon + 1, digits + 1);
    return true;
}

bool probe_is_loopback(const char *endpoint)
{
    char host[128], port[8];
    if (strncmp(endpoint, "ipc://", 6) == 0)
        return true;
    return probe_split(endpoint, host, port) &&
           (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
            strcmp(host, "localhost") == 0);
}

bool probe_is_any(const char *endpoint)
{
    char host[128], port[8];
    return probe_split(endpoint, host, port) &&
           (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0);
}

static struct addrinfo *look_up(const char *endpoint, int kind)
{
    char host[128], port[8];
    struct addrinfo hints = {.ai_socktype = kind}, *infos = NULL;
    if (!probe_split(endpoint, host, port) || getaddrinfo(host, port, &hints, &infos) != 0)
        return NULL;
    return infos;
}

static bool connects(const struct addrinfo *info, uint32_t wait_ms)
{
    int error = 0;
    socklen_t size = sizeof error;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool there = connect(fd, info->ai_addr, info->ai_addrlen) == 0;
    if (!there && errno == EINPROGRESS) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        there = poll(&ready, 1, (int)wait_ms) == 1 &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    close(fd);
    return there;
}

bool probe_answers(const char *endpoint, uint32_t wait_ms)
{
    struct addrinfo *infos = look_up(endpoint, SOCK_STREAM);
    bool there = false;
    for (const struct addrinfo *info = infos; info != NULL && !there; info = info->ai_next)
        there = connects(info, wait_ms);
    if (infos != NULL)
        freeaddrinfo(infos);
    return there;
}

/* A datagram socket that is connected sends nothing, and has chosen its way. */
static bool local_of(const struct addrinfo *info, char *text, size_t size)
{
    struct sockaddr_storage own;
    socklen_t own_size = sizeof own;
    int fd = socket(info->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = fd >= 0 && connect(fd, info->ai_addr, info->ai_addrlen) == 0 &&
                 getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
                 getnameinfo((struct sockaddr *)&own, own_size, text, (socklen_t)size, NULL, 0,
                             NI_NUMERICHOST) == 0;
    if (fd >= 0)
        close(fd);
    return known;
}

enum err probe_local_address(const char *endpoint, char *text, size_t size)
{
    struct addrinfo *infos = look_up(endpoint, SOCK_DGRAM);
    bool known = false;
    for (const struct addrinfo *info = infos; info != NULL && !known; info = info->ai_next)
        known = local_of(info, text, size);
    if (infos != NULL)
        freeaddrinfo(infos);
    return known ? ERR_NONE : ERR_SYSTEM;
}
