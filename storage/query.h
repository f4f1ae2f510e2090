/* query.h - reads: one change, or a page of changes by id and tags.
 *
 * Every row is checked before it leaves: the record by its crc, the change by
 * the hash chain. A damaged one is ERR_CORRUPT, never a wrong byte (S6). What is
 * a page and what its words mean is in messages.def, READ and PAGE. */
#ifndef STORAGE_QUERY_H
#define STORAGE_QUERY_H

#include "protocol/message.h"
#include "storage/shelf.h"

enum {
    QUERY_LIMIT_PRESET = 100,
    QUERY_LIMIT_MAX = 10000,
    QUERY_BYTES_MAX = 4 << 20,
    QUERY_PARTS_MAX = 512, /* segments looked into by one read; then scanned_to says how far */
};

/* Answers the question "what is the first use of this tag?"; 0: never used. */
struct query_tags {
    enum err (*first)(void *owner, struct span tag, uint64_t *id);
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
