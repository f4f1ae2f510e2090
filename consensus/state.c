/* state.c - emitting, the ballot, the active configuration, roles. */
#include "consensus/state.h"

#include "protocol/entry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { TEXTS_ROOM = 4096, TXIDS_IN_ONE = 4096 };

struct raft_output *state_emit(struct raft *raft, enum raft_output_kind kind)
{
    struct raft_outputs *out = raft->out;
    if (out->count == out->room) {
        out->room = out->room ? out->room * 2 : 16;
        out->at = bytes_resize(out->at, out->room, sizeof *out->at);
    }
    struct raft_output *output = &out->at[out->count++];
    *output = (struct raft_output){.kind = kind};
    return output;
}

struct message *state_ask(struct raft *raft, enum message_type type)
{
    struct message *message = &state_emit(raft, OUTPUT_STORAGE)->message;
    message->type = type;
    return message;
}

struct message *state_answer(struct raft *raft, uint32_t slot, uint64_t to, uint64_t to_incarnation,
                             enum message_type type)
{
    bool promises = type >= MESSAGE_VOTE && type <= MESSAGE_APPENDED;
    assert(!promises || state_settled(raft)); /* I2 */
    struct raft_output *output = state_emit(raft, OUTPUT_SEND);
    output->slot = slot;
    struct message *message = &output->message;
    message->type = type;
    memcpy(message->peer.cluster, state_cluster(raft), CLUSTER_ID_SIZE);
    message->peer.history = state_history(raft);
    message->peer.from = raft->node;
    message->peer.from_incarnation = raft->incarnation;
    message->peer.to = to;
    message->peer.to_incarnation = to_incarnation;
    message->peer.term = raft->durable_term;
    return message;
}

struct message *state_send(struct raft *raft, uint32_t slot, enum message_type type)
{
    const struct peer *peer = &raft->peers.at[slot];
    return state_answer(raft, slot, peer->node, peer->incarnation, type);
}

/* Prints into the texts of this step; NULL once they are full. */
static const char *print(struct raft *raft, const char *format, va_list args)
{
    char *at = (char *)bytes_reserve(&raft->texts, TEXTS_ROOM - raft->texts.size);
    size_t room = TEXTS_ROOM - raft->texts.size;
    int size = vsnprintf(at, room, format, args);
    if (size < 0 || (size_t)size >= room)
        return NULL;
    raft->texts.size += (size_t)size + 1;
    return at;
}

const char *state_print(struct raft *raft, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = print(raft, format, args);
    va_end(args);
    return text;
}

void state_complain(struct raft *raft, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = print(raft, format, args);
    va_end(args);
    if (text)
        state_emit(raft, OUTPUT_COMPLAINT)->text = text;
}

void state_fatal(struct raft *raft, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = print(raft, format, args);
    va_end(args);
    raft->broken = true;
    state_emit(raft, OUTPUT_FATAL)->text = text ? text : "the log differs from the leader's";
}

bool state_settled(const struct raft *raft)
{
    return !raft->ballot_dirty && raft->balloted == raft->ballot_ticket;
}

void state_set_term(struct raft *raft, uint64_t term, uint64_t vote)
{
    assert(term >= raft->term);
    assert(term > raft->term || raft->vote == 0);
    if (term > raft->term) {
        raft->verified = 0;
        raft->loose = false;
        raft->ack_owed = raft->nack_owed = false;
        for (uint32_t i = 0; i < raft->peers.count; i++)
            raft->peers.at[i].vote.owed = false;
    }
    raft->term = term;
    raft->vote = vote;
    raft->ballot_dirty = true;
}

void state_emit_ballot(struct raft *raft)
{
    if (!raft->ballot_dirty)
        return;
    raft->ballot_dirty = false;
    raft->ballot_ticket = ++raft->ticket;
    bytes_clear(&raft->note_sent);
    if (raft->has_note)
        members_encode(&raft->note, &raft->note_sent);
    struct message *message = state_ask(raft, MESSAGE_BALLOT);
    message->ballot.life = raft->life;
    message->ballot.ticket = raft->ballot_ticket;
    message->ballot.term = raft->term;
    message->ballot.vote = raft->vote;
    message->ballot.note = bytes_span(&raft->note_sent);
}

const struct members *state_members(const struct raft *raft)
{
    if (raft->config_count > 0)
        return &raft->configs[raft->config_count - 1].members;
    return &raft->note;
}

void state_add_config(struct raft *raft, struct span record)
{
    struct entry entry;
    struct config_mark mark = {.index = entry_index_of(record)};
    if (entry_decode(record, &entry) || members_decode(entry.body, &mark.members)) {
        state_fatal(raft, "the configuration at log index %llu cannot be read",
                    (unsigned long long)mark.index);
        return;
    }
    if (raft->config_count == RAFT_CONFIGS_MAX) {
        memmove(raft->configs, raft->configs + 1, sizeof raft->configs - sizeof *raft->configs);
        raft->config_count--;
    }
    raft->configs[raft->config_count++] = mark;
}

const uint8_t *state_cluster(const struct raft *raft)
{
    const struct members *members = state_members(raft);
    return members->count > 0 ? members->cluster : raft->called_by;
}

uint64_t state_history(const struct raft *raft)
{
    const struct members *members = state_members(raft);
    if (raft->called && (members->count == 0 || raft->self < 0))
        return raft->called_history;
    return members->parent != 0 ? members->history : 0;
}

