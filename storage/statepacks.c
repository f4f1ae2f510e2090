#include "storage/statepacks.h"

#include "storage/columns.h"

enum { FIXED_SIZE = 53, PRUNE_MAX = 8192 };

/* ---- rows of a pack -------------------------------------------------------------------------- */

/* Index, first id, ts, body hash, count, txid, then the name of the error behind its length. */
static void append_row(struct bytes *rows, const struct outcome *outcome)
{
    struct span name = outcome->err != ERR_NONE ? SPAN_TEXT(err_name(outcome->err)) : SPAN("", 0);
    uint8_t *at = bytes_reserve(rows, FIXED_SIZE);
    save_u64(at, outcome->index);
    save_u64(at + 8, outcome->first_id);
    save_u64(at + 16, outcome->ts);
    save_u64(at + 24, outcome->body_hash);
    save_u32(at + 32, outcome->change_count);
    memcpy(at + 36, outcome->txid, sizeof outcome->txid);
    at[52] = (uint8_t)name.size;
    rows->size += FIXED_SIZE;
    bytes_append_span(rows, name);
}

/* False: the pack ends here, or in the middle of a row. */
static bool take_row(struct span *rest, struct outcome *out)
{
    const uint8_t *at = rest->data;
    if (rest->size < FIXED_SIZE || rest->size - FIXED_SIZE < at[52])
        return false;
    *out = (struct outcome){
        .index = load_u64(at),
        .first_id = load_u64(at + 8),
        .ts = load_u64(at + 16),
        .body_hash = load_u64(at + 24),
        .change_count = load_u32(at + 32),
        .err = at[52] > 0 ? err_by_name((const char *)at + FIXED_SIZE, at[52]) : ERR_NONE,
    };
    memcpy(out->txid, at + 36, sizeof out->txid);
    size_t size = FIXED_SIZE + (size_t)at[52];
    *rest = SPAN(at + size, rest->size - size);
    return true;
}

static uint32_t crc_of(uint64_t first, uint64_t last, uint64_t ts, struct span rows)
{
    uint64_t numbers[] = {first, last, ts};
    return hash_crc32c(hash_crc32c(0, SPAN(numbers, sizeof numbers)), rows);
}

/* Columns first, last, ts, rows, crc. */
static enum err read_pack(sqlite3_stmt *row, struct span *rows)
{
    *rows = column_blob(row, 3);
    uint32_t crc = crc_of(column_u64(row, 0), column_u64(row, 1), column_u64(row, 2), *rows);
    return crc == (uint32_t)column_u64(row, 4) ? ERR_NONE : ERR_CORRUPT;
}

/* ---- writing --------------------------------------------------------------------------------- */

enum err statepacks_end(struct statepacks *packs)
{
    sqlite3_stmt *add = packs->add;
    struct span rows = bytes_span(&packs->rows);
    if (packs->count == 0)
        return ERR_NONE;
    bind_u64(add, 1, packs->first);
    bind_u64(add, 2, packs->last);
    bind_u64(add, 3, packs->ts);
    bind_blob(add, 4, rows);
    bind_u64(add, 5, crc_of(packs->first, packs->last, packs->ts, rows));
    TRY(store_step(packs->store, add, NULL));
    sqlite3_clear_bindings(add);
    bytes_clear(&packs->rows);
    packs->count = 0;
    return ERR_NONE;
}

enum err statepacks_add(struct statepacks *packs, const struct outcome *outcome)
{
    if (packs->count == 0)
        packs->first = outcome->index;
    append_row(&packs->rows, outcome);
    packs->last = outcome->index;
    packs->ts = outcome->ts;
    return ++packs->count == PACK_ROWS ? statepacks_end(packs) : ERR_NONE;
}

/* Times do not fall, so the last row of a pack says it for all. */
static enum err find_expired(struct statepacks *packs, uint64_t floor, uint64_t keep_index,
                             uint64_t *expired)
{
    bool row = true;
    *expired = 0;
    sqlite3_bind_int(packs->oldest, 1, PRUNE_MAX);
    for (;;) {
        TRY(store_step(packs->store, packs->oldest, &row));
        if (!row || column_u64(packs->oldest, 1) >= floor ||
            column_u64(packs->oldest, 0) >= keep_index)
            break;
        *expired = column_u64(packs->oldest, 0) + 1;
    }
    sqlite3_reset(packs->oldest);
    return ERR_NONE;
}

