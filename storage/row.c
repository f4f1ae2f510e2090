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

static enum err open_lookup(struct row_reader *reader, uint64_t id, struct lookup *lookup)
{
    struct shelf_part *part = shelf_part_of_id(reader->shelf, id);
    return part == NULL ? ERR_CORRUPT : shelf_lookup(reader->shelf, part, lookup);
}

/* Lends the change at a place of the log. */
static enum err take(struct row_reader *reader, uint64_t index, uint32_t ordinal,
                     struct change *change, struct row_time *time)
{
    TRY(find_record(reader, index));
    TRY(find_change(reader, ordinal, change));
    time->ts = change_ts(change, reader->record.ts);
    time->error_ns = change->ts == 0 ? entry_clock_error_ns(reader->record.clock_error) : 0;
    return ERR_NONE;
}

/* Whether a change is the one with this id: its hash is the one that the index tells. */
static enum err check(const struct lookup *lookup, uint64_t id, const struct row_time *time,
                      const struct change *change, uint8_t hash[HASH_SIZE])
{
    uint8_t before[HASH_SIZE], told[HASH_SIZE];
    TRY(lookup_hash(lookup, id - 1, before));
    TRY(lookup_hash(lookup, id, told));
    change_hash(before, id, time->ts, change, hash);
    return memcmp(hash, told, HASH_SIZE) == 0 ? ERR_NONE : ERR_CORRUPT;
}

static enum err read_at(struct row_reader *reader, const struct lookup *lookup, uint64_t id,
                        uint64_t index, uint32_t ordinal, struct change *change,
                        struct row_time *time, uint8_t hash[HASH_SIZE])
{
    TRY(take(reader, index, ordinal, change, time));
    return check(lookup, id, time, change, hash);
}

/* Most parts have one change a record: the hash tells whether this one does, and a page of the
 * index less is read. */
enum err row_read(struct row_reader *reader, uint64_t id, struct change *change,
                  struct row_time *time, uint8_t hash[HASH_SIZE])
{
    struct lookup lookup;
    uint64_t guess, index;
    uint32_t ordinal;
    TRY(open_lookup(reader, id, &lookup));
    bool guessed = lookup_guess(&lookup, id, &guess);
    if (guessed) {
        enum err err = read_at(reader, &lookup, id, guess, 0, change, time, hash);
        if (err != ERR_CORRUPT)
            return err;
    }
    TRY(lookup_find(&lookup, id, &index, &ordinal));
    if (guessed && index == guess && ordinal == 0)
        return ERR_CORRUPT;
    return read_at(reader, &lookup, id, index, ordinal, change, time, hash);
}

enum err row_time(struct row_reader *reader, uint64_t id, struct row_time *time)
{
    struct lookup lookup;
    struct change change;
    uint64_t index;
    uint32_t ordinal;
    TRY(open_lookup(reader, id, &lookup));
    TRY(lookup_find(&lookup, id, &index, &ordinal));
    return take(reader, index, ordinal, &change, time);
}

/* The middle one of those ids in low..high - 1 whose time is in memory. False: there is none. */
static bool find_kept(const struct shelf_part *part, uint64_t low, uint64_t high, uint64_t *middle,
                      uint64_t *ts)
{
    uint64_t first_id;
    struct span times = shelf_times(part, &first_id);
    if (times.size == 0 || low < first_id)
        return false;
    uint64_t from = (low - first_id + TAGINDEX_TIMES_EACH - 1) / TAGINDEX_TIMES_EACH;
    uint64_t to = (high - 1 - first_id) / TAGINDEX_TIMES_EACH;
    uint64_t slot = from + (to - from) / 2;
    if (from > to || slot >= times.size / sizeof *ts)
        return false;
    *middle = first_id + slot * TAGINDEX_TIMES_EACH;
    *ts = load_u64(times.data + slot * sizeof *ts);
    return true;
}

/* The time of the first change of a part is asked for once, where it is not kept anyway. */
static enum err first_ts(struct row_reader *reader, struct shelf_part *part, uint64_t id,
                         uint64_t *ts)
{
    struct row_time time;
    uint64_t same;
    if (find_kept(part, id, id + 1, &same, ts))
        return ERR_NONE;
    if (part->first_ts == 0) {
        TRY(row_time(reader, id, &time));
        part->first_ts = time.ts;
    }
    *ts = part->first_ts;
    return ERR_NONE;
}

/* Where to look next: at the first id of a part while the range spans several, then at those whose
 * time is in memory. */
static enum err probe(struct row_reader *reader, uint64_t low, uint64_t high, uint64_t *middle,
                      uint64_t *ts)
{
    struct shelf *shelf = reader->shelf;
    uint32_t first = shelf_slot_of_id(shelf, low), last = shelf_slot_of_id(shelf, high - 1);
    struct row_time time;
    if (last == shelf->count)
        return ERR_CORRUPT; /* no part holds it */
    if (first != last) {
        uint64_t next;
        struct shelf_part *part = shelf->parts[first + (last - first + 1) / 2];
        shelf_ids(shelf, part, middle, &next);
        return first_ts(reader, part, *middle, ts);
    }
    if (find_kept(shelf->parts[first], low, high, middle, ts))
        return ERR_NONE;
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