uint64_t state_config_index(const struct raft *raft)
{
    return raft->config_count > 0 ? raft->configs[raft->config_count - 1].index : 0;
}

bool state_votes(const struct raft *raft)
{
    return raft->self >= 0 && member_votes(&state_members(raft)->at[raft->self]);
}

int state_slot(struct raft *raft, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint)
{
    int slot = peers_add(&raft->peers, key, endpoint);
    if (slot >= 0)
        return slot;
    uint64_t keep = 1ull << raft->ack_slot | 1ull << raft->leader;
    for (uint32_t i = 0; i < raft->peers.count && raft->config_count == 0; i++)
        keep |= (uint64_t)raft->peers.at[i].listed << i;
    return peers_reuse(&raft->peers, key, endpoint, keep);
}

bool state_counts(const struct raft *raft, uint32_t slot, const struct peer_head *head)
{
    const struct peer *peer = &raft->peers.at[slot];
    return peers_fed(peer) && head->from == peer->node &&
           head->from_incarnation == peer->incarnation;
}

void state_set_leader(struct raft *raft, uint32_t slot)
{
    if (raft->leader == slot)
        return;
    raft->leader = slot;
    raft->epoch++;
    raft->ack_owed = raft->nack_owed = false;
}

static enum raft_role resting_role(const struct raft *raft)
{
    if (raft->barred)
        return ROLE_OUTSIDE;
    if (state_members(raft)->count == 0)
        return raft->outside ? ROLE_OUTSIDE : ROLE_FOUNDING;
    if (!raft->inside)
        return ROLE_OUTSIDE;
    return raft->config_count > 0 ? ROLE_FOLLOWER : ROLE_FOUNDING;
}

void state_step_down(struct raft *raft)
{
    if (raft->role == ROLE_LEADER || raft->leader == RAFT_SELF)
        state_set_leader(raft, RAFT_NOBODY);
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        peers_forget_fetch(&raft->peers.at[i]);
        raft->peers.at[i].leaving = 0;
        raft->peers.at[i].catchup = (struct catchup){0};
    }
    raft->votes = 0;
    raft->asked = false;
    raft->role = resting_role(raft);
    raft->dirty = true;
}

uint64_t state_chance(struct raft *raft, uint64_t below)
{
    raft->chance += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = raft->chance;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

bool state_drained(const struct raft *raft)
{
    return (raft->drained || raft->state_lost) &&
           members_count(state_members(raft), MEMBER_VOTER) > 1;
}

void state_restart_election(struct raft *raft)
{
    uint64_t spread = raft->election_max_ms - raft->election_min_ms + 1;
    raft->election_due_ms = raft->now_ms + raft->election_min_ms + state_chance(raft, spread);
    if (state_drained(raft))
        raft->election_due_ms += RAFT_DRAINED_TIMES * raft->election_max_ms;
}

void state_truncate(struct raft *raft, uint64_t index)
{
    assert(index >= raft->commit); /* I6 */
    assert(raft->role != ROLE_LEADER);
    raftlog_truncate(&raft->log, index);
    if (raft->stored > index)
        raft->stored = index;
    if (raft->emitted > index)
        raft->emitted = index;
    if (raft->verified > index)
        raft->verified = index;
    for (uint32_t i = 0; i < raft->store_count; i++) {
        struct store_mark *mark = &raft->stores[(raft->store_first + i) % RAFT_STORES_MAX];
        if (mark->last > index)
            mark->last = index;
    }
    while (raft->config_count > 0 && raft->configs[raft->config_count - 1].index > index)
        raft->config_count--;
}

static void emit_refusal(struct raft *raft, uint32_t slot, const struct peer_head *head,
                         struct span txids, enum err err)
{
    struct span error = SPAN_TEXT(err_name(err));
    if (slot == RAFT_SELF) {
        struct message *message = &state_emit(raft, OUTPUT_REFUSED)->message;
        message->type = MESSAGE_REFUSED;
        message->refused.txids = txids;
        message->refused.error = error;
        return;
    }
    struct message *message =
        state_answer(raft, slot, head->from, head->from_incarnation, MESSAGE_FORWARD_REFUSED);
    message->forward_refused.txids = txids;
    message->forward_refused.error = error;
}

void state_refuse(struct raft *raft, uint32_t slot, const struct peer_head *head,
                  struct span records, enum err err)
{
    struct span record;
    size_t begin = raft->txids.size;
    bytes_reserve(&raft->txids, records.size / ENTRY_HEADER_SIZE * TXID_SIZE + TXID_SIZE);
    assert(begin == 0); /* one refusal a step: what was lent must not move */
    while (entry_next(&records, &record))
        bytes_append(&raft->txids, entry_txid_of(record), TXID_SIZE);
    raft->counters.refused += raft->txids.size / TXID_SIZE;
    for (size_t at = 0; at < raft->txids.size; at += (size_t)TXIDS_IN_ONE * TXID_SIZE) {
        size_t size = raft->txids.size - at;
        if (size > (size_t)TXIDS_IN_ONE * TXID_SIZE)
            size = (size_t)TXIDS_IN_ONE * TXID_SIZE;
        emit_refusal(raft, slot, head, SPAN(raft->txids.data + at, size), err);
    }
}
