/* worker.h - a thread with a loop of its own, and the bounded queue that leads into it.
 *
 * Threads share nothing but queues. A queue carries pointers and their weight
 * in bytes, from any thread to one; it wakes the loop of its reader. */
#ifndef COMMON_WORKER_H
#define COMMON_WORKER_H

#include "common/loop.h"

#include <pthread.h>

struct queue_node;

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t less;
    struct queue_node *first, **last;
    size_t bytes, bytes_max, count;
    int wake_fd; /* readable while the reader should look */
    bool open, hungry, woken;
};

MUST_USE enum err queue_open(struct queue *queue, size_t bytes_max);
void queue_close(struct queue *queue); /* items still there are lost: drain first */

/* Waits while the queue holds bytes_max or more (bounded memory, never a drop). */
void queue_push(struct queue *queue, void *item, size_t bytes);
/* As queue_push, but lets the reader sleep: it looks by itself when it needs the item. Wakes it
 * nevertheless if it is hungry, or if much has gathered. */
void queue_push_quiet(struct queue *queue, void *item, size_t bytes);
/* The reader waits for the next item, whatever it is (true), or no longer does. */
void queue_set_hungry(struct queue *queue, bool hungry);
/* Does not wait: for a reader that pushes back to its own writer. */
void queue_push_now(struct queue *queue, void *item, size_t bytes);
void *queue_pop(struct queue *queue); /* NULL: empty */
size_t queue_bytes(struct queue *queue);
int queue_fd(const struct queue *queue); /* for loop_add_fd */

/* A thread. `run` gets `self`; it usually opens a loop, runs it, returns its exit code. */
struct worker {
    pthread_t thread;
    int (*run)(void *self);
    void *self;
    int exit_code;
    bool started;
};

MUST_USE enum err worker_start(struct worker *worker, const char *name, int (*run)(void *),
                               void *self);
int worker_join(struct worker *worker);

/* The calling thread, and those it starts from now on, do not throw out a running one when they
 * wake: batches form behind it, and a loaded machine switches less (measured: a fifth to a third
 * more writes). False: the kernel says no, and nothing is lost but that. */
bool worker_wake_gently(void);

/* Lets others run that wait for the processor: a woken thread does not throw out a running one
 * (SCHED_BATCH), so long work in the background says this every tenth of a millisecond or so. */
enum { GIVE_WAY_ROWS = 16 }; /* rows of SQLite that take about that long */
void worker_give_way(void);

/* True: from now on this thread does not give way, as work waits that would grow without end. */
void worker_hurry(bool hurry);

#endif
