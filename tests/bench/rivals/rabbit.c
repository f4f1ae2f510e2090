/* rabbit.c - RabbitMQ in AMQP 0-9-1 (its specification of 2008, sections 2.3 and 4.2): persistent
 * messages into one quorum queue, with publisher confirms. */
#include "tests/bench/rivals/load.h"

#include <stdio.h>
#include <stdlib.h>

enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_END = 0xce };
enum { FRAME_HEAD_SIZE = 7, FRAME_MAX = 131072, CHANNEL = 1, PERSISTENT = 2, TAGS = 131072 };

/* Class and method as one number. */
enum method {
    CONNECTION_START = 10 << 16 | 10,
    CONNECTION_START_OK = 10 << 16 | 11,
    CONNECTION_TUNE = 10 << 16 | 30,
    CONNECTION_TUNE_OK = 10 << 16 | 31,
    CONNECTION_OPEN = 10 << 16 | 40,
    CONNECTION_OPEN_OK = 10 << 16 | 41,
    CHANNEL_OPEN = 20 << 16 | 10,
    CHANNEL_OPEN_OK = 20 << 16 | 11,
    QUEUE_DECLARE = 50 << 16 | 10,
    QUEUE_DECLARE_OK = 50 << 16 | 11,
    BASIC_PUBLISH = 60 << 16 | 40,
    BASIC_ACK = 60 << 16 | 80,
    BASIC_NACK = 60 << 16 | 120,
    CONFIRM_SELECT = 85 << 16 | 10,
    CONFIRM_SELECT_OK = 85 << 16 | 11,
};

struct rabbit {
    uint32_t slots[TAGS]; /* by delivery tag: slot + 1, or 0 */
    uint64_t sent;        /* newest delivery tag */
    uint64_t open;        /* the oldest one that is not confirmed, or sent + 1 */
};

/* ---- writing: numbers are big-endian ----------------------------------------------------------
 */

static void number(struct conn *conn, uint64_t value, unsigned size)
{
    uint8_t *at = bytes_reserve(&conn->out, size);
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    conn->out.size += size;
}

static void short_text(struct conn *conn, const char *words)
{
    number(conn, strlen(words), 1);
    bytes_append(&conn->out, words, strlen(words));
}

static void long_text(struct conn *conn, struct span words)
{
    number(conn, words.size, 4);
    bytes_append_span(&conn->out, words);
}

/* Gives where the frame begins, for end_frame. */
static size_t begin_frame(struct conn *conn, unsigned type, unsigned channel)
{
    size_t at = conn->out.size;
    number(conn, type, 1);
    number(conn, channel, 2);
    number(conn, 0, 4);
    return at;
}

static size_t begin_method(struct conn *conn, unsigned channel, enum method method)
{
    size_t at = begin_frame(conn, FRAME_METHOD, channel);
    number(conn, method, 4);
    return at;
}

