#include "storage/sealread.h"

#include "storage/columns.h"

/* Copies the one block that a statement finds, or nothing. ERR_CORRUPT: it is damaged. */
static enum err find_block(struct sealread *read, sqlite3_stmt *statement, struct bytes *block)
{
    bool row;
    bytes_clear(block);
    TRY(store_step(&read->store, statement, &row));
    if (!row)
        return ERR_NONE;
    uint64_t at = column_u64(statement, 0);
    struct span content = column_blob(statement, 1);
    uint32_t crc = (uint32_t)column_u64(statement, 2);
    bool sound = seal_crc(at, content, SPAN(NULL, 0)) == crc;
    if (sound)
        bytes_append_span(block, content);
    sqlite3_reset(statement);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

/* The same where there must be one. */
static enum err take_block(struct sealread *read, sqlite3_stmt *statement, struct bytes *block)
{
    TRY(find_block(read, statement, block));
    return block->size > 0 ? ERR_NONE : ERR_CORRUPT;
}

static enum err prepare(struct sealread *read)
{
    struct store *store = &read->store;
    TRY(store_prepare(store,
                      "SELECT first, content, crc FROM runs WHERE first <= ?1"
                      " ORDER BY first DESC LIMIT 1",
                      &read->run));
    TRY(store_prepare(store, "SELECT first, content, crc FROM runs WHERE first = ?1",
                      &read->run_at));
    TRY(store_prepare(store, "SELECT first, content, crc FROM hashes WHERE first = ?1",
                      &read->hash));
    TRY(store_prepare(store, "SELECT tag, crc FROM names WHERE number = ?1", &read->name));
    return store_prepare(store, "SELECT previous, ids, crc FROM tags WHERE number = ?1",
                         &read->ids);
}

enum err sealread_open(struct sealread *read, const char *segment_path, const struct seal *seal)
{
    enum err err = seal_open(segment_path, &read->store);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    read->first_id = seal->first_id;
    read->next_id = seal->next_id;
    read->first_index = seal->first_index;
    read->even = seal->last_index - seal->first_index == seal->next_id - 1 - seal->first_id;
    read->tag_count = seal->tag_count;
    read->hashes_at = UINT64_MAX;
    return prepare(read);
}

void sealread_close(struct sealread *read)
{
    sqlite3_finalize(read->run);
    sqlite3_finalize(read->run_at);
    sqlite3_finalize(read->hash);
    sqlite3_finalize(read->name);
    sqlite3_finalize(read->ids);
    store_close(&read->store);
    bytes_close(&read->runs);
    bytes_close(&read->hashes);
    bytes_close(&read->tag);
    *read = (struct sealread){0};
}

static struct tagindex_run run_at(const struct sealread *read, size_t slot)
{
    struct tagindex_run run;
    memcpy(&run, read->runs.data + slot * sizeof run, sizeof run);
    return run;
}

/* True if the block at hand surely has the run of the id: what lies behind the beginning of its
 * last run may be in another block. */
static bool has_run(const struct sealread *read, uint64_t id)
{
    size_t count = read->runs.size / sizeof(struct tagindex_run);
    return count > 0 && run_at(read, 0).id <= id && id <= run_at(read, count - 1).id;
}

/* Where every record has one change the place of a block says where it begins, and one page is
 * read. The search reads two: it meets the block behind first. */
static enum err find_run_block(struct sealread *read, uint64_t id)
{
    if (!read->uneven) {
        bind_u64(read->run_at, 1, id - (id - read->first_id) % SEAL_RUNS_BLOCK);
        TRY(find_block(read, read->run_at, &read->runs));
        if (has_run(read, id))
            return ERR_NONE;
        read->uneven = true;
    }
    bind_u64(read->run, 1, id);
    return take_block(read, read->run, &read->runs);
}

static uint64_t even_index(const struct sealread *read, uint64_t id)
{
    return read->first_index + (id - read->first_id);
}

enum err sealread_find(struct sealread *read, uint64_t id, uint64_t *log_index, uint32_t *ordinal)
{
    if (id < read->first_id || id >= read->next_id)
        return ERR_CORRUPT;
    if (!has_run(read, id))
        TRY(find_run_block(read, id));
    size_t low = 0, high = read->runs.size / sizeof(struct tagindex_run);
    if (high == 0 || run_at(read, 0).id > id)
        return ERR_CORRUPT;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (run_at(read, middle).id <= id)
            low = middle;
        else
            high = middle;
    }
    *log_index = run_at(read, low).index;
    *ordinal = (uint32_t)(id - run_at(read, low).id);
    read->even = read->even && *ordinal == 0 && *log_index == even_index(read, id);
    return ERR_NONE;
}

