/* loop.c - turns over poll(2); the descriptor of a ZeroMQ socket stands for the socket. */
#include "common/loop.h"

#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <zmq.h>

enum { MARK_ALL_MS = 200 };

static void add_source(struct loop *loop, struct loop_source source)
{
    assert(loop->source_count < LOOP_SOURCES_MAX);
    assert(source.drain != NULL);
    source.marked = true;
    loop->sources[loop->source_count++] = source;
}

/* A drain may add and remove sources: the one at `i` is looked at afresh. */
static void drain_marked(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->source_count && !loop->stopped; i++) {
        struct loop_source *source = &loop->sources[i];
        if (!source->marked)
            continue;
        const void *socket = source->socket;
        loop_drain *drain = source->drain;
        source->marked = false;
        uint32_t got = drain(source->owner);
        if (i < loop->source_count && source->socket == socket && source->drain == drain)
            source->marked = source->marked || got >= (socket != NULL ? LOOP_DRAIN_MAX : 1u);
    }
}

static bool is_marked(const struct loop *loop)
{
    for (uint32_t i = 0; i < loop->source_count; i++)
        if (loop->sources[i].marked)
            return true;
    return false;
}

/* Timers of one period fire together, in every process of the machine: an idle node wakes less
 * often. After a pause a timer fires once, not many times. */
static uint64_t next_on_grid(uint64_t now_ms, uint64_t every_ms)
{
    return (now_ms / every_ms + 1) * every_ms;
}

static void run_timers(struct loop *loop)
{
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX && !loop->stopped; i++) {
        struct loop_timer *timer = &loop->timers[i];
        if (timer->due_ms == 0 || timer->due_ms > loop->now_ms)
            continue;
        struct loop_timer due = *timer;
        if (due.every_ms == 0)
            timer->due_ms = 0;
        else
            timer->due_ms = next_on_grid(loop->now_ms, due.every_ms);
        due.call(due.owner);
    }
}

static uint64_t wait_for(const struct loop *loop, uint64_t max_wait_ms)
{
    uint64_t wait = max_wait_ms;
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++) {
        uint64_t due = loop->timers[i].due_ms;
        if (due != 0 && due <= loop->now_ms)
            return 0;
        if (due != 0 && due - loop->now_ms < wait)
            wait = due - loop->now_ms;
    }
    return wait;
}

static void sleep_on(struct loop *loop, uint64_t wait_ms)
{
    struct pollfd fds[LOOP_SOURCES_MAX];
    for (uint32_t i = 0; i < loop->source_count; i++)
        fds[i] = (struct pollfd){loop->sources[i].fd,
                                 loop->sources[i].wants_room ? POLLIN | POLLOUT : POLLIN, 0};
    int rc = poll(fds, loop->source_count, (int)wait_ms);
    assert(rc >= 0 || errno == EINTR);
    for (uint32_t i = 0; i < loop->source_count && rc > 0; i++)
        loop->sources[i].marked = fds[i].revents != 0;
}

void loop_add_socket(struct loop *loop, void *socket, loop_drain *drain, void *owner)
{
    int fd = -1;
    size_t size = sizeof fd;
    assert(socket != NULL);
    int rc = zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    assert(rc == 0);
    add_source(loop,
               (struct loop_source){.socket = socket, .fd = fd, .drain = drain, .owner = owner});
}

void loop_add_fd(struct loop *loop, int fd, loop_drain *drain, void *owner)
{
    assert(fd >= 0);
    add_source(loop, (struct loop_source){.fd = fd, .drain = drain, .owner = owner});
}

void loop_touch(struct loop *loop, const void *socket)
{
    for (uint32_t i = 0; i < loop->source_count; i++)
        if (loop->sources[i].socket == socket)
            loop->sources[i].marked = true;
}

