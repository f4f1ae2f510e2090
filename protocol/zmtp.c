/* zmtp.c - frames out, frames in. */
#include "protocol/zmtp.h"

#include "protocol/handshake.h"

#include <assert.h>

enum {
    MORE = 1,
    LONG = 2,
    COMMAND = 4,
    BOXED_COMMAND = 2, /* within a box of CURVE the bits are others */
    LONG_HEAD = 9,
    SHORT_HEAD = 2,
    PING_HEAD = 7, /* its name and the time to live */
    CONTEXT_MAX = 16,
};

#define READ_SIZE KiB(64)

/* ---- frames that leave ----------------------------------------------------------------------- */

static struct bytes *begin_frame(struct zmtp *zmtp, size_t before)
{
    zmtp->begun = zmtp->out.size;
    if (!zmtp->building)
        zmtp->message_begun = zmtp->begun;
    if (bytes_reserve(&zmtp->out, before) != NULL)
        zmtp->out.size += before;
    return &zmtp->out;
}

/* A frame of any size may have the long head: so it can be written before the size is known. */
static void fill_head(struct zmtp *zmtp, uint8_t flags)
{
    uint8_t *at = zmtp->out.data + zmtp->begun;
    uint64_t size = zmtp->out.size - zmtp->begun - LONG_HEAD;
    at[0] = flags | LONG;
    for (int i = 0; i < 8; i++)
        at[1 + i] = (uint8_t)(size >> 8 * (7 - i));
}

/* What could not be built for want of memory is as if it never was. */
static enum err check_built(struct zmtp *zmtp)
{
    if (!zmtp->out.failed)
        return ERR_NONE;
    zmtp->out.size = zmtp->message_begun;
    zmtp->out.failed = zmtp->building = false;
    return ERR_NOMEM;
}

static size_t head_size(const struct zmtp *zmtp)
{
    return zmtp->secure ? LONG_HEAD + CURVE_BEFORE : LONG_HEAD;
}

static enum err end_frame(struct zmtp *zmtp, uint8_t flags, uint8_t boxed)
{
    TRY(check_built(zmtp));
    size_t head = head_size(zmtp), size = zmtp->out.size - zmtp->begun - head;
    if (zmtp->secure)
        curve_seal(&zmtp->curve, zmtp->out.data + zmtp->begun + head, size, boxed);
    fill_head(zmtp, zmtp->secure ? 0 : flags);
    zmtp->building = flags & MORE;
    return ERR_NONE;
}

struct bytes *zmtp_begin(struct zmtp *zmtp)
{
    assert(zmtp->step == ZMTP_READY);
    return begin_frame(zmtp, head_size(zmtp));
}

enum err zmtp_end(struct zmtp *zmtp, bool more)
{
    return end_frame(zmtp, more ? MORE : 0, more ? MORE : 0);
}

enum err zmtp_frame(struct zmtp *zmtp, struct span body, bool more)
{
    bytes_append_span(zmtp_begin(zmtp), body);
    return zmtp_end(zmtp, more);
}

struct bytes *zmtp_begin_command(struct zmtp *zmtp)
{
    return begin_frame(zmtp, LONG_HEAD);
}

enum err zmtp_end_command(struct zmtp *zmtp)
{
    TRY(check_built(zmtp));
    fill_head(zmtp, COMMAND);
    return ERR_NONE;
}

void zmtp_drop_command(struct zmtp *zmtp)
{
    zmtp->out.size = zmtp->begun;
    zmtp->out.failed = false;
}

/* One that finds no memory is left out: the silence will be seen. */
static void say_command(struct zmtp *zmtp, const char *name, struct span body)
{
    struct bytes *out = zmtp_begin(zmtp);
    uint8_t size = (uint8_t)strlen(name);
    bytes_append(out, &size, 1);
    bytes_append(out, name, size);
    bytes_append_span(out, body);
    enum err err = end_frame(zmtp, COMMAND, BOXED_COMMAND);
    (void)err;
}

