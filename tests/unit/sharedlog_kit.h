/* sharedlog_kit.h - the log that fake nodes share, as a cluster does: changes by id, chained. */
#ifndef TESTS_UNIT_SHAREDLOG_KIT_H
#define TESTS_UNIT_SHAREDLOG_KIT_H

#include "protocol/change.h"
#include "protocol/message.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG_MAX = 4096, TAGS = 4 };

struct stored {
    uint8_t txid[16];
    char data[32];
    char tags[TAGS][16];
    uint32_t tag_count;
    uint8_t hash[32];
};

struct shared_log {
    pthread_mutex_t lock;
    uint64_t last_id;
    struct stored at[LOG_MAX + 1]; /* by id */
};

static inline bool has_tag(const struct stored *stored, struct span tag)
{
    for (uint32_t i = 0; i < stored->tag_count; i++)
        if (span_is(tag, stored->tags[i]))
            return true;
    return false;
}

static inline bool matches(const struct stored *stored, const struct texts *tags)
{
    for (uint32_t i = 0; i < tags->count; i++)
        if (has_tag(stored, tags->at[i]))
            return true;
    return tags->count == 0;
}

static inline uint64_t id_of_txid(struct shared_log *log, const uint8_t *txid)
{
    for (uint64_t id = 1; id <= log->last_id; id++)
        if (memcmp(log->at[id].txid, txid, 16) == 0)
            return id;
    return 0;
}

static inline struct change change_of(const struct stored *stored)
{
    struct change change = {.data = SPAN_TEXT(stored->data)};
    for (uint32_t i = 0; i < stored->tag_count; i++)
        change.tags.at[change.tags.count++] = SPAN_TEXT(stored->tags[i]);
    return change;
}

/* One change for each put is enough for a fake. */
static inline uint64_t append(struct shared_log *log, const struct message_put *put)
{
    struct change_walk walk;
    struct change change;
    struct stored *stored = &log->at[log->last_id + 1];
    change_walk_begin(&walk, put->body);
    if (!change_walk_next(&walk, &change) || change.data.size >= sizeof stored->data)
        abort();
    memcpy(stored->txid, put->txid.data, 16);
    memcpy(stored->data, change.data.data, change.data.size);
    for (uint32_t i = 0; i < change.tags.count && i < TAGS; i++)
        snprintf(stored->tags[stored->tag_count++], sizeof stored->tags[0], "%.*s",
                 (int)change.tags.at[i].size, (const char *)change.tags.at[i].data);
    log->last_id++;
    change = change_of(stored);
    change_hash(log->at[log->last_id - 1].hash, log->last_id, log->last_id, &change, stored->hash);
    return log->last_id;
}

#endif
