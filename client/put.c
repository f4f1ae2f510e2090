/* put.c - writing: changes into a body, a body into an ask, the answer into a result. */
#include "client/client.h"

#include "common/clock.h"
#include "protocol/change.h"
#include "protocol/wire.h"

#include <stdlib.h>

static bool encode_headers(const struct ca_headers *headers, struct bytes *out)
{
    wire_pack_map(out, headers->count);
    for (uint32_t i = 0; i < 2 * headers->count; i++) {
        if (headers->pairs[i] == NULL)
            return false;
        wire_pack_text(out, SPAN_TEXT(headers->pairs[i]));
    }
    return true;
}

static bool encode_change(const struct ca_change *change, struct bytes *headers, struct bytes *out)
{
    struct change row = {
        .type = change->type,
        .has_key = change->key != NULL,
        .removes = change->removes,
        .key = client_text(change->key),
        .ctype = client_text(change->ctype),
        .data = SPAN(change->data.data, change->data.size),
    };
    bytes_clear(headers);
    if (change->tag_count > TEXTS_MAX)
        return false;
    for (uint32_t i = 0; i < change->tag_count; i++)
        row.tags.at[row.tags.count++] = client_text(change->tags[i]);
    if (change->headers.count > 0) {
        if (!encode_headers(&change->headers, headers))
            return false;
        row.headers = bytes_span(headers);
    }
    change_body_add(out, &row);
    return true;
}

