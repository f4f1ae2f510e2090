/* cursor.h - a position in the log as one printable string:
 *
 *   ca1.<cluster, 32 hex>.<history, 16 hex>.<change id, decimal>.<change hash, 64 hex>
 *
 * Position n means "behind change n"; 0 is the start, with a hash of zeros. */
#ifndef PROTOCOL_CURSOR_H
#define PROTOCOL_CURSOR_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"

enum { CURSOR_TEXT_MAX = 160 };

struct cursor {
    uint8_t cluster[16];
    uint64_t history, id;
    uint8_t hash[HASH_SIZE];
};

/* Writes the text with a NUL and returns its length. */
size_t cursor_print(const struct cursor *cursor, char text[CURSOR_TEXT_MAX]);

/* ERR_BAD_REQUEST: not a cursor. */
MUST_USE enum err cursor_parse(struct span text, struct cursor *cursor);

/* Lower-case hex with a NUL: 2 * size + 1 bytes at `text`. */
void cursor_hex(const uint8_t *data, size_t size, char *text);

#endif
