/* heads.c - which messages of other servers are looked at. */
#include "consensus/heads.h"

#include "consensus/follow.h"

#include <stdio.h>

enum { HISTORY_TEXT_SIZE = 17 };

static void hex(const uint8_t id[CLUSTER_ID_SIZE], char text[2 * CLUSTER_ID_SIZE + 1])
{
    for (size_t i = 0; i < CLUSTER_ID_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
}

static bool is_zero(const uint8_t id[CLUSTER_ID_SIZE])
{
    static const uint8_t zeros[CLUSTER_ID_SIZE];
    return memcmp(id, zeros, CLUSTER_ID_SIZE) == 0;
}

static void complain_cluster(struct raft *raft, struct peer *peer, const uint8_t *own,
                             const uint8_t *other)
{
    char ours[2 * CLUSTER_ID_SIZE + 1], theirs[2 * CLUSTER_ID_SIZE + 1];
    raft->counters.wrong_cluster++;
    if (peer->complained)
        return;
    peer->complained = true;
    hex(own, ours);
    hex(other, theirs);
    state_complain(raft,
                   "E_CLUSTER: the server at %s belongs to cluster %s, this node at %s to %s; "
                   "refused. One of them lists the other by mistake: correct `member` there, or "
                   "the hints; to move a server to the other cluster, clear its data directory",
                   peer->endpoint, theirs, raft->endpoint, ours);
}

/* A log that was restored, or begun anew by force, and the one before it have entries in common,
 * and the same index and term may be another entry in each: they never mix. */
static void complain_history(struct raft *raft, const struct raft_input *in)
{
    struct peer *peer = &raft->peers.at[in->slot];
    const struct message *message = in->message;
    uint64_t theirs = message->type == MESSAGE_MET ? message->met.history : message->peer.history;
    char text[HISTORY_TEXT_SIZE];
    raft->counters.wrong_cluster++;
    if (peer->complained)
        return;
    peer->complained = true;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)theirs);
    state_complain(
        raft,
        "E_HISTORY: the server at %s has history %s of this cluster, this node at %s has "
        "history %016llx; refused. Decide which of the two goes on; clear the data "
        "directory of the other one, and start it with --join",
        peer->endpoint, theirs ? text : "the first", raft->endpoint,
        (unsigned long long)state_members(raft)->history);
}

/* The log of this node does not name it (yet): a leader that knows this very directory has let it
 * in, and may be far ahead of what is here. */
static bool lets_us_in(const struct raft *raft, const struct message *message)
{
    bool leads = message->type == MESSAGE_APPEND || message->type == MESSAGE_SNAPSHOT;
    return leads && raft->self < 0 && message->peer.to == raft->node &&
           message->peer.to_incarnation == raft->incarnation;
}

/* Who it is may be asked and told all the same, so that the refusal can name it. */
static bool history_fits(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    if (message->peer.history == state_history(raft) || lets_us_in(raft, message))
        return true;
    complain_history(raft, in);
    return message->type == MESSAGE_MEET || message->type == MESSAGE_MET;
}

bool heads_fit(struct raft *raft, const struct raft_input *in)
{
    const struct message *message = in->message;
    const struct peer_head *head = &message->peer;
    follow_doubt_caller(raft, head);
    const uint8_t *own = state_cluster(raft);
    bool meeting = message->type <= MESSAGE_NOTED;
    bool stranger = meeting && (is_zero(head->cluster) || is_zero(own));
    /* Who knows this very incarnation has met it, and admitted it. */
    bool admitted = is_zero(own) && !raft->has_note && !is_zero(head->cluster) && head->to != 0;
    if (!stranger && !admitted && memcmp(head->cluster, own, CLUSTER_ID_SIZE) != 0) {
        if (!is_zero(own))
            complain_cluster(raft, &raft->peers.at[in->slot], own, head->cluster);
        return false;
    }
    if (!stranger && !admitted && !history_fits(raft, in))
        return false;
    if (message->type == MESSAGE_MEET && head->to == 0)
        return true;
    if (head->to == raft->node && head->to_incarnation == raft->incarnation)
        return true;
    raft->counters.wrong_receiver++;
    return false;
}
