/* rooms.h - what the three threads of storage hand one another, and nothing else.
 *
 * journal makes durable, view applies in memory, keeper writes late, seals and
 * serves. They share no memory but these items, each owned by its receiver
 * from the moment it is pushed. */
#ifndef STORAGE_ROOMS_H
#define STORAGE_ROOMS_H

#include "common/bytes.h"
#include "common/worker.h"

struct segment; /* segment.h */

enum room_kind {
    /* to view, from journal */
    ROOM_ENTRIES, /* durable records, contiguous; what view holds at `first` and above is replaced
                   */
    /* to view, from keeper */
    ROOM_LOAD,    /* state.db is open: it can be read, and is not yet to be believed */
    ROOM_WRITTEN, /* what was applied up to `index` is in state.db, up to `last` durably */
    /* to keeper, from view */
    ROOM_APPLIED, /* `effects` (protocol/effect.h) of entries first..last; `records`: a struct
                   * apply_mark (the state behind them), then the records that are not data */
    /* to keeper, from journal */
    ROOM_SEGMENT, /* a segment file exists at `path`, starting at log index `first` */
    ROOM_GONE,    /* the segment file at `path` was truncated away: close readers, forget it */
    ROOM_SEAL,    /* `segment` (its only writing connection) now belongs to keeper */
    /* to journal, from keeper */
    ROOM_DURABLE, /* applied durably up to `index`: segments wholly below may be handed over */
    ROOM_INSTALL, /* generation `first` is staged: a snapshot up to `index`, of term `last`; the
                   * newest segment is called `path` */
    /* to keeper, from journal */
    ROOM_REFUSED, /* it was not installed; `index` is the enum err */
    /* to all */
    ROOM_STOP,
};

struct room_item {
    enum room_kind kind;
    uint64_t first, last, index;
    struct blob *records, *effects; /* holders passed on */
    struct segment *segment;
    char *path;
};

/* Each thread reads one queue. */
struct rooms {
    struct queue journal, view, keeper;
};

/* Frees an item with all it still owns but the segment. */
static inline void room_item_free(struct room_item *item)
{
    blob_release(item->records);
    blob_release(item->effects);
    bytes_free(item->path);
    bytes_free(item);
}

#endif
