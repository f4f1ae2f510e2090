/* zmtp_kit.h - two ends of a conversation of ZMTP, wired through memory, and bytes made by hand. */
#ifndef TESTS_UNIT_ZMTP_KIT_H
#define TESTS_UNIT_ZMTP_KIT_H

#include "protocol/zmtp.h"

#include "tests/unit/test.h"

#include <sodium.h>

enum { MORE = 1, LONG = 2, COMMAND = 4, BOXED_COMMAND = 2, HEAD = 9 };

#define ONE_PIECE SIZE_MAX

/* One end, and what it heard: of each message the count of its frames, then size and bytes of
 * each. `err` stays ERR_NOT_FOUND as long as the conversation lasts. */
struct end {
    struct zmtp zmtp;
    struct zmtp_rules rules;
    struct keys keys;
    struct bytes heard;
    uint32_t messages, count; /* how many were heard; frames of the last */
    enum err err;
    size_t room_max;       /* the most that ever was there for what arrives */
    uint32_t asked;        /* how often `allow` was */
    bool refuses;          /* what it says */
    uint8_t key[KEY_SIZE]; /* and of whom */
};

struct pair {
    struct end caller, listener;
    bool secure;
};

/* Sizes of pieces: all of 1..most from a seed, or most if there is no seed. */
struct pieces {
    size_t most;
    uint64_t seed;
};

static inline size_t next_piece(struct pieces *pieces)
{
    if (pieces->seed == 0)
        return pieces->most;
    pieces->seed ^= pieces->seed << 13;
    pieces->seed ^= pieces->seed >> 7;
    pieces->seed ^= pieces->seed << 17;
    return 1 + pieces->seed % pieces->most;
}

/* ---- opening --------------------------------------------------------------------------------- */

static inline bool allow(void *owner, const uint8_t key[KEY_SIZE])
{
    struct end *end = owner;
    end->asked++;
    memcpy(end->key, key, KEY_SIZE);
    return !end->refuses;
}

static inline void open_end(struct end *end, bool secure, const uint8_t *server)
{
    struct zmtp_keys keys = {secure ? &end->keys : NULL, server};
    end->err = ERR_NOT_FOUND;
    zmtp_open(&end->zmtp, &end->rules, keys, end);
}

static inline struct zmtp_rules rules_of(bool listens)
{
    return (struct zmtp_rules){.type = listens ? "ROUTER" : "DEALER",
                               .listens = listens,
                               .frame_max = MiB(8),
                               .allow = allow};
}

/* Rules may be changed between the two; nothing was said yet. */
static inline void pair_prepare(struct pair *pair, bool secure)
{
    *pair = (struct pair){.secure = secure};
    CHECK(sodium_init() >= 0);
    crypto_box_keypair(pair->caller.keys.public_key, pair->caller.keys.secret_key);
    crypto_box_keypair(pair->listener.keys.public_key, pair->listener.keys.secret_key);
    pair->caller.rules = rules_of(false);
    pair->listener.rules = rules_of(true);
}

static inline void pair_begin(struct pair *pair)
{
    const uint8_t *server = pair->secure ? pair->listener.keys.public_key : NULL;
    open_end(&pair->listener, pair->secure, NULL);
    open_end(&pair->caller, pair->secure, server);
}

