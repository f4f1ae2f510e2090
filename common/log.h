/* log.h - one line per event, `level process key=value …`, on stderr.
 *
 *   log_info("elected", kv_u64("term", term), kv_text("leader", id));
 *
 * error: an operator must act. warn: the system helped itself. info: a state
 * changed. debug: everything else. Never a key, never a client's data. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/bytes.h"
#include "common/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct kv {
    const char *key;
    const char *text; /* NULL: the number counts */
    size_t text_size;
    uint64_t number;
};

static inline struct kv kv_u64(const char *key, uint64_t number)
{
    return (struct kv){key, NULL, 0, number};
}

static inline struct kv kv_span(const char *key, struct span text)
{
    return (struct kv){key, text.data ? (const char *)text.data : "", text.size, 0};
}

static inline struct kv kv_text(const char *key, const char *text)
{
    return (struct kv){key, text, strlen(text), 0};
}

static inline struct kv kv_err(enum err err)
{
    return kv_text("error", err_name(err));
}

void log_open(const char *process, enum log_level level); /* lends `process` for ever */
void log_write(enum log_level level, const char *event, const struct kv *kvs, size_t count);

#define LOG_AT(level, event, ...)                                    \
    log_write(level, event, (const struct kv[]){{0}, ##__VA_ARGS__}, \
              COUNT_OF(((const struct kv[]){{0}, ##__VA_ARGS__})))
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, event, ##__VA_ARGS__)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, ##__VA_ARGS__)

#endif
