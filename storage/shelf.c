#include "storage/shelf.h"

#include "common/log.h"

#include <assert.h>

static void free_index(struct tagindex **index)
{
    if (*index != NULL)
        tagindex_close(*index);
    bytes_free(*index), *index = NULL;
}

static void close_index(struct shelf_part *part)
{
    if (part->opened != NULL)
        sealread_close(part->opened);
    bytes_free(part->opened);
    part->opened = NULL;
}

static void free_part(struct shelf_part *part)
{
    shelf_rest(part);
    segment_free(part->handed);
    free_index(&part->index);
    seal_close(&part->seal);
    bytes_free(part->path);
    bytes_free(part);
}

/* File names are never used twice; the folder may be spelled in two ways. */
static bool same_file(const char *a, const char *b)
{
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
    return strcmp(name_a ? name_a + 1 : a, name_b ? name_b + 1 : b) == 0;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(bytes_resize(NULL, size, 1), text, size);
}

static struct shelf_part *append_part(struct shelf *shelf, const char *path, uint64_t first)
{
    if (shelf->count == shelf->room) {
        shelf->room = shelf->room ? shelf->room * 2 : 16;
        shelf->parts = bytes_resize(shelf->parts, shelf->room, sizeof(struct shelf_part *));
    }
    struct shelf_part *part = bytes_zeroed(1, sizeof *part);
    part->path = copy_text(path);
    part->first = first;
    part->last = UINT64_MAX;
    shelf->parts[shelf->count++] = part;
    return part;
}

/* Reads the summary of a part that should have one. */
static enum err open_seal(struct shelf_part *part, const struct storage_segment *found)
{
    enum err err = seal_read(part->path, &part->seal);
    if (err == ERR_NONE && part->seal.first_index == found->first &&
        part->seal.last_index == found->last) {
        part->indexed = true;
        if (part->seal.times_damaged) /* the scrub comes by */
            log_warn("index_times_damaged", kv_text("path", part->path));
        return ERR_NONE;
    }
    seal_close(&part->seal);
    /* It is made of its segment alone: an older one is made anew like a damaged one. */
    if (err != ERR_NONE && err != ERR_NOT_FOUND && err != ERR_CORRUPT && err != ERR_GAP)
        return err;
    log_warn("index_dropped", kv_text("segment", part->path), kv_err(err));
    return seal_remove(part->path);
}

/* The part of those with `kept` open that was used longest ago; NULL if fewer than `max` are. */
static struct shelf_part *oldest(struct shelf *shelf, uint32_t max, bool readers)
{
    struct shelf_part *oldest = NULL;
    uint32_t open = 0;
    for (uint32_t slot = 0; slot < shelf->count; slot++) {
        struct shelf_part *part = shelf->parts[slot];
        if (readers ? part->reader == NULL : part->opened == NULL)
            continue;
        open++;
        if (oldest == NULL || (readers ? part->reader_used < oldest->reader_used
                                       : part->index_used < oldest->index_used))
            oldest = part;
    }
    return open < max ? NULL : oldest;
}

static enum err open_reader(struct shelf *shelf, struct shelf_part *part)
{
    if (part->reader == NULL) {
        struct shelf_part *old = oldest(shelf, SHELF_READERS_MAX, true);
        if (old != NULL)
            shelf_close_reader(old);
        struct segment *reader = bytes_zeroed(1, sizeof *reader);
        enum err err = part->sealed ? segment_open_sealed(reader, part->path)
                                    : segment_open_reader(reader, part->path);
        part->reader = reader;
        if (err != ERR_NONE)
            shelf_close_reader(part);
        TRY(err);
    }
    part->reader_used = ++shelf->clock;
    return part->reader->first == 0 ? segment_refresh(part->reader) : ERR_NONE;
}

static enum err open_index(struct shelf *shelf, struct shelf_part *part)
{
    struct shelf_part *old = oldest(shelf, SHELF_INDEXES_MAX, false);
    if (old != NULL)
        close_index(old);
    part->opened = bytes_zeroed(1, sizeof *part->opened);
    enum err err = sealread_open(part->opened, part->path, &part->seal);
    if (err != ERR_NONE)
        close_index(part);
    return err;
}

