/* catchup.c - slices of a snapshot, asked, sent, taken. */
#include "consensus/catchup.h"

#include "consensus/follow.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- the rate -------------------------------------------------------------------------------- */

/* Clients write: what they wait for goes first. */
static bool is_busy(const struct raft *raft)
{
    return raft->catchup_rate > 0 && raft->proposed_ms > 0 &&
           raft->now_ms < raft->proposed_ms + CATCHUP_CALM_MS;
}

static void refill(struct raft *raft)
{
    uint64_t passed_ms = raft->now_ms - raft->catchup_refilled_ms;
    uint64_t most = 2 * CATCHUP_SLICE_BYTES;
    raft->catchup_refilled_ms = raft->now_ms;
    raft->catchup_budget += least(passed_ms, 1000) * raft->catchup_rate / 1000;
    raft->catchup_budget = least(raft->catchup_budget, most);
}

static bool may_ask(struct raft *raft)
{
    if (!is_busy(raft))
        return true;
    if (raft->catchup_budget < CATCHUP_SLICE_BYTES)
        return false;
    raft->catchup_budget -= CATCHUP_SLICE_BYTES;
    return true;
}

/* ---- the sender ------------------------------------------------------------------------------ */

/* What was asked and not confirmed is void: asked again, from where the receiver surely is. */
static void go_back(struct raft *raft, struct catchup *catchup)
{
    catchup->attempt = ++raft->catchup_attempts;
    catchup->asked = catchup->taken;
    catchup->due_ms = 0;
    raft->dirty = true;
}

static void start_over(struct raft *raft, struct catchup *catchup)
{
    *catchup = (struct catchup){.running = true,
                                .complained = catchup->complained,
                                .state_only = catchup->state_only,
                                .least_index = catchup->least_index};
    go_back(raft, catchup);
}

void catchup_begin(struct raft *raft, uint32_t slot, const char *why)
{
    struct peer *peer = &raft->peers.at[slot];
    if (peer->catchup.running)
        return;
    peers_forget_fetch(peer);
    peer->catchup = (struct catchup){0};
    start_over(raft, &peer->catchup);
    raft->counters.catchups++;
    state_complain(raft, "the peer at %s gets a snapshot: %s", peer->endpoint, why);
}

/* The commit index is that of the whole cluster once an entry of the own term is committed. */
void catchup_state(struct raft *raft, uint32_t slot)
{
    struct catchup *catchup = &raft->peers.at[slot].catchup;
    if (catchup->running || raft->commit < raft->term_first)
        return;
    catchup_begin(raft, slot, "it has lost its state");
    catchup->state_only = true;
    catchup->least_index = raft->commit;
}

bool catchup_is_cheaper(const struct raft *raft, const struct peer *peer)
{
    if (peer->past_snapshot || peer->probing || peer->next >= raft->log.held ||
        peer->next > raft->log.last)
        return false;
    /* A snapshot ends where the own state is: who has applied nothing yet has none. */
    uint64_t brings = raft->applied > peer->next ? raft->applied - peer->next : 0;
    return brings > raft->catchup_entries && brings > (raft->log.last - raft->first_index) / 2;
}

void catchup_link_down(struct raft *raft, struct peer *peer)
{
    peer->past_snapshot = false;
    if (!peer->catchup.running)
        return;
    peer->catchup.begun = false; /* it may be another life: first it says where it is */
    go_back(raft, &peer->catchup);
}

/* Until the receiver has said where it is, one slice is enough. */
static bool has_more(const struct catchup *catchup)
{
    if (catchup->installing)
        return true;
    if (catchup->size == 0 || !catchup->begun)
        return catchup->asked == catchup->taken;
    return catchup->asked < catchup->size && catchup->asked - catchup->taken < CATCHUP_WINDOW_BYTES;
}

static bool wants_slice(const struct raft *raft, const struct catchup *catchup)
{
    return catchup->running && raft->now_ms >= catchup->not_before_ms && has_more(catchup);
}

static void ask_slice(struct raft *raft, uint32_t slot, struct catchup *catchup)
{
    struct message *message = state_ask(raft, MESSAGE_SNAPSHOT_READ);
    message->snapshot_read.ticket = catchup->attempt << 8 | slot;
    message->snapshot_read.id = SPAN(catchup->id, catchup->size > 0 ? HASH_SIZE : 0);
    message->snapshot_read.offset = catchup->asked;
    message->snapshot_read.bytes = CATCHUP_SLICE_BYTES;
    message->snapshot_read.least_index = catchup->least_index;
    if (catchup->due_ms == 0)
        catchup->due_ms = raft->now_ms + CATCHUP_RETRY_MS;
    catchup->asked += CATCHUP_SLICE_BYTES;
}

