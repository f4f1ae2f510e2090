/* zmtp_fuzz.c - hostile bytes, in hostile pieces, against conversations of ZMTP: one that listens
 * and one that calls, NULL and CURVE, from the greeting on; and behind a handshake that went well,
 * in frames, and boxed by who has the keys. No crash, no look at what did not come, and memory
 * bounded by the rules and by what came. */
#include "protocol/zmtp.h"

#include <assert.h>
#include <sanitizer/asan_interface.h>
#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_MAX = 300, PIECES = 4, OUT_MAX = KiB(1100) };

/* What is kept of a message and of the frame behind it, with their heads. */
#define KEPT_MAX (FRAME_MAX + KiB(1) + FRAME_MAX + CURVE_BEFORE + 9)

static bool allow(void *owner, const uint8_t key[KEY_SIZE])
{
    return key[0] % 2 == 0;
}

static const struct zmtp_rules listens = {
    .type = "ROUTER", .listens = true, .frame_max = FRAME_MAX, .allow = allow};
static const struct zmtp_rules calls = {.type = "DEALER", .soft = true, .frame_max = FRAME_MAX};

/* Both ends of a handshake of CURVE, as it left them. */
struct ends {
    struct keys caller_keys, listener_keys;
    struct curve caller, listener;
};

static void shake_hands(struct ends *ends)
{
    SCOPED(bytes) hello = {0}, welcome = {0}, initiate = {0}, ready = {0}, heard = {0};
    crypto_box_keypair(ends->caller_keys.public_key, ends->caller_keys.secret_key);
    crypto_box_keypair(ends->listener_keys.public_key, ends->listener_keys.secret_key);
    curve_open(&ends->caller, &ends->caller_keys, ends->listener_keys.public_key);
    curve_open(&ends->listener, &ends->listener_keys, NULL);
    curve_say_hello(&ends->caller, &hello);
    enum err err = curve_take(&ends->listener, bytes_span(&hello), SPAN("", 0), &welcome, &heard);
    assert(err == ERR_NONE);
    err = curve_take(&ends->caller, bytes_span(&welcome), SPAN("", 0), &initiate, &heard);
    assert(err == ERR_NONE);
    err = curve_take(&ends->listener, bytes_span(&initiate), SPAN("", 0), &ready, &heard);
    assert(err == ERR_NONE);
    err = curve_take(&ends->caller, bytes_span(&ready), SPAN("", 0), &welcome, &heard);
    assert(err == ERR_NONE);
}

static const struct ends *ends(void)
{
    static struct ends once;
    if (once.caller.step != CURVE_DONE)
        shake_hands(&once);
    return &once;
}

/* ---- what must hold -------------------------------------------------------------------------- */

static void check_message(const struct zmtp *zmtp, const struct zmtp_message *message)
{
    size_t size = 0;
    uint8_t sum = 0;
    assert(zmtp->step == ZMTP_READY && message->count > 0);
    if (message->count > ZMTP_FRAMES_MAX)
        return;
    for (uint32_t i = 0; i < message->count; i++) {
        size += message->frames[i].size;
        for (size_t at = 0; at < message->frames[i].size; at++)
            sum ^= message->frames[i].data[at];
    }
    assert(size <= FRAME_MAX + KiB(1) && (sum == 0 || size > 0));
}

/* Once there is no more message in what came. */
static void check_memory(const struct zmtp *zmtp)
{
    assert(zmtp->in.size - zmtp->first <= KEPT_MAX);
    assert(zmtp->in.room <= 4 * zmtp->in.size + KiB(256));
    assert(zmtp_waiting(zmtp).size <= OUT_MAX);
}

/* ---- hearing --------------------------------------------------------------------------------- */

/* The input begins with the sizes of its pieces, which come round and round. */
struct pieces {
    const uint8_t *sizes;
    size_t turn;
};

/* The room behind what came is out of bounds as long as somebody looks at it. */
static enum err look(struct zmtp *zmtp)
{
    struct zmtp_message message;
    struct bytes *in = &zmtp->in;
    enum err err;
    ASAN_POISON_MEMORY_REGION(in->data + in->size, in->room - in->size);
    while ((err = zmtp_next(zmtp, &message)) == ERR_NONE)
        check_message(zmtp, &message);
    if (err == ERR_NOT_FOUND)
        check_memory(zmtp);
    ASAN_UNPOISON_MEMORY_REGION(in->data, in->room);
    return err;
}

static enum err hear(struct zmtp *zmtp, struct span bytes, struct pieces *pieces)
{
    enum err err = ERR_NOT_FOUND;
    while (bytes.size > 0 && err == ERR_NOT_FOUND) {
        size_t size = pieces->sizes[pieces->turn++ % PIECES] + 1u, room;
        uint8_t *at = zmtp_room(zmtp, &room);
        size = size < 200 ? size : room;
        size = size < bytes.size ? size : bytes.size;
        memcpy(at, bytes.data, size);
        zmtp_received(zmtp, size);
        bytes = SPAN(bytes.data + size, bytes.size - size);
        err = look(zmtp);
    }
    return err;
}

