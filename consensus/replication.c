/* replication.c - the leader's side of the log. */
#include "consensus/replication.h"

#include "consensus/catchup.h"
#include "consensus/cutting.h"
#include "consensus/durable.h"
#include "consensus/membership.h"
#include "consensus/proposals.h"
#include "consensus/quorum.h"
#include "consensus/readindex.h"
#include "consensus/standing.h"
#include "consensus/transfer.h"
#include "protocol/entry.h"

#include <assert.h>

void replication_lead(struct raft *raft)
{
    assert(raft->stands);
    assert(state_settled(raft));
    raft->role = ROLE_LEADER;
    raft->hurry = 0;
    raft->clock_doubted = raft->shed = false;
    raft->check_due_ms = raft->now_ms;
    raft->cut_due_ms = raft->now_ms + RAFT_CUT_MS;
    raft->cut_index = 0;
    raft->membership = (struct membership){0};
    raft->counters.terms_led++;
    state_set_leader(raft, RAFT_SELF);
    for (uint32_t i = 0; i < raft->peers.count; i++)
        peers_begin_lead(&raft->peers.at[i], raft->log.last, raft->now_ms);
    if (raft->log.last == 0) {
        struct bytes body = {0};
        members_encode(&raft->note, &body);
        proposals_append(raft, &(struct entry){.kind = ENTRY_FOUNDING, .body = bytes_span(&body)});
        bytes_close(&body);
        state_add_config(raft, raftlog_record(&raft->log, 1));
        standing_refresh(raft);
    } else {
        proposals_append(raft, &(struct entry){.kind = ENTRY_NOOP});
    }
    raft->term_first = raft->log.last;
    raft->dirty = true;
}

/* Raft section 5.4.2: count only entries of the own term (I3). */
static void advance_commit(struct raft *raft)
{
    uint64_t reached[MEMBERS_MAX] = {0};
    if (raft->self >= 0)
        reached[raft->self] = raft->stored;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].member >= 0)
            reached[raft->peers.at[i].member] = raft->peers.at[i].match;
    uint64_t index = quorum_agreed(state_members(raft), reached);
    if (index <= raft->commit || raftlog_term(&raft->log, index) != raft->term)
        return;
    raft->commit = index;
    if (raft->leader_commit < index)
        raft->leader_commit = index;
    raft->dirty = true;
}

static bool quorum_heard(const struct raft *raft)
{
    uint32_t heard = raft->self >= 0 ? 1u << raft->self : 0;
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (peer->member >= 0 && raft->now_ms < peer->heard_ms + raft->election_max_ms)
            heard |= 1u << peer->member;
    }
    return quorum_agrees(state_members(raft), heard);
}

/* A full disk can still be read: another one leads sooner if it is told to. Tried once; meanwhile
 * there is no heartbeat (I13). */
static bool sheds(struct raft *raft)
{
    if (raft->disk != DISK_FULL || durable_hangs(raft))
        return false;
    if (!raft->shed && transfer_begin(raft, 0) == ERR_NONE)
        state_complain(raft, "leadership is handed over: the own disk is full");
    raft->shed = true;
    return transfer_runs(raft);
}

void replication_tick(struct raft *raft, const struct raft_input *in)
{
    bool shedding = sheds(raft), stalls = durable_stalls(raft) && !shedding;
    raft->check_due_ms = raft->now_ms + raft->heartbeat_ms;
    if (stalls || !quorum_heard(raft)) {
        state_complain(raft, raft->disk == DISK_FULL ? "leadership given up: the own disk is full"
                             : stalls                ? "leadership given up: the own disk hangs"
                                                     : "leadership given up: no quorum answers");
        state_step_down(raft);
        state_restart_election(raft);
        return;
    }
    transfer_tick(raft);
    transfer_drain_tick(raft);
    membership_tick(raft);
    catchup_tick(raft);
    if (shedding)
        return;
    cutting_tick(raft);
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        struct peer *peer = &raft->peers.at[i];
        if (!peers_fed(peer) || raft->now_ms < peer->sent_ms + raft->heartbeat_ms)
            continue;
        peer->beat = true;
        raft->dirty = true;
        if (peer->fetch_ticket != 0 && raft->now_ms >= peer->fetch_due_ms)
            peers_forget_fetch(peer);
    }
}

static void take_refusal(struct raft *raft, struct peer *peer,
                         const struct message_appended *answer)
{
    if (answer->round <= peer->rewound)
        return;
    uint64_t hint = answer->hint_index < raft->log.last ? answer->hint_index : raft->log.last;
    if (hint >= raft->log.known_from)
        hint = raftlog_find(&raft->log, hint, answer->hint_term);
    if (hint < raft->log.known_from) /* terms are not known here: one step to what is equal */
        hint = answer->commit_index < hint ? answer->commit_index : hint;
    if (hint < peer->match && !peer->complained) {
        peer->complained = true;
        state_complain(raft, "the peer at %s lacks log index %llu that it had acknowledged",
                       peer->endpoint, (unsigned long long)peer->match);
    }
    peer->rewound = raft->round;
    peers_rewind(peer, hint + 1);
}

