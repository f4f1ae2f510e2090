/* source_join.c - sends the wish, reads the answers, says what it waits for. */
#include "discovery/source_join.h"

#include "common/log.h"
#include "common/probe.h"
#include "protocol/message.h"

#include <stdio.h>

enum {
    ASK_MS = 300,
    HANDSHAKE_MS = 3000,
    HEARTBEAT_MS = 1000,
    SILENCE_MS = 3000,
    RETRY_MS = 50,
    RETRY_MAX_MS = 1000,
};

static void say(struct source_join *join)
{
    const struct joining *joining = &join->joining;
    if (joining->reason[0] == '\0' || strcmp(join->said, joining->reason) == 0)
        return;
    snprintf(join->said, sizeof join->said, "%s", joining->reason);
    log_info("join_waits", kv_text("at", joining->bootstrap), kv_text("for", joining->reason));
}

static void judge(struct source_join *join)
{
    const struct joining *joining = &join->joining;
    if (joining->state == JOINING_DONE) {
        log_info("joined", kv_text("self", joining->self.text),
                 kv_u64("members", joining->member_count));
    } else if (joining->state == JOINING_REFUSED) {
        log_error("join_refused", kv_text("at", joining->bootstrap),
                  kv_text("reason", joining->reason));
        loop_stop(&join->base->loop, EXIT_CONFIG);
    } else {
        say(join);
    }
}

static bool send_ask(struct conn *conn, const struct message *message)
{
    if (conn_has_room(conn) != ERR_NONE)
        return false;
    enum err err = zmtp_frame(&conn->zmtp, SPAN("", 0), true);
    message_encode_map(message, zmtp_begin(&conn->zmtp));
    if (err == ERR_NONE)
        err = zmtp_end(&conn->zmtp, false);
    conn_touch(conn);
    return err == ERR_NONE;
}

static void ask(void *owner)
{
    struct source_join *join = owner;
    struct message message = {.type = MESSAGE_MEMBERS, .request = ++join->request};
    char wish[JOINING_WISH_MAX];
    if (join->joining.state == JOINING_UNKNOWN)
        join->learned(join->owner);
    if (join->joining.state != JOINING_ASKS)
        return;
    joining_wish(&join->joining, wish);
    if (wish[0] != '\0')
        message.members.ops.at[message.members.ops.count++] = SPAN_TEXT(wish);
    message.members.since = join->joining.since;
    if (send_ask(&join->conn, &message))
        return;
    snprintf(join->joining.reason, sizeof join->joining.reason, "%s",
             "the node there to answer clients");
    say(join);
}

static void take(struct source_join *join, struct span body)
{
    struct message message;
    struct joining_answer answer = {0};
    bool wished = join->joining.told;
    if (message_decode_map(body, &message, NULL) != ERR_NONE || message.request != join->request)
        return;
    if (message.type == MESSAGE_MEMBERS_TOLD) {
        const struct message_members_told *told = &message.members_told;
        answer.detail = told->detail;
        answer.rows = told->members;
        answer.done = told->done;
        answer.since = told->since;
    } else if (message.type == MESSAGE_FAILED) {
        answer.error = message.failed.error;
        answer.detail = message.failed.detail;
    } else {
        return;
    }
    joining_answered(&join->joining, &answer);
    if (wished) /* now the leader knows this key: consensus may call, and is let in */
        join->learned(join->owner);
    judge(join);
    if (!wished && join->joining.told)
        ask(join);
}

static void on_message(void *owner, struct conn *from, const struct zmtp_message *message)
{
    if (message->count == 2 && message->frames[0].size == 0)
        take(owner, message->frames[1]);
}

static const struct zmtp_rules calls = {.type = "DEALER", .frame_max = FRAME_BYTES_MAX};
static const struct port_rules port_rules = {
    .name = "join",
    .calls = &calls,
    .waiting_max = MiB(1),
    .handshake_ms = HANDSHAKE_MS,
    .heartbeat_ms = HEARTBEAT_MS,
    .silence_ms = SILENCE_MS,
    .retry_ms = RETRY_MS,
    .retry_max_ms = RETRY_MAX_MS,
    .message = on_message,
};

enum err source_join_open(struct source_join *join, struct service_base *base,
                          void (*learned)(void *owner), void *owner)
{
    join->base = base;
    join->learned = learned;
    join->owner = owner;
    joining_begin(&join->joining, base->join, base->name);
    TRY(port_open(&join->port, &port_rules, NULL, &base->loop, join));
    TRY(port_call(&join->port, &join->conn, base->join, NULL));
    loop_add_timer(&base->loop, 0, ASK_MS, ask, join);
    return ERR_NONE;
}

void source_join_close(struct source_join *join)
{
    port_close(&join->port);
}

void source_join_know(struct source_join *join, const struct message_hinted *hinted)
{
    char local[64] = "";
    if (hinted->self.size == 0 || hinted->incarnation == 0 ||
        join->joining.state != JOINING_UNKNOWN)
        return;
    if (probe_local_address(join->base->join, local, sizeof local) != ERR_NONE)
        local[0] = '\0';
    if (joining_know(&join->joining, hinted->self, hinted->incarnation, local) != ERR_NONE)
        judge(join);
}
