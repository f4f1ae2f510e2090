/* stateschema.c - the tables of state.db, version by version. */
#include "storage/state.h"

static const char *const steps[] = {
    "CREATE TABLE mark(one INTEGER PRIMARY KEY CHECK(one = 1), applied INTEGER NOT NULL,"
    " content BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE outcomes(idx INTEGER PRIMARY KEY, txid BLOB NOT NULL, kind TEXT,"
    " id INTEGER NOT NULL, count INTEGER NOT NULL, ts INTEGER NOT NULL,"
    " body_hash INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE tags(tag BLOB PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " count INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE configs(idx INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;",
    /* 2: the collection. What was applied without it is applied again, from the log. */
    "CREATE TABLE keys(key BLOB PRIMARY KEY, id INTEGER NOT NULL, removed INTEGER NOT NULL,"
    " row BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "DELETE FROM mark; DELETE FROM outcomes; DELETE FROM tags; DELETE FROM configs;",
    /* 3: outcomes by the hundred to a row; statepacks_move brings them over. */
    "ALTER TABLE outcomes RENAME TO old_outcomes;"
    "CREATE TABLE outcomes(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, ts INTEGER NOT NULL,"
    " rows BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;",
    NULL,
};

static enum err move(sqlite3 *db, uint32_t version)
{
    return version == 3 ? statepacks_move(db) : ERR_NONE;
}

const struct schema state_schema = {
    .name = "state",
    .application_id = SCHEMA_ID_STATE,
    .version = 3,
    .steps = steps,
    .move = move,
    .sync = SCHEMA_NORMAL,
    .page_size = 4096,
    .cache_kib = 8192,
    .checkpoint_pages = 8000,
};