static void take_match(struct raft *raft, struct peer *peer, const struct message_appended *answer)
{
    if (answer->match_index > peer->match) {
        peer->match = answer->match_index;
        advance_commit(raft);
    }
    if (answer->round > peer->rewound)
        peer->probing = false;
    if (peer->next <= peer->match)
        peer->next = peer->match + 1;
    membership_acked(raft, peer);
}

void replication_appended(struct raft *raft, const struct raft_input *in)
{
    const struct message_appended *answer = &in->message->appended;
    const struct peer_head *head = &in->message->peer;
    struct peer *peer = &raft->peers.at[in->slot];
    if (!state_counts(raft, in->slot, head)) /* I11 */
        return;
    if (head->term > raft->term) {
        state_set_term(raft, head->term, 0);
        state_step_down(raft);
        state_restart_election(raft);
        return;
    }
    if (head->term < raft->term) /* an ack of a term that has passed counts for nothing (I4) */
        return;
    if (answer->round > raft->round || answer->match_index > raft->log.last) {
        state_complain(raft, "the peer at %s acknowledges what was never sent", peer->endpoint);
        return;
    }
    peer->heard_ms = raft->now_ms;
    peer->clock_ahead = (int64_t)(answer->wall_ns - raft->wall_ns);
    peer->has_clock = true;
    peer->drained = answer->drained;
    if (answer->commit_index > peer->commit_known)
        peer->commit_known = answer->commit_index;
    proposals_judge_clock(raft);
    if (answer->ok)
        take_match(raft, peer, answer);
    else
        take_refusal(raft, peer, answer);
    if (answer->state_lost)
        catchup_state(raft, in->slot);
    readindex_acked(raft, peer, answer->round);
    raft->dirty = true;
}

void replication_stored(struct raft *raft, const struct raft_input *in)
{
    if (durable_stored(raft, &in->message->stored))
        advance_commit(raft);
}

static struct peer *peer_of_ticket(struct raft *raft, uint64_t ticket)
{
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].fetch_ticket == ticket && ticket != 0)
            return &raft->peers.at[i];
    return NULL;
}

void replication_fetched(struct raft *raft, const struct raft_input *in)
{
    const struct message_fetched *fetched = &in->message->fetched;
    struct peer *peer = peer_of_ticket(raft, fetched->ticket);
    if (peer == NULL)
        return;
    if (span_is(fetched->error, "E_TRUNCATED")) {
        catchup_begin(raft, (uint32_t)(peer - raft->peers.at), "what it needs was cut");
        return;
    }
    if (fetched->error.size > 0 || fetched->entries.size == 0) {
        state_complain(raft, "storage cannot give log index %llu to the peer at %s: %.*s",
                       (unsigned long long)fetched->from, peer->endpoint, (int)fetched->error.size,
                       (const char *)fetched->error.data);
        return; /* the ticket is forgotten when its time is over; then it is asked again */
    }
    peers_forget_fetch(peer);
    struct span rest = fetched->entries, record;
    uint64_t next = fetched->from;
    while (entry_next(&rest, &record) && entry_index_of(record) == next && entry_intact(record)) {
        bytes_append_span(&peer->fetched, record);
        next++;
    }
    if (next == fetched->from)
        return;
    peer->fetched_first = fetched->from;
    peer->fetched_last = next - 1;
    peer->beat = peer->beat || peer->probing; /* what the probe waited for */
    raft->dirty = true;
}

void replication_link_down(struct raft *raft, const struct raft_input *in)
{
    struct peer *peer = &raft->peers.at[in->slot];
    peer->met_ms = 0; /* what it said is no word of who comes next */
    if (!peers_fed(peer))
        return;
    peer->rewound = raft->round;
    peers_rewind(peer, peer->match == 0 ? peer->next : peer->match + 1);
    peer->beat = false; /* the next heartbeat probes */
    catchup_link_down(raft, peer);
    transfer_link_down(raft, in->slot);
}

static void ask_older(struct raft *raft, struct peer *peer, uint64_t from)
{
    peers_forget_fetch(peer);
    peer->fetch_ticket = ++raft->ticket;
    peer->fetch_due_ms = raft->now_ms + RAFT_RETRY_MS;
    struct message *message = state_ask(raft, MESSAGE_FETCH);
    message->fetch.ticket = peer->fetch_ticket;
    message->fetch.from = from;
    message->fetch.to = raft->log.held - 1;
    message->fetch.bytes = RAFT_BATCH_BYTES;
    raft->counters.fetches++;
}

/* The term before what is to be sent; false: it must be fetched first. */
static bool previous_term(const struct raft *raft, const struct peer *peer, uint64_t *term)
{
    uint64_t prev = peer->next - 1;
    struct span record = peers_fetched(peer, prev);
    if (raftlog_knows(&raft->log, prev))
        *term = raftlog_term(&raft->log, prev);
    else if (record.size > 0)
        *term = entry_term_of(record);
    else if (peer->before_index == prev)
        *term = peer->before_term;
    else
        return false;
    return true;
}

