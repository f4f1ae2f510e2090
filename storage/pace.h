/* pace.h - PURE: how keeper shares its time between what comes in and what it does later.
 *
 * In a round it takes in some items and does some pieces of work: a flush, a checkpoint, a slice of
 * the hash of a file. Both may be put off, and neither for ever: items are memory, and a file
 * without its .index is memory, and time at the next start. */
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Items a round; they bring some 200 KiB of log under full load, and a piece is the hash of 64. */
enum { PACE_ITEMS = 16 };

/* So much may wait before keeper hurries; then so many pieces more for each file above it. */
enum { PACE_FILES_MAX = 1, PACE_PIECES_A_FILE = 2 };
#define PACE_BYTES_MAX ((size_t)4 << 20)

struct pace {
    bool hurry;      /* do not give way to others */
    uint32_t pieces; /* of work in this round */
};

/* `files` wait to be sealed, and items of `bytes` to be taken in. */
struct pace pace_of(uint32_t files, size_t bytes);

#endif
