/* consensus.c - opens links, turns messages into inputs, outputs into messages. */
#include "consensus/consensus.h"

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "consensus/claims.h"
#include "consensus/contacts.h"
#include "consensus/disk.h"
#include "consensus/handover.h"
#include "consensus/hint.h"
#include "consensus/listeners.h"
#include "consensus/mending.h"
#include "consensus/report.h"
#include "consensus/setup.h"
#include "consensus/tracefile.h"

#include <assert.h>
#include <stdio.h>

enum { STATUS_EVERY_MS = 400, WALL_ERROR_MS = 1000, FLUSHES_MAX = 4 };

struct consensus {
    struct service_base base;
    struct setup setup;

    struct keys keys;
    struct link front;
    struct disk disk;
    struct peerlink peers;
    struct contacts contacts;
    struct raft *raft;
    struct raft_outputs outputs;
    uint32_t tick_timer;
    uint64_t tick_due_ms;
    uint64_t wall_error_ns, wall_asked_ms;
    struct listeners listeners;
    struct handover handover;
    struct claims claims;
    struct mending mending;
    struct tracefile trace;
};

/* ---- outputs --------------------------------------------------------------------------------- */

static bool brings_entries(const struct message *message)
{
    return message->type == MESSAGE_APPEND && message->append.entries.size > 0;
}

static void perform(struct consensus *self, const struct raft_output *output)
{
    switch (output->kind) {
    case OUTPUT_SEND:
        peerlink_send(&self->peers, output->slot, &output->message);
        if (brings_entries(&output->message))
            peerlink_push(&self->peers); /* it travels while the box of the next one is made */
        break;
    case OUTPUT_STORAGE:
        disk_tell(&self->disk, &output->message);
        break;
    case OUTPUT_REFUSED:
    case OUTPUT_READ_INDEX:
        listeners_tell(&self->listeners, &self->front, &output->message);
        break;
    case OUTPUT_KEPT:
        handover_kept(&self->handover, output->err);
        break;
    case OUTPUT_MEMBERS:
        listeners_tell(&self->listeners, &self->front, &output->message);
        break;
    case OUTPUT_COMPLAINT:
        log_warn("complaint", kv_text("text", output->text));
        break;
    case OUTPUT_FATAL:
        log_error("fatal", kv_text("text", output->text));
        loop_stop(&self->base.loop, EXIT_CORRUPTION);
        break;
    }
}

static void feed(struct consensus *self, struct raft_input input)
{
    input.now_ms = self->base.loop.now_ms;
    bool ask = input.now_ms >= self->wall_asked_ms + WALL_ERROR_MS; /* it grows 0.5 ms a second */
    input.wall_ns = clock_wall_ns(ask ? &self->wall_error_ns : NULL);
    if (ask)
        self->wall_asked_ms = input.now_ms;
    input.wall_error_ns = self->wall_error_ns;
    if (self->trace.fd > 0)
        tracefile_begin(&self->trace);
    raft_step(self->raft, &input, &self->outputs);
    if (self->trace.fd > 0)
        tracefile_end(&self->trace, self->raft, &input, &self->outputs);
    contacts_connect(&self->contacts, self->raft, &self->peers);
    for (uint32_t i = 0; i < self->outputs.count; i++)
        perform(self, &self->outputs.at[i]);
}

/* ---- to the api ------------------------------------------------------------------------------ */

static void on_status_timer(void *owner)
{
    struct consensus *self = owner;
    struct raft_status status;
    contacts_look(&self->contacts, self->raft, &self->peers, self->base.loop.now_ms);
    raft_status(self->raft, &status);
    listeners_tick(&self->listeners, &self->front, &status);
    claims_tick(&self->claims);
    setup_announce((struct setup_head *)self, self->raft);
}

static enum err on_follow_leader(void *owner, uint32_t neighbour, const struct message *message)
{
    struct consensus *self = owner;
    struct raft_status status;
    raft_status(self->raft, &status);
    listeners_add(&self->listeners, &self->front, neighbour, &status);
    return ERR_NONE;
}

