/* count.h - how many changes match, and how large they are, without showing them.
 *
 * They are counted by the lists of the indexes, so always exactly. Sizes are in no index: where few
 * changes match each is read, else some of each part, drawn evenly, stand for the others of it.
 * One ask is bounded: it says how far it came, and the next one goes on there. */
#ifndef STORAGE_COUNT_H
#define STORAGE_COUNT_H

#include "storage/query.h"

enum {
    COUNT_PARTS_MAX = 16,      /* indexes asked by one ask */
    COUNT_ROWS_MAX = 512,      /* changes read by one ask, and */
    COUNT_BYTES_MAX = 4 << 20, /* so many bytes of them and one change more */
    COUNT_STEPS_MAX = 1 << 18, /* looks into lists */
};

/* Fills the answer; an error is told in weighed->error. */
void count_read(struct shelf *shelf, const struct message_weigh *ask, struct query_buffers *buffers,
                struct message_weighed *weighed);

#endif
