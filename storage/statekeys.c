#include "storage/statekeys.h"

#include "common/hash.h"
#include "storage/columns.h"

static uint32_t crc_of(struct span key, const struct statekeys_row *row)
{
    uint64_t numbers[] = {row->id, row->removed};
    uint32_t crc = hash_crc32c(0, SPAN(numbers, sizeof numbers));
    return hash_crc32c(hash_crc32c(crc, key), row->row);
}

/* Columns id, removed, row, crc from `at` on. */
static enum err take_row(sqlite3_stmt *from, int at, struct span key, struct statekeys_row *row)
{
    row->id = column_u64(from, at);
    row->removed = column_u64(from, at + 1) != 0;
    row->row = column_blob(from, at + 2);
    bool sound = crc_of(key, row) == (uint32_t)column_u64(from, at + 3) && row->id > 0;
    return sound ? ERR_NONE : ERR_CORRUPT;
}

enum err statekeys_open(struct statekeys *keys, struct store *store, bool writes)
{
    keys->store = store;
    if (writes)
        TRY(store_prepare(store, "INSERT OR REPLACE INTO keys VALUES(?1, ?2, ?3, ?4, ?5)",
                          &keys->put));
    TRY(store_prepare(store, "SELECT id, removed, row, crc FROM keys WHERE key = ?1", &keys->read));
    return store_prepare(store,
                         "SELECT key, id, removed, row, crc FROM keys WHERE key >= ?1 ORDER BY key",
                         &keys->scan);
}

void statekeys_close(struct statekeys *keys)
{
    sqlite3_finalize(keys->put);
    sqlite3_finalize(keys->read);
    sqlite3_finalize(keys->scan);
    *keys = (struct statekeys){0};
}

enum err statekeys_put(struct statekeys *keys, struct span key, const struct statekeys_row *row)
{
    bind_blob(keys->put, 1, key);
    bind_u64(keys->put, 2, row->id);
    bind_u64(keys->put, 3, row->removed);
    bind_blob(keys->put, 4, row->row);
    bind_u64(keys->put, 5, crc_of(key, row));
    enum err err = store_step(keys->store, keys->put, NULL);
    sqlite3_clear_bindings(keys->put);
    return err;
}

enum err statekeys_read(struct statekeys *keys, struct span key, struct statekeys_row *row)
{
    bool found;
    *row = (struct statekeys_row){0};
    sqlite3_reset(keys->read);
    bind_blob(keys->read, 1, key);
    TRY(store_step(keys->store, keys->read, &found));
    return found ? take_row(keys->read, 0, key, row) : ERR_NONE;
}

void statekeys_scan_begin(struct statekeys *keys, struct span from)
{
    sqlite3_reset(keys->scan);
    bind_blob(keys->scan, 1, from);
}

enum err statekeys_scan_next(struct statekeys *keys, struct span *key, struct statekeys_row *row)
{
    bool found;
    *key = (struct span){0};
    *row = (struct statekeys_row){0};
    TRY(store_step(keys->store, keys->scan, &found));
    if (!found)
        return ERR_NONE;
    *key = column_blob(keys->scan, 0);
    return take_row(keys->scan, 1, *key, row);
}

void statekeys_scan_end(struct statekeys *keys)
{
    sqlite3_reset(keys->scan);
}
