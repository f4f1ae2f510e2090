/* link.c - who is there, on channels. */
#include "protocol/link.h"

#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { DRAIN_MS = 50, RETRY_MS = 10, RETRY_MAX_MS = 200 };

/* ---- sending ------------------------------------------------------------------------------- */

static enum err send_to(struct link_neighbour *to, const struct message *message)
{
    if (!to->channel.open)
        return ERR_CLOSED;
    TRY(channel_has_room(&to->channel));
    message_encode(message, channel_begin(&to->channel));
    channel_end(&to->channel);
    to->link->sent++;
    return ERR_NONE;
}

enum err link_send(struct link *link, uint32_t neighbour, const struct message *message)
{
    assert(neighbour < LINK_NEIGHBOURS_MAX);
    if (!link->neighbours[neighbour].up)
        return ERR_CLOSED;
    enum err err = send_to(&link->neighbours[neighbour], message);
    link->dropped += err != ERR_NONE;
    return err;
}

void link_tell(struct link *link, uint32_t neighbour, const struct message *message)
{
    enum err err = link_send(link, neighbour, message);
    if (err == ERR_BUSY)
        log_warn("link_full", kv_text("message", message_info(message->type)->name));
}

bool link_is_up(const struct link *link, uint32_t neighbour)
{
    return link->neighbours[neighbour].up;
}

static void say(struct link *link, struct link_neighbour *to, enum message_type type)
{
    struct message message = {.type = type};
    if (type == MESSAGE_LINK_HELLO) {
        message.link_hello.life = link->rules->life;
        message.link_hello.process = SPAN_TEXT(link->rules->process);
    }
    enum err err = send_to(to, &message);
    (void)err; /* silence is what the other side judges by */
}

/* ---- who is there --------------------------------------------------------------------------- */

static uint32_t slot_of(const struct link *link, const struct link_neighbour *neighbour)
{
    return (uint32_t)(neighbour - link->neighbours);
}

static void mark_down(struct link *link, struct link_neighbour *neighbour, const char *reason)
{
    if (!neighbour->up)
        return;
    neighbour->up = false;
    log_info("link_down", kv_text("neighbour", neighbour->process), kv_text("reason", reason));
    if (link->rules->down != NULL)
        link->rules->down(link->owner, slot_of(link, neighbour));
}

static void retry_later(struct link *link);

/* Whatever waited for it is lost, as it is when it dies. */
static void hang_up(struct link *link, struct link_neighbour *neighbour, const char *reason)
{
    if (!neighbour->channel.open)
        return;
    mark_down(link, neighbour, reason);
    channel_close(&neighbour->channel);
    if (!link->binds)
        retry_later(link);
}

static void mark_up(struct link *link, struct link_neighbour *neighbour,
                    const struct message *hello)
{
    if (neighbour->up)
        return;
    struct span process = hello->link_hello.process;
    neighbour->up = true;
    size_t size =
        process.size < sizeof neighbour->process ? process.size : sizeof neighbour->process - 1;
    if (size > 0)
        memcpy(neighbour->process, process.data, size);
    neighbour->process[size] = '\0';
    log_debug("link_up", kv_text("neighbour", neighbour->process),
              kv_u64("life", hello->link_hello.life));
    if (link->binds)
        say(link, neighbour, MESSAGE_LINK_HELLO);
    if (link->rules->up != NULL)
        link->rules->up(link->owner, slot_of(link, neighbour));
}

/* Silence ends the conversation: the other end finds that out when it goes on, and begins anew. */
static void on_tick(void *owner)
{
    struct link *link = owner;
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        struct link_neighbour *at = &link->neighbours[i];
        if (at->channel.open && link->loop->now_ms - at->heard_ms > LINK_SILENCE_MS)
            hang_up(link, at, "silence");
        if (at->up)
            say(link, at, MESSAGE_LINK_ALIVE);
    }
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void refuse(struct link *link, const char *reason, enum err err)
{
    if (link->refused++ % 1000 == 0) /* hostile bytes must not fill the log */
        log_warn("refused", kv_text("reason", reason), kv_err(err), kv_u64("count", link->refused));
}

static void dispatch(struct link *link, struct link_neighbour *from, const struct message *message)
{
    link_handler *handler = link->rules->handlers[message->type];
    if (handler == NULL) {
        refuse(link, message_info(message->type)->name, ERR_UNKNOWN_VERB);
        return;
    }
    enum err err = handler(link->owner, slot_of(link, from), message);
    if (err != ERR_NONE)
        log_warn("handler_failed", kv_text("message", message_info(message->type)->name),
                 kv_err(err));
}

static void receive(struct link *link, struct link_neighbour *from, struct span frame)
{
    struct message message;
    enum err err = message_decode(frame, &message);
    link->received++;
    if (err != ERR_NONE) {
        refuse(link, "not a message", err);
        return;
    }
    if (message.type == MESSAGE_LINK_HELLO)
        mark_up(link, from, &message);
    if (!from->up) {
        refuse(link, "no hello", ERR_BAD_MESSAGE);
        return;
    }
    from->heard_ms = link->loop->now_ms;
    if (message.type != MESSAGE_LINK_HELLO && message.type != MESSAGE_LINK_ALIVE)
        dispatch(link, from, &message);
}

