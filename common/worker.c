/* worker.c - pthreads and eventfd behind the promises of worker.h. */
#include "common/worker.h"

#include "common/bytes.h"
#include "common/log.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { QUIET_BYTES = 1 << 20 };

struct queue_node {
    struct queue_node *next;
    void *item;
    size_t bytes;
};

enum err queue_open(struct queue *queue, size_t bytes_max)
{
    assert(!queue->open);
    queue->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->wake_fd < 0) {
        log_error("eventfd_failed", kv_text("text", strerror(errno)));
        return ERR_SYSTEM;
    }
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->less, NULL);
    queue->last = &queue->first;
    queue->bytes_max = bytes_max;
    queue->open = true;
    return ERR_NONE;
}

void queue_close(struct queue *queue)
{
    if (!queue->open)
        return;
    while (queue_pop(queue) != NULL)
        continue;
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->less);
    close(queue->wake_fd);
    *queue = (struct queue){0};
}

static void wake(struct queue *queue)
{
    if (!queue->woken)
        eventfd_write(queue->wake_fd, 1);
    queue->woken = true;
}

enum push_way { PUSH, PUSH_NOW, PUSH_QUIET };

static void push(struct queue *queue, void *item, size_t bytes, enum push_way way)
{
    struct queue_node *node = bytes_zeroed(1, sizeof *node);
    node->item = item;
    node->bytes = bytes;
    pthread_mutex_lock(&queue->lock);
    while (way != PUSH_NOW && queue->bytes >= queue->bytes_max)
        pthread_cond_wait(&queue->less, &queue->lock);
    *queue->last = node;
    queue->last = &node->next;
    queue->bytes += bytes;
    queue->count++;
    if (way != PUSH_QUIET || queue->hungry || queue->bytes >= QUIET_BYTES ||
        queue->bytes >= queue->bytes_max)
        wake(queue);
    pthread_mutex_unlock(&queue->lock);
}

void queue_push(struct queue *queue, void *item, size_t bytes)
{
    push(queue, item, bytes, PUSH);
}

void queue_push_now(struct queue *queue, void *item, size_t bytes)
{
    push(queue, item, bytes, PUSH_NOW);
}

void queue_push_quiet(struct queue *queue, void *item, size_t bytes)
{
    push(queue, item, bytes, PUSH_QUIET);
}

void queue_set_hungry(struct queue *queue, bool hungry)
{
    pthread_mutex_lock(&queue->lock);
    queue->hungry = hungry;
    if (hungry && queue->first != NULL)
        wake(queue);
    pthread_mutex_unlock(&queue->lock);
}

static void calm(struct queue *queue)
{
    eventfd_t drained;
    if (queue->woken)
        eventfd_read(queue->wake_fd, &drained);
    queue->woken = false;
}

void *queue_pop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct queue_node *node = queue->first;
    void *item = NULL;
    if (node != NULL) {
        item = node->item;
        queue->first = node->next;
        queue->bytes -= node->bytes;
        queue->count--;
        pthread_cond_signal(&queue->less);
    }
    if (queue->first == NULL) {
        queue->last = &queue->first;
        calm(queue);
    }
    pthread_mutex_unlock(&queue->lock);
    bytes_free(node);
    return item;
}

size_t queue_bytes(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t bytes = queue->bytes;
    pthread_mutex_unlock(&queue->lock);
    return bytes;
}

int queue_fd(const struct queue *queue)
{
    return queue->wake_fd;
}

static void *run(void *self)
{
    struct worker *worker = self;
    worker->exit_code = worker->run(worker->self);
    return NULL;
}

enum err worker_start(struct worker *worker, const char *name, int (*body)(void *), void *self)
{
    worker->run = body;
    worker->self = self;
    int rc = pthread_create(&worker->thread, NULL, run, worker);
    if (rc != 0) {
        log_error("thread_failed", kv_text("thread", name), kv_text("text", strerror(rc)));
        return ERR_SYSTEM;
    }
    pthread_setname_np(worker->thread, name);
    worker->started = true;
    return ERR_NONE;
}

int worker_join(struct worker *worker)
{
    if (!worker->started)
        return 0;
    pthread_join(worker->thread, NULL);
    worker->started = false;
    return worker->exit_code;
}

bool worker_wake_gently(void)
{
    struct sched_param none = {0};
    return sched_setscheduler(0, SCHED_BATCH, &none) == 0;
}

static _Thread_local bool hurried;

void worker_give_way(void)
{
    if (!hurried)
        sched_yield();
}

void worker_hurry(bool hurry)
{
    hurried = hurry;
}