/* A slice of no bytes. */
static void ask_peer(struct raft *raft, uint32_t slot, struct catchup *catchup)
{
    struct message_snapshot *out = &state_send(raft, slot, MESSAGE_SNAPSHOT)->snapshot;
    out->id = SPAN(catchup->id, HASH_SIZE);
    out->index = catchup->index;
    out->head = catchup->head;
    out->size = out->offset = catchup->size;
    catchup->not_before_ms = raft->now_ms + CATCHUP_MAKING_MS;
}

void catchup_flush(struct raft *raft)
{
    refill(raft);
    for (uint32_t slot = 0; slot < raft->peers.count; slot++) {
        struct catchup *catchup = &raft->peers.at[slot].catchup;
        if (!peers_fed(&raft->peers.at[slot])) /* it was removed */
            *catchup = (struct catchup){0};
        if (catchup->installing && wants_slice(raft, catchup))
            ask_peer(raft, slot, catchup);
        while (!catchup->installing && wants_slice(raft, catchup) && may_ask(raft))
            ask_slice(raft, slot, catchup);
    }
}

void catchup_tick(struct raft *raft)
{
    for (uint32_t slot = 0; slot < raft->peers.count; slot++) {
        struct catchup *catchup = &raft->peers.at[slot].catchup;
        if (!catchup->running)
            continue;
        if (catchup->due_ms > 0 && raft->now_ms >= catchup->due_ms) {
            catchup->begun = false;
            go_back(raft, catchup);
        }
        raft->dirty = raft->dirty || wants_slice(raft, catchup);
    }
}

uint64_t catchup_due_ms(const struct raft *raft)
{
    uint64_t due = UINT64_MAX;
    for (uint32_t slot = 0; slot < raft->peers.count; slot++) {
        const struct catchup *catchup = &raft->peers.at[slot].catchup;
        if (!catchup->running)
            continue;
        if (catchup->due_ms > 0)
            due = least(due, catchup->due_ms);
        if (raft->now_ms < catchup->not_before_ms)
            due = least(due, catchup->not_before_ms);
        else if (has_more(catchup) && is_busy(raft)) /* waits for the rate alone */
            due = least(due, raft->now_ms + 1 + 1000 * CATCHUP_SLICE_BYTES / raft->catchup_rate);
    }
    return due;
}

static void send_slice(struct raft *raft, uint32_t slot, const struct message_snapshot_part *part)
{
    struct message_snapshot *out = &state_send(raft, slot, MESSAGE_SNAPSHOT)->snapshot;
    out->id = part->id;
    out->index = part->index;
    out->head = part->head;
    out->size = part->size;
    out->offset = part->offset;
    out->data = part->data;
    out->hash = part->hash;
    raft->counters.slices_sent++;
    raft->counters.slice_bytes += part->data.size;
}

static void take_failure(struct raft *raft, struct peer *peer, struct span error)
{
    struct catchup *catchup = &peer->catchup;
    enum err err = err_by_name((const char *)error.data, error.size);
    if (err == ERR_NOT_FOUND) { /* this one is gone: another, from its start */
        start_over(raft, catchup);
        return;
    }
    catchup->begun = false;
    go_back(raft, catchup);
    catchup->not_before_ms =
        raft->now_ms + (err == ERR_NOT_READY ? CATCHUP_MAKING_MS : CATCHUP_FAILED_MS);
    if (err == ERR_NOT_READY || catchup->complained)
        return;
    catchup->complained = true;
    state_complain(raft, "the snapshot for the peer at %s is held up: %.*s", peer->endpoint,
                   (int)error.size, (const char *)error.data);
}

void catchup_part(struct raft *raft, const struct raft_input *in)
{
    const struct message_snapshot_part *part = &in->message->snapshot_part;
    uint32_t slot = part->ticket & 0xff;
    if (slot >= raft->peers.count)
        return;
    struct catchup *catchup = &raft->peers.at[slot].catchup;
    if (!catchup->running || part->ticket >> 8 != catchup->attempt)
        return;
    if (part->error.size > 0) {
        take_failure(raft, &raft->peers.at[slot], part->error);
        return;
    }
    if (part->id.size != HASH_SIZE || part->size == 0)
        return;
    if (catchup->size == 0) {
        memcpy(catchup->id, part->id.data, HASH_SIZE);
        catchup->size = part->size;
        catchup->index = part->index;
        catchup->head = part->head;
    }
    if (memcmp(catchup->id, part->id.data, HASH_SIZE) == 0)
        send_slice(raft, slot, part);
}