enum err statepacks_prune(struct statepacks *packs, uint64_t floor, uint64_t keep_index)
{
    uint64_t expired;
    TRY(find_expired(packs, floor, keep_index, &expired));
    if (expired == 0)
        return ERR_NONE;
    bind_u64(packs->prune, 1, expired);
    return store_step(packs->store, packs->prune, NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

enum err statepacks_find(struct statepacks *packs, uint64_t index, struct outcome *out)
{
    struct span rows;
    bool row;
    bind_u64(packs->read, 1, index);
    TRY(store_step(packs->store, packs->read, &row));
    if (!row)
        return ERR_NOT_FOUND;
    enum err err = read_pack(packs->read, &rows);
    bool found = false;
    while (err == ERR_NONE && !found && take_row(&rows, out))
        found = out->index == index;
    sqlite3_reset(packs->read);
    return err == ERR_NONE && !found ? ERR_NOT_FOUND : err;
}

static enum err walk_pack(struct span rows, uint64_t from, statepacks_each_outcome *each,
                          void *owner)
{
    struct outcome outcome;
    while (rows.size > 0) {
        if (!take_row(&rows, &outcome))
            return ERR_CORRUPT;
        if (outcome.index >= from)
            TRY(each(owner, &outcome));
    }
    return ERR_NONE;
}

enum err statepacks_walk(struct statepacks *packs, uint64_t from, statepacks_each_outcome *each,
                         void *owner)
{
    enum err err = ERR_NONE;
    bool row = true;
    sqlite3_reset(packs->walk);
    bind_u64(packs->walk, 1, from);
    while (err == ERR_NONE) {
        struct span rows;
        TRY(store_step(packs->store, packs->walk, &row));
        if (!row)
            return ERR_NONE;
        err = read_pack(packs->walk, &rows);
        if (err == ERR_NONE)
            err = walk_pack(rows, from, each, owner);
    }
    sqlite3_reset(packs->walk);
    return err;
}

/* ---- opening --------------------------------------------------------------------------------- */

#define COLUMNS "first, last, ts, rows, crc"

static enum err prepare_writes(struct statepacks *packs)
{
    struct store *store = packs->store;
    TRY(store_prepare(store, "INSERT INTO outcomes VALUES(?1, ?2, ?3, ?4, ?5)", &packs->add));
    TRY(store_prepare(store, "SELECT last, ts FROM outcomes ORDER BY first LIMIT ?1",
                      &packs->oldest));
    return store_prepare(store, "DELETE FROM outcomes WHERE first < ?1", &packs->prune);
}

enum err statepacks_open(struct statepacks *packs, struct store *store, bool writes)
{
    packs->store = store;
    if (writes)
        TRY(prepare_writes(packs));
    TRY(store_prepare(store,
                      "SELECT " COLUMNS " FROM outcomes WHERE first <= ?1 ORDER BY first DESC"
                      " LIMIT 1",
                      &packs->read));
    return store_prepare(store,
                         "SELECT " COLUMNS " FROM outcomes WHERE first >= coalesce((SELECT"
                         " max(first) FROM outcomes WHERE first <= ?1), 0) ORDER BY first",
                         &packs->walk);
}

void statepacks_close(struct statepacks *packs)
{
    sqlite3_finalize(packs->read);
    sqlite3_finalize(packs->walk);
    sqlite3_finalize(packs->add);
    sqlite3_finalize(packs->oldest);
    sqlite3_finalize(packs->prune);
    bytes_close(&packs->rows);
    *packs = (struct statepacks){0};
}

/* ---- a row for each, as version 2 had it ----------------------------------------------------- */

static uint32_t old_crc(const struct outcome *outcome)
{
    uint64_t numbers[] = {outcome->index, outcome->first_id, outcome->ts, outcome->body_hash,
                          outcome->change_count};
    uint32_t crc = hash_crc32c(0, SPAN(numbers, sizeof numbers));
    crc = hash_crc32c(crc, SPAN_TEXT(err_name(outcome->err)));
    return hash_crc32c(crc, SPAN(outcome->txid, sizeof outcome->txid));
}

static enum err read_old_row(sqlite3_stmt *row, struct outcome *out)
{
    const char *kind = (const char *)sqlite3_column_text(row, 2);
    const void *txid = sqlite3_column_blob(row, 1);
    if (sqlite3_column_bytes(row, 1) != sizeof out->txid)
        return ERR_CORRUPT;
    *out = (struct outcome){
        .index = column_u64(row, 0),
        .first_id = column_u64(row, 3),
        .change_count = (uint32_t)column_u64(row, 4),
        .ts = column_u64(row, 5),
        .body_hash = column_u64(row, 6),
        .err = kind != NULL ? err_by_name(kind, strlen(kind)) : ERR_NONE,
    };
    memcpy(out->txid, txid, sizeof out->txid);
    return old_crc(out) == (uint32_t)column_u64(row, 7) ? ERR_NONE : ERR_CORRUPT;
}

static enum err move_rows(struct statepacks *packs, sqlite3_stmt *old)
{
    struct outcome outcome;
    bool row;
    for (;;) {
        TRY(store_step(packs->store, old, &row));
        if (!row)
            return statepacks_end(packs);
        TRY(read_old_row(old, &outcome));
        TRY(statepacks_add(packs, &outcome));
    }
}

enum err statepacks_move(sqlite3 *db)
{
    static char name[] = "state.db";
    struct store store = {.db = db, .path = name};
    struct statepacks packs = {.store = &store};
    sqlite3_stmt *old = NULL;
    enum err err = prepare_writes(&packs);
    if (err == ERR_NONE)
        err = store_prepare(&store,
                            "SELECT idx, txid, kind, id, count, ts, body_hash, crc"
                            " FROM old_outcomes ORDER BY idx",
                            &old);
    if (err == ERR_NONE)
        err = move_rows(&packs, old);
    sqlite3_finalize(old);
    statepacks_close(&packs);
    return err == ERR_NONE ? store_run(&store, "DROP TABLE old_outcomes") : err;
}
