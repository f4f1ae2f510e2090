#include "storage/ballot.h"

#include "common/hash.h"
#include "common/log.h"
#include "storage/columns.h"

#include <assert.h>
#include <stdio.h>

static const char *const steps[] = {
    "CREATE TABLE ballot (id INTEGER PRIMARY KEY CHECK (id = 1), term INTEGER NOT NULL,"
    " vote INTEGER NOT NULL, note BLOB NOT NULL, incarnation INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, newest TEXT NOT NULL, damage TEXT NOT NULL,"
    " crc INTEGER NOT NULL)",
};

static const struct schema schema = {
    .name = "ballot",
    .application_id = SCHEMA_ID_BALLOT,
    .version = COUNT_OF(steps),
    .steps = steps,
    .sync = SCHEMA_FULL,
    .page_size = 4096,
    .cache_kib = 256,
    .checkpoint_pages = 256,
    .exclusive = true,
};

/* What one row says; its texts are lent. */
struct row {
    uint64_t term, vote, incarnation, generation;
    struct span note;
    const char *newest, *damage;
};

static uint32_t row_crc(const struct row *row)
{
    uint8_t numbers[32];
    save_u64(numbers, row->term);
    save_u64(numbers + 8, row->vote);
    save_u64(numbers + 16, row->incarnation);
    save_u64(numbers + 24, row->generation);
    uint32_t crc = hash_crc32c(0, SPAN(numbers, sizeof numbers));
    crc = hash_crc32c(crc, SPAN(row->newest, strlen(row->newest) + 1));
    crc = hash_crc32c(crc, SPAN(row->damage, strlen(row->damage) + 1));
    return hash_crc32c(crc, row->note);
}

static struct row row_of(const struct ballot *ballot)
{
    return (struct row){.term = ballot->term,
                        .vote = ballot->vote,
                        .incarnation = ballot->incarnation,
                        .generation = ballot->generation,
                        .note = bytes_span(&ballot->note),
                        .newest = ballot->newest,
                        .damage = ballot->damage};
}

/* Takes a row over into memory; texts that are already there are left alone. */
static void adopt(struct ballot *ballot, const struct row *row)
{
    ballot->term = row->term;
    ballot->vote = row->vote;
    ballot->incarnation = row->incarnation;
    ballot->generation = row->generation;
    if (row->newest != ballot->newest)
        snprintf(ballot->newest, sizeof ballot->newest, "%s", row->newest);
    if (row->damage != ballot->damage)
        snprintf(ballot->damage, sizeof ballot->damage, "%s", row->damage);
    if (row->note.data != ballot->note.data) {
        bytes_clear(&ballot->note);
        bytes_append_span(&ballot->note, row->note);
    }
}

static void bind(sqlite3_stmt *write, const struct row *row)
{
    bind_u64(write, 1, row->term);
    bind_u64(write, 2, row->vote);
    bind_blob(write, 3, row->note);
    bind_u64(write, 4, row->incarnation);
    bind_u64(write, 5, row->generation);
    sqlite3_bind_text(write, 6, row->newest, -1, SQLITE_STATIC);
    sqlite3_bind_text(write, 7, row->damage, -1, SQLITE_STATIC);
    bind_u64(write, 8, row_crc(row));
}

static enum err write_row(struct ballot *ballot, const struct row *row)
{
    assert(row->note.size <= BALLOT_NOTE_MAX);
    TRY(store_begin(&ballot->store));
    bind(ballot->write, row);
    enum err err = store_step(&ballot->store, ballot->write, NULL);
    if (err != ERR_NONE) {
        store_rollback(&ballot->store);
        return err;
    }
    TRY(store_commit(&ballot->store));
    adopt(ballot, row);
    return ERR_NONE;
}

static const char *column_text(sqlite3_stmt *read, int column)
{
    const unsigned char *text = sqlite3_column_text(read, column);
    return text ? (const char *)text : "";
}

