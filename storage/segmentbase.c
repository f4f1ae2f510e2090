/* segmentbase.c - what the first entry of a file follows, kept in the file itself. */
#include "storage/segment.h"

#include "storage/columns.h"

static uint32_t base_crc(uint64_t index, uint64_t term, struct span hash, struct span configs)
{
    uint64_t numbers[] = {index, term};
    uint32_t crc = hash_crc32c(0, SPAN(numbers, sizeof numbers));
    return hash_crc32c(hash_crc32c(crc, hash), configs);
}

void segment_base_close(struct segment_base *base)
{
    bytes_close(&base->configs);
    *base = (struct segment_base){0};
}

enum err segment_note_base(struct segment *segment, const struct segment_base *base)
{
    sqlite3_stmt *note = NULL;
    struct span hash = SPAN(base->hash, HASH_SIZE), configs = bytes_span(&base->configs);
    TRY(store_prepare(&segment->store, "REPLACE INTO base VALUES (1, ?1, ?2, ?3, ?4, ?5)", &note));
    bind_u64(note, 1, base->index);
    bind_u64(note, 2, base->term);
    bind_blob(note, 3, hash);
    bind_blob(note, 4, configs);
    bind_u64(note, 5, base_crc(base->index, base->term, hash, configs));
    enum err err = store_step(&segment->store, note, NULL);
    sqlite3_finalize(note);
    return err;
}

/* Reads the row of `base` the statement stands on. */
static enum err read_base(sqlite3_stmt *row, struct segment_base *base)
{
    struct span hash = column_blob(row, 2), configs = column_blob(row, 3);
    base->index = column_u64(row, 0);
    base->term = column_u64(row, 1);
    if (hash.size != HASH_SIZE ||
        base_crc(base->index, base->term, hash, configs) != (uint32_t)column_u64(row, 4))
        return ERR_CORRUPT;
    memcpy(base->hash, hash.data, HASH_SIZE);
    bytes_append_span(&base->configs, configs);
    return ERR_NONE;
}

enum err segment_base(struct segment *segment, struct segment_base *base)
{
    sqlite3_stmt *read = NULL;
    bool row = false;
    TRY(store_prepare(&segment->store, "SELECT idx, term, hash, configs, crc FROM base", &read));
    enum err err = store_step(&segment->store, read, &row);
    if (err == ERR_NONE)
        err = row ? read_base(read, base) : ERR_NOT_FOUND;
    sqlite3_finalize(read);
    return err;
}
