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

/* Items a round; a piece is at least the hash of so many bytes of a file. */
enum { PACE_ITEMS = 16, PACE_PIECE_BYTES = 64 << 10 };

/* So much may wait before keeper hurries. */
enum { PACE_FILES_MAX = 1 };
#define PACE_BYTES_MAX ((size_t)4 << 20)

/* True: do not give way to others. `files` wait to be sealed, and items of `bytes` to be taken in.
 */
bool pace_hurries(uint32_t files, size_t bytes);

/* Pieces of work of a round that took in `taken` bytes: while files wait, for twice as much,
 * whatever the size of what comes. */
uint32_t pace_pieces(uint32_t files, uint64_t taken);

#endif