static enum err adopt_columns(struct ballot *ballot, sqlite3_stmt *read)
{
    struct row row = {.term = column_u64(read, 0),
                      .vote = column_u64(read, 1),
                      .note = column_blob(read, 2),
                      .incarnation = column_u64(read, 3),
                      .generation = column_u64(read, 4),
                      .newest = column_text(read, 5),
                      .damage = column_text(read, 6)};
    if (row_crc(&row) != column_u64(read, 7)) {
        log_error("ballot_damaged", kv_text("file", ballot->store.path));
        return ERR_CORRUPT;
    }
    adopt(ballot, &row);
    return ERR_NONE;
}

/* *there: false if the file has no row yet. */
static enum err read_row(struct ballot *ballot, bool *there)
{
    TRY(store_step(&ballot->store, ballot->read, there));
    if (!*there)
        return ERR_NONE;
    enum err err = adopt_columns(ballot, ballot->read);
    sqlite3_reset(ballot->read);
    return err;
}

static enum err prepare_read(struct ballot *ballot)
{
    return store_prepare(&ballot->store,
                         "SELECT term, vote, note, incarnation, generation, newest, damage, crc "
                         "FROM ballot WHERE id = 1",
                         &ballot->read);
}

enum err ballot_look(struct ballot *ballot, const char *path)
{
    bool there = false;
    TRY(store_open_reader(&ballot->store, path, &schema));
    TRY(prepare_read(ballot));
    TRY(read_row(ballot, &there));
    return there ? ERR_NONE : ERR_NOT_FOUND;
}

enum err ballot_open(struct ballot *ballot, const char *path, uint64_t incarnation)
{
    bool there = false;
    TRY(store_open(&ballot->store, path, &schema));
    TRY(prepare_read(ballot));
    TRY(store_prepare(&ballot->store,
                      "INSERT OR REPLACE INTO ballot (id, term, vote, note, incarnation, "
                      "generation, newest, damage, crc) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                      &ballot->write));
    TRY(read_row(ballot, &there));
    if (there)
        return ERR_NONE;
    struct row row = row_of(ballot);
    row.incarnation = incarnation;
    ballot->fresh = true;
    return write_row(ballot, &row);
}

void ballot_close(struct ballot *ballot)
{
    sqlite3_finalize(ballot->read);
    sqlite3_finalize(ballot->write);
    store_close(&ballot->store);
    bytes_close(&ballot->note);
    *ballot = (struct ballot){0};
}

enum err ballot_vote(struct ballot *ballot, uint64_t term, uint64_t vote, struct span note)
{
    bool changes_vote = term == ballot->term && ballot->vote != 0 && vote != ballot->vote;
    if (term < ballot->term || changes_vote || note.size > BALLOT_NOTE_MAX) {
        log_error("ballot_refused", kv_u64("term", term), kv_u64("known_term", ballot->term));
        return ERR_BAD_REQUEST;
    }
    struct row row = row_of(ballot);
    row.term = term;
    row.vote = vote;
    row.note = note;
    return write_row(ballot, &row);
}

enum err ballot_name(struct ballot *ballot, const char *newest)
{
    struct row row = row_of(ballot);
    row.newest = newest;
    return write_row(ballot, &row);
}

enum err ballot_install(struct ballot *ballot, uint64_t generation, const char *newest)
{
    struct row row = row_of(ballot);
    row.generation = generation;
    row.newest = newest;
    return write_row(ballot, &row);
}

enum err ballot_damage(struct ballot *ballot, const char *reason, uint64_t incarnation,
                       uint64_t term, const char *newest)
{
    struct row row = row_of(ballot);
    row.damage = reason;
    row.incarnation = incarnation;
    row.term = term > ballot->term ? term : ballot->term;
    row.vote = 0;
    row.newest = newest;
    return write_row(ballot, &row);
}

enum err ballot_renew(struct ballot *ballot, uint64_t term, uint64_t incarnation,
                      uint64_t generation, const char *newest)
{
    struct row row = row_of(ballot);
    assert(term >= ballot->term);
    row.term = term;
    row.vote = 0;
    row.note = (struct span){0};
    row.incarnation = incarnation;
    row.generation = generation;
    row.newest = newest;
    row.damage = "";
    return write_row(ballot, &row);
}
