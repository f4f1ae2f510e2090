#include "storage/seal.h"

#include "common/hash.h"
#include "common/log.h"
#include "storage/bloom.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static const char *const steps[] = {
    "CREATE TABLE summary(one INTEGER PRIMARY KEY CHECK(one = 1), content BLOB NOT NULL,"
    " bloom BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;"
    "CREATE TABLE runs(first INTEGER PRIMARY KEY, content BLOB NOT NULL, crc INTEGER NOT NULL)"
    " STRICT;"
    "CREATE TABLE hashes(first INTEGER PRIMARY KEY, content BLOB NOT NULL, crc INTEGER NOT NULL)"
    " STRICT;"
    "CREATE TABLE tags(number INTEGER PRIMARY KEY, tag BLOB NOT NULL, previous INTEGER NOT NULL,"
    " ids BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;",
    NULL,
};

static const struct schema schema = {
    .name = "index",
    .application_id = SCHEMA_ID_INDEX,
    .version = 1,
    .steps = steps,
    .sync = SCHEMA_NORMAL,
    .page_size = 4096,
    .cache_kib = 8192,
    .checkpoint_pages = 0,
};

enum { SUMMARY_SIZE = 32 + 3 * HASH_SIZE, RUNS_PER_ROW = 4096, HASHES_PER_ROW = 4096 };

#define SLICE_SIZE MiB(1)

/* SEGMENT_PATH + suffix. */
static enum err index_path(const char *segment_path, const char *suffix, char path[PATH_MAX])
{
    int size = snprintf(path, PATH_MAX, "%s%s", segment_path, suffix);
    return size > 0 && size < PATH_MAX ? ERR_NONE : ERR_CONFIG;
}

static enum err remove_file(const char *segment_path, const char *suffix)
{
    char path[PATH_MAX];
    TRY(index_path(segment_path, suffix, path));
    return unlink(path) == 0 || errno == ENOENT ? ERR_NONE : ERR_IO;
}

static enum err sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    TRY(index_path(path, "", directory));
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return store_sync_directory(".");
    *slash = 0;
    return store_sync_directory(directory);
}

static void bind_u64(sqlite3_stmt *statement, int at, uint64_t value)
{
    sqlite3_bind_int64(statement, at, (sqlite3_int64)value);
}

static void bind_blob(sqlite3_stmt *statement, int at, struct span blob)
{
    sqlite3_bind_blob64(statement, at, blob.size ? (const void *)blob.data : "", blob.size,
                        SQLITE_STATIC);
}

static struct span column_blob(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);
    return SPAN(data, (size_t)sqlite3_column_bytes(row, column));
}

