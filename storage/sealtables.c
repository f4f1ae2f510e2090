#include "storage/sealtables.h"

#include "common/worker.h"
#include "storage/columns.h"
#include "storage/seal.h"

#include <stdlib.h>

static enum err write_block(struct store *store, sqlite3_stmt *add, uint64_t key,
                            struct span content)
{
    if (key / SEAL_HASH_BLOCK % GIVE_WAY_ROWS == 0)
        worker_give_way();
    bind_u64(add, 1, key);
    bind_blob(add, 2, content);
    bind_u64(add, 3, seal_crc(key, content, SPAN(NULL, 0)));
    return store_step(store, add, NULL);
}

/* The key of a block of hashes or times is its place, that of a block of runs the first id in it.
 */
static enum err write_row(struct store *store, const char *sql, struct span row)
{
    sqlite3_stmt *add = NULL;
    enum err err = store_prepare(store, sql, &add);
    for (size_t at = 0; at < row.size && err == ERR_NONE; at += SEAL_HASH_BLOCK) {
        size_t left = row.size - at;
        size_t size = left < SEAL_HASH_BLOCK ? left : SEAL_HASH_BLOCK;
        err = write_block(store, add, at, SPAN(row.data + at, size));
    }
    sqlite3_finalize(add);
    return err;
}

static enum err write_runs(struct store *store, const struct tagindex *index)
{
    sqlite3_stmt *add = NULL;
    enum err err = store_prepare(store, "INSERT INTO runs VALUES(?1, ?2, ?3)", &add);
    for (uint32_t slot = 0; slot < index->run_count && err == ERR_NONE; slot += SEAL_RUNS_BLOCK) {
        uint32_t left = index->run_count - slot;
        size_t size = (left < SEAL_RUNS_BLOCK ? left : SEAL_RUNS_BLOCK) * sizeof *index->runs;
        err = write_block(store, add, index->runs[slot].id, SPAN(&index->runs[slot], size));
    }
    sqlite3_finalize(add);
    return err;
}

static int compare_tags(const void *a, const void *b, void *map)
{
    uint32_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return span_compare(tagmap_text(map, left), tagmap_text(map, right));
}

static enum err write_tag(struct store *store, sqlite3_stmt *name, sqlite3_stmt *ids, uint64_t rank,
                          struct span tag, const struct tagindex_list *list)
{
    struct span offsets = SPAN(list->offsets, list->count * sizeof *list->offsets);
    bind_u64(name, 1, rank);
    bind_blob(name, 2, tag);
    bind_u64(name, 3, seal_crc(rank, tag, SPAN(NULL, 0)));
    TRY(store_step(store, name, NULL));
    bind_u64(ids, 1, rank);
    bind_u64(ids, 2, list->previous);
    bind_blob(ids, 3, offsets);
    bind_u64(ids, 4, seal_crc(rank, SPAN(&list->previous, sizeof list->previous), offsets));
    return store_step(store, ids, NULL);
}

/* In the order of their bytes, so that a reader finds one by halving. */
static enum err write_sorted(struct store *store, const struct tagindex *index,
                             const uint32_t *order)
{
    sqlite3_stmt *name = NULL, *ids = NULL;
    enum err err = store_prepare(store, "INSERT INTO names VALUES(?1, ?2, ?3)", &name);
    if (err == ERR_NONE)
        err = store_prepare(store, "INSERT INTO tags VALUES(?1, ?2, ?3, ?4)", &ids);
    for (uint32_t rank = 0; rank < index->tags.count && err == ERR_NONE; rank++) {
        err = write_tag(store, name, ids, rank, tagmap_text(&index->tags, order[rank]),
                        &index->lists[order[rank]]);
        if (rank % GIVE_WAY_ROWS == 0)
            worker_give_way();
    }
    sqlite3_finalize(name);
    sqlite3_finalize(ids);
    return err;
}

static enum err write_tags(struct store *store, const struct tagindex *index)
{
    uint32_t count = index->tags.count, *order = bytes_zeroed(count + 1, sizeof *order);
    struct tagmap map = index->tags; /* as the sort wants it: not constant */
    for (uint32_t number = 0; number < count; number++)
        order[number] = number;
    qsort_r(order, count, sizeof *order, compare_tags, &map);
    enum err err = write_sorted(store, index, order);
    bytes_free(order);
    return err;
}

enum err sealtables_write(struct store *store, const struct tagindex *index)
{
    TRY(write_row(store, "INSERT INTO times VALUES(?1, ?2, ?3)", bytes_span(&index->times)));
    TRY(write_runs(store, index));
    TRY(write_row(store, "INSERT INTO hashes VALUES(?1, ?2, ?3)", bytes_span(&index->hashes)));
    return write_tags(store, index);
}
