/* answer.h - PURE: what clients are told, from what the node knows.
 *
 * Each call fills a message whose spans are lent from its arguments and from
 * the `struct answer_texts` that the caller keeps until it was sent. */
#ifndef API_ANSWER_H
#define API_ANSWER_H

#include "api/request.h"
#include "protocol/effect.h"

struct answer_texts {
    char a[CURSOR_TEXT_MAX], b[CURSOR_TEXT_MAX], cluster[33], history[17], hash[65], node[32],
        leader[32];
    struct bytes bytes;
};

void answer_texts_close(struct answer_texts *texts);

void answer_failed(const struct standing *standing, enum err err, const char *detail,
                   struct message *out);
void answer_put(const struct standing *standing, const struct effect *effect,
                const uint8_t hash[HASH_SIZE], struct answer_texts *texts, struct message *out);
void answer_hello(const struct standing *standing, const char *stream, struct answer_texts *texts,
                  struct message *out);
void answer_settings(const struct standing *standing, struct answer_texts *texts,
                     struct message *out);
void answer_holders(const struct standing *standing, struct answer_texts *texts,
                    struct message *out);
void answer_rules(const struct standing *standing, struct answer_texts *texts, struct message *out);
void answer_head(const struct standing *standing, struct answer_texts *texts, struct message *out);
void answer_status(const struct standing *standing, const char *name, struct answer_texts *texts,
                   struct message *out);

/* A page for LIST or GET; a FAILED where storage says so. */
void answer_page(const struct standing *standing, enum message_type verb,
                 const struct message_page *page, struct answer_texts *texts, struct message *out);

void answer_estimate(const struct standing *standing, const struct message_weighed *weighed,
                     struct message *out);

/* Keys for SCAN or GET. */
void answer_keys(const struct standing *standing, enum message_type verb,
                 const struct message_keys_are *keys, struct answer_texts *texts,
                 struct message *out);

#endif