static void on_front_down(void *owner, uint32_t neighbour)
{
    struct consensus *self = owner;
    self->listeners.at[neighbour] = false;
    handover_forget(&self->handover, neighbour);
}

/* An ask of the api is an input of the core. */
static enum err on_front(void *owner, uint32_t neighbour, const struct message *message)
{
    static const enum raft_input_kind kinds[] = {
        [MESSAGE_PROPOSE] = INPUT_PROPOSE,
        [MESSAGE_READ_INDEX] = INPUT_READ_INDEX,
        [MESSAGE_MEMBERS_ASK] = INPUT_MEMBERS,
    };
    feed(owner, (struct raft_input){.kind = kinds[message->type], .message = message});
    return ERR_NONE;
}

static enum err on_count(void *owner, uint32_t neighbour, const struct message *message)
{
    struct consensus *self = owner;
    SCOPED(bytes) map = {0};
    report_counters(self->raft, &self->peers, &map);
    struct message answer = {.type = MESSAGE_COUNTED, .counted = {bytes_span(&map)}};
    return link_send(&self->front, neighbour, &answer);
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void on_handover(void *owner, enum raft_input_kind kind, uint64_t number)
{
    feed(owner, (struct raft_input){.kind = kind, .number = number});
}

static enum err on_transfer(void *owner, uint32_t neighbour, const struct message *message)
{
    struct consensus *self = owner;
    handover_ask(&self->handover, neighbour, &message->transfer);
    return ERR_NONE;
}

static void consensus_stop(void *owner)
{
    struct consensus *self = owner;
    handover_stop(&self->handover);
}

/* ---- hints and members ----------------------------------------------------------------------- */

static enum err on_hints(void *owner, uint32_t neighbour, const struct message *message)
{
    struct consensus *self = owner;
    char own[RAFT_ENDPOINT_MAX + KEY_TEXT_SIZE];
    struct message answer = {.type = MESSAGE_HINTED};
    setup_print_self(&self->setup, self->keys.public_key, own);
    answer.hinted.self = SPAN_TEXT(own);
    answer.hinted.incarnation = raft_incarnation(self->raft);
    for (uint32_t i = 0; i < message->hints.endpoints.count; i++) {
        struct raft_voter voter;
        char endpoint[RAFT_ENDPOINT_MAX];
        if (hint_parse(message->hints.endpoints.at[i], &voter, endpoint) != ERR_NONE) {
            log_warn("hint_refused", kv_span("hint", message->hints.endpoints.at[i]));
            continue;
        }
        feed(self, (struct raft_input){.kind = INPUT_HINT, .voter = &voter});
        answer.hinted.count++;
    }
    return link_send(&self->front, neighbour, &answer);
}

/* ---- from storage ---------------------------------------------------------------------------- */

static void on_disk(void *owner, enum raft_input_kind kind, const struct message *message)
{
    struct consensus *self = owner;
    if (message == NULL || !mending_told(&self->mending, message))
        feed(self, (struct raft_input){.kind = kind, .message = message});
}

/* ---- from peers ------------------------------------------------------------------------------ */

static void on_peer(void *owner, uint32_t slot, const struct message *message)
{
    struct consensus *self = owner;
    if (!claims_take(&self->claims, slot, message) && !mending_take(&self->mending, slot, message))
        feed(self, (struct raft_input){.kind = INPUT_PEER, .slot = slot, .message = message});
}

static void on_peer_reply(void *owner, uint32_t slot, const struct message *message)
{
    struct consensus *self = owner;
    claims_answered(&self->claims, slot, message);
}

static void on_peer_down(void *owner, uint32_t slot)
{
    feed(owner, (struct raft_input){.kind = INPUT_LINK_DOWN, .slot = slot});
}

/* ---- time ------------------------------------------------------------------------------------ */

static void on_tick(void *owner)
{
    struct consensus *self = owner;
    self->tick_due_ms = 0;
    feed(self, (struct raft_input){.kind = INPUT_TICK});
}

/* Once per turn: everything that gathered leaves; the timer follows the core. */
static void on_flush(void *owner)
{
    struct consensus *self = owner;
    for (int i = 0; i < FLUSHES_MAX && raft_wants_flush(self->raft); i++)
        feed(self, (struct raft_input){.kind = INPUT_FLUSH});
    struct raft_status status;
    raft_status(self->raft, &status);
    listeners_notice(&self->listeners, &self->front, &status);
    uint64_t now = self->base.loop.now_ms;
    if (handover_flush(&self->handover))
        loop_stop(&self->base.loop, EXIT_DONE);
    uint64_t due = raft_wants_flush(self->raft) ? now : raft_due_ms(self->raft);
    if (handover_due_ms(&self->handover) < due)
        due = handover_due_ms(&self->handover);
    if (due == self->tick_due_ms || due == UINT64_MAX)
        return;
    self->tick_due_ms = due;
    loop_move_timer(&self->base.loop, self->tick_timer, due > now ? due - now : 0);
}

/* ---- opening --------------------------------------------------------------------------------- */

static link_handler *const front_handlers[MESSAGE_TYPE_MAX] = {
    ON(PROPOSE, on_front),     ON(FOLLOW_LEADER, on_follow_leader), ON(HINTS, on_hints),
    ON(COUNT, on_count),       ON(TRANSFER, on_transfer),           ON(READ_INDEX, on_front),
    ON(MEMBERS_ASK, on_front),
};

static struct link_rules front_rules = {
    .process = "consensus", .handlers = front_handlers, .down = on_front_down};
static const struct peerlink_rules peer_rules = {on_peer, on_peer_reply, on_peer_down};

static enum err consensus_open(void *owner)
{
    struct consensus *self = owner;
    struct service_base *base = &self->base;
    char front[128], listen[PEERLINK_ENDPOINT_MAX];
    base->loop.now_ms = clock_now_ms();
    if (self->setup.probe) {
        loop_stop(&base->loop, EXIT_DONE);
        return hint_probe(&self->setup.members);
    }
    front_rules.life = base->life;
    TRY(keys_open(&self->keys, base->data));
    TRY(setup_settle(&self->setup, self->keys.public_key));
    TRY(setup_open_core((struct setup_head *)self, &self->keys, &self->raft));
    if (self->setup.trace != NULL)
        TRY(tracefile_open(&self->trace, self->setup.trace, self->keys.node_id, base->life));
    TRY(peerlink_open(&self->peers, &base->loop, &self->keys, self->setup.listen, &peer_rules,
                      self));
    contacts_connect(&self->contacts, self->raft, &self->peers);
    self->handover = (struct handover){.raft = self->raft,
                                       .link = &self->front,
                                       .loop = &base->loop,
                                       .input = on_handover,
                                       .owner = self};
    mending_open(&self->mending, self->raft, &self->peers, &self->disk.keeper, &base->loop);
    claims_open(&self->claims, self->raft, &self->peers, base, setup_place(&self->setup));
    TRY(service_path(base, "consensus.ipc", front));
    TRY(link_bind(&self->front, &base->loop, front, &front_rules, self));
    TRY(disk_open(&self->disk, base, on_disk, self));
    self->tick_timer = loop_add_timer(&base->loop, 0, 0, on_tick, self);
    loop_add_timer(&base->loop, STATUS_EVERY_MS, STATUS_EVERY_MS, on_status_timer, self);
    loop_set_flush(&base->loop, on_flush, self);
    service_announce(base, "peer", peerlink_endpoint(&self->peers, listen));
    return ERR_NONE;
}

static void consensus_close(void *owner)
{
    struct consensus *self = owner;
    link_close(&self->front);
    disk_close(&self->disk);
    peerlink_close(&self->peers);
    tracefile_close(&self->trace);
    raft_outputs_close(&self->outputs);
    raft_close(&self->raft);
    keys_close(&self->keys);
}

const struct service consensus_service = {
    .name = "consensus",
    .about = "decides the order of changes with the other servers",
    .size = sizeof(struct consensus),
    .options = setup_options,
    .open = consensus_open,
    .close = consensus_close,
    .stop = consensus_stop,
};
