#include "storage/collection.h"

#include <stdlib.h>

void collection_close(struct collection *collection)
{
    tagmap_close(&collection->keys);
    bytes_free(collection->entries);
    bytes_close(&collection->rows);
    *collection = (struct collection){0};
}

void collection_use(struct collection *collection, const struct change *change, uint64_t id,
                    uint64_t ts, const uint8_t hash[HASH_SIZE])
{
    if (change->key.size == 0)
        return; /* an empty key names nothing */
    uint32_t number = tagmap_add(&collection->keys, change->key);
    if (number >= collection->room) {
        collection->room = collection->room ? collection->room * 2 : 64;
        collection->entries =
            bytes_resize(collection->entries, collection->room, sizeof *collection->entries);
    }
    size_t at = collection->rows.size;
    change_row_encode(id, ts, hash, change, &collection->rows);
    collection->entries[number] =
        (struct collection_entry){id, change->removes, at, collection->rows.size - at};
}

static struct statekeys_row row_of(const struct collection *collection, uint32_t number)
{
    const struct collection_entry *entry = &collection->entries[number];
    return (struct statekeys_row){entry->id, entry->removed,
                                  SPAN(collection->rows.data + entry->at, entry->size)};
}

enum err collection_write(const struct collection *collection, struct statekeys *keys)
{
    for (uint32_t number = 0; number < collection->keys.count; number++) {
        struct statekeys_row row = row_of(collection, number);
        TRY(statekeys_put(keys, tagmap_text(&collection->keys, number), &row));
    }
    return ERR_NONE;
}

void collection_forget(struct collection *collection, const uint8_t key[HASH_KEY_SIZE])
{
    tagmap_close(&collection->keys);
    memcpy(collection->keys.key, key, HASH_KEY_SIZE);
    bytes_clear(&collection->rows);
}

enum err collection_find(const struct collection *collection, struct statekeys *keys,
                         struct span key, struct statekeys_row *row)
{
    uint32_t number = tagmap_find(&collection->keys, key);
    if (number == TAGMAP_NONE)
        return statekeys_read(keys, key, row);
    *row = row_of(collection, number);
    return ERR_NONE;
}

/* ---- a page of keys ---------------------------------------------------------------------------
 */

/* The keys here that the page may show, in order, beside the walk through the state. */
struct merge {
    const struct collection *collection;
    struct statekeys *keys;
    uint32_t *order, count, at;
    struct span key; /* the state's; empty: no more */
    struct statekeys_row row;
};

static int compare_keys(const void *a, const void *b, void *map)
{
    uint32_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return span_compare(tagmap_text(map, left), tagmap_text(map, right));
}

static bool begins_with(struct span key, struct span prefix)
{
    return prefix.size == 0 ||
           (key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0);
}

static void sort_own(struct merge *merge, struct span after)
{
    struct tagmap map = merge->collection->keys; /* as the sort wants it: not constant */
    merge->order = bytes_zeroed(map.count + 1, sizeof *merge->order);
    for (uint32_t number = 0; number < map.count; number++)
        if (span_compare(tagmap_text(&map, number), after) > 0)
            merge->order[merge->count++] = number;
    qsort_r(merge->order, merge->count, sizeof *merge->order, compare_keys, &map);
}

static enum err merge_begin(struct merge *merge, const struct collection_page *page)
{
    bool skips = span_compare(page->after, page->prefix) >= 0;
    sort_own(merge, page->after);
    statekeys_scan_begin(merge->keys, skips ? page->after : page->prefix);
    TRY(statekeys_scan_next(merge->keys, &merge->key, &merge->row));
    if (merge->key.size > 0 && span_compare(merge->key, page->after) <= 0)
        return statekeys_scan_next(merge->keys, &merge->key, &merge->row);
    return ERR_NONE;
}

/* The lower of both; of a key that is in both, what is here. *key empty: no more. */
static enum err merge_next(struct merge *merge, struct bytes *key, struct bytes *bytes,
                           struct statekeys_row *row)
{
    bool own = merge->at<merge->count, stored = merge->key.size> 0;
    uint32_t number = own ? merge->order[merge->at] : 0;
    struct span text = own ? tagmap_text(&merge->collection->keys, number) : (struct span){0};
    int order = own && stored ? span_compare(text, merge->key) : own ? -1 : 1;
    bytes_clear(key);
    bytes_clear(bytes);
    if (!own && !stored)
        return ERR_NONE;
    *row = order <= 0 ? row_of(merge->collection, number) : merge->row;
    bytes_append_span(key, order <= 0 ? text : merge->key);
    bytes_append_span(bytes, row->row);
    row->row = bytes_span(bytes);
    merge->at += order <= 0;
    return order >= 0 ? statekeys_scan_next(merge->keys, &merge->key, &merge->row) : ERR_NONE;
}

/* False: the page is full, and the key belongs to the next one. */
static bool take(struct collection_page *page, const struct statekeys_row *row)
{
    if (row->removed)
        return true;
    bool fits = page->count == 0 || page->rows->size + row->row.size <= page->bytes;
    if (page->count == page->limit || !fits)
        return false;
    bytes_append_span(page->rows, row->row);
    page->count++;
    return true;
}

static enum err fill(struct merge *merge, struct collection_page *page, struct bytes *key,
                     struct bytes *bytes)
{
    struct statekeys_row row = {0};
    TRY(merge_begin(merge, page));
    for (uint32_t looked = 0; looked < COLLECTION_LOOKED_MAX; looked++) {
        TRY(merge_next(merge, key, bytes, &row));
        struct span text = bytes_span(key);
        bool below = begins_with(text, page->prefix);
        page->at_end = text.size == 0 || (!below && span_compare(text, page->prefix) > 0);
        if (page->at_end || (below && !take(page, &row)))
            return ERR_NONE;
        bytes_clear(page->next);
        bytes_append_span(page->next, text);
    }
    return ERR_NONE;
}

enum err collection_scan(const struct collection *collection, struct statekeys *keys,
                         struct collection_page *page)
{
    struct merge merge = {.collection = collection, .keys = keys};
    SCOPED(bytes) key = {0};
    SCOPED(bytes) row = {0};
    bytes_clear(page->rows);
    bytes_clear(page->next);
    bytes_append_span(page->next, page->after);
    page->count = 0;
    page->at_end = false;
    enum err err = fill(&merge, page, &key, &row);
    statekeys_scan_end(keys);
    bytes_free(merge.order);
    return err;
}
