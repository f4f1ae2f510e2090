/* redis.c - XADD to one stream; a burst of writes is acknowledged by one WAIT 1: a replica has
 * received it (7.0 cannot wait for the replica's sync). */
#include "tests/bench/rivals/load.h"

#include <stdio.h>
#include <stdlib.h>

struct redis {
    struct bytes slots; /* uint32_t each: written, in order; a WAIT is UINT32_MAX */
    size_t begin;       /* of `slots`, in bytes */
    uint32_t fresh;     /* writes since the last WAIT */
    struct bytes added; /* uint32_t each: XADD was answered, WAIT was not */
};

static void text(struct conn *conn, const char *words)
{
    bytes_append(&conn->out, words, strlen(words));
}

static bool open_redis(struct conn *conn)
{
    conn->own = bytes_zeroed(1, sizeof(struct redis));
    text(conn, "PING\r\n");
    return load_say(conn) && load_expect(conn, "+PONG\r\n");
}

static void write_redis(struct conn *conn, uint32_t slot, struct span payload)
{
    struct redis *redis = conn->own;
    char head[64];
    snprintf(head, sizeof head, "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nd\r\n$%zu\r\n",
             payload.size);
    text(conn, head);
    bytes_append_span(&conn->out, payload);
    text(conn, "\r\n");
    bytes_append(&redis->slots, &slot, sizeof slot);
    redis->fresh++;
}

static void flush_redis(struct conn *conn)
{
    struct redis *redis = conn->own;
    static const uint32_t wait = UINT32_MAX;
    if (redis->fresh == 0)
        return;
    text(conn, "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$5\r\n10000\r\n");
    bytes_append(&redis->slots, &wait, sizeof wait);
    redis->fresh = 0;
}

/* A line, or a bulk string with its line; 0: not all of it is here. */
static size_t reply_size(struct span rest)
{
    const uint8_t *end = memmem(rest.data, rest.size, "\r\n", 2);
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end - rest.data) + 2;
    if (rest.data[0] == '$')
        size += (size_t)atoll((const char *)rest.data + 1) + 2;
    return size <= rest.size ? size : 0;
}

static void answered(struct redis *redis, struct span reply)
{
    uint32_t slot = load_u32(redis->slots.data + redis->begin);
    redis->begin += sizeof slot;
    if (slot != UINT32_MAX) {
        if (reply.data[0] == '$')
            bytes_append(&redis->added, &slot, sizeof slot);
        else
            load_acked(slot, false);
        return;
    }
    bool ok = reply.data[0] == ':' && reply.data[1] != '0';
    for (size_t at = 0; at < redis->added.size; at += sizeof slot)
        load_acked(load_u32(redis->added.data + at), ok);
    bytes_clear(&redis->added);
}

static size_t input_redis(struct conn *conn)
{
    struct redis *redis = conn->own;
    struct span rest = bytes_span(&conn->in);
    for (size_t size; rest.size > 0 && (size = reply_size(rest)) > 0;
         rest = SPAN(rest.data + size, rest.size - size))
        answered(redis, rest);
    if (redis->begin == redis->slots.size) {
        bytes_clear(&redis->slots);
        redis->begin = 0;
    }
    return conn->in.size - rest.size;
}

const struct protocol protocol_redis = {"redis", open_redis, write_redis, flush_redis, input_redis};
