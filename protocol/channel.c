#include "protocol/channel.h"

#include "protocol/message.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

#define READ_SIZE KiB(64)

static bool address_of(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof address->sun_path)
        return false;
    memcpy(address->sun_path, path, size + 1);
    return true;
}

static enum err fail(int fd, enum err err)
{
    int kept = errno;
    close(fd);
    errno = kept;
    return err;
}

enum err channel_listen(const char *path, int *fd)
{
    struct sockaddr_un address;
    if (!address_of(path, &address)) {
        errno = ENAMETOOLONG;
        return ERR_SYSTEM;
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return ERR_SYSTEM;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return ERR_SYSTEM;
    if (bind(*fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(*fd, BACKLOG) != 0)
        return fail(*fd, ERR_SYSTEM);
    return ERR_NONE;
}

/* The directory is private; the user is asked all the same (Z7). */
static bool is_own(int fd)
{
    struct ucred other;
    socklen_t size = sizeof other;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.uid == geteuid();
}

enum err channel_accept(int listener, int *fd)
{
    *fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (*fd < 0)
        return errno == EAGAIN || errno == ECONNABORTED || errno == EINTR ? ERR_NOT_FOUND
                                                                          : ERR_SYSTEM;
    return is_own(*fd) ? ERR_NONE : fail(*fd, ERR_DENIED);
}

enum err channel_connect(const char *path, int *fd)
{
    struct sockaddr_un address;
    if (!address_of(path, &address))
        return ERR_CLOSED;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return ERR_CLOSED;
    if (connect(*fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return fail(*fd, ERR_CLOSED);
    return ERR_NONE;
}

void channel_open(struct channel *channel, struct loop *loop, int fd, loop_drain *drain,
                  void *owner)
{
    assert(!channel->open);
    *channel = (struct channel){.open = true, .fd = fd, .loop = loop};
    loop_add_fd(loop, fd, drain, owner);
}

void channel_close(struct channel *channel)
{
    if (!channel->open)
        return;
    loop_remove_fd(channel->loop, channel->fd);
    close(channel->fd);
    bytes_close(&channel->in);
    bytes_close(&channel->out);
    *channel = (struct channel){0};
}

/* ---- sending ------------------------------------------------------------------------------- */

static size_t waiting(const struct channel *channel)
{
    return channel->out.size - channel->sent;
}

enum err channel_has_room(const struct channel *channel)
{
    return waiting(channel) < CHANNEL_WAITING_MAX ? ERR_NONE : ERR_BUSY;
}

struct bytes *channel_begin(struct channel *channel)
{
    uint8_t head[CHANNEL_HEAD_SIZE] = {0};
    save_u32(head, CHANNEL_MARK);
    channel->begun = channel->out.size;
    bytes_append(&channel->out, head, sizeof head);
    return &channel->out;
}

void channel_end(struct channel *channel)
{
    size_t size = channel->out.size - channel->begun - CHANNEL_HEAD_SIZE;
    assert(size <= FRAME_BYTES_MAX);
    save_u32(channel->out.data + channel->begun + 4, (uint32_t)size);
}

enum err channel_push(struct channel *channel)
{
    while (waiting(channel) > 0) {
        ssize_t size = send(channel->fd, channel->out.data + channel->sent, waiting(channel),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno != EAGAIN)
            return ERR_CLOSED;
        if (size < 0)
            break;
        channel->sent += (size_t)size;
    }
    if (channel->stuck != (waiting(channel) > 0)) {
        channel->stuck = !channel->stuck;
        loop_want_room(channel->loop, channel->fd, channel->stuck);
    }
    bytes_drop(&channel->out, &channel->sent);
    return ERR_NONE;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* So much as the frame at the front still lacks, in one go. */
static size_t wanted(const struct channel *channel)
{
    if (channel->in.size < CHANNEL_HEAD_SIZE)
        return READ_SIZE;
    size_t whole = CHANNEL_HEAD_SIZE + (size_t)load_u32(channel->in.data + 4);
    size_t lacks = whole > channel->in.size ? whole - channel->in.size : 0;
    return lacks > READ_SIZE ? lacks : READ_SIZE;
}

enum err channel_receive(struct channel *channel, bool *more)
{
    size_t room = wanted(channel);
    uint8_t *at = bytes_reserve(&channel->in, room);
    ssize_t size = recv(channel->fd, at, room, MSG_DONTWAIT);
    *more = size == (ssize_t)room;
    if (size > 0)
        channel->in.size += (size_t)size;
    else if (size == 0 || (errno != EAGAIN && errno != EINTR))
        return ERR_CLOSED;
    return ERR_NONE;
}

enum err channel_next(const struct channel *channel, size_t *at, struct span *body)
{
    struct span rest = SPAN(channel->in.data + *at, channel->in.size - *at);
    if (rest.size < CHANNEL_HEAD_SIZE)
        return ERR_NOT_FOUND;
    size_t size = load_u32(rest.data + 4);
    if (load_u32(rest.data) != CHANNEL_MARK || size > FRAME_BYTES_MAX)
        return ERR_BAD_MESSAGE;
    if (rest.size - CHANNEL_HEAD_SIZE < size)
        return ERR_NOT_FOUND;
    *body = SPAN(rest.data + CHANNEL_HEAD_SIZE, size);
    *at += CHANNEL_HEAD_SIZE + size;
    return ERR_NONE;
}

void channel_forget(struct channel *channel, size_t at)
{
    struct bytes *in = &channel->in;
    assert(at <= in->size);
    if (at < in->size && at > 0)
        memmove(in->data, in->data + at, in->size - at);
    in->size -= at;
    if (in->size == 0 && in->room > BYTES_KEEP_ROOM)
        bytes_close(in);
}
