/* bootstrap.c - meet, note, record 1. */
#include "consensus/bootstrap.h"

#include "consensus/election.h"
#include "consensus/standing.h"

#include <assert.h>
#include <stdio.h>

static uint32_t listed_count(const struct raft *raft)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        count += raft->peers.at[i].listed;
    return count;
}

static bool is_lowest(const struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].listed && memcmp(raft->peers.at[i].key, raft->key, RAFT_KEY_SIZE) < 0)
            return false;
    return true;
}

/* The note names the voters in key order: the first one founds. */
static bool is_founder(const struct raft *raft)
{
    return raft->has_note && memcmp(raft->note.at[0].key, raft->key, RAFT_KEY_SIZE) == 0;
}

static bool everyone_is_blank(const struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (peer->listed && (!peer->met || peer->met_noted || peer->met_founded))
            return false;
    }
    return true;
}

static bool everyone_noted(const struct raft *raft)
{
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].member >= 0 && !raft->peers.at[i].noted)
            return false;
    return true;
}

static void draw_note(struct raft *raft)
{
    struct members note = {.history = raft->chance_history};
    memcpy(note.cluster, raft->chance_cluster, CLUSTER_ID_SIZE);
    struct member self = {.node = raft->node, .incarnation = raft->incarnation};
    memcpy(self.key, raft->key, RAFT_KEY_SIZE);
    members_copy_endpoint(self.endpoint, raft->endpoint, strlen(raft->endpoint));
    members_add(&note, &self);
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        struct member member = {.node = peer->met_node, .incarnation = peer->met_incarnation};
        if (!peer->listed)
            continue;
        memcpy(member.key, peer->key, RAFT_KEY_SIZE);
        members_copy_endpoint(member.endpoint, peer->endpoint, strlen(peer->endpoint));
        members_add(&note, &member);
    }
    raft->note = note;
    raft->has_note = raft->drawn = true;
    raft->ballot_dirty = true;
    standing_refresh(raft);
}

static void try_found(struct raft *raft)
{
    assert(raft->role == ROLE_FOUNDING);
    if (raft->has_note || raft->incarnation == 0 || raft->joins)
        return;
    if (listed_count(raft) == raft->expect && is_lowest(raft) && everyone_is_blank(raft))
        draw_note(raft);
}

static void ask_others(struct raft *raft)
{
    if (raft->now_ms < raft->meet_due_ms || !state_settled(raft))
        return;
    raft->meet_due_ms = raft->now_ms + RAFT_RETRY_MS;
    if (raft->has_note && !is_founder(raft))
        return;
    if (raft->has_note) {
        bytes_clear(&raft->note_sent);
        members_encode(&raft->note, &raft->note_sent);
    }
    for (uint32_t i = 0; i < raft->peers.count; i++) {
        const struct peer *peer = &raft->peers.at[i];
        if (raft->has_note && peer->member >= 0 && !peer->noted)
            state_send(raft, i, MESSAGE_NOTE)->note.note = bytes_span(&raft->note_sent);
        if (!raft->has_note && peer->listed)
            state_answer(raft, i, 0, 0, MESSAGE_MEET);
    }
}

bool bootstrap_may_campaign(const struct raft *raft)
{
    return is_founder(raft) && everyone_noted(raft);
}

void bootstrap_begin(struct raft *raft)
{
    try_found(raft);
}

void bootstrap_tick(struct raft *raft, const struct raft_input *in)
{
    try_found(raft);
    ask_others(raft);
    if (bootstrap_may_campaign(raft) && raft->now_ms >= raft->election_due_ms)
        election_stand(raft);
}

void bootstrap_meet(struct raft *raft, const struct raft_input *in)
{
    const struct peer_head *head = &in->message->peer;
    struct message *message =
        state_answer(raft, in->slot, head->from, head->from_incarnation, MESSAGE_MET);
    message->met.noted = state_members(raft)->count > 0;
    message->met.founded = raft->config_count > 0;
    message->met.history = state_members(raft)->history;
}

void bootstrap_met(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    struct peer *peer = &raft->peers.at[in->slot];
    if (raft->has_note || message->peer.from == 0)
        return;
    peer->met = true;
    peer->met_node = message->peer.from;
    peer->met_incarnation = message->peer.from_incarnation;
    peer->met_noted = message->met.noted;
    peer->met_founded = message->met.founded;
    memcpy(peer->met_cluster, message->peer.cluster, CLUSTER_ID_SIZE);
    if (message->met.founded) {
        raft->role = ROLE_OUTSIDE;
        raft->outside = "the cluster was already founded, without this directory: it is new or "
                        "was wiped";
        memcpy(raft->outside_cluster, message->peer.cluster, CLUSTER_ID_SIZE);
        state_complain(raft, "this node is no voter: %s", raft->outside);
        return;
    }
    try_found(raft);
}

/* Everyone this node was told of is in the note, and it names exactly this directory. */
static bool note_fits(const struct raft *raft, const struct members *note, uint32_t slot)
{
    int own = members_find(note, raft->key);
    if (own < 0 || note->at[own].node != raft->node ||
        note->at[own].incarnation != raft->incarnation || note->count != raft->expect)
        return false;
    for (uint32_t i = 0; i < raft->peers.count; i++)
        if (raft->peers.at[i].listed && members_find(note, raft->peers.at[i].key) < 0)
            return false;
    return memcmp(note->at[0].key, raft->peers.at[slot].key, RAFT_KEY_SIZE) == 0;
}

