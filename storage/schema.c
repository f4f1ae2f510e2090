#include "storage/schema.h"

#include "common/clock.h"
#include "common/log.h"
#include "storage/verdict.h"

#include <assert.h>
#include <stdio.h>

static enum err result_err(sqlite3 *db, int result)
{
    if (result == SQLITE_OK)
        return ERR_NONE;
    enum err err = verdict_of(db, result);
    if (verdict_tells(err, clock_now_ms()))
        log_error("schema_refused", kv_text("text", sqlite3_errmsg(db)), kv_u64("code", result));
    return err;
}

static enum err run(sqlite3 *db, const char *sql)
{
    return result_err(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static enum err ask_number(sqlite3 *db, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    TRY(result_err(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL)));
    int result = sqlite3_step(statement);
    *number = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    result = sqlite3_finalize(statement);
    return result_err(db, result);
}

struct marks {
    int64_t application_id, version, tables;
};

static enum err read_marks(sqlite3 *db, struct marks *marks)
{
    TRY(ask_number(db, "PRAGMA application_id", &marks->application_id));
    TRY(ask_number(db, "PRAGMA user_version", &marks->version));
    return ask_number(db, "SELECT count(*) FROM sqlite_schema", &marks->tables);
}

static bool is_blank(const struct marks *marks)
{
    return marks->application_id == 0 && marks->version == 0 && marks->tables == 0;
}

static enum err weigh(const struct marks *marks, const struct schema *schema)
{
    if (marks->application_id != (int64_t)schema->application_id) {
        log_error("file_is_not_ours", kv_text("schema", schema->name),
                  kv_u64("application_id", (uint64_t)marks->application_id));
        return ERR_CORRUPT;
    }
    if (marks->version > (int64_t)schema->version) {
        log_error("file_is_newer", kv_text("schema", schema->name),
                  kv_u64("version", (uint64_t)marks->version), kv_u64("known", schema->version));
        return ERR_VERSION;
    }
    return marks->version >= 0 ? ERR_NONE : ERR_CORRUPT;
}

static enum err step_inside(sqlite3 *db, const struct schema *schema, uint32_t version)
{
    char mark[96];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %u; PRAGMA user_version = %u",
             schema->application_id, version + 1);
    TRY(run(db, schema->steps[version]));
    if (schema->move != NULL)
        TRY(schema->move(db, version + 1));
    return run(db, mark);
}

static enum err step(sqlite3 *db, const struct schema *schema, uint32_t version)
{
    TRY(run(db, "BEGIN IMMEDIATE"));
    enum err err = step_inside(db, schema, version);
    if (err == ERR_NONE)
        return run(db, "COMMIT");
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

enum err schema_admit(sqlite3 *db, const struct schema *schema)
{
    struct marks marks;
    TRY(read_marks(db, &marks));
    return is_blank(&marks) ? ERR_NONE : weigh(&marks, schema);
}

enum err schema_migrate(sqlite3 *db, const struct schema *schema)
{
    assert(schema->version > 0);
    struct marks marks;
    TRY(read_marks(db, &marks));
    if (!is_blank(&marks))
        TRY(weigh(&marks, schema));
    for (uint32_t version = (uint32_t)marks.version; version < schema->version; version++)
        TRY(step(db, schema, version));
    return ERR_NONE;
}

enum err schema_check(sqlite3 *db, const struct schema *schema)
{
    struct marks marks;
    TRY(read_marks(db, &marks));
    TRY(weigh(&marks, schema));
    uint32_t oldest = schema->oldest != 0 ? schema->oldest : schema->version;
    return marks.version >= (int64_t)oldest ? ERR_NONE : ERR_GAP;
}
