/* loop.h - the reactor: one thread, one loop.
 *
 * A turn drains every socket and descriptor that has something, runs the timers
 * that are due, then flushes once, and sleeps when nothing more is there.
 * Sockets are ZeroMQ sockets (void *, so that <zmq.h> stays here); a loop of
 * descriptors and timers alone needs no context.
 *
 * Asking a ZeroMQ socket whether it has something costs system calls, so only
 * those are asked whose descriptor (ZMQ_FD) woke the loop. That descriptor
 * tells of news, not of messages that wait: a drain must go on until the socket
 * has no more (or return LOOP_DRAIN_MAX), and who sends on a socket that also
 * receives must say loop_touch, because sending may take the news away. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/err.h"

#include <stdint.h>

enum { LOOP_SOURCES_MAX = 96, LOOP_TIMERS_MAX = 32, LOOP_PUSHES_MAX = 8, LOOP_DRAIN_MAX = 1024 };

/* Handles what is there, at most LOOP_DRAIN_MAX, and returns how many things it found. A socket
 * is asked again in the next turn if it returned LOOP_DRAIN_MAX, a descriptor if it returned
 * more than 0. */
typedef uint32_t loop_drain(void *owner);
typedef void loop_call(void *owner);

struct loop_source {
    void *socket; /* ZeroMQ, or NULL: fd counts */
    int fd;
    loop_drain *drain;
    void *owner;
    bool marked;     /* to be drained in the next turn */
    bool wants_room; /* wakes the loop also when it can be written to */
};

struct loop_push {
    loop_call *call;
    void *owner;
};

struct loop_timer {
    uint64_t due_ms, every_ms; /* every 0: fires once; due 0: at rest, until it is moved */
    loop_call *call;
    void *owner;
};

struct loop {
    struct loop_source sources[LOOP_SOURCES_MAX];
    uint32_t source_count;
    struct loop_timer timers[LOOP_TIMERS_MAX];
    loop_call *flush;
    void *flush_owner;
    struct loop_push pushes[LOOP_PUSHES_MAX];
    uint64_t now_ms, marked_all_ms; /* of this turn; of the last look at everything */
    bool stopped;
    int exit_code;
};

/* Drained in the next turn, and whenever there is news. */
void loop_add_socket(struct loop *loop, void *socket, loop_drain *drain, void *owner);
void loop_add_fd(struct loop *loop, int fd, loop_drain *drain, void *owner);
/* The socket was sent on: it is drained in the next turn. */
void loop_touch(struct loop *loop, const void *socket);

/* There is more to do: every source of the owner is drained in the next turn. */
void loop_again(struct loop *loop, const void *owner);

void loop_remove(struct loop *loop, void *owner); /* every source, timer and push of the owner */
void loop_remove_fd(struct loop *loop, int fd);

/* A timer; returns its slot. every_ms 0: fires once, and again when it is moved. */
uint32_t loop_add_timer(struct loop *loop, uint64_t first_ms, uint64_t every_ms, loop_call *call,
                        void *owner);
/* Moves a timer: fires `in_ms` from now (and then every every_ms, as it was added). */
void loop_move_timer(struct loop *loop, uint32_t slot, uint64_t in_ms);

void loop_set_flush(struct loop *loop, loop_call *flush, void *owner);

/* Called at the end of each turn, behind the flush: what was said in it leaves. */
void loop_add_push(struct loop *loop, loop_call *push, void *owner);

/* The descriptor cannot take more now, and wakes the loop when it can. */
void loop_want_room(struct loop *loop, int fd, bool wants);

/* Runs turns until loop_stop; returns the exit code given there. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int exit_code);

/* One turn, sleeping at most max_wait_ms; for tests and for pollable callers. */
void loop_turn(struct loop *loop, uint64_t max_wait_ms);

#endif
