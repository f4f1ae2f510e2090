#include "storage/store.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/verdict.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum {
    HEAP_BYTES_MAX = 512 << 20,
    VALUE_BYTES_MAX = 32 << 20,
    SQL_BYTES_MAX = 16 << 10,
    READER_CACHE_KIB = 2048,
    SEALED_CACHE_KIB = 64, /* there are many of them, the kernel keeps the same pages, and heap that
                            * still grows costs a fault a page: a sixth of an ask by id */
    READER_BUSY_MS = 1000,
    PATH_BYTES_MAX = 4096,
};

enum err store_check(struct store *store, int result)
{
    enum err err = verdict_of(store->db, result);
    if (verdict_tells(err, clock_now_ms()))
        log_error("sqlite_refused", kv_text("file", store->path), kv_u64("code", (uint64_t)result),
                  kv_text("text", store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(result)),
                  kv_u64("errno", store->db ? (uint64_t)sqlite3_system_errno(store->db) : 0));
    return err;
}

/* ---- pragmas: set, then read back (S2) ------------------------------------------------------ */

static enum err ask(struct store *store, const char *sql, char *answer, size_t room)
{
    sqlite3_stmt *statement = NULL;
    TRY(store_check(store, sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL)));
    int result = sqlite3_step(statement);
    const unsigned char *text = result == SQLITE_ROW ? sqlite3_column_text(statement, 0) : NULL;
    snprintf(answer, room, "%s", text ? (const char *)text : "");
    return store_check(store, sqlite3_finalize(statement));
}

static enum err demand(struct store *store, const char *set, const char *get, const char *wanted)
{
    char answer[64];
    TRY(ask(store, set, answer, sizeof answer));
    TRY(ask(store, get, answer, sizeof answer));
    if (strcmp(answer, wanted) == 0)
        return ERR_NONE;
    log_error("pragma_refused", kv_text("file", store->path), kv_text("pragma", set),
              kv_text("answer", answer));
    return ERR_IO;
}

struct pragma {
    const char *set, *get, *wanted;
};

static enum err demand_all(struct store *store, const struct pragma *pragmas, size_t count)
{
    for (size_t i = 0; i < count; i++)
        TRY(demand(store, pragmas[i].set, pragmas[i].get, pragmas[i].wanted));
    return ERR_NONE;
}

static enum err set_common(struct store *store)
{
    static const struct pragma pragmas[] = {
        {"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0"},
        {"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1"},
        {"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"},
        {"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0"},
        {"PRAGMA cache_spill = OFF", "PRAGMA cache_spill", "0"},
        {"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2"},
    };
    return demand_all(store, pragmas, COUNT_OF(pragmas));
}

static enum err set_number(struct store *store, const char *name, int64_t number)
{
    char set[64], get[64], wanted[32];
    snprintf(set, sizeof set, "PRAGMA %s = %lld", name, (long long)number);
    snprintf(get, sizeof get, "PRAGMA %s", name);
    snprintf(wanted, sizeof wanted, "%lld", (long long)number);
    return demand(store, set, get, wanted);
}