/* Also this end says something, and some of it leaves. */
static void say_something(struct zmtp *zmtp)
{
    zmtp_sent(zmtp, zmtp_waiting(zmtp).size / 2);
    if (zmtp->step != ZMTP_READY)
        return;
    zmtp_ping(zmtp);
    enum err err = zmtp_frame(zmtp, SPAN("answer", 6), true);
    assert(err == ERR_NONE);
    err = zmtp_frame(zmtp, SPAN("", 0), false);
    assert(err == ERR_NONE);
    zmtp_sent(zmtp, zmtp_waiting(zmtp).size);
}

static void open_end(struct zmtp *zmtp, const struct zmtp_rules *rules, bool secure)
{
    struct zmtp_keys keys = {0};
    if (secure && rules->listens)
        keys = (struct zmtp_keys){.own = &ends()->listener_keys};
    else if (secure)
        keys = (struct zmtp_keys){&ends()->caller_keys, ends()->listener_keys.public_key};
    zmtp_open(zmtp, rules, keys, NULL);
}

/* ---- what is said ---------------------------------------------------------------------------- */

/* How the bytes are meant. */
enum manner {
    RAW,      /* all of it */
    GREETED,  /* a greeting is given */
    METADATA, /* a READY is, too, and they are what it tells */
    FRAMES,   /* the handshake is over, and they make frames */
    MANNERS,
};

static void add_greeting(struct bytes *wire, bool secure)
{
    uint8_t greeting[ZMTP_GREETING_SIZE] = {0xff, [9] = 0x7f, [10] = 3, 1};
    memcpy(greeting + 12, secure ? "CURVE" : "NULL", secure ? 5 : 4);
    bytes_append(wire, greeting, sizeof greeting);
}

static void add_head(struct bytes *wire, uint8_t flags, size_t size)
{
    uint8_t head[9] = {flags | 2, [7] = (uint8_t)(size >> 8), (uint8_t)size};
    bytes_append(wire, head, sizeof head);
}

static void add_metadata(struct bytes *wire, struct span metadata)
{
    add_head(wire, 4, 6 + metadata.size);
    bytes_append(wire, "\5READY", 6);
    bytes_append_span(wire, metadata);
}

static void add_frame(struct bytes *wire, struct curve *boxes, uint8_t flags, struct span body)
{
    add_head(wire, boxes != NULL ? 0 : flags, (boxes != NULL ? CURVE_BEFORE : 0) + body.size);
    if (boxes == NULL) {
        bytes_append_span(wire, body);
        return;
    }
    uint8_t *at = bytes_reserve(wire, CURVE_BEFORE + body.size) + CURVE_BEFORE;
    memcpy(at, body.data, body.size);
    curve_seal(boxes, at, body.size, flags);
    wire->size += CURVE_BEFORE + body.size;
}

/* What calls itself a box. */
static void add_lie(struct bytes *wire, struct span body)
{
    add_head(wire, 0, 8 + body.size);
    bytes_append(wire, "\7MESSAGE", 8);
    bytes_append_span(wire, body);
}

/* Flags, size, how often, body; and again. With flags of 255 it is a lie, and from a size of 255
 * on, what is left goes as it is. */
static void add_frames(struct bytes *wire, struct curve *boxes, struct span bytes)
{
    while (bytes.size > 3 && bytes.data[1] != 255 && wire->size < KiB(64)) {
        uint8_t flags = bytes.data[0];
        size_t body = bytes.data[1], times = 1 + bytes.data[2] % 64u;
        bytes = SPAN(bytes.data + 3, bytes.size - 3);
        body = body < bytes.size ? body : bytes.size;
        if (flags == 255)
            add_lie(wire, SPAN(bytes.data, body));
        while (flags < 255 && times-- > 0)
            add_frame(wire, boxes, flags, SPAN(bytes.data, body));
        bytes = SPAN(bytes.data + body, bytes.size - body);
    }
    bytes_append_span(wire, bytes);
}

/* As the handshake would have left it: with CURVE, to say it anew takes too long. */
static void make_ready(struct zmtp *zmtp, struct curve *other)
{
    bool listens = zmtp->rules->listens;
    if (zmtp->secure) {
        zmtp->curve = listens ? ends()->listener : ends()->caller;
        *other = listens ? ends()->caller : ends()->listener;
    }
    zmtp->step = ZMTP_READY;
}

static void try_bytes(struct zmtp *zmtp, enum manner manner, struct span bytes,
                      struct pieces *pieces)
{
    SCOPED(bytes) wire = {0};
    struct curve other;
    if (manner == GREETED || manner == METADATA)
        add_greeting(&wire, zmtp->secure);
    if (manner == FRAMES) {
        make_ready(zmtp, &other);
        add_frames(&wire, zmtp->secure ? &other : NULL, bytes);
    } else if (manner == METADATA) {
        add_metadata(&wire, bytes);
    } else {
        bytes_append_span(&wire, bytes);
    }
    hear(zmtp, bytes_span(&wire), pieces);
}

/* The first byte says to whom and how, the next ones in which pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zmtp zmtp;
    if (size <= 1 + PIECES)
        return 0;
    struct pieces pieces = {.sizes = data + 1};
    open_end(&zmtp, data[0] & 1 ? &listens : &calls, data[0] & 2);
    try_bytes(&zmtp, data[0] / 4 % MANNERS, SPAN(data + 1 + PIECES, size - 1 - PIECES), &pieces);
    say_something(&zmtp);
    zmtp_close(&zmtp);
    return 0;
}
