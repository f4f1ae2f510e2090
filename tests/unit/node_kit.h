/* node_kit.h - a node without threads: a log of several files, applied, indexed, written, and
 * asked. */
#ifndef TESTS_UNIT_NODE_KIT_H
#define TESTS_UNIT_NODE_KIT_H

#include "storage/tagindex.h"
#include "log_kit.h"
#include "protocol/wire.h"
#include "storage/flush.h"
#include "storage/match.h"
#include "storage/query.h"
#include "storage/rebuild.h"
#include "storage/sealer.h"
#include "storage/statehash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { PART_ENTRIES = 50, PARTS = 4 };

/* A node without threads: a log of several files, applied, indexed and written. */
struct node {
    char directory[64], state_path[128];
    char paths[PARTS][128];
    struct segment *segments[PARTS];
    struct apply apply;
    struct log_kit kit;
    struct shelf shelf;
    struct state state;
    struct flush flush;
    struct sealer sealer;
    struct query_buffers buffers;
    struct message page;
    uint64_t durable;
    bool filling; /* one transaction for many records */
};

static inline enum err find_waiting(void *owner, uint64_t index, struct outcome *out)
{
    const struct flush *flush = owner;
    for (size_t at = 0; at < flush->outcomes.size; at += sizeof *out) {
        memcpy(out, flush->outcomes.data + at, sizeof *out);
        if (out->index == index)
            return ERR_NONE;
    }
    return ERR_NOT_FOUND;
}

static inline enum err find_outcome(void *owner, uint64_t index, struct outcome *out)
{
    struct node *node = owner;
    enum err err = find_waiting(&node->flush, index, out);
    return err == ERR_NOT_FOUND ? state_outcome(&node->state, index, out) : err;
}

static inline void begin_part(struct node *node, uint32_t part)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(part + 1, 77 + part, name);
    char directory[sizeof node->directory]; /* or gcc 12 fears at -O3 that it overlaps the path */
    memcpy(directory, node->directory, sizeof directory);
    snprintf(node->paths[part], sizeof node->paths[part], "%s/%s", directory, name);
    node->segments[part] = bytes_zeroed(1, sizeof *node->segments[part]);
    assert_int_equal(segment_open(node->segments[part], node->paths[part]), ERR_NONE);
    shelf_add(&node->shelf, node->paths[part], node->kit.last + 1);
}

static inline void write_state(struct node *node)
{
    const struct shelf_part *open = shelf_oldest_open(&node->shelf);
    assert_int_equal(flush_write(&node->flush, &node->state, open ? open->first : 0), ERR_NONE);
}

static inline void take_into(struct flush *flush, const struct effect *effect)
{
    struct told told;
    if (!flush_add(flush, effect) || !apply_is_commit(effect))
        return;
    told_begin(&told, effect);
    while (told_next(&told))
        flush_take(flush, &told);
    assert_int_equal(told_end(&told), ERR_NONE);
}

static inline void take(struct node *node, struct span record, uint32_t part)
{
    const struct apply_source source = {find_outcome, node};
    struct segment *segment = node->segments[part];
    struct bytes effects = {0};
    struct entry entry;
    struct effect effect;
    if (!node->filling)
        assert_int_equal(store_begin(&segment->store), ERR_NONE);
    assert_int_equal(segment_append(segment, record), ERR_NONE);
    if (!node->filling)
        assert_int_equal(store_commit(&segment->store), ERR_NONE);
    assert_int_equal(entry_decode(record, &entry), ERR_NONE);
    assert_int_equal(apply_entry(&node->apply, &entry, &source, &effects), ERR_NONE);
    struct span rest = bytes_span(&effects);
    while (effect_next(&rest, &effect)) {
        take_into(&node->flush, &effect);
        if (apply_is_commit(&effect))
            assert_int_equal(shelf_add_changes(&node->shelf, &effect), ERR_NONE);
    }
    flush_mark(&node->flush, &node->apply.at);
    shelf_advance(&node->shelf, entry.index);
    bytes_close(&effects);
}

/* Entry n: a noop each 10, a duplicate each 7, else 1-3 changes; "rare" only in part 2. */
static inline void add_entry(struct node *node, uint32_t part)
{
    uint64_t n = node->kit.last + 1;
    const char *tag = n % 3 == 0 ? "third" : n == 2 * PART_ENTRIES + 3 ? "rare" : NULL;
    if (tag == NULL && n % 11 > 4 && n % 11 < 7)
        tag = n % 11 == 5 ? "odd/one" : "odd/two";
    char data[32];
    snprintf(data, sizeof data, "data %u", (unsigned)n);
    if (n % 10 == 0)
        take(node, kit_noop(&node->kit), part);
    else if (n % 7 == 0)
        take(node, kit_put(&node->kit, 1, 1, 1, NULL, "data 1"), part);
    else
        take(node, kit_put(&node->kit, n, 1, (uint32_t)(n == 1 ? 1 : 1 + n % 3), tag, data), part);
}

