/* handover.c - asks for a hand-over, from the api and from SIGTERM. */
#include "consensus/handover.h"

#include "common/keys.h"
#include "common/log.h"

enum { ASKED_MS = 2500, STOP_MS = 1500, AGAIN_MS = 50, DRAIN_ON = 1 };

static void tell(struct handover *handover, uint32_t neighbour, enum err err)
{
    struct raft_status status;
    struct message message = {.type = MESSAGE_TRANSFERRED};
    raft_status(handover->raft, &status);
    message.transferred.error = err != ERR_NONE ? SPAN_TEXT(err_name(err)) : (struct span){0};
    message.transferred.leader = status.leader;
    message.transferred.term = status.term;
    message.transferred.took_ms =
        handover->running ? handover->loop->now_ms - handover->began_ms : 0;
    link_tell(handover->link, neighbour, &message);
}

static void finish(struct handover *handover, enum err err)
{
    struct raft_status status;
    char leader[NODE_ID_TEXT_SIZE];
    uint64_t took_ms = handover->loop->now_ms - handover->began_ms;
    raft_status(handover->raft, &status);
    node_id_print(status.leader, leader);
    if (err == ERR_NONE)
        log_info("handed_over", kv_text("leader", leader), kv_u64("term", status.term),
                 kv_u64("took_ms", took_ms));
    else
        log_warn("handover_failed", kv_err(err), kv_u64("took_ms", took_ms));
    for (uint32_t i = 0; i < LINK_NEIGHBOURS_MAX; i++) {
        if (handover->waits[i])
            tell(handover, i, err);
        handover->waits[i] = false;
    }
    handover->running = false;
}

static void begin(struct handover *handover, uint64_t to, uint64_t most_ms)
{
    handover->running = true;
    handover->to = to;
    handover->began_ms = handover->loop->now_ms;
    handover->due_ms = handover->began_ms + most_ms;
    handover->again_ms = UINT64_MAX;
    handover->input(handover->owner, INPUT_TRANSFER, to);
}

static void set_drained(struct handover *handover, bool on)
{
    log_info(on ? "drained" : "undrained");
    handover->input(handover->owner, INPUT_DRAIN, on);
}

void handover_ask(struct handover *handover, uint32_t neighbour, const struct message_transfer *ask)
{
    struct raft_status status;
    if (ask->drain != 0)
        set_drained(handover, ask->drain == DRAIN_ON);
    raft_status(handover->raft, &status);
    bool leads = status.role == ROLE_LEADER, same = ask->leave || ask->to == handover->to;
    bool done = leads ? ask->to == status.node : ask->leave;
    if (ask->drain != 0 && !ask->leave) {
        tell(handover, neighbour, ERR_NONE);
    } else if (handover->running && !same) {
        tell(handover, neighbour, ERR_BUSY);
    } else if (handover->running) {
        handover->waits[neighbour] = true; /* the same wish: one answer for both */
    } else if (done || !leads) {
        tell(handover, neighbour, done ? ERR_NONE : ERR_NOT_LEADER);
    } else {
        handover->waits[neighbour] = true;
        begin(handover, ask->to, ASKED_MS);
    }
}

void handover_stop(struct handover *handover)
{
    struct raft_status status;
    raft_status(handover->raft, &status);
    handover->stopping = true;
    if (status.role == ROLE_LEADER && !handover->running)
        begin(handover, 0, STOP_MS);
}

void handover_forget(struct handover *handover, uint32_t neighbour)
{
    handover->waits[neighbour] = false;
}

void handover_kept(struct handover *handover, enum err err)
{
    if (!handover->running)
        return;
    if (err == ERR_NOT_READY || err == ERR_BUSY)
        handover->again_ms = handover->loop->now_ms + AGAIN_MS;
    else
        finish(handover, err);
}

bool handover_flush(struct handover *handover)
{
    struct raft_status status;
    uint64_t now = handover->loop->now_ms;
    if (!handover->running)
        return handover->stopping;
    raft_status(handover->raft, &status);
    if (status.role != ROLE_LEADER && status.leader != 0)
        finish(handover, ERR_NONE);
    else if (now >= handover->due_ms)
        finish(handover, ERR_TIMEOUT);
    else if (now >= handover->again_ms) {
        handover->again_ms = UINT64_MAX;
        handover->input(handover->owner, INPUT_TRANSFER, handover->to);
    }
    return handover->stopping && !handover->running;
}

uint64_t handover_due_ms(const struct handover *handover)
{
    if (!handover->running)
        return UINT64_MAX;
    return handover->again_ms < handover->due_ms ? handover->again_ms : handover->due_ms;
}
