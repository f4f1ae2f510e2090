#include "storage/seal.h"

#include "common/hash.h"
#include "common/log.h"
#include "storage/bloom.h"
#include "storage/columns.h"
#include "storage/sealtables.h"

#include <assert.h>
#include <errno.h>
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
    /* 2: small blocks, and the tags in order, so that a question reads a few pages and checks each.
     * What is left of version 1 is built anew from its segment. */
    "DELETE FROM summary; DELETE FROM runs; DELETE FROM hashes; DROP TABLE tags;"
    "CREATE TABLE names(number INTEGER PRIMARY KEY, tag BLOB NOT NULL, crc INTEGER NOT NULL) "
    "STRICT;"
    "CREATE TABLE tags(number INTEGER PRIMARY KEY, previous INTEGER NOT NULL, ids BLOB NOT NULL,"
    " crc INTEGER NOT NULL) STRICT;",
    /* 3: the digest of the segment file is shorter. `times` came later, and the number did not
     * change for it: who does not know the table reads the others, and it may be missing. */
    "CREATE TABLE times(first INTEGER PRIMARY KEY, content BLOB NOT NULL, crc INTEGER NOT NULL)"
    " STRICT;",
    NULL,
};

static const struct schema schema = {
    .name = "index",
    .application_id = SCHEMA_ID_INDEX,
    .version = 3,
    .oldest = 2,
    .steps = steps,
    .sync = SCHEMA_FULL,
    .once = true,
    .page_size = 4096,
    .cache_kib = 1024,
    .checkpoint_pages = 0,
};

/* Four numbers, two hashes, a digest of either size, and one more number. */
enum {
    SUMMARY_HEAD = 4 * 8 + 2 * HASH_SIZE,
    SUMMARY_SIZE = SUMMARY_HEAD + DIGEST_SIZE + 8,
    SUMMARY_SIZE_MAX = SUMMARY_HEAD + DIGEST_SIZE_MAX + 8,
};

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

