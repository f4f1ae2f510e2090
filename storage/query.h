/* query.h - reads: one change, or a page of changes by id, time and tags.
 *
 * What is a page and what its words mean is in messages.def, READ and PAGE. Which ids fit is
 * match.h's, one change is row.h's: every row is checked before it leaves (S6). */
#ifndef STORAGE_QUERY_H
#define STORAGE_QUERY_H

#include "protocol/message.h"
#include "storage/shelf.h"

enum {
    QUERY_LIMIT_PRESET = 100,
    QUERY_LIMIT_MAX = 10000,
    QUERY_BYTES_MAX = 4 << 20,
};

/* What the state knows beside the log. first: the first use of a tag; 0: never used.
 * newest: the newest change of a key; 0: it has none. */
struct query_tags {
    enum err (*first)(void *owner, struct span tag, uint64_t *id);
    enum err (*newest)(void *owner, struct span key, uint64_t *id);
    void *owner;
};

/* Fills the page; `rows` holds its rows and `hashes` its two hashes: both are lent by it.
 * An error is told in page->error, too. */
struct query_buffers {
    struct bytes rows, records;
    uint8_t next_hash[HASH_SIZE], prev_hash[HASH_SIZE];
};

void query_read(struct shelf *shelf, const struct query_tags *tags, const struct message_read *read,
                struct query_buffers *buffers, struct message_page *page);

#endif