/* Lends the rest of the fetched page from `next` on. */
static struct span fetched_rest(const struct peer *peer)
{
    struct span from = peers_fetched(peer, peer->next);
    if (from.size == 0)
        return from;
    return SPAN(from.data, peer->fetched.size - (size_t)(from.data - peer->fetched.data));
}

/* A page begins with the entry before what is wanted, for its term, and may end with it too: it is
 * of one file, and as small as one entry. Then the term is kept and the page behind is asked for.
 */
static void ask_page(struct raft *raft, struct peer *peer)
{
    uint64_t prev = peer->next - 1;
    struct span record = peers_fetched(peer, prev);
    if (record.size > 0) {
        peer->before_index = prev;
        peer->before_term = entry_term_of(record);
    }
    bool known = prev == 0 || prev == peer->before_index;
    ask_older(raft, peer, known ? peer->next : prev);
}

/* What may go to the peer now; `*last` stays next - 1 if that is nothing. */
static struct span choose_entries(struct raft *raft, struct peer *peer, uint64_t *last)
{
    *last = peer->next - 1;
    if (peer->probing || peer->next > raft->log.last)
        return (struct span){0};
    if (peer->next >= raft->log.held) {
        uint64_t flying = raftlog_bytes(&raft->log, peer->match + 1, peer->next - 1);
        uint64_t waiting = raftlog_bytes(&raft->log, peer->next, raft->log.last);
        /* As Nagle's rule (RFC 896): behind appends that are not answered only what is as large. */
        if (flying >= RAFT_INFLIGHT_BYTES || (waiting < flying && waiting < RAFT_BATCH_BYTES))
            return (struct span){0};
        return raftlog_records(&raft->log, peer->next, RAFT_BATCH_BYTES, &peer->scratch, last);
    }
    struct span rest = fetched_rest(peer);
    if (rest.size == 0) {
        if (peer->fetch_ticket == 0)
            ask_page(raft, peer);
        return rest;
    }
    if (peer->match + 1 < peer->next) /* one page of old entries at a time */
        return (struct span){0};
    *last = peer->fetched_last;
    return rest;
}

static void send_append(struct raft *raft, uint32_t slot, uint64_t prev, uint64_t prev_term,
                        struct span entries, uint64_t last)
{
    struct peer *peer = &raft->peers.at[slot];
    struct message *message = state_send(raft, slot, MESSAGE_APPEND);
    struct message_append *append = &message->append;
    append->round = ++raft->round;
    append->prev_index = prev;
    append->prev_term = prev_term;
    append->commit_index = raft->commit;
    append->entries = entries;
    append->quiet = entries.size == 0 && !peer->beat;
    if (raft->commit >= raft->log.held && raft->commit > 0)
        append->commit_hash =
            SPAN(entry_hash_of(raftlog_record(&raft->log, raft->commit)), HASH_SIZE);
    peer->next = last + 1;
    if (!append->quiet) /* what is not answered does not stand in for a heartbeat */
        peer->sent_ms = raft->now_ms;
    peer->commit_sent = raft->commit;
    peer->beat = false;
    raft->counters.appends_sent++;
    raft->counters.append_bytes += entries.size;
    if (entries.size == 0)
        raft->counters.heartbeats++;
}

/* A heartbeat that claims nothing, and whose answer proves nothing. */
static void beat_only(struct raft *raft, uint32_t slot)
{
    struct peer *peer = &raft->peers.at[slot];
    if (!peer->beat)
        return;
    send_append(raft, slot, 0, 0, (struct span){0}, peer->next - 1);
    peer->rewound = raft->round;
}

static void flush_peer(struct raft *raft, uint32_t slot)
{
    struct peer *peer = &raft->peers.at[slot];
    uint64_t prev_term = 0, last;
    if (catchup_is_cheaper(raft, peer))
        catchup_begin(raft, slot, "it lacks most of the log");
    bool waits = peer->catchup.running && !peer->catchup.state_only;
    if (waits || !previous_term(raft, peer, &prev_term)) {
        if (!waits && peer->fetch_ticket == 0)
            ask_older(raft, peer, peer->next - 1);
        beat_only(raft, slot);
        return;
    }
    struct span entries = choose_entries(raft, peer, &last);
    /* Where entries wait for the answer to the last ones, the commit index goes with them. */
    bool entries_wait =
        entries.size == 0 && peer->next <= raft->log.last && peer->fetch_ticket == 0;
    bool news = !peer->probing && peer->commit_sent < raft->commit && !entries_wait;
    if (entries.size == 0 && !news && !peer->beat)
        return;
    send_append(raft, slot, peer->next - 1, prev_term, entries, last);
    if (entries.size >= RAFT_BATCH_BYTES / 2 && peer->next <= raft->log.last)
        raft->dirty = true; /* one append a turn; the rest goes with the next */
}

void replication_flush(struct raft *raft, const struct raft_input *in)
{
    raft->dirty = false;
    membership_flush(raft);
    if (raft->role != ROLE_LEADER)
        return; /* it was removed, and that is known */
    durable_flush(raft);
    readindex_begin(raft);
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (peers_fed(&raft->peers.at[i]))
            flush_peer(raft, i);
    catchup_flush(raft);
    transfer_flush(raft);
}