static void owe_noted(struct raft *raft, const struct raft_input *in)
{
    const struct peer_head *head = &in->message->peer;
    raft->noted.owed = true;
    raft->noted.slot = in->slot;
    raft->noted.to = head->from;
    raft->noted.to_incarnation = head->from_incarnation;
}

void bootstrap_note(struct raft *raft, const struct raft_input *in)
{
    struct members note;
    struct peer *peer = &raft->peers.at[in->slot];
    bool fits =
        members_decode(in->message->note.note, &note) == ERR_NONE &&
        (raft->has_note ? members_same(&note, &raft->note) : note_fits(raft, &note, in->slot));
    if (!fits) {
        if (!peer->complained)
            state_complain(raft,
                           "the founding note of the peer at %s was refused: it names "
                           "other voters, or this one under another incarnation",
                           peer->endpoint);
        peer->complained = true;
        return;
    }
    if (!raft->has_note) {
        raft->note = note;
        raft->has_note = true;
        raft->ballot_dirty = true;
        standing_refresh(raft);
    }
    owe_noted(raft, in);
}

void bootstrap_again(struct raft *raft, const struct raft_input *in)
{
    struct members note;
    if (raft->has_note && members_decode(in->message->note.note, &note) == ERR_NONE &&
        members_same(&note, &raft->note))
        owe_noted(raft, in);
}

void bootstrap_noted(struct raft *raft, const struct raft_input *in)
{
    if (!is_founder(raft) || !state_counts(raft, in->slot, &in->message->peer))
        return;
    raft->peers.at[in->slot].noted = true;
    if (bootstrap_may_campaign(raft))
        election_stand(raft);
}

void bootstrap_hint(struct raft *raft, const struct raft_input *in)
{
    const struct raft_voter *voter = in->voter;
    if (memcmp(voter->key, raft->key, RAFT_KEY_SIZE) == 0)
        return;
    int slot = peers_find(&raft->peers, voter->key);
    if (slot >= 0 && raft->config_count > 0 && raft->peers.at[slot].member >= 0) {
        /* Where a member is, the configuration says (R112); the hint is for when it is not. */
        members_copy_endpoint(raft->peers.at[slot].hinted, voter->endpoint,
                              strlen(voter->endpoint));
        return;
    }
    slot = state_slot(raft, voter->key, voter->endpoint);
    if (slot < 0) {
        state_complain(raft, "no slot is left for the server at %s", voter->endpoint);
        return;
    }
    bool full = listed_count(raft) >= RAFT_VOTERS_MAX;
    if (!raft->has_note && raft->config_count == 0 && !full)
        raft->peers.at[slot].listed = true;
}

void bootstrap_release(struct raft *raft)
{
    if (raft->noted.owed) {
        raft->noted.owed = false;
        state_answer(raft, raft->noted.slot, raft->noted.to, raft->noted.to_incarnation,
                     MESSAGE_NOTED);
    }
    if (raft->role != ROLE_FOUNDING || !raft->drawn)
        return;
    raft->drawn = false;
    raft->meet_due_ms = raft->now_ms; /* noted by ourselves: let the others note it too */
    ask_others(raft);
    if (bootstrap_may_campaign(raft))
        election_stand(raft);
}

static const char *name_of(const struct peer *peer, char text[2 * RAFT_KEY_SIZE])
{
    if (peer->endpoint[0])
        return peer->endpoint;
    snprintf(text, 2 * RAFT_KEY_SIZE, "key %02x%02x%02x%02x…", peer->key[0], peer->key[1],
             peer->key[2], peer->key[3]);
    return text;
}

static const char *reason_of(const struct raft *raft, const struct peer *peer)
{
    if (raft->has_note)
        return is_founder(raft) && peer->member >= 0 && !peer->noted ? "must note the founding"
                                                                     : NULL;
    if (!peer->listed)
        return NULL;
    if (!peer->met)
        return "did not answer yet";
    if (peer->met_noted)
        return "has already noted a founding without this directory; it must be reset";
    return NULL;
}

void bootstrap_waits_for(const struct raft *raft, char *text, size_t size)
{
    char key[2 * RAFT_KEY_SIZE];
    uint32_t listed = listed_count(raft);
    size_t used = 0;
    text[0] = 0;
    if (!raft->has_note && listed != raft->expect)
        used += (size_t)snprintf(text, size, "founding with %u voters, %u are listed", raft->expect,
                                 listed);
    for (uint32_t i = 0; i < raft->peers.count && used < size; i++) {
        const struct peer *peer = &raft->peers.at[i];
        const char *reason = reason_of(raft, peer);
        if (reason)
            used += (size_t)snprintf(text + used, size - used, "%s%s %s", used ? "; " : "",
                                     name_of(peer, key), reason);
    }
    if (used > 0)
        return;
    if (raft->has_note && !is_founder(raft))
        snprintf(text, size, "the founder at %s to write record 1", raft->note.at[0].endpoint);
    else if (raft->has_note)
        snprintf(text, size, "a quorum to vote for the founding");
    else
        snprintf(text, size, "the founding note of the voter with the lowest key");
}