/* True: time is up, and there may be more. The rest comes in the next turn: timers and neighbours
 * wait. */
static bool take_frames(struct link *link, struct link_neighbour *from)
{
    size_t at = 0;
    struct span frame;
    enum err err;
    bool late = false;
    while (!late && (err = channel_next(&from->channel, &at, &frame)) == ERR_NONE) {
        receive(link, from, frame);
        late = clock_now_ms() - link->loop->now_ms > DRAIN_MS;
    }
    channel_forget(&from->channel, at);
    if (!late && err == ERR_BAD_MESSAGE) {
        refuse(link, "not a frame", err);
        hang_up(link, from, "not a frame");
    }
    return late;
}

static uint32_t drain(void *owner)
{
    struct link_neighbour *from = owner;
    bool more;
    enum err err = channel_receive(&from->channel, &more);
    bool late = take_frames(from->link, from); /* the last words of one that hung up, too */
    if (err == ERR_CLOSED && !late)
        hang_up(from->link, from, "it hung up");
    return late || more;
}

/* ---- opening -------------------------------------------------------------------------------- */

void link_push(struct link *link)
{
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        struct link_neighbour *at = &link->neighbours[i];
        if (at->channel.open && channel_push(&at->channel) != ERR_NONE)
            loop_again(link->loop, at); /* what it said last is heard first */
    }
}

static void on_push(void *owner)
{
    link_push(owner);
}

static struct link_neighbour *open_place(struct link *link, int fd)
{
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        struct link_neighbour *at = &link->neighbours[i];
        if (at->channel.open)
            continue;
        *at = (struct link_neighbour){.link = link, .heard_ms = link->loop->now_ms};
        channel_open(&at->channel, link->loop, fd, drain, at);
        return at;
    }
    return NULL;
}

static uint32_t take_newcomers(void *owner)
{
    struct link *link = owner;
    int fd;
    enum err err = channel_accept(link->listener, &fd);
    if (err == ERR_NOT_FOUND)
        return 0;
    if (err == ERR_NONE && open_place(link, fd) == NULL) {
        close(fd);
        err = ERR_LIMIT;
    }
    if (err != ERR_NONE)
        refuse(link, err == ERR_LIMIT ? "too many neighbours" : "another user", err);
    return err != ERR_SYSTEM;
}

static void try_to_connect(void *owner)
{
    struct link *link = owner;
    int fd;
    if (channel_connect(link->path, &fd) != ERR_NONE) {
        retry_later(link);
        return;
    }
    link->retry_ms = RETRY_MS;
    say(link, open_place(link, fd), MESSAGE_LINK_HELLO);
}

static void retry_later(struct link *link)
{
    loop_move_timer(link->loop, link->timer, link->retry_ms);
    link->retry_ms = link->retry_ms * 2 < RETRY_MAX_MS ? link->retry_ms * 2 : RETRY_MAX_MS;
}

/* A process that lacks a handler for an ask addressed to it is our mistake; each of the
 * sockets of one process may serve a part, so the whole is checked by the unit test of
 * the table, and here only that there is one handler at all. */
static void check_handlers(const struct link_rules *rules)
{
    bool any = false;
    for (unsigned type = 0; type < MESSAGE_TYPE_MAX; type++)
        any = any || rules->handlers[type] != NULL;
    assert(any);
}

static void set_up(struct link *link, struct loop *loop, const char *path,
                   const struct link_rules *rules, void *owner)
{
    check_handlers(rules);
    assert(!link->open);
    link->open = true;
    link->loop = loop;
    link->rules = rules;
    link->owner = owner;
    snprintf(link->path, sizeof link->path, "%s", path);
    loop_add_timer(loop, LINK_ALIVE_MS, LINK_ALIVE_MS, on_tick, link);
    loop_add_push(loop, on_push, link);
}

enum err link_bind(struct link *link, struct loop *loop, const char *path,
                   const struct link_rules *rules, void *owner)
{
    enum err err = channel_listen(path, &link->listener);
    if (err != ERR_NONE) {
        log_error("socket_failed", kv_text("path", path), kv_text("text", strerror(errno)));
        return err;
    }
    set_up(link, loop, path, rules, owner);
    link->binds = true;
    loop_add_fd(loop, link->listener, take_newcomers, link);
    return ERR_NONE;
}

void link_connect(struct link *link, struct loop *loop, const char *path,
                  const struct link_rules *rules, void *owner)
{
    set_up(link, loop, path, rules, owner);
    link->retry_ms = RETRY_MS;
    link->timer = loop_add_timer(loop, 0, 0, try_to_connect, link); /* in the first turn */
}

void link_close(struct link *link)
{
    if (!link->open)
        return;
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++)
        channel_close(&link->neighbours[i].channel);
    loop_remove(link->loop, link);
    if (link->binds) {
        close(link->listener);
        unlink(link->path);
    }
    *link = (struct link){0};
}
