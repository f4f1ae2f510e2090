#include "storage/row.h"

#define ALONG_BYTES KiB(256)

/* Takes the next record of those read in one go. */
static bool next_record(struct row_reader *reader)
{
    struct span record;
    if (!entry_next(&reader->rest, &record) || entry_decode(record, &reader->record) != ERR_NONE)
        return false;
    reader->ordinal = 0;
    if (entry_is_write(reader->record.kind))
        change_walk_begin(&reader->walk, reader->record.body);
    return true;
}

/* Makes the record at a log index the present one. Neighbours are read along where the next rows
 * will want them. */
static enum err find_record(struct row_reader *reader, uint64_t index)
{
    while (reader->record.index != 0 && reader->record.index < index && next_record(reader))
        continue;
    if (reader->record.index == index)
        return ERR_NONE;
    bytes_clear(reader->records);
    reader->record.index = 0;
    enum err err = shelf_read(reader->shelf, index, index + reader->along,
                              reader->along > 0 ? ALONG_BYTES : 1, reader->records);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    reader->rest = bytes_span(reader->records);
    return next_record(reader) && reader->record.index == index ? ERR_NONE : ERR_CORRUPT;
}

/* Lends the change at `ordinal` of the present record. */
static enum err find_change(struct row_reader *reader, uint32_t ordinal, struct change *change)
{
    if (!entry_is_write(reader->record.kind))
        return ERR_CORRUPT;
    if (reader->ordinal > ordinal) {
        change_walk_begin(&reader->walk, reader->record.body);
        reader->ordinal = 0;
    }
    do {
        if (!change_walk_next(&reader->walk, change))
            return ERR_CORRUPT;
    } while (reader->ordinal++ < ordinal);
    return ERR_NONE;
}

static enum err find(struct row_reader *reader, uint64_t id, struct lookup *lookup,
                     struct change *change, struct row_time *time)
{
    struct shelf_part *part = shelf_part_of_id(reader->shelf, id);
    uint64_t log_index;
    uint32_t ordinal;
    if (part == NULL)
        return ERR_CORRUPT;
    TRY(shelf_lookup(reader->shelf, part, lookup));
    TRY(lookup_find(lookup, id, &log_index, &ordinal));
    TRY(find_record(reader, log_index));
    TRY(find_change(reader, ordinal, change));
    time->ts = change_ts(change, reader->record.ts);
    time->error_ns = change->ts == 0 ? entry_clock_error_ns(reader->record.clock_error) : 0;
    return ERR_NONE;
}

enum err row_read(struct row_reader *reader, uint64_t id, struct change *change,
                  struct row_time *time, uint8_t hash[HASH_SIZE])
{
    struct lookup lookup;
    uint8_t before[HASH_SIZE], told[HASH_SIZE];
    TRY(find(reader, id, &lookup, change, time));
    TRY(lookup_hash(&lookup, id - 1, before));
    TRY(lookup_hash(&lookup, id, told));
    change_hash(before, id, time->ts, change, hash);
    return memcmp(hash, told, HASH_SIZE) == 0 ? ERR_NONE : ERR_CORRUPT;
}

enum err row_time(struct row_reader *reader, uint64_t id, struct row_time *time)
{
    struct lookup lookup;
    struct change change;
    return find(reader, id, &lookup, &change, time);
}

/* The time of the first change of a part is asked for once. */
static enum err first_ts(struct row_reader *reader, uint64_t id, uint64_t *ts)
{
    struct shelf_part *part = shelf_part_of_id(reader->shelf, id);
    if (part != NULL && part->first_ts != 0) {
        *ts = part->first_ts;
        return ERR_NONE;
    }
    struct row_time time;
    TRY(row_time(reader, id, &time));
    *ts = time.ts;
    if (part != NULL)
        part->first_ts = time.ts;
    return ERR_NONE;
}

/* Where to look next: at the first id of a part while the range spans several. */
static enum err probe(struct row_reader *reader, uint64_t low, uint64_t high, uint64_t *middle,
                      uint64_t *ts)
{
    struct shelf *shelf = reader->shelf;
    uint32_t first = shelf_slot_of_id(shelf, low), last = shelf_slot_of_id(shelf, high - 1);
    struct row_time time;
    if (first != last) {
        uint64_t next;
        shelf_ids(shelf, shelf->parts[first + (last - first + 1) / 2], middle, &next);
        return first_ts(reader, *middle, ts);
    }
    *middle = low + (high - low) / 2;
    TRY(row_time(reader, *middle, &time));
    *ts = time.ts;
    return ERR_NONE;
}

/* Log time never falls as ids rise. */
enum err row_since(struct row_reader *reader, uint64_t ts, uint64_t *id)
{
    uint64_t low = reader->shelf->first_id, high = reader->shelf->last_id + 1;
    while (low < high) {
        uint64_t middle, found;
        TRY(probe(reader, low, high, &middle, &found));
        if (found < ts)
            low = middle + 1;
        else
            high = middle;
    }
    *id = low;
    return ERR_NONE;
}