uint32_t seal_crc(uint64_t number, struct span a, struct span b)
{
    uint32_t crc = hash_crc32c(0, SPAN(&number, sizeof number));
    return hash_crc32c(hash_crc32c(crc, a), b);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Returns its size. */
static size_t encode_summary(const struct seal *seal, uint8_t content[SUMMARY_SIZE_MAX])
{
    assert(seal->file.size > 0);
    save_u64(content, seal->first_index);
    save_u64(content + 8, seal->last_index);
    save_u64(content + 16, seal->first_id);
    save_u64(content + 24, seal->next_id);
    memcpy(content + 32, seal->first_hash, HASH_SIZE);
    memcpy(content + 32 + HASH_SIZE, seal->last_hash, HASH_SIZE);
    memcpy(content + SUMMARY_HEAD, seal->file.bytes, seal->file.size);
    save_u64(content + SUMMARY_HEAD + seal->file.size, seal->tag_count);
    return SUMMARY_HEAD + seal->file.size + 8;
}

static enum err write_summary(struct store *store, const struct seal *seal)
{
    uint8_t bytes[SUMMARY_SIZE_MAX];
    sqlite3_stmt *add = NULL;
    struct span content = SPAN(bytes, encode_summary(seal, bytes));
    TRY(store_prepare(store, "INSERT INTO summary VALUES(1, ?1, ?2, ?3)", &add));
    bind_blob(add, 1, content);
    bind_blob(add, 2, bytes_span(&seal->bloom));
    bind_u64(add, 3, seal_crc(1, content, bytes_span(&seal->bloom)));
    enum err err = store_step(store, add, NULL);
    sqlite3_finalize(add);
    return err;
}

/* The prefixes of a tag, by which a filter may ask: "a/" and "a/b/" of "a/b/c". Returns how many.
 */
static uint32_t add_prefixes(struct bytes *bloom, struct span tag)
{
    uint32_t count = 0;
    for (size_t size = 1; size <= tag.size; size++) {
        if (tag.data[size - 1] != '/')
            continue;
        count++;
        if (bloom != NULL)
            bloom_add(bloom, SPAN(tag.data, size));
    }
    return count;
}

static void complete(struct seal *seal, const struct tagindex *index)
{
    uint32_t count = index->tags.count;
    seal->first_id = index->first_id;
    seal->next_id = index->next_id;
    seal->tag_count = index->tags.count;
    seal->times_damaged = false;
    bytes_clear(&seal->times);
    bytes_append_span(&seal->times, bytes_span(&index->times));
    memcpy(seal->first_hash, tagindex_hash(index, index->first_id - 1), HASH_SIZE);
    memcpy(seal->last_hash, tagindex_hash(index, index->next_id - 1), HASH_SIZE);
    for (uint32_t number = 0; number < index->tags.count; number++)
        count += add_prefixes(NULL, tagmap_text(&index->tags, number));
    bloom_begin(&seal->bloom, count);
    for (uint32_t number = 0; number < index->tags.count; number++) {
        bloom_add(&seal->bloom, tagmap_text(&index->tags, number));
        add_prefixes(&seal->bloom, tagmap_text(&index->tags, number));
    }
}

static enum err write_file(const char *path, const struct tagindex *index, const struct seal *seal)
{
    SCOPED(store) store = {0};
    TRY(store_open(&store, path, &schema));
    TRY(store_begin(&store));
    TRY(write_summary(&store, seal));
    TRY(sealtables_write(&store, index));
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
    uint32_t crc = (uint32_t)column_u64(row, 2);
    if (content.size < SUMMARY_SIZE || seal_crc(1, content, bloom) != crc)
        return ERR_CORRUPT;
    size_t left = content.size - SUMMARY_HEAD - 8;
    if (!digest_set(&seal->file, SPAN(content.data + SUMMARY_HEAD, left)))
        return ERR_CORRUPT;
    seal->first_index = load_u64(content.data);
    seal->last_index = load_u64(content.data + 8);
    seal->first_id = load_u64(content.data + 16);
    seal->next_id = load_u64(content.data + 24);
    memcpy(seal->first_hash, content.data + 32, HASH_SIZE);
    memcpy(seal->last_hash, content.data + 32 + HASH_SIZE, HASH_SIZE);
    seal->tag_count = load_u64(content.data + SUMMARY_HEAD + left);
    bytes_append_span(&seal->bloom, bloom);
    return ERR_NONE;
}

static enum err take_times(void *owner, sqlite3_stmt *row)
{
    uint64_t first = column_u64(row, 0);
    struct span content = column_blob(row, 1);
    if (seal_crc(first, content, SPAN(NULL, 0)) != (uint32_t)column_u64(row, 2))
        return ERR_CORRUPT;
    bytes_append_span(owner, content);
    return ERR_NONE;
}

static enum err note_row(void *owner, sqlite3_stmt *row)
{
    (void)row;
    *(bool *)owner = true;
    return ERR_NONE;
}

static enum err read_times(struct store *store, uint64_t changes, struct bytes *times)
{
    bool there = false;
    TRY(walk(store, "SELECT 1 FROM sqlite_schema WHERE name = 'times'", note_row, &there));
    if (!there)
        return ERR_NONE;
    TRY(walk(store, "SELECT first, content, crc FROM times ORDER BY first", take_times, times));
    bool sound = times->size == 0 || tagindex_times_are(changes, times->size);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

static enum err read_summary(struct store *store, struct seal *seal)
{
    TRY(walk(store, "SELECT content, bloom, crc FROM summary", take_summary, seal));
    bool sound = seal->bloom.size > 0 && seal->first_id > 0 && seal->next_id >= seal->first_id;
    if (!sound)
        return ERR_CORRUPT;
    return seal_times(store, seal->next_id - seal->first_id, &seal->times, &seal->times_damaged);
}

/* ---- public --------------------------------------------------------------------------------- */

void seal_close(struct seal *seal)
{
    bytes_close(&seal->bloom);
    bytes_close(&seal->times);
    *seal = (struct seal){0};
}

enum err seal_write(const char *segment_path, const struct tagindex *index, struct seal *seal)
{
    static const char *const leftovers[] = {".index.tmp", ".index.tmp-wal", ".index.tmp-shm"};
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

enum err seal_open(const char *segment_path, struct store *store)
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
    TRY(seal_open(segment_path, &store));
    return read_summary(&store, seal);
}

enum err seal_times(struct store *store, uint64_t changes, struct bytes *times, bool *damaged)
{
    bytes_clear(times);
    enum err err = read_times(store, changes, times);
    *damaged = err == ERR_CORRUPT;
    if (*damaged)
        bytes_clear(times);
    return *damaged ? ERR_NONE : err;
}

enum err seal_remove(const char *segment_path)
{
    TRY(remove_file(segment_path, ".index"));
    return sync_directory_of(segment_path);
}