void zmtp_ping(struct zmtp *zmtp)
{
    static const uint8_t no_time_to_live[2];
    say_command(zmtp, "PING", SPAN(no_time_to_live, sizeof no_time_to_live));
}

/* ---- frames that arrive ---------------------------------------------------------------------- */

struct frame {
    uint8_t flags;
    size_t head, size;
};

/* ERR_NOT_FOUND: it is not whole yet; its size is known if it is not 0. */
static enum err look_at_frame(const struct zmtp *zmtp, struct frame *frame)
{
    size_t there = zmtp->in.size - zmtp->at;
    *frame = (struct frame){0};
    if (there == 0)
        return ERR_NOT_FOUND;
    const uint8_t *at = zmtp->in.data + zmtp->at;
    frame->flags = at[0];
    if ((frame->flags & ~(MORE | LONG | COMMAND)) != 0 ||
        ((frame->flags & COMMAND) && (frame->flags & MORE)))
        return ERR_BAD_MESSAGE;
    frame->head = frame->flags & LONG ? LONG_HEAD : SHORT_HEAD;
    if (there < frame->head)
        return ERR_NOT_FOUND;
    uint64_t size = frame->head == SHORT_HEAD ? at[1] : 0;
    for (size_t i = 1; i < frame->head && frame->head == LONG_HEAD; i++)
        size = size << 8 | at[i];
    if (size > zmtp->rules->frame_max + CURVE_BEFORE ||
        (zmtp->step != ZMTP_READY && size > CURVE_COMMAND_MAX))
        return ERR_LIMIT;
    frame->size = (size_t)size;
    return there - frame->head < frame->size ? ERR_NOT_FOUND : ERR_NONE;
}

/* Only a PING wants something; a PONG, and what a newer version may have, was heard, and that is
 * all. */
static void take_command(struct zmtp *zmtp, struct span command)
{
    struct span name, rest = command;
    if (command.size < PING_HEAD || !handshake_take_name(&rest, &name) || !span_is(name, "PING"))
        return;
    struct span context = SPAN(command.data + PING_HEAD, command.size - PING_HEAD);
    bool reads = zmtp->out.size - zmtp->sent < BYTES_KEEP_ROOM; /* or it could fill our memory */
    if (context.size <= CONTEXT_MAX && reads)
        say_command(zmtp, "PONG", context);
}

static void keep_frame(struct zmtp *zmtp, struct span body)
{
    if (zmtp->count < ZMTP_FRAMES_MAX) {
        zmtp->frames[zmtp->count].at = (size_t)(body.data - zmtp->in.data);
        zmtp->frames[zmtp->count].size = body.size;
    } else {
        zmtp->first = zmtp->at; /* too many: what came of it is of no use any more */
    }
    zmtp->count++;
}

static void lend_message(struct zmtp *zmtp, struct zmtp_message *message)
{
    message->count = zmtp->count;
    for (uint32_t i = 0; i < zmtp->count && zmtp->count <= ZMTP_FRAMES_MAX; i++)
        message->frames[i] = SPAN(zmtp->in.data + zmtp->frames[i].at, zmtp->frames[i].size);
    zmtp->count = 0;
    zmtp->first = zmtp->at;
}

/* `*whole`: a message is; else look again. */
static enum err take_frame(struct zmtp *zmtp, const struct frame *frame, bool *whole)
{
    uint8_t *at = zmtp->in.data + zmtp->at + frame->head, flags = frame->flags;
    struct span body = SPAN(at, frame->size);
    bool is_command = flags & COMMAND;
    zmtp->at += frame->head + frame->size;
    if (zmtp->step != ZMTP_READY)
        return is_command ? handshake_take(zmtp, body) : ERR_BAD_MESSAGE;
    if (zmtp->secure) {
        TRY(curve_unseal(&zmtp->curve, at, frame->size, &flags, &body));
        is_command = flags & BOXED_COMMAND;
    }
    /* Also commands: between the frames of a message they lie in memory as those do. */
    if (zmtp->at - zmtp->first > zmtp->rules->frame_max + KiB(1))
        return ERR_LIMIT;
    if (is_command) {
        take_command(zmtp, body);
        return ERR_NONE;
    }
    keep_frame(zmtp, body);
    *whole = !(flags & MORE);
    return ERR_NONE;
}

