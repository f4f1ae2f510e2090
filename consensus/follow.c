/* follow.c - the follower's side of the log. */
#include "consensus/follow.h"

#include "consensus/durable.h"
#include "consensus/standing.h"
#include "protocol/entry.h"

#include <assert.h>

static void owe_refusal(struct raft *raft, uint64_t index)
{
    raft->nack_owed = true;
    raft->nack_index = index;
    raft->nack_term = raftlog_knows(&raft->log, index) ? raftlog_term(&raft->log, index) : 0;
}

/* Where the leader may try next: as high as the own log can still agree, and never below
 * what is committed. */
static uint64_t hint_below(const struct raft *raft, const struct message_append *append)
{
    uint64_t top = append->prev_index - 1;
    if (top > raft->log.last)
        top = raft->log.last;
    if (top <= raft->commit)
        return raft->commit;
    uint64_t found = raftlog_find(&raft->log, top, append->prev_term);
    return found > raft->commit ? found : raft->commit;
}

/* Bytes from outside: all or nothing, before anything is changed. */
static bool is_sound(const struct message *message, uint64_t *last)
{
    struct span rest = message->append.entries, record;
    uint64_t index = message->append.prev_index, term = message->append.prev_term;
    while (entry_next(&rest, &record)) {
        if (entry_index_of(record) != index + 1 || entry_term_of(record) < term ||
            entry_term_of(record) > message->peer.term || !entry_intact(record))
            return false;
        term = entry_term_of(record);
        index++;
    }
    *last = index;
    return rest.size == 0;
}

static bool take_entry(struct raft *raft, struct span record)
{
    uint64_t index = entry_index_of(record);
    if (index <= raft->log.last) {
        bool same = index < raft->log.known_from ||
                    raftlog_term(&raft->log, index) == entry_term_of(record);
        if (same)
            return true;
        if (index <= raft->commit) {
            state_fatal(raft, "the leader replaces log index %llu, which is committed here",
                        (unsigned long long)index);
            return false;
        }
        state_truncate(raft, index - 1);
    }
    if (raft->log.has_hash && !entry_follows(record, raft->log.last_hash)) {
        state_fatal(raft, "log index %llu does not follow from the own log: hashes differ",
                    (unsigned long long)index);
        return false;
    }
    raftlog_append(&raft->log, record);
    uint8_t kind = entry_kind_of(record);
    if (kind == ENTRY_FOUNDING || kind == ENTRY_CONFIG)
        state_add_config(raft, record);
    return !raft->broken;
}

static bool take_entries(struct raft *raft, struct span rest)
{
    struct span record;
    while (entry_next(&rest, &record))
        if (!take_entry(raft, record))
            return false;
    standing_refresh(raft);
    return true;
}

/* I7: the same hash at the commit index, or one of us is wrong and must stop. */
static void compare_hash(struct raft *raft, const struct message_append *append)
{
    uint64_t index = append->commit_index;
    if (append->commit_hash.size != HASH_SIZE || index == 0 || index > raft->verified ||
        index < raft->log.held)
        return;
    if (memcmp(entry_hash_of(raftlog_record(&raft->log, index)), append->commit_hash.data,
               HASH_SIZE) != 0)
        state_fatal(raft, "the own log differs from the leader's at commit index %llu",
                    (unsigned long long)index);
}

static void learn_commit(struct raft *raft, const struct message_append *append, uint64_t last)
{
    uint64_t commit = append->commit_index < last ? append->commit_index : last; /* I5 */
    if (commit > raft->commit)
        raft->commit = commit;
}

/* A leader that the own configuration does not name yet is answered where it says it is. */
static void know_leader(struct raft *raft, const struct raft_input *in)
{
    struct peer *peer = &raft->peers.at[in->slot];
    memcpy(raft->called_by, in->message->peer.cluster, CLUSTER_ID_SIZE);
    raft->called = true;
    raft->called_history = in->message->peer.history;
    if (peer->member >= 0)
        return;
    peer->node = in->message->peer.from;
    peer->incarnation = in->message->peer.from_incarnation;
}

