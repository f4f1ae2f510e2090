/* source_join.c - sends the wish, reads the answers, says what it waits for. */
#include "discovery/source_join.h"

#include "common/log.h"
#include "common/probe.h"
#include "protocol/message.h"

#include <stdio.h>

enum { ASK_MS = 300 };

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
    if (asking_send(&join->conn, &message) == ERR_NONE)
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
    struct span body;
    if (asking_take(message, &body))
        take(owner, body);
}

enum err source_join_open(struct source_join *join, struct service_base *base,
                          void (*learned)(void *owner), void *owner)
{
    join->base = base;
    join->learned = learned;
    join->owner = owner;
    join->rules = asking_rules;
    join->rules.message = on_message;
    joining_begin(&join->joining, base->join, base->name);
    TRY(port_open(&join->port, &join->rules, NULL, &base->loop, join));
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