static enum err take_greeting(struct zmtp *zmtp)
{
    struct span in = bytes_span(&zmtp->in);
    if (!handshake_may_be_greeting(in))
        return ERR_BAD_MESSAGE;
    if (in.size < ZMTP_GREETING_SIZE)
        return ERR_NOT_FOUND;
    zmtp->at = zmtp->first = ZMTP_GREETING_SIZE;
    return handshake_begin(zmtp, in.data);
}

enum err zmtp_next(struct zmtp *zmtp, struct zmtp_message *message)
{
    struct frame frame;
    bool whole = false;
    if (zmtp->step == ZMTP_GREETING)
        TRY(take_greeting(zmtp));
    while (!whole) {
        TRY(look_at_frame(zmtp, &frame));
        TRY(take_frame(zmtp, &frame, &whole));
        if (zmtp->count == 0)
            zmtp->first = zmtp->at;
    }
    lend_message(zmtp, message);
    return ERR_NONE;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void forget_taken(struct zmtp *zmtp)
{
    struct bytes *in = &zmtp->in;
    size_t taken = zmtp->first;
    if (taken == 0)
        return;
    if (taken < in->size)
        memmove(in->data, in->data + taken, in->size - taken);
    in->size -= taken;
    zmtp->at -= taken;
    zmtp->first = 0;
    for (uint32_t i = 0; i < zmtp->count && i < ZMTP_FRAMES_MAX; i++)
        zmtp->frames[i].at -= taken;
    if (in->size == 0 && in->room > BYTES_KEEP_ROOM)
        bytes_close(in);
}

/* What the frame at the front still lacks, but never more than came so far: who only says that
 * much is coming gets no memory for it. */
uint8_t *zmtp_room(struct zmtp *zmtp, size_t *room)
{
    struct frame frame = {0};
    size_t lacks = 0;
    forget_taken(zmtp);
    if (zmtp->step != ZMTP_GREETING && look_at_frame(zmtp, &frame) == ERR_NOT_FOUND &&
        frame.size > 0)
        lacks = frame.head + frame.size - (zmtp->in.size - zmtp->at);
    *room = lacks < zmtp->in.size ? lacks : zmtp->in.size;
    if (*room < READ_SIZE)
        *room = READ_SIZE;
    return bytes_reserve(&zmtp->in, *room);
}

void zmtp_received(struct zmtp *zmtp, size_t size)
{
    zmtp->in.size += size;
    assert(zmtp->in.size <= zmtp->in.room);
}

struct span zmtp_waiting(const struct zmtp *zmtp)
{
    size_t left = zmtp->out.size - zmtp->sent;
    return left > 0 ? SPAN(zmtp->out.data + zmtp->sent, left) : SPAN("", 0);
}

void zmtp_sent(struct zmtp *zmtp, size_t size)
{
    zmtp->sent += size;
    assert(zmtp->sent <= zmtp->out.size && !zmtp->building);
    bytes_drop(&zmtp->out, &zmtp->sent);
}

/* ---- opening --------------------------------------------------------------------------------- */

void zmtp_open(struct zmtp *zmtp, const struct zmtp_rules *rules, struct zmtp_keys keys,
               void *owner)
{
    *zmtp = (struct zmtp){.rules = rules, .owner = owner, .secure = keys.own != NULL};
    assert(!zmtp->secure || rules->listens == (keys.server == NULL));
    zmtp->in.soft = zmtp->out.soft = rules->soft;
    if (zmtp->secure)
        curve_open(&zmtp->curve, keys.own, keys.server);
    handshake_greet(zmtp);
}

void zmtp_close(struct zmtp *zmtp)
{
    curve_close(&zmtp->curve);
    bytes_close(&zmtp->in);
    bytes_close(&zmtp->out);
    *zmtp = (struct zmtp){0};
}
