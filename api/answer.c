/* answer.c - fills answers; see answer.h. */
#include "api/answer.h"

#include "common/keys.h"
#include "protocol/wire.h"

#include <stdio.h>

#ifndef CHANGEAGENT_VERSION
#define CHANGEAGENT_VERSION "0.1.0"
#endif

enum { RETRY_AFTER_MS = 50, RETRY_AFTER_NOSPACE_MS = 1000 };

static const uint8_t no_hash[HASH_SIZE];

/* The way out, for a program that shows it to a person. */
#define TRUNCATED_REMEDY \
    "take what is before first_id from a dump or backup, then go on with since = first_id - 1"

#define FOREIGN_REMEDY "the cursor is of another log: ask the servers it came from, or begin anew"
#define HISTORY_REMEDY                                                                         \
    "this log was restored or begun anew behind change fork_id: begin from its start, or, if " \
    "your "                                                                                    \
    "cursor is of the history parent and not behind fork_id, go on with since = its id"

void answer_texts_close(struct answer_texts *texts)
{
    bytes_close(&texts->bytes);
}

static struct span print_history(const struct standing *standing, struct answer_texts *texts)
{
    snprintf(texts->history, sizeof texts->history, "%016llx",
             (unsigned long long)standing->history);
    bool known = standing->founded && request_knows_history(standing);
    return known ? SPAN_TEXT(texts->history) : (struct span){0};
}

static struct span print_cluster(const struct standing *standing, struct answer_texts *texts)
{
    cursor_hex(standing->cluster, CLUSTER_ID_SIZE, texts->cluster);
    return standing->founded ? SPAN_TEXT(texts->cluster) : (struct span){0};
}

static struct span print_cursor(const struct standing *standing, uint64_t id, const uint8_t *hash,
                                char text[CURSOR_TEXT_MAX])
{
    return SPAN(text, request_cursor(standing, id, hash, text));
}

void answer_failed(const struct standing *standing, enum err err, const char *detail,
                   struct message *out)
{
    *out = (struct message){.type = MESSAGE_FAILED};
    struct message_failed *failed = &out->failed;
    failed->error = SPAN_TEXT(err_name(err));
    failed->detail = SPAN_TEXT(detail != NULL ? detail : err_sentence(err));
    failed->retryable = err_retryable(err);
    failed->outcome = SPAN_TEXT(err_outcome_name(err));
    if (failed->retryable)
        failed->retry_after_ms = err == ERR_NOSPACE ? RETRY_AFTER_NOSPACE_MS : RETRY_AFTER_MS;
    failed->born = standing->ts;
    if (err == ERR_TRUNCATED) {
        failed->first_id = standing->first_id;
        failed->remedy = SPAN_TEXT(TRUNCATED_REMEDY);
    }
    if (err == ERR_HISTORY && standing->founded) {
        failed->history = SPAN_TEXT(standing->history_text);
        failed->parent = SPAN_TEXT(standing->parent_text);
        failed->fork_id = standing->fork_id;
        failed->remedy = SPAN_TEXT(standing->parent != 0 ? HISTORY_REMEDY : FOREIGN_REMEDY);
    }
}

void answer_put(const struct standing *standing, const struct effect *effect,
                const uint8_t hash[HASH_SIZE], struct answer_texts *texts, struct message *out)
{
    *out = (struct message){.type = MESSAGE_PUT_DONE};
    struct message_put_done *done = &out->put_done;
    done->id = effect->first_id;
    done->last_id = effect->last_id;
    done->ts = effect->ts;
    done->hash = SPAN(hash, HASH_SIZE);
    done->history = print_history(standing, texts);
    done->cursor = print_cursor(standing, effect->last_id, hash, texts->a);
    done->born = standing->ts;
    done->ack = SPAN("quorum", 6);
}

static void list_verbs(struct texts *verbs)
{
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX && verbs->count < TEXTS_MAX; type++) {
        const struct message_info *info = message_info(type);
        if (info->name != NULL && info->is_ask && info->from == PROCESS_CLIENT)
            verbs->at[verbs->count++] = SPAN_TEXT(info->name);
    }
}