static void end_frame(struct conn *conn, size_t at)
{
    size_t size = conn->out.size - at - FRAME_HEAD_SIZE;
    for (unsigned i = 0; i < 4; i++)
        conn->out.data[at + 3 + i] = (uint8_t)(size >> 8 * (3 - i));
    number(conn, FRAME_END, 1);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static uint64_t number_at(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

/* The first whole frame of `rest`: its size with head and end, or 0. */
static size_t frame_size(struct span rest)
{
    if (rest.size < FRAME_HEAD_SIZE)
        return 0;
    size_t size = FRAME_HEAD_SIZE + number_at(rest.data + 3, 4) + 1;
    return size <= rest.size ? size : 0;
}

static bool is_method(struct span frame, enum method method)
{
    return frame.data[0] == FRAME_METHOD && frame.size >= FRAME_HEAD_SIZE + 4 &&
           number_at(frame.data + FRAME_HEAD_SIZE, 4) == method;
}

/* Sends what there is, and reads one frame, which must be this method. */
static bool await(struct conn *conn, enum method method)
{
    size_t size;
    if (!load_say(conn))
        return false;
    while ((size = frame_size(bytes_span(&conn->in))) == 0)
        if (!load_more(conn))
            return false;
    bool is_it = is_method(SPAN(conn->in.data, size), method);
    load_taken(conn, size);
    return is_it;
}

/* ---- the protocol -----------------------------------------------------------------------------
 */

static bool log_in(struct conn *conn)
{
    bytes_append(&conn->out, "AMQP\0\0\x09\x01", 8);
    if (!await(conn, CONNECTION_START))
        return false;
    size_t at = begin_method(conn, 0, CONNECTION_START_OK);
    number(conn, 0, 4); /* no properties */
    short_text(conn, "PLAIN");
    long_text(conn, SPAN("\0guest\0guest", 12));
    short_text(conn, "en_US");
    end_frame(conn, at);
    if (!await(conn, CONNECTION_TUNE))
        return false;
    at = begin_method(conn, 0, CONNECTION_TUNE_OK);
    number(conn, CHANNEL, 2);
    number(conn, FRAME_MAX, 4);
    number(conn, 0, 2); /* no heartbeat */
    end_frame(conn, at);
    at = begin_method(conn, 0, CONNECTION_OPEN);
    short_text(conn, "/");
    number(conn, 0, 2); /* reserved */
    end_frame(conn, at);
    return await(conn, CONNECTION_OPEN_OK);
}

static bool declare_queue(struct conn *conn)
{
    static const char value[] = "quorum";
    size_t at = begin_method(conn, CHANNEL, QUEUE_DECLARE);
    number(conn, 0, 2); /* reserved */
    short_text(conn, "q");
    number(conn, 2, 1); /* durable */
    number(conn, 1 + strlen("x-queue-type") + 1 + 4 + strlen(value), 4);
    short_text(conn, "x-queue-type");
    number(conn, 'S', 1);
    long_text(conn, SPAN_TEXT(value));
    end_frame(conn, at);
    return await(conn, QUEUE_DECLARE_OK);
}

static bool open_rabbit(struct conn *conn)
{
    struct rabbit *rabbit = bytes_zeroed(1, sizeof *rabbit);
    conn->own = rabbit;
    rabbit->open = 1;
    if (!log_in(conn))
        return false;
    size_t at = begin_method(conn, CHANNEL, CHANNEL_OPEN);
    short_text(conn, ""); /* reserved */
    end_frame(conn, at);
    if (!await(conn, CHANNEL_OPEN_OK) || !declare_queue(conn))
        return false;
    at = begin_method(conn, CHANNEL, CONFIRM_SELECT);
    number(conn, 0, 1); /* wait for the answer */
    end_frame(conn, at);
    return await(conn, CONFIRM_SELECT_OK);
}

static void write_rabbit(struct conn *conn, uint32_t slot, struct span payload)
{
    struct rabbit *rabbit = conn->own;
    size_t at = begin_method(conn, CHANNEL, BASIC_PUBLISH);
    number(conn, 0, 2);   /* reserved */
    short_text(conn, ""); /* the exchange that routes by the name of the queue */
    short_text(conn, "q");
    number(conn, 0, 1);
    end_frame(conn, at);
    at = begin_frame(conn, FRAME_HEADER, CHANNEL);
    number(conn, BASIC_PUBLISH >> 16, 2);
    number(conn, 0, 2);
    number(conn, payload.size, 8);
    number(conn, 0x1000, 2); /* of the properties only the delivery mode */
    number(conn, PERSISTENT, 1);
    end_frame(conn, at);
    at = begin_frame(conn, FRAME_BODY, CHANNEL);
    bytes_append_span(&conn->out, payload);
    end_frame(conn, at);
    rabbit->slots[++rabbit->sent % TAGS] = slot + 1;
}

static void flush_rabbit(struct conn *conn)
{
    (void)conn;
}

static void confirmed(struct rabbit *rabbit, uint64_t tag, bool ok)
{
    uint32_t *slot = &rabbit->slots[tag % TAGS];
    if (*slot > 0)
        load_acked(*slot - 1, ok);
    *slot = 0;
}

static void take_confirm(struct rabbit *rabbit, struct span frame, bool ok)
{
    const uint8_t *at = frame.data + FRAME_HEAD_SIZE + 4;
    uint64_t tag = number_at(at, 8);
    bool multiple = at[8] & 1;
    if (frame.size < FRAME_HEAD_SIZE + 4 + 9 || tag > rabbit->sent)
        return;
    if (!multiple)
        confirmed(rabbit, tag, ok);
    for (uint64_t each = rabbit->open; multiple && each <= tag; each++)
        confirmed(rabbit, each, ok);
    while (rabbit->open <= rabbit->sent && rabbit->slots[rabbit->open % TAGS] == 0)
        rabbit->open++;
}

static size_t input_rabbit(struct conn *conn)
{
    struct span rest = bytes_span(&conn->in);
    for (size_t size; (size = frame_size(rest)) > 0;
         rest = SPAN(rest.data + size, rest.size - size)) {
        struct span frame = SPAN(rest.data, size);
        if (is_method(frame, BASIC_ACK) || is_method(frame, BASIC_NACK))
            take_confirm(conn->own, frame, is_method(frame, BASIC_ACK));
    }
    return conn->in.size - rest.size;
}

const struct protocol protocol_rabbit = {"rabbit", open_rabbit, write_rabbit, flush_rabbit,
                                         input_rabbit};
