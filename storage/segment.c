#include "storage/segment.h"

#include "common/log.h"
#include "storage/columns.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE log (idx INTEGER PRIMARY KEY, kind INTEGER NOT NULL, record BLOB NOT NULL);"
    "CREATE INDEX log_configs ON log (idx) WHERE kind IN (3, 4);"
    "CREATE TABLE base (one INTEGER PRIMARY KEY CHECK(one = 1), idx INTEGER NOT NULL,"
    " term INTEGER NOT NULL, hash BLOB NOT NULL, configs BLOB NOT NULL, crc INTEGER NOT NULL)",
};

const struct schema segment_schema = {
    .name = "segment",
    .application_id = SCHEMA_ID_SEGMENT,
    .version = COUNT_OF(steps),
    .steps = steps,
    .sync = SCHEMA_FULL,
    .page_size = 4096,
    .cache_kib = 1024,
    .checkpoint_pages = 1000,
};

/* ---- statements ---------------------------------------------------------------------------- */

static void drop_statements(struct segment *segment)
{
    sqlite3_stmt **all[] = {&segment->append, &segment->append_batch, &segment->read,
                            &segment->cut,    &segment->bounds,       &segment->weigh,
                            &segment->configs};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

static enum err prepare_reads(struct segment *segment)
{
    struct store *store = &segment->store;
    TRY(store_prepare(store, "SELECT (SELECT min(idx) FROM log), (SELECT max(idx) FROM log)",
                      &segment->bounds));
    TRY(store_prepare(store,
                      "SELECT idx, record FROM log WHERE idx >= ?1 AND idx <= ?2 ORDER BY idx",
                      &segment->read));
    return store_prepare(store,
                         "SELECT record FROM log WHERE kind IN (3, 4) AND idx <= ?1 "
                         "ORDER BY idx DESC LIMIT ?2",
                         &segment->configs);
}

static enum err prepare_writes(struct segment *segment)
{
    struct store *store = &segment->store;
    TRY(store_prepare(store, "INSERT INTO log (idx, kind, record) VALUES (?1, ?2, ?3)",
                      &segment->append));
    TRY(store_prepare(store,
                      "INSERT OR FAIL INTO log (idx, kind, record) VALUES (?, ?, ?), (?, ?, ?),"
                      " (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?)",
                      &segment->append_batch));
    TRY(store_prepare(store, "DELETE FROM log WHERE idx >= ?1", &segment->cut));
    return store_prepare(store,
                         "SELECT count(*), coalesce(sum(length(record)), 0) FROM log "
                         "WHERE idx >= ?1",
                         &segment->weigh);
}

/* Rows from `from` on: how many, how heavy. */
static enum err weigh(struct segment *segment, uint64_t from, uint64_t *count, uint64_t *bytes)
{
    bool row;
    bind_u64(segment->weigh, 1, from);
    TRY(store_step(&segment->store, segment->weigh, &row));
    assert(row);
    *count = column_u64(segment->weigh, 0);
    *bytes = column_u64(segment->weigh, 1);
    sqlite3_reset(segment->weigh);
    return ERR_NONE;
}

static enum err read_number(struct segment *segment, const char *path)
{
    const char *slash = strrchr(path, '/');
    uint64_t suffix;
    return segment_name_parse(slash ? slash + 1 : path, &segment->number, &suffix) ? ERR_NONE
                                                                                   : ERR_CONFIG;
}

static enum err finish_reader(struct segment *segment)
{
    TRY(prepare_reads(segment));
    return segment_refresh(segment);
}

static enum err check_row(struct span record, uint64_t index, uint64_t expected)
{
    bool whole = record.size >= ENTRY_HEADER_SIZE && entry_size(record) == record.size;
    if (whole && index == expected && entry_index_of(record) == index && entry_intact(record))
        return ERR_NONE;
    log_error("record_damaged", kv_u64("index", expected));
    return ERR_CORRUPT;
}

/* Walks the rows of segment->read; the caller resets it. */
static enum err copy_rows(struct segment *segment, uint64_t from, size_t bytes_max,
                          struct bytes *out, uint64_t *last)
{
    size_t start = out->size;
    bool row;
    for (uint64_t expected = from;; expected++) {
        TRY(store_step(&segment->store, segment->read, &row));
        if (!row)
            return ERR_NONE;
        struct span record = column_blob(segment->read, 1);
        TRY(check_row(record, column_u64(segment->read, 0), expected));
        if (out->size > start && out->size - start + record.size > bytes_max)
            return ERR_NONE;
        bytes_append_span(out, record);
        *last = expected;
    }
}

static enum err remove_one(const char *path, const char *suffix)
{
    char name[4096];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    if (unlink(name) == 0 || errno == ENOENT)
        return ERR_NONE;
    log_error("file_not_removed", kv_text("file", name), kv_text("text", strerror(errno)));
    return ERR_IO;
}

/* ---- public, in header order ---------------------------------------------------------------- */

enum err segment_open(struct segment *segment, const char *path)
{
    TRY(read_number(segment, path));
    TRY(store_open(&segment->store, path, &segment_schema));
    TRY(prepare_reads(segment));
    TRY(prepare_writes(segment));
    return segment_reload(segment);
}

enum err segment_open_reader(struct segment *segment, const char *path)
{
    TRY(read_number(segment, path));
    TRY(store_open_reader(&segment->store, path, &segment_schema));
    return finish_reader(segment);
}

enum err segment_open_sealed(struct segment *segment, const char *path)
{
    TRY(read_number(segment, path));
    TRY(store_open_sealed(&segment->store, path, &segment_schema));
    return finish_reader(segment);
}

void segment_close(struct segment *segment)
{
    drop_statements(segment);
    store_close(&segment->store);
    *segment = (struct segment){0};
}

void segment_free(struct segment *segment)
{
    if (segment == NULL)
        return;
    segment_close(segment);
    bytes_free(segment);
}

enum err segment_refresh(struct segment *segment)
{
    bool row;
    TRY(store_step(&segment->store, segment->bounds, &row));
    assert(row);
    segment->first = column_u64(segment->bounds, 0);
    segment->last = column_u64(segment->bounds, 1);
    sqlite3_reset(segment->bounds);
    return ERR_NONE;
}

enum err segment_read(struct segment *segment, uint64_t from, uint64_t to, size_t bytes_max,
                      struct bytes *out, uint64_t *last)
{
    *last = 0;
    if (from == 0 || from > to)
        return ERR_NOT_FOUND;
    bind_u64(segment->read, 1, from);
    bind_u64(segment->read, 2, (to < INT64_MAX ? to : INT64_MAX));
    if (from < segment->first || segment->first == 0)
        return ERR_NOT_FOUND;
    enum err err = copy_rows(segment, from, bytes_max, out, last);
    sqlite3_reset(segment->read);
    return err == ERR_NONE && *last == 0 ? ERR_NOT_FOUND : err;
}

enum err segment_configs(struct segment *segment, uint64_t below, uint32_t max, struct bytes *out,
                         uint32_t *count)
{
    bool row = false;
    *count = 0;
    bind_u64(segment->configs, 1, (below < INT64_MAX ? below : INT64_MAX));
    bind_u64(segment->configs, 2, max);
    for (;;) {
        TRY(store_step(&segment->store, segment->configs, &row));
        if (!row)
            return ERR_NONE;
        struct span record = column_blob(segment->configs, 0);
        uint64_t index = record.size >= ENTRY_HEADER_SIZE ? entry_index_of(record) : 0;
        enum err err = check_row(record, index, index);
        if (err != ERR_NONE) {
            sqlite3_reset(segment->configs);
            return err;
        }
        bytes_append_span(out, record);
        (*count)++;
    }
}

/* ERR_GAP: it does not follow what is there and `before` more. */
static enum err bind_record(sqlite3_stmt *insert, const struct segment *segment, uint32_t before,
                            struct span record)
{
    uint64_t index = entry_index_of(record);
    int at = 3 * (int)before;
    if (segment->last != 0 && index != segment->last + 1 + before)
        return ERR_GAP;
    bind_u64(insert, at + 1, index);
    sqlite3_bind_int(insert, at + 2, entry_kind_of(record));
    bind_blob(insert, at + 3, record);
    return ERR_NONE;
}

static void note_appended(struct segment *segment, struct span record)
{
    segment->last = entry_index_of(record);
    if (segment->first == 0)
        segment->first = segment->last;
    segment->bytes += record.size;
}

enum err segment_append(struct segment *segment, struct span record)
{
    TRY(bind_record(segment->append, segment, 0, record));
    TRY(store_step(&segment->store, segment->append, NULL));
    note_appended(segment, record);
    return ERR_NONE;
}

enum err segment_append_batch(struct segment *segment, const struct span records[SEGMENT_BATCH])
{
    for (uint32_t i = 0; i < SEGMENT_BATCH; i++) {
        if (i > 0 && entry_index_of(records[i]) != entry_index_of(records[0]) + i)
            return ERR_GAP;
        TRY(bind_record(segment->append_batch, segment, i, records[i]));
    }
    TRY(store_step(&segment->store, segment->append_batch, NULL));
    for (uint32_t i = 0; i < SEGMENT_BATCH; i++)
        note_appended(segment, records[i]);
    return ERR_NONE;
}

enum err segment_cut(struct segment *segment, uint64_t from)
{
    uint64_t count, bytes;
    TRY(weigh(segment, from, &count, &bytes));
    bind_u64(segment->cut, 1, from);
    TRY(store_step(&segment->store, segment->cut, NULL));
    segment->bytes -= bytes;
    if (from <= segment->first)
        segment->first = segment->last = 0;
    else if (from <= segment->last)
        segment->last = from - 1;
    return ERR_NONE;
}

enum err segment_reload(struct segment *segment)
{
    uint64_t count;
    TRY(segment_refresh(segment));
    TRY(weigh(segment, 0, &count, &segment->bytes));
    if (segment->first == 0 || segment->last - segment->first + 1 == count)
        return ERR_NONE;
    log_error("segment_has_a_hole", kv_text("file", segment->store.path), kv_u64("rows", count));
    return ERR_CORRUPT;
}

bool segment_full_with(const struct segment *segment, uint32_t rows, size_t bytes)
{
    uint64_t here = segment->first != 0 ? segment->last - segment->first + 1 : 0;
    return here + rows >= SEGMENT_ENTRIES_MAX || segment->bytes + bytes >= SEGMENT_BYTES_MAX;
}

bool segment_full(const struct segment *segment)
{
    return segment->first != 0 && segment_full_with(segment, 0, 0);
}

enum err segment_seal(struct segment *segment)
{
    drop_statements(segment);
    TRY(store_seal(&segment->store));
    segment_close(segment);
    return ERR_NONE;
}

void segment_name(uint32_t number, uint64_t suffix, char name[SEGMENT_NAME_MAX])
{
    snprintf(name, SEGMENT_NAME_MAX, "%08" PRIu32 "-%016" PRIx64 ".db", number, suffix);
}

bool segment_name_parse(const char *name, uint32_t *number, uint64_t *suffix)
{
    char again[SEGMENT_NAME_MAX];
    char *end = NULL;
    *number = (uint32_t)strtoul(name, &end, 10);
    if (end == name || *end != '-')
        return false;
    *suffix = strtoull(end + 1, NULL, 16);
    segment_name(*number, *suffix, again);
    return strcmp(again, name) == 0;
}

enum err segment_remove(const char *path)
{
    static const char *const beside[] = {"", "-wal", "-shm", "-journal", ".index"};
    for (size_t i = 0; i < COUNT_OF(beside); i++)
        TRY(remove_one(path, beside[i]));
    return ERR_NONE;
}

enum err segment_remove_sealed(const char *path)
{
    char directory[4096];
    TRY(remove_one(path, ""));
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return store_sync_directory(".");
    *slash = '\0';
    return store_sync_directory(directory);
}