static enum ca_code encode_body(struct ca *ca, const struct ca_change *changes, size_t count,
                                struct bytes *out)
{
    SCOPED(bytes) headers = {.soft = true};
    if (count == 0 || count > CHANGES_MAX)
        return client_fail(ca, CA_USAGE, ERR_LIMIT, "a put has 1 to 1024 changes");
    change_body_begin(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        if (!encode_change(&changes[i], &headers, out))
            return client_fail(ca, CA_USAGE, ERR_LIMIT, "too many tags, or a header is NULL");
    return out->failed || headers.failed ? client_no_memory(ca) : CA_OK;
}

static enum ca_code check_body(struct ca *ca, struct span body, enum change_form form)
{
    const char *detail = NULL;
    uint32_t count;
    enum err err = change_body_check(body, form, &change_limits_default, &count, &detail);
    return err == ERR_NONE ? CA_OK : client_fail(ca, CA_USAGE, err, detail);
}

enum ca_code put_open(struct ca *ca, const struct ca_write *write, struct ask **gives)
{
    struct ask *ask = client_ask_open(ca, MESSAGE_PUT);
    *gives = ask;
    if (ask == NULL)
        return client_no_memory(ca);
    struct message_put *put = &ask->message.put;
    ask->named = write != NULL;
    if (write != NULL)
        ask->result.write = *write;
    else
        txid_draw(ca->txids, ask->result.write.txid, TXID_SIZE);
    put->txid = SPAN(ask->result.write.txid, TXID_SIZE);
    put->born = ask->result.write.born;
    return CA_OK;
}

enum ca_code put_seal(struct ca *ca, struct ask *ask)
{
    struct message_put *put = &ask->message.put;
    enum change_form form = put->import ? CHANGE_IMPORT : CHANGE_PUT;
    put->body = bytes_span(&ask->own);
    enum ca_code code = CA_OK;
    if (ask->own.failed)
        code = client_no_memory(ca);
    else if (!put->settings && !put->holder && !put->rule) /* the server knows its own rules best */
        code = check_body(ca, put->body, form);
    if (code != CA_OK)
        client_ask_close(ca, ask);
    return code;
}

static enum ca_code open_changes(struct ca *ca, const struct ca_write *write,
                                 const struct ca_change *changes, size_t count, struct ask **gives)
{
    enum ca_code code = put_open(ca, write, gives);
    if (code != CA_OK)
        return code;
    code = encode_body(ca, changes, count, &(*gives)->own);
    if (code != CA_OK) {
        client_ask_close(ca, *gives);
        return code;
    }
    return put_seal(ca, *gives);
}

static void take_put(struct ca_result *result, const struct message_put_done *done)
{
    result->error = (struct ca_error){.code = CA_OK};
    result->id = done->id;
    result->last_id = done->last_id;
    result->ts = done->ts;
    if (done->hash.size == sizeof result->hash)
        memcpy(result->hash, done->hash.data, sizeof result->hash);
    client_copy_text(result->history, sizeof result->history, done->history);
    client_copy_text(result->cursor, sizeof result->cursor, done->cursor);
}

static void put_finished(struct ca *ca, struct ask *ask, const struct message *answer)
{
    if (answer != NULL)
        take_put(&ask->result, &answer->put_done);
    ask->kept = true;
    client_queue_push(&ca->finished, ask);
}

/* A blocking put waits on its own struct. */
struct put_wait {
    bool over;
    struct ca_result *result;
};

static void put_wait_over(struct ca *ca, struct ask *ask, const struct message *answer)
{
    struct put_wait *wait = ask->owner;
    if (answer != NULL)
        take_put(&ask->result, &answer->put_done);
    *wait->result = ask->result;
    wait->over = true;
}

enum ca_code put_finish(struct ca *ca, struct ask *ask, enum ca_code code, struct ca_result *result)
{
    struct ca_result own;
    struct put_wait wait = {.result = result != NULL ? result : &own};
    if (code != CA_OK) {
        *wait.result = (struct ca_result){.error = ca->error};
        return code;
    }
    client_ask_start(ca, ask, put_wait_over, &wait);
    while (!wait.over)
        client_work(ca, 1000);
    code = wait.result->error.code;
    return code == CA_OK ? CA_OK : client_failed_as(ca, &wait.result->error);
}

enum ca_code ca_put_named(struct ca *ca, const struct ca_write *write,
                          const struct ca_change *changes, size_t count, struct ca_result *result)
{
    struct ask *ask;
    enum ca_code code = open_changes(ca, write, changes, count, &ask);
    return put_finish(ca, ask, code, result);
}

static enum ca_code encode_rows(struct ca *ca, const struct ca_row *rows, size_t count,
                                struct bytes *out)
{
    if (count == 0 || count > CHANGES_MAX)
        return client_fail(ca, CA_USAGE, ERR_LIMIT, "an import has 1 to 1024 changes");
    change_body_begin(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct ca_row *row = &rows[i];
        struct change change = {
            .type = row->type,
            .has_key = row->has_key,
            .removes = row->removes,
            .key = SPAN(row->key.data, row->key.size),
            .ctype = SPAN(row->ctype.data, row->ctype.size),
            .data = SPAN(row->data.data, row->data.size),
            .headers = SPAN(row->headers.data, row->headers.size),
            .id = row->id,
            .ts = row->ts,
            .hash = SPAN(row->hash.data, row->hash.size),
        };
        if (row->id == 0 || row->tag_count > TEXTS_MAX)
            return client_fail(ca, CA_USAGE, ERR_LIMIT, "a row without id, or too many tags");
        for (uint32_t tag = 0; tag < row->tag_count; tag++)
            change.tags.at[change.tags.count++] = SPAN(row->tags[tag].data, row->tags[tag].size);
        change_body_add(out, &change);
    }
    return CA_OK;
}

enum ca_code ca_import(struct ca *ca, const struct ca_row *rows, size_t count,
                       struct ca_result *result)
{
    struct ask *ask;
    enum ca_code code = put_open(ca, NULL, &ask);
    if (code == CA_OK) {
        ask->message.put.import = true;
        code = encode_rows(ca, rows, count, &ask->own);
        if (code != CA_OK)
            client_ask_close(ca, ask);
        else
            code = put_seal(ca, ask);
    }
    return put_finish(ca, ask, code, result);
}

enum ca_code ca_put(struct ca *ca, const struct ca_change *changes, size_t count,
                    struct ca_result *result)
{
    return ca_put_named(ca, NULL, changes, count, result);
}

static enum err take_born(void *into, const struct message *answer)
{
    return ERR_NONE;
}

enum ca_code ca_write_new(struct ca *ca, struct ca_write *write)
{
    txid_draw(ca->txids, write->txid, TXID_SIZE);
    uint64_t end = clock_now_ms() + ca->options.timeout_ms;
    while (ca->born == 0 && clock_now_ms() < end) {
        struct ask *ask = client_ask_open(ca, MESSAGE_HEAD); /* any answer tells it */
        if (ask == NULL)
            return client_no_memory(ca);
        enum ca_code code = client_wait_for(ca, ask, take_born, NULL);
        if (code != CA_OK)
            return code;
    }
    write->born = ca->born;
    return ca->born != 0 ? CA_OK : client_fail(ca, CA_TIMEOUT, ERR_TIMEOUT, NULL);
}

static enum ca_code start_put(struct ca *ca, struct ask *ask, void *token, uint64_t *number)
{
    ask->result.token = token;
    client_ask_start(ca, ask, put_finished, NULL);
    ca->puts++;
    if (number != NULL)
        *number = ask->number;
    return CA_OK;
}

enum ca_code ca_put_begin(struct ca *ca, const struct ca_write *write,
                          const struct ca_change *changes, size_t count, void *token,
                          uint64_t *number)
{
    struct ask *ask;
    if (ca->puts >= ca->options.outstanding)
        return CA_AGAIN;
    enum ca_code code = open_changes(ca, write, changes, count, &ask);
    return code == CA_OK ? start_put(ca, ask, token, number) : code;
}

enum ca_code ca_put_body(struct ca *ca, const struct ca_write *write, struct ca_bytes body,
                         void *token, uint64_t *number)
{
    struct ask *ask;
    if (ca->puts >= ca->options.outstanding)
        return CA_AGAIN;
    if (body.size > ca->body_bytes_max)
        return client_fail(ca, CA_USAGE, ERR_LIMIT, "the body is over the limit of hello");
    enum ca_code code = put_open(ca, write, &ask);
    if (code != CA_OK)
        return code;
    bytes_append(&ask->own, body.data, body.size);
    code = put_seal(ca, ask);
    return code == CA_OK ? start_put(ca, ask, token, number) : code;
}

enum ca_code ca_body_encode(struct ca *ca, const struct ca_change *changes, size_t count,
                            void **body, size_t *size)
{
    SCOPED(bytes) out = {.soft = true};
    *body = NULL;
    enum ca_code code = encode_body(ca, changes, count, &out);
    if (code == CA_OK)
        code = check_body(ca, bytes_span(&out), CHANGE_PUT);
    if (code != CA_OK)
        return code;
    *body = malloc(out.size);
    if (*body == NULL)
        return client_no_memory(ca);
    memcpy(*body, out.data, out.size);
    *size = out.size;
    return CA_OK;
}

void ca_body_free(void *body)
{
    free(body);
}

enum ca_code ca_next(struct ca *ca, struct ca_result *result)
{
    struct ask *ask = client_queue_pop(&ca->finished);
    if (ask == NULL)
        return CA_AGAIN;
    *result = ask->result;
    ca->puts--;
    client_ask_close(ca, ask);
    return CA_OK;
}

enum ca_code ca_cancel(struct ca *ca, uint64_t number)
{
    struct ask *ask = client_ask_find(ca, number);
    if (ask == NULL || ask->done != put_finished)
        return client_fail(ca, CA_NOT_FOUND, ERR_NOT_FOUND, "that put has finished");
    client_ask_cancel(ca, ask);
    return CA_OK;
}

uint32_t ca_outstanding(const struct ca *ca)
{
    return ca->puts;
}
