/* page.c - what a read gave: one copy of the answer, and rows that point into it. */
#include "client/client.h"

#include "protocol/change.h"
#include "protocol/wire.h"

#include <stdlib.h>

struct ca_page {
    struct bytes copy;
    struct ca_row *rows;
    struct ca_bytes *tags; /* of all rows, one after the other */
    uint32_t count;
    struct ca_page_info info;
    char next[CLIENT_TEXT_MAX], prev[CLIENT_TEXT_MAX], next_key[CHANGE_KEY_MAX + 1];
};

struct ca_bytes page_bytes(struct span span)
{
    return (struct ca_bytes){span.data, span.size};
}

static void fill_row(struct ca_row *row, const struct change *change, struct ca_bytes *tags)
{
    row->type = change->type;
    row->has_key = change->has_key;
    row->removes = change->removes;
    row->data_size = change->data.size > 0 ? change->data.size : change->size;
    row->key = page_bytes(change->key);
    row->ctype = page_bytes(change->ctype);
    row->data = page_bytes(change->data);
    row->headers = page_bytes(change->headers);
    row->tags = tags;
    row->tag_count = change->tags.count;
    for (uint32_t i = 0; i < change->tags.count; i++)
        tags[i] = page_bytes(change->tags.at[i]);
}

/* Two passes: the first one counts, so that the lists are made once. */
static enum err walk_rows(struct ca_page *page, struct span rest, uint64_t count, uint64_t *tags)
{
    uint64_t used = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct span whole, hash;
        struct change change;
        uint64_t id, ts;
        if (!wire_take(&rest, &whole))
            return ERR_BAD_MESSAGE;
        TRY(change_row_decode(whole, &id, &ts, &hash, &change));
        if (page->rows != NULL) {
            page->rows[i] = (struct ca_row){.id = id, .ts = ts, .hash = page_bytes(hash)};
            fill_row(&page->rows[i], &change, page->tags + used);
        }
        used += change.tags.count;
    }
    *tags = used;
    return ERR_NONE;
}

static enum err read_rows(struct ca_page *page, bool single)
{
    struct span rest = bytes_span(&page->copy);
    struct wire_value array = {.number = 1};
    uint64_t tags;
    if (!single && rest.size > 0 && (!wire_next(&rest, &array) || array.kind != WIRE_ARRAY))
        return ERR_BAD_MESSAGE;
    uint64_t count = page->copy.size > 0 ? array.number : 0;
    TRY(walk_rows(page, rest, count, &tags));
    struct ca_row *rows = calloc(count + 1, sizeof *rows);
    page->tags = calloc(tags + 1, sizeof *page->tags);
    page->rows = rows;
    if (rows == NULL || page->tags == NULL)
        return ERR_NOMEM;
    page->count = (uint32_t)count;
    return walk_rows(page, rest, count, &tags);
}

enum err page_open(struct span rows, bool single, struct ca_page **page)
{
    *page = calloc(1, sizeof **page);
    if (*page == NULL)
        return ERR_NOMEM;
    (*page)->copy.soft = true;
    bytes_append_span(&(*page)->copy, rows);
    enum err err = (*page)->copy.failed ? ERR_NOMEM : read_rows(*page, single);
    if (err != ERR_NONE) {
        ca_page_close(*page);
        *page = NULL;
    }
    return err;
}

void page_note(struct ca_page *page, const struct message_list_is *answer)
{
    client_copy_text(page->next, sizeof page->next, answer->next);
    client_copy_text(page->prev, sizeof page->prev, answer->prev);
    page->info = (struct ca_page_info){
        .at_start = answer->at_start,
        .at_end = answer->at_end,
        .first_id = answer->first_id,
        .last_id = answer->last_id,
        .scanned_to = answer->scanned_to,
        .clock_error_ns = answer->clock_error_ns,
        .next = page->next,
        .prev = page->prev,
    };
}

void page_note_keys(struct ca_page *page, const struct message_scan_is *answer)
{
    client_copy_text(page->next_key, sizeof page->next_key, answer->next);
    page->info = (struct ca_page_info){.at_end = answer->at_end,
                                       .last_id = answer->last_id,
                                       .next = page->next,
                                       .prev = page->prev,
                                       .next_key = page->next_key};
}

void ca_page_close(struct ca_page *page)
{
    if (page == NULL)
        return;
    bytes_close(&page->copy);
    free(page->rows);
    free(page->tags);
    free(page);
}

uint32_t ca_page_count(const struct ca_page *page)
{
    return page->count;
}

const struct ca_row *ca_page_row(const struct ca_page *page, uint32_t slot)
{
    return slot < page->count ? &page->rows[slot] : NULL;
}

void ca_page_info(const struct ca_page *page, struct ca_page_info *info)
{
    *info = page->info;
}

/* The first call finds the head of the map; what it leaves in `headers` are bare pairs. */
bool ca_header_next(struct ca_bytes *headers, struct ca_bytes *name, struct ca_bytes *value)
{
    struct span rest = SPAN(headers->data, headers->size);
    struct wire_value first, second;
    if (rest.size == 0 || !wire_next(&rest, &first))
        return false;
    if (first.kind == WIRE_MAP && (first.number == 0 || !wire_next(&rest, &first)))
        return false;
    if (first.kind != WIRE_TEXT || !wire_next(&rest, &second) || second.kind != WIRE_TEXT)
        return false;
    *name = page_bytes(first.bytes);
    *value = page_bytes(second.bytes);
    *headers = page_bytes(rest);
    return true;
}
