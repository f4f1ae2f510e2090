/* wreck.h - the bytes of a file that may be cut off, and lie on a disk that refuses some of them.
 *
 * Read only. What the bytes mean is known in carve.h. */
#ifndef STORAGE_WRECK_H
#define STORAGE_WRECK_H

#include "common/bytes.h"
#include "common/err.h"

struct wreck {
    struct span bytes; /* lent until wreck_close */
    void *mapped;      /* NULL: `own` holds them */
    struct bytes own;
    uint64_t refused; /* bytes that the disk did not give: zeros stand there */
};

/* Reads all of it once. A file that is not there is empty. ERR_IO: it cannot be opened. */
MUST_USE enum err wreck_open(struct wreck *wreck, const char *path);
void wreck_close(struct wreck *wreck);

#endif