static enum err set_writer(struct store *store)
{
    static const struct pragma exclusive = {"PRAGMA locking_mode = EXCLUSIVE",
                                            "PRAGMA locking_mode", "exclusive"};
    static const struct pragma keep_deleted = {"PRAGMA secure_delete = OFF", "PRAGMA secure_delete",
                                               "0"};
    static const struct pragma journal[] = {
        {"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
        {"PRAGMA journal_mode = MEMORY", "PRAGMA journal_mode", "memory"},
    };
    static const struct pragma sync[] = {
        [SCHEMA_FULL] = {"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
        [SCHEMA_NORMAL] = {"PRAGMA synchronous = NORMAL", "PRAGMA synchronous", "1"},
    };
    const struct schema *schema = store->schema;
    if (schema->exclusive)
        TRY(demand_all(store, &exclusive, 1));
    TRY(set_number(store, "page_size", schema->page_size));
    TRY(demand_all(store, &keep_deleted, 1));
    TRY(demand_all(store, &journal[schema->once], 1));
    TRY(demand_all(store, &sync[schema->sync], 1));
    TRY(set_number(store, "cache_size", -(int64_t)schema->cache_kib));
    return set_number(store, "wal_autocheckpoint", schema->checkpoint_pages);
}

static enum err set_reader(struct store *store, int64_t cache_kib)
{
    static const struct pragma pragmas[] = {
        {"PRAGMA query_only = ON", "PRAGMA query_only", "1"},
        {"PRAGMA wal_autocheckpoint = 0", "PRAGMA wal_autocheckpoint", "0"},
    };
    TRY(demand_all(store, pragmas, COUNT_OF(pragmas)));
    return set_number(store, "cache_size", -cache_kib);
}

/* ---- opening ------------------------------------------------------------------------------- */

static void limit_heap(void)
{
    sqlite3_hard_heap_limit64(HEAP_BYTES_MAX);
}

static enum err configure(struct store *store)
{
    static const struct {
        int what, value;
    } settings[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        int now = -1;
        TRY(store_check(store,
                        sqlite3_db_config(store->db, settings[i].what, settings[i].value, &now)));
        if (now != settings[i].value)
            return ERR_IO;
    }
    sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_limit(store->db, SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX);
    return ERR_NONE;
}

static enum err open_file(struct store *store, const char *name, const char *path, int flags,
                          const struct schema *schema)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    assert(store->db == NULL);
    pthread_once(&once, limit_heap);
    store->schema = schema;
    store->path = bytes_zeroed(1, strlen(path) + 1);
    memcpy(store->path, path, strlen(path));
    TRY(store_check(store, sqlite3_open_v2(name, &store->db,
                                           flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                                               SQLITE_OPEN_EXRESCODE,
                                           NULL)));
    return configure(store);
}

static enum err sync_parent(const char *path)
{
    char directory[PATH_BYTES_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        return store_sync_directory(".");
    slash[slash == directory ? 1 : 0] = '\0';
    return store_sync_directory(directory);
}

static void persist_wal(struct store *store, int yes)
{
    (void)sqlite3_file_control(store->db, "main", SQLITE_FCNTL_PERSIST_WAL, &yes);
}

static enum err prepare_transactions(struct store *store)
{
    TRY(store_prepare(store, "BEGIN IMMEDIATE", &store->begin));
    return store_prepare(store, "COMMIT", &store->commit);
}

/* A path as a URI: what would end it is escaped. */
static enum err sealed_name(const char *path, char name[PATH_BYTES_MAX])
{
    size_t at = (size_t)snprintf(name, PATH_BYTES_MAX, "file:");
    for (; *path != '\0' && at + 16 < PATH_BYTES_MAX; path++) {
        bool plain = *path != '%' && *path != '?' && *path != '#';
        at += (size_t)snprintf(name + at, PATH_BYTES_MAX - at, plain ? "%c" : "%%%02x",
                               (unsigned char)*path);
    }
    snprintf(name + at, PATH_BYTES_MAX - at, "?immutable=1");
    return *path == '\0' ? ERR_NONE : ERR_CONFIG;
}

static enum err finish_reader(struct store *store, int64_t cache_kib)
{
    TRY(store_check(store, sqlite3_busy_timeout(store->db, READER_BUSY_MS)));
    TRY(store_check(store,
                    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL)));
    TRY(set_common(store));
    TRY(set_reader(store, cache_kib));
    return schema_check(store->db, store->schema);
}

/* ---- public, in header order ---------------------------------------------------------------- */

enum err store_open(struct store *store, const char *path, const struct schema *schema)
{
    TRY(open_file(store, path, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, schema));
    store->writes = true;
    persist_wal(store, 1);
    TRY(set_common(store));
    TRY(schema_admit(store->db, schema));
    TRY(set_writer(store));
    TRY(schema_migrate(store->db, schema));
    TRY(prepare_transactions(store));
    return sync_parent(path);
}

enum err store_open_reader(struct store *store, const char *path, const struct schema *schema)
{
    TRY(open_file(store, path, path, SQLITE_OPEN_READONLY, schema));
    return finish_reader(store, READER_CACHE_KIB);
}

enum err store_open_sealed(struct store *store, const char *path, const struct schema *schema)
{
    char name[PATH_BYTES_MAX];
    TRY(sealed_name(path, name));
    TRY(open_file(store, name, path, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, schema));
    return finish_reader(store, SEALED_CACHE_KIB);
}

void store_close(struct store *store)
{
    if (store->writes && store->db && !sqlite3_get_autocommit(store->db))
        store_rollback(store);
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    int result = sqlite3_close(store->db);
    assert(result != SQLITE_BUSY);
    bytes_free(store->path);
    *store = (struct store){0};
}

enum err store_prepare(struct store *store, const char *sql, sqlite3_stmt **statement)
{
    return store_check(
        store, sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL));
}

enum err store_begin(struct store *store)
{
    assert(store->writes);
    assert(!store->lost);
    return store_step(store, store->begin, NULL);
}

enum err store_commit(struct store *store)
{
    int result = sqlite3_step(store->commit);
    if (result == SQLITE_DONE) {
        sqlite3_reset(store->commit);
        return ERR_NONE;
    }
    log_error("commit_failed", kv_text("file", store->path), kv_u64("code", (uint64_t)result),
              kv_text("text", sqlite3_errmsg(store->db)));
    sqlite3_reset(store->commit);
    store->lost = true;
    return ERR_IO;
}

void store_rollback(struct store *store)
{
    if (sqlite3_get_autocommit(store->db))
        return; /* SQLite rolled back by itself */
    if (sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        store->lost = true;
}

enum err store_step(struct store *store, sqlite3_stmt *statement, bool *row)
{
    int result = sqlite3_step(statement);
    if (row)
        *row = result == SQLITE_ROW;
    if (result == SQLITE_ROW) {
        assert(row != NULL);
        return ERR_NONE;
    }
    enum err err = store_check(store, result);
    sqlite3_reset(statement);
    return err;
}

enum err store_run(struct store *store, const char *sql)
{
    return store_check(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL));
}

enum err store_checkpoint(struct store *store)
{
    int frames = -1, moved = -1;
    assert(store->writes);
    int result =
        sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_FULL, &frames, &moved);
    if (result == SQLITE_BUSY || (result == SQLITE_OK && frames != moved))
        return ERR_BUSY;
    return store_check(store, result);
}

enum err store_seal(struct store *store)
{
    char answer[16], path[PATH_BYTES_MAX];
    assert(store->writes);
    snprintf(path, sizeof path, "%s", store->path);
    enum err err = store_checkpoint(store);
    if (err != ERR_NONE)
        return err;
    persist_wal(store, 0);
    err = ask(store, "PRAGMA journal_mode = DELETE", answer, sizeof answer);
    if (err != ERR_NONE || strcmp(answer, "delete") != 0) {
        persist_wal(store, 1);
        return err == ERR_NONE || err == ERR_LOCKED ? ERR_BUSY : err;
    }
    store_close(store);
    return sync_parent(path);
}

enum err store_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;
    if (failed)
        log_error("directory_not_synced", kv_text("directory", directory),
                  kv_text("text", strerror(errno)));
    if (fd >= 0)
        close(fd);
    return failed ? ERR_IO : ERR_NONE;
}