static struct span print_node(uint64_t id, char text[32])
{
    if (id == 0)
        return (struct span){0};
    node_id_print(id, text);
    return SPAN_TEXT(text);
}

void answer_hello(const struct standing *standing, const char *stream, struct answer_texts *texts,
                  struct message *out)
{
    *out = (struct message){.type = MESSAGE_HELLO_IS};
    struct message_hello_is *is = &out->hello_is;
    is->protocol = PROTOCOL_VERSION;
    is->version = SPAN_TEXT(CHANGEAGENT_VERSION);
    is->node = print_node(standing->node, texts->node);
    is->cluster = print_cluster(standing, texts);
    is->history = print_history(standing, texts);
    is->born = standing->ts;
    is->last_id = standing->last_id;
    is->stream = SPAN_TEXT(stream);
    is->change_bytes_max = standing->settings.change_bytes;
    is->body_bytes_max = standing->settings.put_bytes;
    is->tags_max = standing->settings.tags;
    list_verbs(&is->verbs);
}

void answer_settings(const struct standing *standing, struct answer_texts *texts,
                     struct message *out)
{
    *out = (struct message){.type = MESSAGE_SETTINGS_ARE};
    bytes_clear(&texts->bytes);
    settings_encode(&standing->settings, &texts->bytes);
    out->settings_are.settings = bytes_span(&texts->bytes);
    out->settings_are.first_id = standing->first_id;
    out->settings_are.born = standing->ts;
}

void answer_holders(const struct standing *standing, struct answer_texts *texts,
                    struct message *out)
{
    *out = (struct message){.type = MESSAGE_HOLDERS_ARE};
    bytes_clear(&texts->bytes);
    holders_encode(&standing->holders, &texts->bytes);
    out->holders_are.holders = bytes_span(&texts->bytes);
    out->holders_are.first_id = standing->first_id;
    out->holders_are.born = standing->ts;
}

void answer_rules(const struct standing *standing, struct answer_texts *texts, struct message *out)
{
    *out = (struct message){.type = MESSAGE_RULES_ARE};
    bytes_clear(&texts->bytes);
    rules_encode(&standing->rules, &texts->bytes);
    out->rules_are.rules = bytes_span(&texts->bytes);
    out->rules_are.first_id = standing->first_id;
    out->rules_are.born = standing->ts;
}

void answer_head(const struct standing *standing, struct answer_texts *texts, struct message *out)
{
    *out = (struct message){.type = MESSAGE_HEAD_IS};
    struct message_head_is *is = &out->head_is;
    is->id = standing->last_id;
    is->ts = standing->ts;
    is->hash = SPAN(standing->hash, HASH_SIZE);
    is->cursor = print_cursor(standing, standing->last_id, standing->hash, texts->a);
    is->stale = !standing->synced || standing->leader == 0;
    is->born = standing->ts;
}

void answer_status(const struct standing *standing, const char *name, struct answer_texts *texts,
                   struct message *out)
{
    *out = (struct message){.type = MESSAGE_STATUS_IS};
    struct message_status_is *is = &out->status_is;
    cursor_hex(standing->hash, HASH_SIZE, texts->hash);
    is->node = print_node(standing->node, texts->node);
    is->name = SPAN_TEXT(name);
    is->role = SPAN_TEXT(standing->role);
    is->term = standing->term;
    is->leader = print_node(standing->leader, texts->leader);
    /* What is applied is committed; consensus tells its index a little later. */
    is->commit_index = standing->commit_index > standing->applied_index ? standing->commit_index
                                                                        : standing->applied_index;
    is->applied_index = standing->applied_index;
    is->last_index = standing->last_index;
    is->first_id = standing->first_id;
    is->last_id = standing->last_id;
    is->cluster = print_cluster(standing, texts);
    is->history = print_history(standing, texts);
    is->chain = SPAN_TEXT(texts->hash);
    is->outcome_floor = standing->outcome_floor;
    is->waits_for = SPAN_TEXT(standing->waits_for);
}

