/* port_kit.h - ports for tests: each with a loop of its own, and all turned together until
 * something has happened. A message is known by its number: the frames it must have follow. */
#ifndef TESTS_UNIT_PORT_KIT_H
#define TESTS_UNIT_PORT_KIT_H

#include "protocol/port.h"

#include "common/clock.h"
#include "tests/unit/test.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum { PARTIES_MAX = 8, DEADLINE_MS = 20000 };

struct party {
    struct loop loop;
    struct port port;
    struct port_rules rules;
    struct zmtp_rules accepts, calls;
    struct keys keys;
    struct conn conn; /* that we call with */
    char endpoint[ADDRESS_TEXT_MAX];
    uint32_t ups, downs, messages;
    uint64_t last; /* the connection that came up, or spoke, last */
    void (*hear)(struct party *party, struct conn *from, const struct zmtp_message *message);
    void (*rise)(struct party *party, struct conn *conn);
    void (*fall)(struct party *party, struct conn *conn);
    bool refuses, away; /* lets no key in; is not turned */
};

static struct party *parties[PARTIES_MAX];

/* ---- a party --------------------------------------------------------------------------------- */

static void on_party_message(void *owner, struct conn *from, const struct zmtp_message *message)
{
    struct party *party = owner;
    party->last = from->id;
    if (party->hear != NULL)
        party->hear(party, from, message);
    party->messages++;
}

static void on_party_up(void *owner, struct conn *conn)
{
    struct party *party = owner;
    party->ups++;
    party->last = conn->id;
    if (party->rise != NULL)
        party->rise(party, conn);
}

static void on_party_down(void *owner, struct conn *conn)
{
    struct party *party = owner;
    party->downs++;
    if (party->fall != NULL)
        party->fall(party, conn);
}

static bool party_allows(void *owner, const uint8_t key[KEY_SIZE])
{
    return !((struct party *)owner)->refuses;
}

static inline void make_keys(struct keys *keys)
{
    char public_text[KEY_TEXT_SIZE], secret_text[KEY_TEXT_SIZE];
    CHECK(zmq_curve_keypair(public_text, secret_text) == 0);
    CHECK(zmq_z85_decode(keys->public_key, public_text) != NULL);
    CHECK(zmq_z85_decode(keys->secret_key, secret_text) != NULL);
}

/* At rest; what a test wants different it changes before party_open. */
static inline struct party party_new(void)
{
    struct party party = {
        .accepts = {.type = "ROUTER", .listens = true, .frame_max = MiB(2), .allow = party_allows},
        .calls = {.type = "DEALER", .frame_max = MiB(2)},
        .rules = {.name = "test",
                  .waiting_max = MiB(4),
                  .handshake_ms = 3000,
                  .heartbeat_ms = 500,
                  .silence_ms = 3000,
                  .retry_ms = 5,
                  .retry_max_ms = 20,
                  .message = on_party_message,
                  .up = on_party_up,
                  .down = on_party_down}};
    return party;
}

/* It must not move from now on. Opens anew, too, what was closed. */
static inline void party_open(struct party *party, bool secure)
{
    uint32_t place = 0;
    party->rules.accepts = &party->accepts;
    party->rules.calls = &party->calls;
    if (secure && sodium_is_zero(party->keys.public_key, sizeof party->keys.public_key))
        make_keys(&party->keys);
    CHECK(port_open(&party->port, &party->rules, secure ? &party->keys : NULL, &party->loop,
                    party) == ERR_NONE);
    while (place < PARTIES_MAX && parties[place] != NULL)
        place++;
    CHECK(place < PARTIES_MAX);
    parties[place] = party;
}

static inline void party_listen(struct party *party, const char *endpoint)
{
    CHECK(port_listen(&party->port, endpoint) == ERR_NONE);
    port_endpoint(&party->port, party->endpoint);
}

/* A secure one calls with the key of the other. */
static inline void party_call(struct party *party, const char *endpoint, const struct party *other)
{
    CHECK(port_call(&party->port, &party->conn, endpoint,
                    party->port.keys != NULL ? other->keys.public_key : NULL) == ERR_NONE);
}

static inline void party_close(struct party *party)
{
    for (uint32_t i = 0; i < PARTIES_MAX; i++)
        if (parties[i] == party)
            parties[i] = NULL;
    port_close(&party->port);
}

/* One that a failed test left must not be turned by the next. */
static int forget_parties(void **state)
{
    memset(parties, 0, sizeof parties);
    return 0;
}
#define P(name) cmocka_unit_test_setup(name, forget_parties)

static inline void turn_all(void)
{
    for (uint32_t i = 0; i < PARTIES_MAX; i++)
        if (parties[i] != NULL && !parties[i]->away)
            loop_turn(&parties[i]->loop, 1);
}

#define UNTIL(condition)                                                  \
    for (uint64_t until_ = clock_now_ms() + DEADLINE_MS; !(condition);) { \
        CHECK(clock_now_ms() < until_);                                   \
        turn_all();                                                       \
    }

/* ---- messages by number ---------------------------------------------------------------------- */

static const size_t body_sizes[] = {0, 1, 255, 256, 65535, MiB(1)};

static inline size_t body_size(uint32_t number)
{
    return body_sizes[number % COUNT_OF(body_sizes)];
}

/* Before the body: so many frames, each with a size of its own. */
static inline uint32_t envelope_count(uint32_t number)
{
    return number / COUNT_OF(body_sizes) % ZMTP_FRAMES_MAX;
}

static inline size_t frame_size(uint32_t number, uint32_t frame)
{
    return frame < envelope_count(number) ? 127 * frame : body_size(number);
}

static inline uint8_t byte_at(uint32_t number, uint32_t frame, size_t at)
{
    return (uint8_t)(number * 7 + frame * 31 + at * 13 + at / 251);
}

static inline void fill_frame(uint32_t number, uint32_t frame, uint8_t *to)
{
    for (size_t i = 0; i < frame_size(number, frame); i++)
        to[i] = byte_at(number, frame, i);
}

static inline bool is_frame(uint32_t number, uint32_t frame, struct span got)
{
    bool right = got.size == frame_size(number, frame);
    for (size_t i = 0; right && i < got.size; i++)
        right = got.data[i] == byte_at(number, frame, i);
    return right;
}

/* Frames that a libzmq socket puts before are not counted. */
static inline bool is_message(uint32_t number, const struct span *frames, uint32_t count)
{
    bool right = count == envelope_count(number) + 1;
    for (uint32_t i = 0; right && i < count; i++)
        right = is_frame(number, i, frames[i]);
    return right;
}

static inline void say_number(struct conn *conn, uint32_t number)
{
    static uint8_t body[MiB(1)];
    for (uint32_t i = 0; i <= envelope_count(number); i++) {
        fill_frame(number, i, body);
        CHECK(zmtp_frame(&conn->zmtp, SPAN(body, frame_size(number, i)),
                         i < envelope_count(number)) == ERR_NONE);
    }
    conn_touch(conn);
}

/* Messages come in the order of their numbers. */
static inline void hear_in_order(struct party *party, struct conn *from,
                                 const struct zmtp_message *message)
{
    CHECK(is_message(party->messages, message->frames, message->count));
}

static inline void say_text(struct conn *conn, const char *text)
{
    CHECK(conn_has_room(conn) == ERR_NONE);
    CHECK(zmtp_frame(&conn->zmtp, SPAN_TEXT(text), false) == ERR_NONE);
    conn_touch(conn);
}

#endif