static inline void node_open(struct node *node, uint32_t parts)
{
    const struct storage_found nothing = {.first_index = 1};
    uint8_t key[16] = {9};
    struct apply_mark mark = {0};
    *node = (struct node){.kit = {.term = 1, .ts = 1000}};
    strcpy(node->directory, "/tmp/tagindex_test_XXXXXX");
    assert_non_null(mkdtemp(node->directory));
    snprintf(node->state_path, sizeof node->state_path, "%s/state.db", node->directory);
    assert_int_equal(state_open(&node->state, node->state_path), ERR_NONE);
    assert_int_equal(shelf_open(&node->shelf, &nothing), ERR_NONE);
    apply_open(&node->apply, key);
    flush_open(&node->flush, key, &mark);
    for (uint32_t part = 0; part < parts; part++) {
        begin_part(node, part);
        node->filling = true;
        assert_int_equal(store_begin(&node->segments[part]->store), ERR_NONE);
        for (uint32_t i = 0; i < PART_ENTRIES; i++)
            add_entry(node, part);
        assert_int_equal(store_commit(&node->segments[part]->store), ERR_NONE);
        node->filling = false;
        if (part % 2 == 0)
            write_state(node);
    }
}

static inline void node_close(struct node *node)
{
    char command[128];
    for (uint32_t part = 0; part < PARTS; part++)
        segment_free(node->segments[part]);
    apply_close(&node->apply);
    kit_close(&node->kit);
    sealer_close(&node->sealer);
    shelf_close(&node->shelf);
    flush_close(&node->flush);
    state_close(&node->state);
    bytes_close(&node->buffers.rows);
    bytes_close(&node->buffers.records);
    snprintf(command, sizeof command, "rm -rf %s", node->directory);
    assert_int_equal(system(command), 0);
}

/* Hands over and seals every complete part. */
static inline void seal_all(struct node *node)
{
    write_state(node);
    for (uint32_t part = 0; part + 1 < PARTS && node->segments[part + 1] != NULL; part++) {
        if (node->segments[part] == NULL)
            continue;
        assert_true(shelf_take(&node->shelf, node->segments[part]));
        node->segments[part] = NULL;
    }
    uint32_t steps = 0;
    while (sealer_due(&node->sealer, &node->shelf, node->apply.at.index, 1000)) {
        assert_int_equal(sealer_step(&node->sealer, &node->shelf, 1000), ERR_NONE);
        assert_true(++steps < 100);
    }
}

/* What recovery would find. */
static inline struct storage_found node_found(struct node *node,
                                              struct storage_segment segments[PARTS])
{
    struct storage_found found = {.segments = segments, .first_index = 1};
    for (uint32_t part = 0; part < PARTS && node->paths[part][0]; part++) {
        char index[160];
        snprintf(index, sizeof index, "%s.index", node->paths[part]);
        const struct shelf_part *was = node->shelf.parts[part];
        segments[part] = (struct storage_segment){
            .path = node->paths[part],
            .number = part + 1,
            .first = was->first,
            .last = was->last < node->kit.last ? was->last : node->kit.last,
            .sealed = node->segments[part] == NULL,
            .indexed = access(index, F_OK) == 0};
        found.segment_count = part + 1;
        found.last_index = segments[part].last;
    }
    return found;
}

/* Forgets all that is in memory and opens the files again. */
static inline enum err restart(struct node *node)
{
    struct storage_segment segments[PARTS] = {0};
    struct storage_found found = node_found(node, segments);
    struct apply_mark mark;
    shelf_close(&node->shelf);
    state_close(&node->state);
    assert_int_equal(state_open(&node->state, node->state_path), ERR_NONE);
    assert_int_equal(state_mark(&node->state, &mark), ERR_NONE);
    assert_int_equal(shelf_open(&node->shelf, &found), ERR_NONE);
    return rebuild_shelf(&node->shelf, &node->state, &mark);
}

/* Flips a bit of each `find` in a file: SQLite leaves old copies of a row behind. */
static inline void node_damage(const char *path, const char *find)
{
    static char content[1 << 20];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof content, file);
    char *at = memmem(content, size, find, strlen(find));
    assert_non_null(at);
    for (; at != NULL; at = memmem(content, size, find, strlen(find)))
        *at ^= 1;
    rewind(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- reading -------------------------------------------------------------------------------- */

static inline enum err first_use(void *owner, struct span tag, uint64_t *id)
{
    struct node *node = owner;
    struct state_tag known;
    TRY(flush_tag(&node->flush, &node->state, tag, &known));
    *id = known.first;
    return ERR_NONE;
}

static inline enum err newest_of(void *owner, struct span key, uint64_t *id)
{
    struct node *node = owner;
    struct statekeys_row row;
    TRY(collection_find(&node->flush.collection, &node->state.keys, key, &row));
    *id = row.id;
    return ERR_NONE;
}

static inline const struct message_page *ask(struct node *node, struct message_read read,
                                             const char *tag)
{
    const struct query_tags tags = {first_use, newest_of, node};
    if (tag != NULL)
        read.tags.at[read.tags.count++] = SPAN_TEXT(tag);
    query_read(&node->shelf, &tags, &read, &node->buffers, &node->page.page);
    return &node->page.page;
}

/* The ids of a page, each row checked. */
static inline uint32_t ids_of(const struct message_page *page, uint64_t *ids)
{
    struct span rest = page->rows, row, hash;
    struct change change;
    uint32_t count = 0;
    uint64_t ts;
    while (rest.size > 0) {
        size_t size = wire_size(rest);
        assert_true(size > 0);
        row = SPAN(rest.data, size);
        rest = SPAN(rest.data + size, rest.size - size);
        assert_int_equal(change_row_decode(row, &ids[count++], &ts, &hash, &change), ERR_NONE);
    }
    assert_int_equal(count, page->count);
    return count;
}

#endif
