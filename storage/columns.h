/* columns.h - numbers and blobs into a statement of SQLite, and out of its row. */
#ifndef STORAGE_COLUMNS_H
#define STORAGE_COLUMNS_H

#include "common/bytes.h"

#include <sqlite3.h>

static inline void bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

/* The blob is lent until the statement is reset or bound anew; an empty one is not NULL. */
static inline void bind_blob(sqlite3_stmt *statement, int at, struct span blob)
{
    sqlite3_bind_blob64(statement, at, blob.size ? (const void *)blob.data : "", blob.size,
                        SQLITE_STATIC);
}

/* Lends it until the next step. */
static inline struct span column_blob(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);
    return SPAN(data, (size_t)sqlite3_column_bytes(row, column));
}

static inline uint64_t column_u64(sqlite3_stmt *row, int column)
{
    return (uint64_t)sqlite3_column_int64(row, column);
}

#endif