static inline void pair_close(struct pair *pair)
{
    zmtp_close(&pair->caller.zmtp);
    zmtp_close(&pair->listener.zmtp);
    bytes_close(&pair->caller.heard);
    bytes_close(&pair->listener.heard);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static inline void note(struct bytes *log, const struct zmtp_message *message)
{
    bytes_append(log, &message->count, sizeof message->count);
    for (uint32_t i = 0; i < message->count && message->count <= ZMTP_FRAMES_MAX; i++) {
        bytes_append(log, &message->frames[i].size, sizeof message->frames[i].size);
        bytes_append_span(log, message->frames[i]);
    }
}

static inline void hear_all(struct end *end)
{
    struct zmtp_message message;
    while ((end->err = zmtp_next(&end->zmtp, &message)) == ERR_NONE) {
        note(&end->heard, &message);
        end->messages++;
        end->count = message.count;
    }
}

static inline size_t receive(struct end *end, struct span bytes, size_t piece)
{
    size_t size;
    uint8_t *at = zmtp_room(&end->zmtp, &size);
    size = size < piece ? size : piece;
    size = size < bytes.size ? size : bytes.size;
    memcpy(at, bytes.data, size);
    zmtp_received(&end->zmtp, size);
    if (end->zmtp.in.room > end->room_max)
        end->room_max = end->zmtp.in.room;
    return size;
}

/* Bytes arrive at an end, so many at once; until it has enough of them. */
static inline enum err hear(struct end *end, struct span bytes, size_t piece)
{
    while (bytes.size > 0 && end->err == ERR_NOT_FOUND) {
        size_t size = receive(end, bytes, piece);
        bytes = SPAN(bytes.data + size, bytes.size - size);
        hear_all(end);
    }
    return end->err;
}

static inline void carry(struct end *from, struct end *to, struct pieces *pieces)
{
    struct span waiting = zmtp_waiting(&from->zmtp);
    while (waiting.size > 0 && from->err == ERR_NOT_FOUND && to->err == ERR_NOT_FOUND) {
        size_t piece = next_piece(pieces);
        piece = piece < waiting.size ? piece : waiting.size;
        hear(to, SPAN(waiting.data, piece), piece);
        zmtp_sent(&from->zmtp, piece);
        waiting = zmtp_waiting(&from->zmtp);
    }
}

/* Until both have nothing more to say, or one has had enough. */
static inline void settle(struct pair *pair, struct pieces pieces)
{
    struct end *caller = &pair->caller, *listener = &pair->listener;
    while (caller->err == ERR_NOT_FOUND && listener->err == ERR_NOT_FOUND &&
           zmtp_waiting(&caller->zmtp).size + zmtp_waiting(&listener->zmtp).size > 0) {
        carry(caller, listener, &pieces);
        carry(listener, caller, &pieces);
    }
}

static inline void settle_at_once(struct pair *pair)
{
    settle(pair, (struct pieces){.most = ONE_PIECE});
}

static inline void pair_open(struct pair *pair, bool secure)
{
    pair_prepare(pair, secure);
    pair_begin(pair);
    settle_at_once(pair);
    CHECK(pair->caller.zmtp.step == ZMTP_READY && pair->listener.zmtp.step == ZMTP_READY);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static inline void add_greeting(struct bytes *wire, const char *mechanism)
{
    uint8_t greeting[ZMTP_GREETING_SIZE] = {0xff, [9] = 0x7f, [10] = 3, 1};
    memcpy(greeting + 12, mechanism, strlen(mechanism));
    bytes_append(wire, greeting, sizeof greeting);
}

static inline void add_head(struct bytes *wire, uint8_t flags, uint64_t size)
{
    uint8_t head[HEAD] = {flags | LONG};
    for (int i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(size >> 8 * (7 - i));
    bytes_append(wire, head, sizeof head);
}

/* The short head where it fits: ours are all long. */
static inline void add_frame(struct bytes *wire, uint8_t flags, struct span body)
{
    uint8_t head[2] = {flags, (uint8_t)body.size};
    if (body.size < 256)
        bytes_append(wire, head, sizeof head);
    else
        add_head(wire, flags, body.size);
    bytes_append_span(wire, body);
}

static inline void add_command(struct bytes *wire, const char *name, struct span body)
{
    SCOPED(bytes) command = {0};
    uint8_t size = (uint8_t)strlen(name);
    bytes_append(&command, &size, 1);
    bytes_append(&command, name, size);
    bytes_append_span(&command, body);
    add_frame(wire, COMMAND, bytes_span(&command));
}

static inline void add_property(struct bytes *metadata, const char *name, const char *value)
{
    uint8_t size = (uint8_t)strlen(name), length[4] = {0, 0, 0, (uint8_t)strlen(value)};
    bytes_append(metadata, &size, 1);
    bytes_append(metadata, name, size);
    bytes_append(metadata, length, sizeof length);
    bytes_append(metadata, value, length[3]);
}

/* A frame in a box of `end`. */
static inline void add_boxed(struct bytes *wire, struct end *end, uint8_t flags, struct span body)
{
    SCOPED(bytes) box = {0};
    uint8_t *at = bytes_reserve(&box, CURVE_BEFORE + body.size) + CURVE_BEFORE;
    if (body.size > 0)
        memcpy(at, body.data, body.size);
    curve_seal(&end->zmtp.curve, at, body.size, flags);
    box.size = CURVE_BEFORE + body.size;
    add_frame(wire, 0, bytes_span(&box));
}

/* A command to the other end of `from`, boxed or not as it is their way. */
static inline void add_ping(struct bytes *wire, struct end *from, struct span context)
{
    SCOPED(bytes) body = {0};
    bytes_append(&body, "\4PING\0\0", 7);
    bytes_append_span(&body, context);
    if (from->zmtp.secure)
        add_boxed(wire, from, BOXED_COMMAND, bytes_span(&body));
    else
        add_frame(wire, COMMAND, bytes_span(&body));
}

static inline void add_data(struct bytes *wire, struct end *from, struct span body, bool more)
{
    if (from->zmtp.secure)
        add_boxed(wire, from, more ? MORE : 0, body);
    else
        add_frame(wire, more ? MORE : 0, body);
}

#endif
