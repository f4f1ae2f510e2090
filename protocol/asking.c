/* asking.c - the limits and times of one who asks, and the frames of an ask. */
#include "protocol/asking.h"

static const struct zmtp_rules calls = {
    .type = "DEALER", .soft = true, .frame_max = FRAME_BYTES_MAX};

const struct port_rules asking_rules = {
    .name = "asks",
    .calls = &calls,
    .waiting_max = MiB(64),
    .handshake_ms = 3000,
    .heartbeat_ms = 1000,
    .silence_ms = 3000,
    .retry_ms = 50,
    .retry_max_ms = 1000,
};

enum err asking_send(struct conn *conn, const struct message *message)
{
    TRY(conn_has_room(conn));
    TRY(zmtp_frame(&conn->zmtp, SPAN("", 0), true));
    message_encode_map(message, zmtp_begin(&conn->zmtp));
    TRY(zmtp_end(&conn->zmtp, false));
    conn_touch(conn);
    return ERR_NONE;
}

bool asking_take(const struct zmtp_message *message, struct span *body)
{
    if (message->count != 2 || message->frames[0].size != 0)
        return false;
    *body = message->frames[1];
    return true;
}
