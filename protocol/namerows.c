#include "protocol/namerows.h"

#include <string.h>

static char *row_at(const struct namerows *table, uint64_t slot)
{
    return (char *)table->rows + slot * table->row_size;
}

bool namerows_find(const struct namerows *table, const char *name, uint64_t *slot)
{
    for (*slot = 0; *slot < *table->count; ++*slot) {
        int order = memcmp(row_at(table, *slot), name, table->name_size);
        if (order >= 0)
            return order == 0;
    }
    return false;
}

void namerows_insert(const struct namerows *table, uint64_t slot)
{
    char *at = row_at(table, slot);
    memmove(at + table->row_size, at, (*table->count - slot) * table->row_size);
    ++*table->count;
}

void namerows_remove(const struct namerows *table, uint64_t slot)
{
    char *at = row_at(table, slot);
    --*table->count;
    memmove(at, at + table->row_size, (*table->count - slot) * table->row_size);
    memset(row_at(table, *table->count), 0, table->row_size);
}
