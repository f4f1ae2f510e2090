/* namerows.h - PURE: a small table in the order of its names.
 *
 * A row begins with its name, filled up with zeros; what is not used is zero, so that the same rows
 * are the same bytes. Who has the table says what else is in a row. */
#ifndef PROTOCOL_NAMEROWS_H
#define PROTOCOL_NAMEROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct namerows {
    void *rows;
    uint64_t *count;
    size_t row_size, name_size;
};

/* True if it is there; else `slot` is where it belongs. */
bool namerows_find(const struct namerows *table, const char *name, uint64_t *slot);

/* Makes room for a row, which the caller fills: there must be some. */
void namerows_insert(const struct namerows *table, uint64_t slot);
void namerows_remove(const struct namerows *table, uint64_t slot);

#endif
