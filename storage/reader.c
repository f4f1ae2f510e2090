#include "storage/reader.h"

void reader_close(struct reader *reader)
{
    bytes_close(&reader->buffers.rows);
    bytes_close(&reader->buffers.records);
    bytes_close(&reader->next);
}

static enum err first_use(void *owner, struct span tag, uint64_t *id)
{
    struct reader *reader = owner;
    struct state_tag known;
    TRY(flush_tag(&reader->late->flush, &reader->late->state, tag, &known));
    *id = known.first;
    return ERR_NONE;
}

static enum err newest_of(void *owner, struct span key, uint64_t *id)
{
    struct reader *reader = owner;
    struct statekeys_row row;
    TRY(collection_find(&reader->late->flush.collection, &reader->late->state.keys, key, &row));
    *id = row.id;
    return ERR_NONE;
}

bool reader_read(struct reader *reader, uint32_t neighbour, const struct message_read *read)
{
    const struct query_tags tags = {first_use, newest_of, reader};
    struct message answer = {.type = MESSAGE_PAGE};
    if (reader->late->lost) {
        answer.page.ticket = read->ticket;
        answer.page.error = SPAN_TEXT(err_name(ERR_BEHIND));
    } else {
        query_read(reader->shelf, &tags, read, &reader->buffers, &answer.page);
    }
    link_tell(reader->link, neighbour, &answer);
    reader->reads++;
    reader->rows += answer.page.count;
    return span_is(answer.page.error, "E_CORRUPT");
}

bool reader_weigh(struct reader *reader, uint32_t neighbour, const struct message_weigh *ask)
{
    struct message answer = {.type = MESSAGE_WEIGHED};
    if (reader->late->lost) {
        answer.weighed.ticket = ask->ticket;
        answer.weighed.error = SPAN_TEXT(err_name(ERR_BEHIND));
    } else {
        count_read(reader->shelf, ask, &reader->buffers, &answer.weighed);
    }
    link_tell(reader->link, neighbour, &answer);
    reader->reads++;
    return span_is(answer.weighed.error, "E_CORRUPT");
}

static uint64_t preset(uint64_t asked, uint64_t preset, uint64_t max)
{
    return asked == 0 ? preset : asked < max ? asked : max;
}

static enum err find_key(struct reader *reader, const struct message_scan_keys *ask,
                         struct message_keys_are *are)
{
    struct late *late = reader->late;
    struct statekeys_row row;
    TRY(collection_find(&late->flush.collection, &late->state.keys, ask->after, &row));
    bytes_clear(&reader->buffers.rows);
    are->count = row.id > 0 && !row.removed;
    if (are->count > 0)
        bytes_append_span(&reader->buffers.rows, row.row);
    return ERR_NONE;
}

static enum err scan_keys(struct reader *reader, const struct message_scan_keys *ask,
                          struct message_keys_are *are)
{
    struct late *late = reader->late;
    struct collection_page page = {
        .after = ask->after,
        .prefix = ask->prefix,
        .limit = preset(ask->limit, COLLECTION_LIMIT_PRESET, COLLECTION_LIMIT_MAX),
        .bytes = preset(ask->bytes, MiB(1), COLLECTION_BYTES_MAX),
        .rows = &reader->buffers.rows,
        .next = &reader->next,
    };
    TRY(collection_scan(&late->flush.collection, &late->state.keys, &page));
    are->count = page.count;
    are->at_end = page.at_end;
    are->next = bytes_span(&reader->next);
    return ERR_NONE;
}

bool reader_scan(struct reader *reader, uint32_t neighbour, const struct message_scan_keys *ask)
{
    struct message answer = {.type = MESSAGE_KEYS_ARE};
    struct message_keys_are *are = &answer.keys_are;
    enum err err = reader->late->lost ? ERR_BEHIND
                   : ask->exact       ? find_key(reader, ask, are)
                                      : scan_keys(reader, ask, are);
    if (err == ERR_NONE)
        are->rows = bytes_span(&reader->buffers.rows);
    else
        *are = (struct message_keys_are){.error = SPAN_TEXT(err_name(err))};
    are->ticket = ask->ticket;
    are->last_id = reader->shelf->last_id;
    link_tell(reader->link, neighbour, &answer);
    reader->reads++;
    reader->rows += are->count;
    return err == ERR_CORRUPT;
}

enum err reader_tag_heads(struct reader *reader, uint32_t neighbour,
                          const struct message_tag_heads *ask)
{
    uint64_t heads[TEXTS_MAX];
    struct state_tag known;
    if (reader->late->lost)
        return ERR_NONE; /* nobody follows a node that says nothing of its head */
    for (uint32_t i = 0; i < ask->tags.count; i++) {
        TRY(flush_tag(&reader->late->flush, &reader->late->state, ask->tags.at[i], &known));
        heads[i] = known.last;
    }
    struct message answer = {.type = MESSAGE_TAG_HEADS_ARE};
    answer.tag_heads_are.ticket = ask->ticket;
    answer.tag_heads_are.last_id = reader->shelf->last_id;
    answer.tag_heads_are.ids = SPAN(heads, ask->tags.count * sizeof heads[0]);
    link_tell(reader->link, neighbour, &answer);
    return ERR_NONE;
}
