/* etcd.c - one unary gRPC Put a write, a key of its own each, multiplexed over HTTP/2. */
#include "tests/bench/rivals/load.h"

#include "common/clock.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum { GRPC_HEAD = 5, WINDOW = 16 << 20 };

/* One Put on its way. */
struct put {
    uint32_t slot;
    bool ok;
    struct bytes body;
    size_t sent;
};

static uint64_t next_key;

/* Protocol buffers: a length-delimited field. */
static void add_field(struct bytes *out, uint8_t number, struct span value)
{
    uint8_t head[8] = {(uint8_t)(number << 3 | 2)};
    size_t size = 1;
    for (uint64_t rest = value.size;; rest >>= 7) {
        head[size++] = (uint8_t)(rest < 128 ? rest : (rest & 127) | 128);
        if (rest < 128)
            break;
    }
    bytes_append(out, head, size);
    bytes_append_span(out, value);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct put *put = source->ptr;
    size_t size = put->body.size - put->sent < room ? put->body.size - put->sent : room;
    (void)session, (void)stream, (void)owner;
    memcpy(to, put->body.data + put->sent, size);
    put->sent += size;
    if (put->sent == put->body.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *owner)
{
    struct put *put = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)owner;
    if (put != NULL && span_is(SPAN(name, name_size), "grpc-status"))
        put->ok = span_is(SPAN(value, value_size), "0");
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *owner)
{
    struct put *put = nghttp2_session_get_stream_user_data(session, stream);
    (void)owner;
    if (put == NULL)
        return 0;
    load_acked(put->slot, put->ok && error == 0);
    bytes_close(&put->body);
    bytes_free(put);
    return 0;
}

/* What HTTP/2 wants to send goes to the end of conn->out. */
static void pump(struct conn *conn)
{
    const uint8_t *data;
    for (ssize_t size; (size = nghttp2_session_mem_send(conn->own, &data)) > 0;)
        bytes_append(&conn->out, data, (size_t)size);
}

static bool open_etcd(struct conn *conn)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}, {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return false;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    bool ok = nghttp2_session_client_new(&session, callbacks, conn) == 0;
    nghttp2_session_callbacks_del(callbacks);
    conn->own = session;
    if (!ok || nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) != 0)
        return false;
    next_key = clock_wall_ns(NULL);
    pump(conn);
    return load_say(conn);
}

#define HEADER(name, value)                                                                 \
    {                                                                                       \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,      \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE \
    }

static void write_etcd(struct conn *conn, uint32_t slot, struct span payload)
{
    static const nghttp2_nv headers[] = {HEADER(":method", "POST"),
                                         HEADER(":scheme", "http"),
                                         HEADER(":path", "/etcdserverpb.KV/Put"),
                                         HEADER(":authority", "localhost"),
                                         HEADER("content-type", "application/grpc"),
                                         HEADER("te", "trailers")};
    struct put *put = bytes_zeroed(1, sizeof *put);
    char key[32];
    snprintf(key, sizeof key, "k%020llu", (unsigned long long)next_key++);
    put->slot = slot;
    bytes_append(&put->body, "\0\0\0\0", GRPC_HEAD);
    add_field(&put->body, 1, SPAN_TEXT(key));
    add_field(&put->body, 2, payload);
    for (int i = 0; i < 4; i++)
        put->body.data[1 + i] = (uint8_t)((put->body.size - GRPC_HEAD) >> (24 - 8 * i));
    nghttp2_data_provider body = {.source.ptr = put, .read_callback = read_body};
    if (nghttp2_submit_request(conn->own, NULL, headers, COUNT_OF(headers), &body, put) < 0) {
        fprintf(stderr, "load: HTTP/2 takes no more requests\n");
        exit(1);
    }
}

static size_t input_etcd(struct conn *conn)
{
    ssize_t taken = nghttp2_session_mem_recv(conn->own, conn->in.data, conn->in.size);
    if (taken < 0) {
        fprintf(stderr, "load: HTTP/2: %s\n", nghttp2_strerror((int)taken));
        exit(1);
    }
    return (size_t)taken;
}

const struct protocol protocol_etcd = {"etcd", open_etcd, write_etcd, pump, input_etcd};
