#include "storage/lookup.h"

#include "protocol/filter.h"

#include <stdlib.h>

enum err lookup_find(const struct lookup *lookup, uint64_t id, uint64_t *log_index,
                     uint32_t *ordinal)
{
    if (lookup->file != NULL)
        return sealread_find(lookup->file, id, log_index, ordinal);
    return tagindex_find(lookup->memory, id, log_index, ordinal) ? ERR_NONE : ERR_CORRUPT;
}

bool lookup_guess(const struct lookup *lookup, uint64_t id, uint64_t *log_index)
{
    return lookup->file != NULL && sealread_guess(lookup->file, id, log_index);
}

enum err lookup_hash(const struct lookup *lookup, uint64_t id, uint8_t hash[HASH_SIZE])
{
    if (lookup->file != NULL)
        return sealread_hash(lookup->file, id, hash);
    const uint8_t *at = tagindex_hash(lookup->memory, id);
    if (at == NULL)
        return ERR_CORRUPT;
    memcpy(hash, at, HASH_SIZE);
    return ERR_NONE;
}

static int compare(const void *a, const void *b)
{
    uint32_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

/* A change that has two tags below the prefix is there once. */
static void sort_list(struct lookup_list *list)
{
    uint32_t *offsets = (uint32_t *)(void *)list->own.data, count = 0;
    size_t found = list->own.size / sizeof *offsets;
    if (found > 1)
        qsort(offsets, found, sizeof *offsets, compare);
    for (size_t i = 0; i < found; i++)
        if (count == 0 || offsets[count - 1] != offsets[i])
            offsets[count++] = offsets[i];
    list->offsets = offsets;
    list->count = count;
}

static void gather_memory(const struct tagindex *index, struct span prefix, struct bytes *offsets)
{
    for (uint32_t number = 0; number < index->tags.count; number++) {
        struct span tag = tagmap_text(&index->tags, number);
        const struct tagindex_list *of = &index->lists[number];
        if (tag.size >= prefix.size && memcmp(tag.data, prefix.data, prefix.size) == 0)
            bytes_append(offsets, of->offsets, of->count * sizeof *of->offsets);
    }
}

static enum err list_prefix(const struct lookup *lookup, struct span prefix,
                            struct lookup_list *list)
{
    if (lookup->file != NULL)
        TRY(sealread_prefix(lookup->file, prefix, &list->own));
    else
        gather_memory(lookup->memory, prefix, &list->own);
    sort_list(list);
    return ERR_NONE;
}

enum err lookup_list(const struct lookup *lookup, struct span term, struct lookup_list *list)
{
    struct span prefix;
    if (filter_is_prefix(term, &prefix))
        return list_prefix(lookup, prefix, list);
    if (lookup->file != NULL) {
        TRY(sealread_tag(lookup->file, term, &list->own));
        list->offsets = (const uint32_t *)(const void *)list->own.data;
        list->count = (uint32_t)(list->own.size / sizeof *list->offsets);
        return ERR_NONE;
    }
    uint32_t number = tagmap_find(&lookup->memory->tags, term);
    if (number != TAGMAP_NONE) {
        list->offsets = lookup->memory->lists[number].offsets;
        list->count = lookup->memory->lists[number].count;
    }
    return ERR_NONE;
}

void lookup_list_close(struct lookup_list *list)
{
    bytes_close(&list->own);
    *list = (struct lookup_list){0};
}

uint32_t lookup_slot(const struct lookup_list *list, uint64_t offset)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (list->offsets[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