/* An array around the rows, which storage encoded. */
static struct span wrap_rows(uint64_t count, struct span rows, struct answer_texts *texts)
{
    bytes_clear(&texts->bytes);
    wire_pack_array(&texts->bytes, (uint32_t)count);
    bytes_append_span(&texts->bytes, rows);
    return bytes_span(&texts->bytes);
}

static void answer_list(const struct standing *standing, const struct message_page *page,
                        struct answer_texts *texts, struct message *out)
{
    const uint8_t *next = page->next_hash.size == HASH_SIZE ? page->next_hash.data : no_hash;
    const uint8_t *prev = page->prev_hash.size == HASH_SIZE ? page->prev_hash.data : no_hash;
    *out = (struct message){.type = MESSAGE_LIST_IS};
    struct message_list_is *is = &out->list_is;
    is->changes = wrap_rows(page->count, page->rows, texts);
    is->at_start = page->at_start;
    is->at_end = page->at_end;
    is->first_id = page->first_id;
    is->last_id = page->last_id;
    is->next = print_cursor(standing, page->next_id, next, texts->a);
    is->prev = print_cursor(standing, page->prev_id, prev, texts->b);
    is->scanned_to = page->scanned_to;
    is->clock_error_ns = page->clock_error_ns;
    is->born = standing->ts;
}

void answer_page(const struct standing *standing, enum message_type verb,
                 const struct message_page *page, struct answer_texts *texts, struct message *out)
{
    if (page->error.size > 0) {
        enum err err = err_by_name((const char *)page->error.data, page->error.size);
        answer_failed(standing, err, NULL, out);
        if (err == ERR_TRUNCATED)
            out->failed.first_id = page->first_id;
    } else if (verb == MESSAGE_LIST) {
        answer_list(standing, page, texts, out);
    } else if (page->count == 0) {
        answer_failed(standing, ERR_NOT_FOUND, NULL, out);
    } else {
        *out = (struct message){.type = MESSAGE_GET_IS};
        out->get_is.change = page->rows;
        out->get_is.born = standing->ts;
    }
}

void answer_estimate(const struct standing *standing, const struct message_weighed *weighed,
                     struct message *out)
{
    if (weighed->error.size > 0) {
        enum err err = err_by_name((const char *)weighed->error.data, weighed->error.size);
        answer_failed(standing, err, NULL, out);
        if (err == ERR_TRUNCATED)
            out->failed.first_id = weighed->first_id;
        return;
    }
    *out = (struct message){.type = MESSAGE_ESTIMATE_IS};
    out->estimate_is.count = weighed->count;
    out->estimate_is.bytes = weighed->bytes;
    out->estimate_is.exact = weighed->exact;
    out->estimate_is.scanned_to = weighed->scanned_to;
    out->estimate_is.at_end = weighed->at_end;
    out->estimate_is.first_id = weighed->first_id;
    out->estimate_is.last_id = weighed->last_id;
    out->estimate_is.born = standing->ts;
}

void answer_keys(const struct standing *standing, enum message_type verb,
                 const struct message_keys_are *keys, struct answer_texts *texts,
                 struct message *out)
{
    if (keys->error.size > 0) {
        enum err err = err_by_name((const char *)keys->error.data, keys->error.size);
        answer_failed(standing, err, NULL, out);
    } else if (verb == MESSAGE_SCAN) {
        *out = (struct message){.type = MESSAGE_SCAN_IS};
        out->scan_is.changes = wrap_rows(keys->count, keys->rows, texts);
        out->scan_is.at_end = keys->at_end;
        out->scan_is.next = keys->next;
        out->scan_is.last_id = keys->last_id;
        out->scan_is.born = standing->ts;
    } else if (keys->count == 0) {
        answer_failed(standing, ERR_NOT_FOUND, "the key has no change, or was deleted", out);
    } else {
        *out = (struct message){.type = MESSAGE_GET_IS};
        out->get_is.change = keys->rows;
        out->get_is.born = standing->ts;
    }
}