void follow_doubt_caller(struct raft *raft, const struct peer_head *head)
{
    static const uint8_t none[CLUSTER_ID_SIZE];
    bool same = memcmp(head->cluster, raft->called_by, CLUSTER_ID_SIZE) == 0 &&
                head->history == raft->called_history;
    bool other = !same && memcmp(head->cluster, none, CLUSTER_ID_SIZE) != 0;
    if (!other || raft->now_ms < raft->leader_heard_ms + raft->election_max_ms)
        return;
    memset(raft->called_by, 0, CLUSTER_ID_SIZE);
    raft->called = false;
}

void follow_recognise(struct raft *raft, const struct raft_input *in)
{
    if (in->message->peer.term > raft->term) {
        state_set_term(raft, in->message->peer.term, 0);
        raft->epoch++; /* the same leader again, but what it was sent before may be lost */
    }
    if (raft->role == ROLE_PRECANDIDATE || raft->role == ROLE_CANDIDATE ||
        raft->role == ROLE_LEADER)
        state_step_down(raft);
    state_set_leader(raft, in->slot);
    know_leader(raft, in);
    raft->leader_heard_ms = raft->now_ms;
    raft->loose = false;
    raft->hurry = 0;
    state_restart_election(raft);
    if (raft->verified_term != raft->term)
        raft->verified = 0;
    raft->verified_term = raft->term;
}

static void note_sender(struct raft *raft, const struct raft_input *in)
{
    raft->ack_slot = in->slot;
    raft->ack_to = in->message->peer.from;
    raft->ack_to_incarnation = in->message->peer.from_incarnation;
    raft->ack_round = in->message->append.round;
    raft->dirty = true;
}

static void answer_stale(struct raft *raft, const struct raft_input *in)
{
    const struct peer_head *head = &in->message->peer;
    if (!state_settled(raft))
        return; /* it will ask again */
    struct message *message =
        state_answer(raft, in->slot, head->from, head->from_incarnation, MESSAGE_APPENDED);
    message->appended.round = in->message->append.round;
    message->appended.hint_index = message->appended.commit_index = raft->commit;
    message->appended.wall_ns = raft->wall_ns;
}

static bool log_matches(struct raft *raft, const struct message_append *append)
{
    uint64_t prev = append->prev_index;
    if (prev < raft->log.known_from) /* below what can conflict: committed here */
        return true;
    return prev <= raft->log.last && raftlog_term(&raft->log, prev) == append->prev_term;
}

void follow_append(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    const struct message_append *append = &message->append;
    uint64_t last;
    if (raft->barred) /* all others answer what is addressed to them (ARCHITECTURE section 8) */
        return;
    if (!is_sound(message, &last)) {
        if (!raft->peers.at[in->slot].complained)
            state_complain(raft, "an append of the peer at %s is broken; dropped",
                           raft->peers.at[in->slot].endpoint);
        raft->peers.at[in->slot].complained = true;
        return;
    }
    if (message->peer.term < raft->term) { /* gets an answer that raises its term (I12) */
        answer_stale(raft, in);
        return;
    }
    if (raft->role == ROLE_LEADER && message->peer.term == raft->term) {
        state_fatal(raft, "two leaders in term %llu", (unsigned long long)raft->term); /* I1 */
        return;
    }
    follow_recognise(raft, in);
    note_sender(raft, in);
    if (append->commit_index > raft->leader_commit) /* also where the own log is far behind */
        raft->leader_commit = append->commit_index;
    if (!log_matches(raft, append)) {
        if (append->prev_index <= raft->commit)
            state_fatal(raft, "the leader's log differs at index %llu, which is committed here",
                        (unsigned long long)append->prev_index);
        else
            owe_refusal(raft, hint_below(raft, append));
        return;
    }
    if (!take_entries(raft, append->entries))
        return;
    if (raft->verified < last)
        raft->verified = last;
    learn_commit(raft, append, last);
    compare_hash(raft, append);
    if (!append->quiet && (append->entries.size == 0 || raft->stored >= last))
        raft->ack_owed = true;
}

