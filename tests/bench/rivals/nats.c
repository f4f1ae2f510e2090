/* nats.c - JetStream publishes with a reply subject of their own; each is acknowledged there. */
#include "tests/bench/rivals/load.h"

#include <stdio.h>
#include <stdlib.h>

static void text(struct conn *conn, const char *words)
{
    bytes_append(&conn->out, words, strlen(words));
}

static bool open_nats(struct conn *conn)
{
    char subscribe[64];
    if (!load_expect(conn, "INFO "))
        return false;
    snprintf(subscribe, sizeof subscribe, "SUB a%u.* 1\r\nPING\r\n", conn->number);
    text(conn,
         "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}"
         "\r\n");
    text(conn, subscribe);
    return load_say(conn) && load_expect(conn, "PONG\r\n");
}

static void write_nats(struct conn *conn, uint32_t slot, struct span payload)
{
    char head[64];
    snprintf(head, sizeof head, "PUB s.x a%u.%u %zu\r\n", conn->number, slot, payload.size);
    text(conn, head);
    bytes_append_span(&conn->out, payload);
    text(conn, "\r\n");
}

static void flush_nats(struct conn *conn)
{
    (void)conn;
}

/* MSG a0.17 1 25\r\n{"stream":"S","seq":4711}\r\n, with HMSG for "no responders". */
static size_t take_one(struct conn *conn, struct span rest)
{
    const char *line = (const char *)rest.data;
    const uint8_t *end = memmem(rest.data, rest.size, "\r\n", 2);
    unsigned number, slot;
    size_t size = 0, headers = 0;
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end - rest.data) + 2;
    if (strncmp(line, "PING", 4) == 0)
        text(conn, "PONG\r\n");
    bool has_headers = sscanf(line, "HMSG a%u.%u 1 %zu %zu", &number, &slot, &headers, &size) == 4;
    if (!has_headers && sscanf(line, "MSG a%u.%u 1 %zu", &number, &slot, &size) != 3)
        return head;
    if (head + size + 2 > rest.size)
        return 0;
    load_acked(slot, !has_headers && memmem(rest.data + head, size, "\"error\"", 7) == NULL);
    return head + size + 2;
}

static size_t input_nats(struct conn *conn)
{
    struct span rest = bytes_span(&conn->in);
    for (size_t size; rest.size > 0 && (size = take_one(conn, rest)) > 0;)
        rest = SPAN(rest.data + size, rest.size - size);
    return conn->in.size - rest.size;
}

const struct protocol protocol_nats = {"nats", open_nats, write_nats, flush_nats, input_nats};