void loop_again(struct loop *loop, const void *owner)
{
    for (uint32_t i = 0; i < loop->source_count; i++)
        if (loop->sources[i].owner == owner)
            loop->sources[i].marked = true;
}

static void remove_source(struct loop *loop, uint32_t slot)
{
    for (uint32_t i = slot; i + 1 < loop->source_count; i++)
        loop->sources[i] = loop->sources[i + 1];
    loop->source_count--;
}

void loop_remove(struct loop *loop, void *owner)
{
    for (uint32_t i = loop->source_count; i > 0; i--)
        if (loop->sources[i - 1].owner == owner)
            remove_source(loop, i - 1);
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++)
        if (loop->timers[i].owner == owner)
            loop->timers[i] = (struct loop_timer){0};
    for (uint32_t i = 0; i < LOOP_PUSHES_MAX; i++)
        if (loop->pushes[i].owner == owner)
            loop->pushes[i] = (struct loop_push){0};
}

void loop_remove_fd(struct loop *loop, int fd)
{
    for (uint32_t i = loop->source_count; i > 0; i--)
        if (loop->sources[i - 1].socket == NULL && loop->sources[i - 1].fd == fd)
            remove_source(loop, i - 1);
}

uint32_t loop_add_timer(struct loop *loop, uint64_t first_ms, uint64_t every_ms, loop_call *call,
                        void *owner)
{
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++) {
        if (loop->timers[i].call != NULL)
            continue;
        loop->timers[i] = (struct loop_timer){clock_now_ms() + first_ms, every_ms, call, owner};
        return i;
    }
    assert(!"too many timers");
    return 0;
}

void loop_move_timer(struct loop *loop, uint32_t slot, uint64_t in_ms)
{
    assert(loop->timers[slot].call != NULL);
    loop->timers[slot].due_ms = clock_now_ms() + in_ms;
}

void loop_set_flush(struct loop *loop, loop_call *flush, void *owner)
{
    loop->flush = flush;
    loop->flush_owner = owner;
}

void loop_add_push(struct loop *loop, loop_call *push, void *owner)
{
    for (uint32_t i = 0; i < LOOP_PUSHES_MAX; i++) {
        if (loop->pushes[i].call != NULL)
            continue;
        loop->pushes[i] = (struct loop_push){push, owner};
        return;
    }
    assert(!"too many pushes");
}

void loop_want_room(struct loop *loop, int fd, bool wants)
{
    for (uint32_t i = 0; i < loop->source_count; i++)
        if (loop->sources[i].socket == NULL && loop->sources[i].fd == fd)
            loop->sources[i].wants_room = wants;
}

static void push_all(struct loop *loop)
{
    for (uint32_t i = 0; i < LOOP_PUSHES_MAX; i++)
        if (loop->pushes[i].call != NULL)
            loop->pushes[i].call(loop->pushes[i].owner);
}

/* A mark that was lost would be a hang: every so often all are asked. */
static void mark_all(struct loop *loop)
{
    if (loop->now_ms - loop->marked_all_ms < MARK_ALL_MS)
        return;
    loop->marked_all_ms = loop->now_ms;
    for (uint32_t i = 0; i < loop->source_count; i++)
        loop->sources[i].marked = true;
}

void loop_turn(struct loop *loop, uint64_t max_wait_ms)
{
    loop->now_ms = clock_now_ms();
    mark_all(loop);
    drain_marked(loop);
    run_timers(loop);
    if (loop->flush != NULL && !loop->stopped)
        loop->flush(loop->flush_owner);
    push_all(loop);
    if (!loop->stopped && !is_marked(loop))
        sleep_on(loop, wait_for(loop, max_wait_ms));
}

int loop_run(struct loop *loop)
{
    while (!loop->stopped)
        loop_turn(loop, 1000);
    return loop->exit_code;
}

void loop_stop(struct loop *loop, int exit_code)
{
    if (!loop->stopped)
        loop->exit_code = exit_code;
    loop->stopped = true;
}
