#include "storage/state.h"

#include "storage/columns.h"
#include "storage/doubt.h"
#include "storage/statemark.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static uint32_t tag_crc(struct span tag, const struct state_tag *known)
{
    uint32_t crc = hash_crc32c(0, tag);
    return hash_crc32c(crc, SPAN(known, sizeof *known));
}

#define TAG_COLUMNS "first, last, count, crc"

/* Reads TAG_COLUMNS from column `at` on. */
static enum err read_tag_row(sqlite3_stmt *row, int at, struct span tag, struct state_tag *out)
{
    *out =
        (struct state_tag){column_u64(row, at), column_u64(row, at + 1), column_u64(row, at + 2)};
    return tag_crc(tag, out) == (uint32_t)column_u64(row, at + 3) ? ERR_NONE : ERR_CORRUPT;
}

static enum err prepare_reads(struct state *state)
{
    struct store *store = &state->store;
    TRY(store_prepare(store, "SELECT content, crc FROM mark", &state->read_mark));
    return store_prepare(store, "SELECT " TAG_COLUMNS " FROM tags WHERE tag = ?1",
                         &state->read_tag);
}

static enum err prepare_writes(struct state *state)
{
    struct store *store = &state->store;
    TRY(store_prepare(store, "REPLACE INTO mark VALUES(1, ?1, ?2, ?3)", &state->write_mark));
    TRY(store_prepare(store, "UPDATE tags SET first=?2, last=?3, count=?4, crc=?5 WHERE tag=?1",
                      &state->change_tag));
    TRY(store_prepare(store, "INSERT INTO tags VALUES(?1, ?2, ?3, ?4, ?5)", &state->add_tag));
    return store_prepare(store, "INSERT INTO configs VALUES(?1, ?2)", &state->add_config);
}

static enum err write_mark(struct state *state, const struct apply_mark *mark)
{
    uint8_t content[STATEMARK_MAX];
    struct span whole = SPAN(content, statemark_encode(mark, content));
    bind_u64(state->write_mark, 1, mark->index);
    bind_blob(state->write_mark, 2, whole);
    bind_u64(state->write_mark, 3, hash_crc32c(0, whole));
    return store_step(&state->store, state->write_mark, NULL);
}

enum err state_open(struct state *state, const char *path)
{
    TRY(store_open(&state->store, path, &state_schema));
    TRY(prepare_reads(state));
    TRY(prepare_writes(state));
    TRY(statepacks_open(&state->packs, &state->store, true));
    return statekeys_open(&state->keys, &state->store, true);
}

enum err state_open_reader(struct state *state, const char *path)
{
    TRY(store_open_reader(&state->store, path, &state_schema));
    TRY(prepare_reads(state));
    TRY(statepacks_open(&state->packs, &state->store, false));
    return statekeys_open(&state->keys, &state->store, false);
}

void state_close(struct state *state)
{
    sqlite3_stmt *statements[] = {state->read_mark,  state->write_mark, state->read_tag,
                                  state->change_tag, state->add_tag,    state->add_config};
    for (size_t i = 0; i < COUNT_OF(statements); i++)
        sqlite3_finalize(statements[i]);
    statepacks_close(&state->packs);
    statekeys_close(&state->keys);
    store_close(&state->store);
    *state = (struct state){0};
}

enum err state_remove(const char *path)
{
    static const char *const suffixes[] = {"-wal", "-shm", "", DOUBT_SUFFIX};
    char name[4096];
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (snprintf(name, sizeof name, "%s%s", path, suffixes[i]) >= (int)sizeof name)
            return ERR_CONFIG;
        if (unlink(name) != 0 && errno != ENOENT)
            return ERR_IO;
    }
    return ERR_NONE;
}

enum err state_look(const char *path, struct apply_mark *mark)
{
    SCOPED(state) state = {0};
    *mark = apply_begin();
    if (access(path, F_OK) != 0)
        return ERR_NOT_FOUND;
    TRY(state_open_reader(&state, path));
    enum err err = state_mark(&state, mark);
    if (err != ERR_NONE)
        *mark = apply_begin();
    return err;
}

enum err state_mark(struct state *state, struct apply_mark *mark)
{
    bool row;
    *mark = apply_begin();
    TRY(store_step(&state->store, state->read_mark, &row));
    if (!row)
        return ERR_NONE;
    struct span content = column_blob(state->read_mark, 0);
    uint32_t crc = (uint32_t)column_u64(state->read_mark, 1);
    enum err err = hash_crc32c(0, content) == crc ? statemark_decode(content, mark) : ERR_CORRUPT;
    sqlite3_reset(state->read_mark);
    return err;
}

enum err state_begin(struct state *state)
{
    return store_begin(&state->store);
}

enum err state_add_outcome(struct state *state, const struct outcome *outcome)
{
    return statepacks_add(&state->packs, outcome);
}

enum err state_add_tag(struct state *state, struct span tag, const struct state_tag *more)
{
    struct state_tag known;
    TRY(state_tag(state, tag, &known));
    sqlite3_stmt *write = known.count > 0 ? state->change_tag : state->add_tag;
    known.first = known.count > 0 ? known.first : more->first;
    known.last = more->last;
    known.count += more->count;
    bind_blob(write, 1, tag);
    bind_u64(write, 2, known.first);
    bind_u64(write, 3, known.last);
    bind_u64(write, 4, known.count);
    bind_u64(write, 5, tag_crc(tag, &known));
    return store_step(&state->store, write, NULL);
}

enum err state_add_config(struct state *state, uint64_t index, struct span record)
{
    bind_u64(state->add_config, 1, index);
    bind_blob(state->add_config, 2, record);
    return store_step(&state->store, state->add_config, NULL);
}

enum err state_end(struct state *state, const struct apply_mark *mark, uint64_t keep_index)
{
    TRY(statepacks_end(&state->packs));
    TRY(statepacks_prune(&state->packs, mark->floor, keep_index));
    TRY(write_mark(state, mark));
    return store_commit(&state->store);
}

enum err state_outcome(struct state *state, uint64_t index, struct outcome *out)
{
    return statepacks_find(&state->packs, index, out);
}

enum err state_tag(struct state *state, struct span tag, struct state_tag *out)
{
    bool row;
    *out = (struct state_tag){0};
    bind_blob(state->read_tag, 1, tag);
    TRY(store_step(&state->store, state->read_tag, &row));
    if (!row)
        return ERR_NONE;
    enum err err = read_tag_row(state->read_tag, 0, tag, out);
    sqlite3_reset(state->read_tag);
    return err;
}

enum err state_outcomes(struct state *state, uint64_t from, state_each_outcome *each, void *owner)
{
    return statepacks_walk(&state->packs, from, each, owner);
}

static enum err walk_tags(struct state *state, sqlite3_stmt *walk, state_each_tag *each,
                          void *owner)
{
    struct state_tag known;
    bool row;
    for (;;) {
        TRY(store_step(&state->store, walk, &row));
        if (!row)
            return ERR_NONE;
        struct span tag = column_blob(walk, 0);
        TRY(read_tag_row(walk, 1, tag, &known));
        TRY(each(owner, tag, &known));
    }
}

enum err state_tags(struct state *state, struct span after, state_each_tag *each, void *owner)
{
    sqlite3_stmt *walk = NULL;
    TRY(store_prepare(&state->store,
                      "SELECT tag, " TAG_COLUMNS " FROM tags WHERE tag > ?1 ORDER BY tag", &walk));
    bind_blob(walk, 1, after);
    enum err err = walk_tags(state, walk, each, owner);
    sqlite3_finalize(walk);
    return err;
}
