/* storage.h - the shell of the process: one ZeroMQ context, what recovery found,
 * three threads and the end of them.
 *
 * Each thread has a loop and a link of its own and shares nothing but queues
 * (rooms.h). A thread that ends by itself ends the process with its code. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "common/service.h"
#include "protocol/entry.h"
#include "storage/rooms.h"

#include <semaphore.h>

/* One segment file, as recovery left it. */
struct storage_segment {
    char *path;
    uint32_t number;
    uint64_t first, last; /* 0 and 0: empty (only the newest can be) */
    bool sealed;          /* it left WAL mode: open it by segment_open_sealed only */
    bool indexed;         /* its .index file is beside it */
    bool damaged;         /* it is sealed, and cannot be read: only its .index says what is in it */
};

struct recovery;

/* What was there at the start. Ready before any thread runs, constant afterwards. */
struct storage_found {
    const char *home; /* directory of log and state (generation.h); NULL: the data directory */
    uint64_t generation;
    struct storage_segment *segments; /* oldest first, without a hole */
    uint32_t segment_count;
    uint64_t incarnation;
    uint64_t first_index, last_index; /* of the log; 1 and 0 if it is empty */
    uint64_t applied_index;           /* durable in state.db; never above last_index */
    bool state_lost;                  /* the log cannot make it anew: its beginning is cut */
    bool may_vote;                    /* false: damaged, copied or restored (I18) */
    const char *damage;               /* why, in words; NULL */
};

/* Handed to each thread: `int view_run(void *room)`, `int keeper_run(void *room)`,
 * `int journal_run(void *room)`. Everything in it is lent and outlives the threads.
 * A thread binds its link (service_path of `base`: journal.ipc, view.ipc, keeper.ipc), adds
 * queue_fd() of its queue to its own loop, calls storage_ready(), runs, and returns its
 * exit code after ROOM_STOP. The shell stops journal, then view, then keeper, each after
 * the one before has ended: all that was pushed downstream arrives before ROOM_STOP does. */
struct storage_room {
    const struct service_base *base; /* data, run_dir, context, name; its loop is the shell's */
    uint64_t life;                   /* of storage: LOADED, STORED carry it */
    struct rooms *rooms;
    const struct storage_found *found;
    uint64_t disk_low_bytes, ballast_bytes;
    sem_t *ready;
    struct recovery *recovery; /* recovery.h: for journal alone, which takes what is open in it */
};

/* Where log and state are. */
static inline const char *storage_home(const struct storage_room *room)
{
    return room->found->home != NULL ? room->found->home : room->base->data;
}

/* The thread has bound its link. Call once; the process is ready after three. */
void storage_ready(struct storage_room *room);

extern const struct service storage_service;

#endif
