/* reader.h - answers api from what keeper has: pages of changes, and what the state knows.
 *
 * Everything applied is taken in before (keeper.c), so what is not written yet is seen as well. */
#ifndef STORAGE_READER_H
#define STORAGE_READER_H

#include "protocol/link.h"
#include "storage/count.h"
#include "storage/late.h"

struct reader {
    struct late *late;
    struct shelf *shelf;
    struct link *link;
    struct query_buffers buffers;
    struct bytes next;    /* key */
    uint64_t reads, rows; /* counters */
};

void reader_close(struct reader *reader);

/* True: damage was met. */
bool reader_read(struct reader *reader, uint32_t neighbour, const struct message_read *read);
bool reader_weigh(struct reader *reader, uint32_t neighbour, const struct message_weigh *ask);
bool reader_scan(struct reader *reader, uint32_t neighbour, const struct message_scan_keys *ask);
MUST_USE enum err reader_tag_heads(struct reader *reader, uint32_t neighbour,
                                   const struct message_tag_heads *ask);

#endif