enum err shelf_open(struct shelf *shelf, const struct storage_found *found)
{
    shelf->first_id = 1;
    for (uint32_t i = 0; i < found->segment_count; i++) {
        const struct storage_segment *segment = &found->segments[i];
        uint64_t first = segment->first ? segment->first : found->last_index + 1;
        struct shelf_part *part = append_part(shelf, segment->path, first);
        part->sealed = segment->sealed;
        part->damaged = segment->damaged;
        if (i + 1 < found->segment_count)
            part->last = segment->last;
        if (segment->sealed && segment->indexed)
            TRY(open_seal(part, segment));
    }
    return ERR_NONE;
}

void shelf_close(struct shelf *shelf)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++)
        free_part(shelf->parts[slot]);
    bytes_free(shelf->parts);
    *shelf = (struct shelf){0};
}

void shelf_add(struct shelf *shelf, const char *path, uint64_t first)
{
    struct shelf_part *newest = shelf->count ? shelf->parts[shelf->count - 1] : NULL;
    if (newest != NULL && same_file(newest->path, path))
        return;
    if (newest != NULL)
        newest->last = first - 1;
    append_part(shelf, path, first);
}

void shelf_gone(struct shelf *shelf, const char *path)
{
    while (shelf->count > 0) {
        struct shelf_part *newest = shelf->parts[shelf->count - 1];
        bool is_it = same_file(newest->path, path);
        if (!is_it && newest->first <= shelf->applied)
            return;
        free_part(newest);
        shelf->count--;
        if (shelf->count > 0)
            shelf->parts[shelf->count - 1]->last = UINT64_MAX;
        if (is_it)
            return;
    }
}

enum err shelf_cut(struct shelf *shelf, uint64_t first_id, const uint8_t cut_hash[HASH_SIZE])
{
    uint8_t hash[HASH_SIZE];
    if (first_id == shelf->first_id)
        return ERR_NONE;
    enum err err = shelf_hash(shelf, first_id - 1, hash);
    if (err == ERR_CORRUPT) /* the index there is damaged: it has no say */
        log_warn("cut_not_verified", kv_u64("first_id", first_id));
    else if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    else if (memcmp(hash, cut_hash, HASH_SIZE) != 0)
        return ERR_CORRUPT;
    if (first_id < shelf->first_id)
        return ERR_CORRUPT;
    shelf->first_id = first_id;
    memcpy(shelf->cut_hash, cut_hash, HASH_SIZE);
    return ERR_NONE;
}

void shelf_drop_oldest(struct shelf *shelf)
{
    assert(shelf->count > 1);
    shelf->dropped++;
    free_part(shelf->parts[0]);
    shelf->count--;
    memmove(shelf->parts, shelf->parts + 1, shelf->count * sizeof *shelf->parts);
}

uint32_t shelf_slot_of(const struct shelf *shelf, uint64_t index)
{
    uint32_t low = 0, high = shelf->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (shelf->parts[middle]->last < index)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < shelf->count && shelf->parts[low]->first <= index;
    return found ? low : shelf->count;
}

struct shelf_part *shelf_part_of(struct shelf *shelf, uint64_t index)
{
    uint32_t slot = shelf_slot_of(shelf, index);
    return slot < shelf->count ? shelf->parts[slot] : NULL;
}

void shelf_ids(const struct shelf *shelf, const struct shelf_part *part, uint64_t *first,
               uint64_t *next)
{
    *first = *next = shelf->last_id + 1; /* nothing applied in it */
    if (part->indexed) {
        *first = part->seal.first_id;
        *next = part->seal.next_id;
    } else if (part->index != NULL) {
        *first = part->index->first_id;
        *next = part->index->next_id;
    }
    if (*first > shelf->last_id + 1)
        *first = shelf->last_id + 1;
    if (*next > shelf->last_id + 1)
        *next = shelf->last_id + 1;
}