void follow_stored(struct raft *raft, const struct raft_input *in)
{
    if (durable_stored(raft, &in->message->stored) && raft->verified_term == raft->term &&
        raft->verified > 0 && raft->leader != RAFT_NOBODY)
        raft->ack_owed = true;
}

static void send_forward(struct raft *raft)
{
    struct bytes empty = raft->forward_sent;
    bytes_clear(&empty);
    raft->forward_sent = raft->forward;
    raft->forward = empty;
    struct message *message = state_send(raft, raft->leader, MESSAGE_FORWARD);
    message->forward.records = bytes_span(&raft->forward_sent);
    raft->counters.forwarded++;
}

void follow_propose(struct raft *raft, const struct raft_input *in)
{
    struct span rest = in->message->propose.records, record;
    uint32_t count;
    if (entry_count(rest, &count)) {
        state_refuse(raft, RAFT_SELF, NULL, rest, ERR_BAD_REQUEST);
        return;
    }
    if (raft->leader == RAFT_NOBODY) {
        state_refuse(raft, RAFT_SELF, NULL, rest, ERR_NO_LEADER);
        return;
    }
    bool sent = false;
    while (rest.size > 0) {
        struct span before = rest;
        if (!entry_next(&rest, &record))
            break;
        bool full = raft->forward.size > 0 && raft->forward.size + record.size > RAFT_FORWARD_BYTES;
        if (full && sent) { /* two messages' worth in one step is enough (I28) */
            state_refuse(raft, RAFT_SELF, NULL, before, ERR_BUSY);
            break;
        }
        if (full) {
            send_forward(raft);
            sent = true;
        }
        bytes_append_span(&raft->forward, record);
    }
    raft->dirty = true;
}

void follow_refuse(struct raft *raft, const struct raft_input *in)
{
    state_refuse(raft, RAFT_SELF, NULL, in->message->propose.records, ERR_NO_LEADER);
}

void follow_turn_away(struct raft *raft, const struct raft_input *in)
{
    state_refuse(raft, in->slot, &in->message->peer, in->message->forward.records, ERR_NO_LEADER);
}

void follow_forward_refused(struct raft *raft, const struct raft_input *in)
{
    const struct message_forward_refused *refused = &in->message->forward_refused;
    bytes_clear(&raft->txids);
    bytes_append_span(&raft->txids, refused->txids);
    struct message *message = &state_emit(raft, OUTPUT_REFUSED)->message;
    message->type = MESSAGE_REFUSED;
    message->refused.txids = bytes_span(&raft->txids);
    message->refused.error =
        SPAN_TEXT(err_name(err_by_name((const char *)refused->error.data, refused->error.size)));
}

static void send_answer(struct raft *raft, bool ok)
{
    struct message *message = state_answer(raft, raft->ack_slot, raft->ack_to,
                                           raft->ack_to_incarnation, MESSAGE_APPENDED);
    struct message_appended *answer = &message->appended;
    answer->round = raft->ack_round;
    answer->ok = ok;
    answer->wall_ns = raft->wall_ns;
    answer->drained = raft->drained || raft->state_lost;
    answer->state_lost = raft->state_lost;
    if (ok) {
        answer->match_index = raft->verified < raft->stored ? raft->verified : raft->stored;
    } else {
        answer->hint_index = raft->nack_index;
        answer->hint_term = raft->nack_term;
    }
    answer->commit_index = raft->commit;
}

static void flush_forward(struct raft *raft)
{
    if (raft->forward.size == 0)
        return;
    if (raft->leader < RAFT_PEERS_MAX) {
        send_forward(raft);
        return;
    }
    struct span records = bytes_span(&raft->forward);
    state_refuse(raft, RAFT_SELF, NULL, records, ERR_NO_LEADER);
    bytes_clear(&raft->forward);
}

void follow_flush(struct raft *raft, const struct raft_input *in)
{
    raft->dirty = false;
    durable_flush(raft);
    flush_forward(raft);
    if (!state_settled(raft))
        return; /* BALLOTED makes it dirty again */
    if (raft->nack_owed)
        send_answer(raft, false);
    else if (raft->ack_owed)
        send_answer(raft, true);
    raft->nack_owed = raft->ack_owed = false;
}