static uint32_t row_crc(uint64_t number, struct span a, struct span b)
{
    uint32_t crc = hash_crc32c(0, SPAN(&number, sizeof number));
    return hash_crc32c(hash_crc32c(crc, a), b);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* One blob, cut into rows of at most `row_size` bytes, numbered by their place. */
static enum err write_blob(struct store *store, const char *sql, struct span content,
                           size_t row_size)
{
    sqlite3_stmt *add = NULL;
    TRY(store_prepare(store, sql, &add));
    enum err err = ERR_NONE;
    for (size_t at = 0; at < content.size && err == ERR_NONE; at += row_size) {
        size_t left = content.size - at;
        struct span part = SPAN(content.data + at, left < row_size ? left : row_size);
        bind_u64(add, 1, at);
        bind_blob(add, 2, part);
        bind_u64(add, 3, row_crc(at, part, SPAN(NULL, 0)));
        err = store_step(store, add, NULL);
    }
    sqlite3_finalize(add);
    return err;
}

static enum err write_tags(struct store *store, const struct tagindex *index)
{
    sqlite3_stmt *add = NULL;
    TRY(store_prepare(store, "INSERT INTO tags VALUES(?1, ?2, ?3, ?4, ?5)", &add));
    enum err err = ERR_NONE;
    for (uint32_t number = 0; number < index->tags.count && err == ERR_NONE; number++) {
        const struct tagindex_list *list = &index->lists[number];
        struct span tag = tagmap_text(&index->tags, number);
        struct span ids = SPAN(list->offsets, list->count * sizeof *list->offsets);
        bind_u64(add, 1, number);
        bind_blob(add, 2, tag);
        bind_u64(add, 3, list->previous);
        bind_blob(add, 4, ids);
        bind_u64(add, 5, row_crc(list->previous, tag, ids));
        err = store_step(store, add, NULL);
    }
    sqlite3_finalize(add);
    return err;
}

static void encode_summary(const struct seal *seal, uint8_t content[SUMMARY_SIZE])
{
    save_u64(content, seal->first_index);
    save_u64(content + 8, seal->last_index);
    save_u64(content + 16, seal->first_id);
    save_u64(content + 24, seal->next_id);
    memcpy(content + 32, seal->first_hash, HASH_SIZE);
    memcpy(content + 32 + HASH_SIZE, seal->last_hash, HASH_SIZE);
    memcpy(content + 32 + 2 * HASH_SIZE, seal->file_hash, HASH_SIZE);
}

static enum err write_summary(struct store *store, const struct seal *seal)
{
    uint8_t content[SUMMARY_SIZE];
    sqlite3_stmt *add = NULL;
    encode_summary(seal, content);
    TRY(store_prepare(store, "INSERT INTO summary VALUES(1, ?1, ?2, ?3)", &add));
    bind_blob(add, 1, SPAN(content, sizeof content));
    bind_blob(add, 2, bytes_span(&seal->bloom));
    bind_u64(add, 3, row_crc(1, SPAN(content, sizeof content), bytes_span(&seal->bloom)));
    enum err err = store_step(store, add, NULL);
    sqlite3_finalize(add);
    return err;
}

static void complete(struct seal *seal, const struct tagindex *index)
{
    seal->first_id = index->first_id;
    seal->next_id = index->next_id;
    memcpy(seal->first_hash, tagindex_hash(index, index->first_id - 1), HASH_SIZE);
    memcpy(seal->last_hash, tagindex_hash(index, index->next_id - 1), HASH_SIZE);
    bloom_begin(&seal->bloom, index->tags.count);
    for (uint32_t number = 0; number < index->tags.count; number++)
        bloom_add(&seal->bloom, tagmap_text(&index->tags, number));
}

static enum err write_file(const char *path, const struct tagindex *index, const struct seal *seal)
{
    SCOPED(store) store = {0};
    TRY(store_open(&store, path, &schema));
    TRY(store_begin(&store));
    TRY(write_summary(&store, seal));
    TRY(write_blob(&store, "INSERT INTO runs VALUES(?1, ?2, ?3)",
                   SPAN(index->runs, index->run_count * sizeof *index->runs),
                   RUNS_PER_ROW * sizeof *index->runs));
    TRY(write_blob(&store, "INSERT INTO hashes VALUES(?1, ?2, ?3)", bytes_span(&index->hashes),
                   (size_t)HASHES_PER_ROW * HASH_SIZE));
    TRY(write_tags(&store, index));
    TRY(store_commit(&store));
    return store_seal(&store);
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef enum err each_row(void *owner, sqlite3_stmt *row);

static enum err walk(struct store *store, const char *sql, each_row *each, void *owner)
{
    sqlite3_stmt *rows = NULL;
    bool row = true;
    TRY(store_prepare(store, sql, &rows));
    enum err err = ERR_NONE;
    while (err == ERR_NONE) {
        err = store_step(store, rows, &row);
        if (err != ERR_NONE || !row)
            break;
        err = each(owner, rows);
    }
    sqlite3_finalize(rows);
    return err;
}

static enum err take_summary(void *owner, sqlite3_stmt *row)
{
    struct seal *seal = owner;
    struct span content = column_blob(row, 0), bloom = column_blob(row, 1);
    uint32_t crc = (uint32_t)sqlite3_column_int64(row, 2);
    if (content.size != SUMMARY_SIZE || row_crc(1, content, bloom) != crc)
        return ERR_CORRUPT;
    seal->first_index = load_u64(content.data);
    seal->last_index = load_u64(content.data + 8);
    seal->first_id = load_u64(content.data + 16);
    seal->next_id = load_u64(content.data + 24);
    memcpy(seal->first_hash, content.data + 32, HASH_SIZE);
    memcpy(seal->last_hash, content.data + 32 + HASH_SIZE, HASH_SIZE);
    memcpy(seal->file_hash, content.data + 32 + 2 * HASH_SIZE, HASH_SIZE);
    bytes_append_span(&seal->bloom, bloom);
    return ERR_NONE;
}

static enum err read_summary(struct store *store, struct seal *seal)
{
    TRY(walk(store, "SELECT content, bloom, crc FROM summary", take_summary, seal));
    bool sound = seal->bloom.size > 0 && seal->first_id > 0 && seal->next_id >= seal->first_id;
    return sound ? ERR_NONE : ERR_CORRUPT;
}

/* Appends one row of a cut blob. */
static enum err take_part(void *owner, sqlite3_stmt *row)
{
    struct bytes *whole = owner;
    uint64_t at = (uint64_t)sqlite3_column_int64(row, 0);
    struct span part = column_blob(row, 1);
    uint32_t crc = (uint32_t)sqlite3_column_int64(row, 2);
    if (at != whole->size || row_crc(at, part, SPAN(NULL, 0)) != crc)
        return ERR_CORRUPT;
    bytes_append_span(whole, part);
    return ERR_NONE;
}

static enum err take_tag(void *owner, sqlite3_stmt *row)
{
    struct tagindex *index = owner;
    uint64_t previous = (uint64_t)sqlite3_column_int64(row, 2);
    struct span tag = column_blob(row, 1), ids = column_blob(row, 3);
    uint32_t crc = (uint32_t)sqlite3_column_int64(row, 4);
    if (row_crc(previous, tag, ids) != crc || ids.size % 4 != 0)
        return ERR_CORRUPT;
    if (tagmap_find(&index->tags, tag) != TAGMAP_NONE)
        return ERR_CORRUPT;
    uint32_t count = (uint32_t)(ids.size / 4);
    struct tagindex_list *list = tagindex_list_at(index, tagmap_add(&index->tags, tag));
    *list = (struct tagindex_list){.previous = previous, .count = count, .room = count};
    list->offsets = bytes_resize(NULL, count ? count : 1, sizeof *list->offsets);
    if (count > 0)
        memcpy(list->offsets, ids.data, ids.size);
    return ERR_NONE;
}

static enum err take_runs(struct store *store, struct tagindex *index)
{
    struct bytes runs = {0};
    enum err err =
        walk(store, "SELECT first, content, crc FROM runs ORDER BY first", take_part, &runs);
    if (err == ERR_NONE && runs.size % sizeof *index->runs != 0)
        err = ERR_CORRUPT;
    if (err == ERR_NONE && runs.size > 0) {
        index->run_count = index->run_room = (uint32_t)(runs.size / sizeof *index->runs);
        index->runs = bytes_resize(NULL, index->run_count, sizeof *index->runs);
        memcpy(index->runs, runs.data, runs.size);
    }
    bytes_close(&runs);
    return err;
}

static enum err load(struct store *store, struct tagindex *index)
{
    struct seal seal = {0};
    enum err err = read_summary(store, &seal);
    index->first_id = seal.first_id;
    index->next_id = seal.next_id;
    seal_close(&seal);
    TRY(err);
    TRY(take_runs(store, index));
    TRY(walk(store, "SELECT first, content, crc FROM hashes ORDER BY first", take_part,
             &index->hashes));
    TRY(walk(store, "SELECT number, tag, previous, ids, crc FROM tags ORDER BY number", take_tag,
             index));
    uint64_t hashes = index->next_id - index->first_id + 1;
    bool sound = index->hashes.size == hashes * HASH_SIZE &&
                 (index->run_count > 0) == (index->next_id > index->first_id);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

/* ---- public --------------------------------------------------------------------------------- */

void seal_close(struct seal *seal)
{
    bytes_close(&seal->bloom);
    *seal = (struct seal){0};
}

enum err seal_write(const char *segment_path, const struct tagindex *index, struct seal *seal)
{
    static const char *const leftovers[] = {".index.tmp", ".index.tmp-wal", ".index.tmp-shm",
                                            ".index"};
    char path[PATH_MAX], temporary[PATH_MAX];
    complete(seal, index);
    TRY(index_path(segment_path, ".index", path));
    TRY(index_path(segment_path, ".index.tmp", temporary));
    for (size_t i = 0; i < COUNT_OF(leftovers); i++)
        TRY(remove_file(segment_path, leftovers[i]));
    TRY(write_file(temporary, index, seal));
    if (rename(temporary, path) != 0) {
        log_error("index_rename_failed", kv_text("path", path), kv_text("os", strerror(errno)));
        return ERR_IO;
    }
    return sync_directory_of(path);
}

static enum err open_index(const char *segment_path, struct store *store)
{
    char path[PATH_MAX];
    TRY(index_path(segment_path, ".index", path));
    if (access(path, F_OK) != 0)
        return ERR_NOT_FOUND;
    return store_open_sealed(store, path, &schema);
}

enum err seal_read(const char *segment_path, struct seal *seal)
{
    SCOPED(store) store = {0};
    TRY(open_index(segment_path, &store));
    return read_summary(&store, seal);
}

enum err seal_load(const char *segment_path, struct tagindex *index)
{
    SCOPED(store) store = {0};
    TRY(open_index(segment_path, &store));
    return load(&store, index);
}

enum err seal_remove(const char *segment_path)
{
    TRY(remove_file(segment_path, ".index"));
    return sync_directory_of(segment_path);
}

enum err seal_hash_begin(struct seal_hash *hash, const char *segment_path)
{
    assert(!hash->open);
    hash->fd = open(segment_path, O_RDONLY | O_CLOEXEC);
    if (hash->fd < 0)
        return ERR_IO;
    hash->open = true;
    hash_begin(&hash->state);
    return ERR_NONE;
}

enum err seal_hash_step(struct seal_hash *hash, uint8_t out[HASH_SIZE], bool *done)
{
    struct bytes slice = {0};
    ssize_t size = read(hash->fd, bytes_reserve(&slice, SLICE_SIZE), SLICE_SIZE);
    if (size > 0)
        hash_add(&hash->state, SPAN(slice.data, (size_t)size));
    *done = size == 0;
    if (size == 0)
        hash_end(&hash->state, out);
    bytes_close(&slice);
    return size < 0 ? ERR_IO : ERR_NONE;
}

void seal_hash_close(struct seal_hash *hash)
{
    if (hash->open)
        close(hash->fd);
    *hash = (struct seal_hash){0};
}
