#include "storage/tagindex.h"

#include <assert.h>

struct tagindex_list *tagindex_list_at(struct tagindex *index, uint32_t number)
{
    if (number >= index->list_room) {
        index->list_room = index->list_room ? index->list_room * 2 : 32;
        index->lists = bytes_resize(index->lists, index->list_room, sizeof *index->lists);
    }
    assert(number < index->list_room);
    return &index->lists[number];
}

static struct tagindex_list *list_of(struct tagindex *index, struct span tag, uint64_t previous)
{
    uint32_t known = index->tags.count;
    uint32_t number = tagmap_add(&index->tags, tag);
    struct tagindex_list *list = tagindex_list_at(index, number);
    if (number == known)
        *list = (struct tagindex_list){.previous = previous};
    return list;
}

/* Slot of the last run that begins at or below `id`, which is in this part. */
static uint32_t run_of(const struct tagindex *index, uint64_t id)
{
    uint32_t low = 0, high = index->run_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (index->runs[middle].id <= id)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void tagindex_open(struct tagindex *index, uint64_t first_id,
                   const uint8_t previous_hash[HASH_SIZE])
{
    assert(index->hashes.size == 0);
    index->first_id = first_id;
    index->next_id = first_id;
    bytes_append(&index->hashes, previous_hash, HASH_SIZE);
}

void tagindex_close(struct tagindex *index)
{
    for (uint32_t number = 0; number < index->tags.count; number++)
        bytes_free(index->lists[number].offsets);
    bytes_free(index->lists);
    bytes_free(index->runs);
    bytes_close(&index->hashes);
    bytes_close(&index->times);
    tagmap_close(&index->tags);
    *index = (struct tagindex){0};
}

void tagindex_add_run(struct tagindex *index, uint64_t log_index)
{
    assert(index->run_count == 0 || index->runs[index->run_count - 1].index < log_index);
    if (index->run_count == index->run_room) {
        index->run_room = index->run_room ? index->run_room * 2 : 256;
        index->runs = bytes_resize(index->runs, index->run_room, sizeof *index->runs);
    }
    index->runs[index->run_count++] = (struct tagindex_run){index->next_id, log_index};
}

void tagindex_add_change(struct tagindex *index, uint64_t ts, const uint8_t hash[HASH_SIZE])
{
    assert(index->run_count > 0);
    if ((index->next_id - index->first_id) % TAGINDEX_TIMES_EACH == 0) {
        save_u64(bytes_reserve(&index->times, sizeof ts), ts);
        index->times.size += sizeof ts;
    }
    bytes_append(&index->hashes, hash, HASH_SIZE);
    index->next_id++;
}

void tagindex_add_tag(struct tagindex *index, struct span tag, uint64_t previous)
{
    assert(index->next_id > index->first_id);
    struct tagindex_list *list = list_of(index, tag, previous);
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 2;
        list->offsets = bytes_resize(list->offsets, list->room, sizeof *list->offsets);
    }
    list->offsets[list->count++] = (uint32_t)(index->next_id - 1 - index->first_id);
}

void tagindex_take(struct tagindex *index, const struct told *told)
{
    tagindex_add_change(index, told->ts, told->link.hash);
    for (uint32_t i = 0; i < told->change.tags.count; i++)
        tagindex_add_tag(index, told->change.tags.at[i],
                         load_u64(told->link.previous + (size_t)i * 8));
}

bool tagindex_times_are(uint64_t changes, size_t size)
{
    uint64_t count = (changes + TAGINDEX_TIMES_EACH - 1) / TAGINDEX_TIMES_EACH;
    return size == count * sizeof(uint64_t);
}

enum err tagindex_add(struct tagindex *index, const struct effect *effect)
{
    struct told told;
    if (effect->first_id != index->next_id)
        return ERR_CORRUPT;
    tagindex_add_run(index, effect->index);
    told_begin(&told, effect);
    while (told_next(&told))
        tagindex_take(index, &told);
    return told_end(&told);
}

bool tagindex_find(const struct tagindex *index, uint64_t id, uint64_t *log_index,
                   uint32_t *ordinal)
{
    if (id < index->first_id || id >= index->next_id)
        return false;
    const struct tagindex_run *run = &index->runs[run_of(index, id)];
    *log_index = run->index;
    *ordinal = (uint32_t)(id - run->id);
    return true;
}

const uint8_t *tagindex_hash(const struct tagindex *index, uint64_t id)
{
    if (id + 1 < index->first_id || id >= index->next_id)
        return NULL;
    return index->hashes.data + (id + 1 - index->first_id) * HASH_SIZE;
}
