#include "storage/storage.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/giveway.h"
#include "storage/guard.h"
#include "storage/keeper.h"
#include "storage/recovery.h"
#include "storage/scribe.h"
#include "storage/segment.h"
#include "storage/view.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    THREADS = 3,
    JOURNAL_QUEUE_BYTES = 1 << 20,
    VIEW_QUEUE_BYTES = 64 << 20,
    KEEPER_QUEUE_BYTES = 64 << 20,
    MIB = 1 << 20,
};

struct storage;

/* One thread, and whether it was told to end. */
struct storage_thread {
    struct storage *storage;
    const char *name;
    int (*run)(void *room);
    struct worker worker;
    struct queue *queue;
};

struct storage {
    struct service_base base;
    uint64_t disk_low_mib, ballast_mib;
    struct recovery recovery;
    struct rooms rooms;
    struct storage_room room;
    sem_t ready;
    bool has_ready;
    int ended_fd; /* counts threads that have ended; 0: not open */
    bool stopping;
    struct storage_thread threads[THREADS];
};

static const struct option options[] = {
    {"storage", "disk_low_mib", OPTION_U64, offsetof(struct storage, disk_low_mib), "256", 1,
     1 << 20, "below so much free disk, client writes are refused"},
    {"storage", "ballast_mib", OPTION_U64, offsetof(struct storage, ballast_mib), "32", 0, 1 << 20,
     "disk kept in reserve, released when the disk is full"},
    OPTION_END,
};

/* ---- threads ------------------------------------------------------------------------------- */

static int run_thread(void *self)
{
    struct storage_thread *thread = self;
    int code = thread->run(&thread->storage->room);
    thread->worker.exit_code = code;
    eventfd_write(thread->storage->ended_fd, 1);
    sem_post(&thread->storage->ready); /* whoever waits for three must not wait for ever */
    return code;
}

/* A thread that ends unasked takes the process with it, at once: the others may wait for a
 * queue that nobody drains any more. What was promised is on disk. */
static uint32_t on_ended(void *owner)
{
    struct storage *storage = owner;
    eventfd_t count;
    if (eventfd_read(storage->ended_fd, &count) != 0 || storage->stopping)
        return 0;
    for (int i = 0; i < THREADS; i++)
        if (storage->threads[i].worker.exit_code != EXIT_DONE) {
            log_error("thread_ended", kv_text("thread", storage->threads[i].name),
                      kv_u64("code", (uint64_t)storage->threads[i].worker.exit_code));
            _exit(storage->threads[i].worker.exit_code);
        }
    log_error("thread_ended", kv_text("reason", "unasked"));
    _exit(EXIT_RETRY);
}

static enum err start_threads(struct storage *storage)
{
    static const struct {
        const char *name;
        int (*run)(void *room);
    } plan[THREADS] = {{"journal", scribe_run}, {"view", view_run}, {"keeper", keeper_run}};
    struct queue *queues[THREADS] = {&storage->rooms.journal, &storage->rooms.view,
                                     &storage->rooms.keeper};
    for (int i = 0; i < THREADS; i++) {
        struct storage_thread *thread = &storage->threads[i];
        *thread = (struct storage_thread){
            .storage = storage, .name = plan[i].name, .run = plan[i].run, .queue = queues[i]};
        TRY(worker_start(&thread->worker, plan[i].name, run_thread, thread));
    }
    return ERR_NONE;
}

static void await_ready(struct storage *storage)
{
    for (int i = 0; i < THREADS; i++)
        while (sem_wait(&storage->ready) != 0)
            assert(errno == EINTR);
    on_ended(storage);
}

static void stop_thread(struct storage_thread *thread)
{
    if (!thread->worker.started)
        return;
    struct room_item *item = bytes_zeroed(1, sizeof *item);
    item->kind = ROOM_STOP;
    queue_push_now(thread->queue, item, sizeof *item);
    int code = worker_join(&thread->worker);
    if (code != EXIT_DONE) {
        log_error("thread_ended", kv_text("thread", thread->name), kv_u64("code", (uint64_t)code));
        _exit(code);
    }
}

static void drain(struct queue *queue)
{
    if (!queue->open)
        return;
    for (struct room_item *item = queue_pop(queue); item; item = queue_pop(queue)) {
        segment_free(item->segment);
        room_item_free(item);
    }
    queue_close(queue);
}

/* ---- the process --------------------------------------------------------------------------- */

static enum err open_queues(struct storage *storage)
{
    TRY(queue_open(&storage->rooms.journal, JOURNAL_QUEUE_BYTES));
    TRY(queue_open(&storage->rooms.view, VIEW_QUEUE_BYTES));
    return queue_open(&storage->rooms.keeper, KEEPER_QUEUE_BYTES);
}

static enum err open_signals(struct storage *storage)
{
    storage->ended_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    storage->has_ready = sem_init(&storage->ready, 0, 0) == 0;
    if (storage->ended_fd < 0 || !storage->has_ready)
        return ERR_SYSTEM;
    loop_add_fd(&storage->base.loop, storage->ended_fd, on_ended, storage);
    return ERR_NONE;
}

static void furnish(struct storage *storage)
{
    storage->room = (struct storage_room){.base = &storage->base,
                                          .life = storage->base.life,
                                          .rooms = &storage->rooms,
                                          .found = &storage->recovery.found,
                                          .disk_low_bytes = storage->disk_low_mib * MIB,
                                          .ballast_bytes = storage->ballast_mib * MIB,
                                          .ready = &storage->ready,
                                          .recovery = &storage->recovery};
}

static enum err storage_open(void *self)
{
    struct storage *storage = self;
    log_info("sqlite", kv_text("version", sqlite3_libversion()),
             kv_text("source", sqlite3_sourceid()));
    guard_make_way(storage->base.data);
    giveway_install();
    TRY(recovery_run(&storage->recovery, storage->base.data));
    TRY(open_queues(storage));
    TRY(open_signals(storage));
    furnish(storage);
    TRY(start_threads(storage));
    await_ready(storage);
    return ERR_NONE;
}

/* Downstream order: what one pushed has arrived before the next is told to stop. */
static void storage_close(void *self)
{
    struct storage *storage = self;
    storage->stopping = true;
    for (int i = 0; i < THREADS; i++)
        stop_thread(&storage->threads[i]);
    drain(&storage->rooms.journal);
    drain(&storage->rooms.view);
    drain(&storage->rooms.keeper);
    recovery_close(&storage->recovery);
    if (storage->has_ready)
        sem_destroy(&storage->ready);
    if (storage->ended_fd > 0)
        close(storage->ended_fd);
}

void storage_ready(struct storage_room *room)
{
    sem_post(room->ready);
}

const struct service storage_service = {
    .name = "storage",
    .about = "keeps the log and the state of one node on disk, and answers queries",
    .size = sizeof(struct storage),
    .options = options,
    .open = storage_open,
    .close = storage_close,
};