uint32_t shelf_slot_of_id(const struct shelf *shelf, uint64_t id)
{
    uint32_t low = 0, high = shelf->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t first, next;
        shelf_ids(shelf, shelf->parts[middle], &first, &next);
        if (next <= id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct shelf_part *shelf_part_of_id(struct shelf *shelf, uint64_t id)
{
    uint32_t slot = shelf_slot_of_id(shelf, id);
    if (slot >= shelf->count)
        return NULL;
    uint64_t first, next;
    shelf_ids(shelf, shelf->parts[slot], &first, &next);
    return first <= id && id < next ? shelf->parts[slot] : NULL;
}

struct span shelf_times(const struct shelf_part *part, uint64_t *first_id)
{
    if (!part->indexed && part->index == NULL)
        return SPAN(NULL, 0);
    *first_id = part->indexed ? part->seal.first_id : part->index->first_id;
    return bytes_span(part->indexed ? &part->seal.times : &part->index->times);
}

enum err shelf_lookup(struct shelf *shelf, struct shelf_part *part, struct lookup *lookup)
{
    *lookup = (struct lookup){0};
    if (part->indexed) {
        if (part->opened == NULL)
            TRY(open_index(shelf, part));
        part->index_used = ++shelf->clock;
        lookup->file = part->opened;
    } else {
        lookup->memory = shelf_growing(shelf, part);
    }
    return ERR_NONE;
}

enum err shelf_read(struct shelf *shelf, uint64_t from, uint64_t to, size_t bytes_max,
                    struct bytes *out)
{
    if (shelf->count > 0 && from < shelf->parts[0]->first)
        return ERR_TRUNCATED;
    struct shelf_part *part = shelf_part_of(shelf, from);
    if (part == NULL)
        return ERR_NOT_FOUND;
    TRY(open_reader(shelf, part));
    uint64_t last, end = to < part->last ? to : part->last;
    return segment_read(part->reader, from, end, bytes_max, out, &last);
}

enum err shelf_base(struct shelf *shelf, struct shelf_part *part, struct segment_base *base)
{
    TRY(open_reader(shelf, part));
    return segment_base(part->reader, base);
}

enum err shelf_hash(struct shelf *shelf, uint64_t id, uint8_t hash[HASH_SIZE])
{
    struct lookup lookup;
    memcpy(hash, shelf->cut_hash, HASH_SIZE); /* zeros at 0 */
    if (id + 1 == shelf->first_id)
        return ERR_NONE;
    struct shelf_part *part = shelf_part_of_id(shelf, id);
    if (part == NULL)
        return ERR_NOT_FOUND;
    TRY(shelf_lookup(shelf, part, &lookup));
    return lookup_hash(&lookup, id, hash);
}

void shelf_close_reader(struct shelf_part *part)
{
    segment_free(part->reader);
    part->reader = NULL;
}

void shelf_rest(struct shelf_part *part)
{
    shelf_close_reader(part);
    close_index(part);
}

bool shelf_take(struct shelf *shelf, struct segment *segment)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++) {
        struct shelf_part *part = shelf->parts[slot];
        if (same_file(part->path, segment->store.path) && part->handed == NULL) {
            part->handed = segment;
            return true;
        }
    }
    return false;
}

struct shelf_part *shelf_oldest_open(struct shelf *shelf)
{
    for (uint32_t slot = 0; slot < shelf->count; slot++) {
        if (!shelf->parts[slot]->indexed)
            return shelf->parts[slot];
    }
    return NULL;
}

uint32_t shelf_unsealed(struct shelf *shelf)
{
    uint32_t count = 0;
    for (uint32_t slot = shelf->count; slot > 0 && !shelf->parts[slot - 1]->indexed; slot--)
        count += shelf_complete(shelf, shelf->parts[slot - 1]);
    return count;
}

bool shelf_complete(const struct shelf *shelf, const struct shelf_part *part)
{
    return part->last != UINT64_MAX && part->last <= shelf->applied;
}

void shelf_sealed(struct shelf_part *part)
{
    part->indexed = true;
    free_index(&part->index);
}