bool sealread_guess(const struct sealread *read, uint64_t id, uint64_t *log_index)
{
    *log_index = even_index(read, id);
    return read->even;
}

enum err sealread_hash(struct sealread *read, uint64_t id, uint8_t hash[HASH_SIZE])
{
    if (id + 1 < read->first_id || id >= read->next_id)
        return ERR_CORRUPT;
    uint64_t offset = (id + 1 - read->first_id) * HASH_SIZE;
    uint64_t at = offset - offset % SEAL_HASH_BLOCK;
    if (read->hashes_at != at) {
        read->hashes_at = UINT64_MAX;
        bind_u64(read->hash, 1, at);
        TRY(take_block(read, read->hash, &read->hashes));
        read->hashes_at = at;
    }
    if (offset - at + HASH_SIZE > read->hashes.size)
        return ERR_CORRUPT;
    memcpy(hash, read->hashes.data + (offset - at), HASH_SIZE);
    return ERR_NONE;
}

/* Copies the tag of a rank to read->tag. Each is there, and says its own rank: a name that damage
 * hides is an error, never "no such tag". */
static enum err take_name(struct sealread *read, uint64_t rank)
{
    bool row;
    bind_u64(read->name, 1, rank);
    TRY(store_step(&read->store, read->name, &row));
    if (!row)
        return ERR_CORRUPT;
    struct span tag = column_blob(read->name, 0);
    bool sound = seal_crc(rank, tag, SPAN(NULL, 0)) == (uint32_t)column_u64(read->name, 1);
    bytes_clear(&read->tag);
    bytes_append_span(&read->tag, tag);
    sqlite3_reset(read->name);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

static enum err take_ids(struct sealread *read, uint64_t rank, uint64_t *before,
                         struct bytes *offsets)
{
    bool row;
    bind_u64(read->ids, 1, rank);
    TRY(store_step(&read->store, read->ids, &row));
    if (!row)
        return ERR_CORRUPT;
    uint64_t previous = *before = column_u64(read->ids, 0);
    struct span ids = column_blob(read->ids, 1);
    uint32_t crc = (uint32_t)column_u64(read->ids, 2);
    bool sound = seal_crc(rank, SPAN(&previous, sizeof previous), ids) == crc && ids.size % 4 == 0;
    if (sound)
        bytes_append_span(offsets, ids);
    sqlite3_reset(read->ids);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

/* The rank of the first tag that is not below `text`; its name is in read->tag, if there is one. */
static enum err find_rank(struct sealread *read, struct span text, uint64_t *rank)
{
    uint64_t low = 0, high = read->tag_count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        TRY(take_name(read, middle));
        if (span_compare(bytes_span(&read->tag), text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *rank = low;
    return low < read->tag_count ? take_name(read, low) : ERR_NONE;
}

enum err sealread_tag(struct sealread *read, struct span tag, struct bytes *offsets)
{
    uint64_t rank, previous;
    TRY(find_rank(read, tag, &rank));
    if (rank == read->tag_count || !span_equal(bytes_span(&read->tag), tag))
        return ERR_NONE;
    return take_ids(read, rank, &previous, offsets);
}

enum err sealread_prefix(struct sealread *read, struct span prefix, struct bytes *offsets)
{
    uint64_t rank, previous;
    TRY(find_rank(read, prefix, &rank));
    while (rank < read->tag_count && read->tag.size >= prefix.size &&
           memcmp(read->tag.data, prefix.data, prefix.size) == 0) {
        TRY(take_ids(read, rank, &previous, offsets));
        if (++rank < read->tag_count)
            TRY(take_name(read, rank));
    }
    return ERR_NONE;
}

/* Appends the content of all rows of a statement. */
static enum err take_all(struct sealread *read, const char *sql, struct bytes *whole)
{
    sqlite3_stmt *rows = NULL;
    enum err err = store_prepare(&read->store, sql, &rows);
    for (bool row = true; err == ERR_NONE;) {
        err = store_step(&read->store, rows, &row);
        if (err != ERR_NONE || !row)
            break;
        struct span content = column_blob(rows, 1);
        if (seal_crc(column_u64(rows, 0), content, SPAN(NULL, 0)) != (uint32_t)column_u64(rows, 2))
            err = ERR_CORRUPT;
        else
            bytes_append_span(whole, content);
    }
    sqlite3_finalize(rows);
    return err;
}

static enum err take_tag(struct sealread *read, uint64_t rank, struct tagindex *index)
{
    SCOPED(bytes) ids = {0};
    uint64_t previous;
    TRY(take_name(read, rank));
    TRY(take_ids(read, rank, &previous, &ids));
    if (tagmap_find(&index->tags, bytes_span(&read->tag)) != TAGMAP_NONE)
        return ERR_CORRUPT;
    uint32_t number = tagmap_add(&index->tags, bytes_span(&read->tag));
    struct tagindex_list *list = tagindex_list_at(index, number);
    uint32_t count = (uint32_t)(ids.size / sizeof *list->offsets);
    *list = (struct tagindex_list){.previous = previous, .count = count, .room = count};
    list->offsets = bytes_resize(NULL, count + 1, sizeof *list->offsets);
    if (ids.size > 0)
        memcpy(list->offsets, ids.data, ids.size);
    return ERR_NONE;
}

enum err sealread_load(struct sealread *read, struct tagindex *index)
{
    struct bytes runs = {0};
    bool damaged;
    index->first_id = read->first_id;
    index->next_id = read->next_id;
    enum err err = take_all(read, "SELECT first, content, crc FROM runs ORDER BY first", &runs);
    if (err == ERR_NONE)
        err =
            take_all(read, "SELECT first, content, crc FROM hashes ORDER BY first", &index->hashes);
    if (err == ERR_NONE)
        err = seal_times(&read->store, index->next_id - index->first_id, &index->times, &damaged);
    index->run_count = index->run_room = (uint32_t)(runs.size / sizeof *index->runs);
    index->runs = bytes_resize(NULL, index->run_count + 1, sizeof *index->runs);
    if (runs.size > 0)
        memcpy(index->runs, runs.data, index->run_count * sizeof *index->runs);
    bytes_close(&runs);
    for (uint64_t rank = 0; err == ERR_NONE && rank < read->tag_count; rank++)
        err = take_tag(read, rank, index);
    TRY(err);
    uint64_t hashes = index->next_id - index->first_id + 1;
    bool sound = index->hashes.size == hashes * HASH_SIZE &&
                 (index->run_count > 0) == (index->next_id > index->first_id);
    return sound ? ERR_NONE : ERR_CORRUPT;
}

enum err seal_load(const char *segment_path, struct tagindex *index)
{
    struct seal seal = {0};
    SCOPED(sealread) read = {0};
    enum err err = seal_read(segment_path, &seal);
    if (err == ERR_NONE)
        err = sealread_open(&read, segment_path, &seal);
    if (err == ERR_NONE)
        err = sealread_load(&read, index);
    seal_close(&seal);
    return err;
}
