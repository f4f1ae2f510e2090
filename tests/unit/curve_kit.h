/* curve_kit.h - a handshake of CURVE that went well, and what each side knew before each command.
 *
 * A command that must be refused is tried on a copy of the side that waits for it, so one
 * handshake serves many lies; the bytes are copied to where a read beyond their end is seen. */
#ifndef TESTS_UNIT_CURVE_KIT_H
#define TESTS_UNIT_CURVE_KIT_H

#include "protocol/curve.h"

#include "tests/unit/test.h"

#include <sodium.h>
#include <stdlib.h>

enum { HELLO, WELCOME, INITIATE, READY, COMMANDS };
enum { HELLO_KEY = 80, COOKIE_AT = 9, NUMBER_AT = 105, BOX_AT = 113, VOUCH_SIZE = 80 };

static const char client_words[] = "what the client tells", server_words[] = "and the server";

/* A handshake that went well: what was said, and who heard it as it was before. */
struct talk {
    struct keys client_keys, server_keys;
    struct curve client, server;
    struct curve takers[COMMANDS];
    struct bytes said[COMMANDS];
    struct bytes client_heard, server_heard;
};

static inline void talk_close(struct talk *talk)
{
    for (int i = 0; i < COMMANDS; i++)
        bytes_close(&talk->said[i]);
    bytes_close(&talk->client_heard);
    bytes_close(&talk->server_heard);
}

static inline void make_keys(struct keys *keys)
{
    CHECK(sodium_init() >= 0);
    *keys = (struct keys){0};
    crypto_box_keypair(keys->public_key, keys->secret_key);
}

static inline void take(struct talk *talk, int command, struct curve *taker, struct span words,
                        struct bytes *answer, struct bytes *heard)
{
    talk->takers[command] = *taker;
    CHECK(curve_take(taker, bytes_span(&talk->said[command]), words, answer, heard) == ERR_NONE);
}

static inline void talk_with(struct talk *talk, struct span from_client, struct span from_server)
{
    SCOPED(bytes) nothing = {0};
    make_keys(&talk->client_keys);
    make_keys(&talk->server_keys);
    curve_open(&talk->client, &talk->client_keys, talk->server_keys.public_key);
    curve_open(&talk->server, &talk->server_keys, NULL);
    curve_say_hello(&talk->client, &talk->said[HELLO]);
    take(talk, HELLO, &talk->server, from_server, &talk->said[WELCOME], &talk->server_heard);
    take(talk, WELCOME, &talk->client, from_client, &talk->said[INITIATE], &talk->client_heard);
    CHECK(talk->server_heard.size == 0 && talk->client_heard.size == 0);
    take(talk, INITIATE, &talk->server, from_server, &talk->said[READY], &talk->server_heard);
    take(talk, READY, &talk->client, from_client, &nothing, &talk->client_heard);
    CHECK(nothing.size == 0);
}

static inline void talk_open(struct talk *talk)
{
    talk_with(talk, SPAN_TEXT(client_words), SPAN_TEXT(server_words));
}

static inline enum err try_command(const struct curve *taker, struct span command)
{
    struct curve copy = *taker;
    SCOPED(bytes) out = {0}, heard = {0};
    uint8_t *exact = malloc(command.size);
    memcpy(exact, command.data, command.size);
    enum err err = curve_take(&copy, SPAN(exact, command.size), SPAN_TEXT("words"), &out, &heard);
    free(exact);
    return err;
}

static inline enum err try_box(const struct curve *taker, struct span command)
{
    struct curve copy = *taker;
    struct span body;
    uint8_t *exact = malloc(command.size), flags;
    memcpy(exact, command.data, command.size);
    enum err err = curve_unseal(&copy, exact, command.size, &flags, &body);
    free(exact);
    return err;
}

/* The whole command: what stands before the body, and the body. */
static inline void seal(struct curve *curve, struct bytes *box, struct span body, uint8_t flags)
{
    bytes_clear(box);
    uint8_t *at = bytes_reserve(box, CURVE_BEFORE + body.size);
    memset(at, 0xa5, CURVE_BEFORE);
    memcpy(at + CURVE_BEFORE, body.data, body.size);
    curve_seal(curve, at + CURVE_BEFORE, body.size, flags);
    box->size = CURVE_BEFORE + body.size;
}

static inline bool is_opened(struct curve *curve, const struct bytes *box, struct span body,
                             uint8_t flags)
{
    struct span got;
    uint8_t got_flags;
    SCOPED(bytes) copy = {0};
    bytes_append_span(&copy, bytes_span(box));
    return curve_unseal(curve, copy.data, copy.size, &got_flags, &got) == ERR_NONE &&
           span_equal(got, body) && got_flags == flags;
}

#endif