/* The peer has all of it: it is not asked for its log before that is another one. */
static void await_install(struct raft *raft, struct catchup *catchup)
{
    if (!catchup->installing)
        catchup->not_before_ms = raft->now_ms + CATCHUP_MAKING_MS;
    catchup->installing = true;
    catchup->taken = catchup->asked = catchup->size;
    catchup->due_ms = 0;
}

/* The peer uses it: entries go on behind it. */
static void finish_peer(struct raft *raft, struct peer *peer)
{
    uint64_t index = peer->catchup.index;
    peer->past_snapshot = peer->catchup.taken == 0; /* storage offered one made earlier */
    peer->catchup = (struct catchup){0};
    peer->rewound = raft->round;
    peers_rewind(peer, index < raft->log.last ? index + 1 : raft->log.last + 1);
    raft->dirty = true;
}

static void take_offset(struct raft *raft, struct catchup *catchup, uint64_t offset, bool rewound)
{
    bool first = !catchup->begun || catchup->installing; /* or it was not installed after all */
    if (!first && !rewound && offset <= catchup->taken)
        return; /* late, or doubled */
    catchup->begun = true;
    catchup->installing = false;
    catchup->not_before_ms = 0;
    catchup->taken = offset;
    if (first || rewound || catchup->asked < offset)
        go_back(raft, catchup);
    catchup->due_ms = raft->now_ms + CATCHUP_RETRY_MS;
    raft->dirty = true;
}

void catchup_taken(struct raft *raft, const struct raft_input *in)
{
    const struct message_snapshot_taken *taken = &in->message->snapshot_taken;
    struct peer *peer = &raft->peers.at[in->slot];
    struct catchup *catchup = &peer->catchup;
    if (!state_counts(raft, in->slot, &in->message->peer) || in->message->peer.term != raft->term ||
        !catchup->running || catchup->size == 0 ||
        !span_equal(taken->id, SPAN(catchup->id, HASH_SIZE)))
        return;
    bool rewound = span_is(taken->error, "E_CORRUPT");
    if (taken->error.size > 0 && !rewound)
        take_failure(raft, peer, taken->error);
    else if (taken->installed)
        finish_peer(raft, peer);
    else if (taken->offset >= catchup->size)
        await_install(raft, catchup);
    else
        take_offset(raft, catchup, taken->offset, rewound);
}

/* ---- the receiver ---------------------------------------------------------------------------- */

static struct message_snapshot_taken *answer(struct raft *raft, struct span id, uint64_t offset)
{
    struct message *message = state_answer(raft, raft->courier_slot, raft->courier_to,
                                           raft->courier_to_incarnation, MESSAGE_SNAPSHOT_TAKEN);
    message->snapshot_taken.id = id;
    message->snapshot_taken.offset = offset;
    return &message->snapshot_taken;
}

static void note_sender(struct raft *raft, const struct raft_input *in)
{
    raft->courier_slot = in->slot;
    raft->courier_to = in->message->peer.from;
    raft->courier_to_incarnation = in->message->peer.from_incarnation;
}

void catchup_snapshot(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    const struct message_snapshot *slice = &message->snapshot;
    if (raft->barred || message->peer.term < raft->term || slice->id.size != HASH_SIZE)
        return;
    if (raft->role == ROLE_LEADER && message->peer.term == raft->term) {
        state_fatal(raft, "two leaders in term %llu", (unsigned long long)raft->term); /* I1 */
        return;
    }
    follow_recognise(raft, in);
    note_sender(raft, in);
    if (!state_settled(raft))
        return; /* storage must know the term first; the slice comes again */
    uint64_t here = raft->state_lost ? raft->applied : raft->commit;
    if (slice->index <= here) { /* I16: it is here already */
        raft->incoming_size = 0;
        answer(raft, slice->id, slice->size)->installed = true;
        return;
    }
    struct message *ask = state_ask(raft, MESSAGE_SNAPSHOT_WRITE);
    ask->snapshot_write.id = slice->id;
    ask->snapshot_write.head = slice->head;
    ask->snapshot_write.size = slice->size;
    ask->snapshot_write.offset = slice->offset;
    ask->snapshot_write.data = slice->data;
    ask->snapshot_write.hash = slice->hash;
}

void catchup_written(struct raft *raft, const struct raft_input *in)
{
    const struct message_snapshot_written *written = &in->message->snapshot_written;
    raft->incoming_offset = written->offset;
    raft->incoming_size = written->size;
    if (raft->leader == raft->courier_slot)
        answer(raft, written->id, written->offset)->error = written->error;
}
