/* claims.c - who holds a node id, and whether another one lives under it too. */
#include "consensus/claims.h"

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "protocol/cursor.h"

#include <stdio.h>

enum { EVERY_TICKS = 3, ANSWER_MS = 3000 };

static void fill_head(const struct claims *claims, struct message *message, uint64_t to)
{
    struct raft_status status;
    raft_status(claims->raft, &status);
    struct peer_head *head = &message->peer;
    memcpy(head->cluster, status.cluster, CLUSTER_ID_SIZE);
    head->history = status.head_history;
    head->from = status.node;
    head->from_incarnation = status.incarnation;
    head->to = to;
    head->term = status.term;
}

static void send_claim(struct claims *claims, uint32_t slot, uint64_t nonce)
{
    struct message message = {.type = MESSAGE_CLAIM};
    struct raft_status status;
    raft_status(claims->raft, &status);
    fill_head(claims, &message, 0);
    message.claim.life = claims->life;
    message.claim.endpoint = SPAN_TEXT(claims->endpoint);
    message.claim.nonce = nonce;
    message.claim.history = status.history;
    peerlink_send(claims->link, slot, &message);
}

void claims_open(struct claims *claims, const struct raft *raft, struct peerlink *link,
                 struct service_base *base, const char *endpoint)
{
    *claims = (struct claims){
        .raft = raft, .link = link, .loop = &base->loop, .life = base->life, .endpoint = endpoint};
}

/* ---- who holds what ---------------------------------------------------------------------------
 */

/* The entry of a node id; else the one that was used longest ago. */
static struct claims_entry *entry_of(struct claims *claims, uint64_t node)
{
    struct claims_entry *oldest = &claims->at[0];
    for (uint32_t i = 0; i < RAFT_PEERS_MAX; i++) {
        struct claims_entry *entry = &claims->at[i];
        if (entry->node == node)
            return entry;
        if (entry->used_ms < oldest->used_ms)
            oldest = entry;
    }
    *oldest = (struct claims_entry){.node = node};
    return oldest;
}

static struct claim claim_of(const struct claims *claims, uint32_t slot,
                             const struct message_claim *message)
{
    struct claim claim = {.life = message->life, .slot = slot, .route = claims->link->route};
    members_copy_endpoint(claim.endpoint, (const char *)message->endpoint.data,
                          message->endpoint.size);
    return claim;
}

/* False: that connection is gone, and with it who spoke on it. */
static bool reply(struct claims *claims, const struct claim *to, uint64_t node, uint64_t nonce,
                  const struct claim *stays)
{
    struct message message = {.type = MESSAGE_CLAIMED};
    fill_head(claims, &message, node);
    message.claimed.life = to->life;
    message.claimed.nonce = nonce;
    if (stays != NULL) {
        message.claimed.error = SPAN_TEXT(err_name(ERR_CLONE));
        message.claimed.other = SPAN_TEXT(stays->endpoint);
    }
    return peerlink_reply(claims->link, to->route, &message);
}

static void succeed(struct claims_entry *entry)
{
    entry->holder = entry->rival;
    entry->rival = (struct claim){0};
    entry->nonce = 0;
}

static void ask_both(struct claims *claims, struct claims_entry *entry)
{
    entry->nonce = chance_u64() | 1;
    entry->asked_ms = claims->loop->now_ms;
    entry->holder.answered = entry->rival.answered = false;
    bool holds = reply(claims, &entry->holder, entry->node, entry->nonce, NULL);
    bool rivals = reply(claims, &entry->rival, entry->node, entry->nonce, NULL);
    if (!holds)
        succeed(entry);
    else if (!rivals)
        entry->rival = (struct claim){0};
}

/* At the address that the configuration has for this member. */
static bool is_at_home(const struct claims *claims, const struct claim *claim)
{
    const char *home = raft_peer(claims->raft, claim->slot).endpoint;
    return strcmp(home, claim->endpoint) == 0;
}

static void refuse_one(struct claims *claims, struct claims_entry *entry)
{
    bool rival_stays = is_at_home(claims, &entry->rival) && !is_at_home(claims, &entry->holder);
    struct claim stays = rival_stays ? entry->rival : entry->holder;
    struct claim goes = rival_stays ? entry->holder : entry->rival;
    char node[NODE_ID_TEXT_SIZE];
    node_id_print(entry->node, node);
    log_error("clone_found", kv_err(ERR_CLONE), kv_text("node", node),
              kv_text("stays", stays.endpoint), kv_text("refused", goes.endpoint),
              kv_text("advice", "the directory of the refused one is a copy: remove its identity "
                                "and its data, and let it join as a new node"));
    (void)!reply(claims, &goes, entry->node, 0, &stays);
    entry->rival = goes; /* asked again should it not have heard */
    entry->holder = stays;
    entry->nonce = 0;
}

static void take_answer(struct claims *claims, struct claims_entry *entry, uint64_t life,
                        uint64_t nonce)
{
    if (entry->nonce == 0 || nonce != entry->nonce)
        return;
    if (life == entry->holder.life)
        entry->holder.answered = true;
    if (life == entry->rival.life)
        entry->rival.answered = true;
    if (entry->holder.answered && entry->rival.answered)
        refuse_one(claims, entry);
}

/* Who was asked and keeps silent is paused or dead; if it comes back, it is the rival then. */
static void give_up_on_holder(struct claims *claims, struct claims_entry *entry)
{
    bool over = entry->nonce != 0 && claims->loop->now_ms >= entry->asked_ms + ANSWER_MS;
    if (over && entry->rival.answered && !entry->holder.answered)
        succeed(entry);
    else if (over)
        entry->nonce = 0;
}

/* R101. Said once a slot: it stays wrong until somebody acts. */
static void tell_foreign(struct claims *claims, uint32_t slot, const struct raft_status *status,
                         const struct message *message)
{
    char ours[2 * CLUSTER_ID_SIZE + 1], theirs[2 * CLUSTER_ID_SIZE + 1];
    if ((claims->foreign_told >> slot & 1) != 0)
        return;
    claims->foreign_told |= 1u << slot;
    cursor_hex(status->cluster, CLUSTER_ID_SIZE, ours);
    cursor_hex(message->peer.cluster, CLUSTER_ID_SIZE, theirs);
    log_error("foreign_cluster", kv_err(ERR_CLUSTER), kv_text("here", claims->endpoint),
              kv_text("cluster", ours), kv_span("other", message->claim.endpoint),
              kv_text("others_cluster", theirs),
              kv_text("advice", "one of them lists the other by mistake: correct `member` or the "
                                "hints there. To move a server to the other cluster, clear its "
                                "data directory"));
}

/* R97: of the same cluster, and of a log that went on without ours, or ours without it. */
static void tell_history(struct claims *claims, uint32_t slot, const struct raft_status *status,
                         const struct message *message)
{
    char ours[17], theirs[17];
    if ((claims->foreign_told >> slot & 1) != 0)
        return;
    claims->foreign_told |= 1u << slot;
    snprintf(ours, sizeof ours, "%016llx", (unsigned long long)status->history);
    snprintf(theirs, sizeof theirs, "%016llx", (unsigned long long)message->claim.history);
    log_error("foreign_history", kv_err(ERR_HISTORY), kv_text("here", claims->endpoint),
              kv_text("history", ours), kv_span("other", message->claim.endpoint),
              kv_text("others_history", theirs),
              kv_text("advice", "one of the two was restored or begun anew by force. Decide which "
                                "goes on; clear the data directory of the other one, and start it "
                                "with --join"));
}

/* One of the two gets the log from its start, and has not come to this history yet. */
static bool may_learn(const struct claims *claims, uint32_t slot, const struct message *message)
{
    struct raft_peer_view peer = raft_peer(claims->raft, slot);
    struct raft_status status;
    raft_status(claims->raft, &status);
    bool member = peer.member && peer.incarnation == message->peer.from_incarnation;
    return member || status.role == ROLE_OUTSIDE;
}

static bool is_foreign(struct claims *claims, uint32_t slot, const struct message *message)
{
    static const uint8_t none[CLUSTER_ID_SIZE];
    struct raft_status status;
    const uint8_t *theirs = message->peer.cluster;
    raft_status(claims->raft, &status);
    if (!status.has_cluster || memcmp(theirs, none, CLUSTER_ID_SIZE) == 0)
        return false;
    bool same = memcmp(theirs, status.cluster, CLUSTER_ID_SIZE) == 0;
    if (same && (message->peer.history == status.head_history || may_learn(claims, slot, message)))
        return false;
    if (same)
        tell_history(claims, slot, &status, message);
    else
        tell_foreign(claims, slot, &status, message);
    return true;
}

static void take(struct claims *claims, uint32_t slot, const struct message *message)
{
    uint64_t life = message->claim.life;
    struct claims_entry *entry = entry_of(claims, message->peer.from);
    struct claim claim = claim_of(claims, slot, &message->claim);
    entry->used_ms = claims->loop->now_ms;
    if (entry->holder.life == 0 || entry->holder.life == life) {
        claim.answered = entry->holder.answered;
        entry->holder = claim;
    } else {
        claim.answered = entry->rival.life == life && entry->rival.answered;
        entry->rival = claim;
    }
    give_up_on_holder(claims, entry);
    if (message->claim.nonce != 0)
        take_answer(claims, entry, life, message->claim.nonce);
    else if (entry->rival.life != 0 && entry->nonce == 0)
        ask_both(claims, entry);
}

bool claims_take(struct claims *claims, uint32_t slot, const struct message *message)
{
    if (message->type != MESSAGE_CLAIM)
        return false;
    bool sound = message->peer.from != 0 && message->claim.life != 0;
    if (sound && !is_foreign(claims, slot, message))
        take(claims, slot, message);
    return true;
}

/* ---- the own id -------------------------------------------------------------------------------
 */

void claims_tick(struct claims *claims)
{
    struct raft_status status;
    raft_status(claims->raft, &status);
    if (status.role == ROLE_LOADING || claims->ticks++ % EVERY_TICKS != 0)
        return;
    for (uint32_t slot = 0; slot < raft_peer_count(claims->raft); slot++)
        send_claim(claims, slot, 0);
}

void claims_answered(struct claims *claims, uint32_t slot, const struct message *message)
{
    const struct message_claimed *claimed = &message->claimed;
    struct raft_status status;
    char node[NODE_ID_TEXT_SIZE];
    raft_status(claims->raft, &status);
    if (message->type != MESSAGE_CLAIMED || message->peer.to != status.node ||
        claimed->life != claims->life)
        return;
    if (claimed->nonce != 0)
        send_claim(claims, slot, claimed->nonce);
    if (!span_is(claimed->error, err_name(ERR_CLONE)))
        return;
    node_id_print(status.node, node);
    log_error("clone", kv_err(ERR_CLONE), kv_text("node", node), kv_text("here", claims->endpoint),
              kv_span("other", claimed->other),
              kv_text("told_by", raft_peer(claims->raft, slot).endpoint),
              kv_text("advice", "another server lives under this node id. If this directory is a "
                                "copy, remove its identity and its data and let it join as a new "
                                "node; if the other one is, stop that one first"));
    loop_stop(claims->loop, EXIT_CONFIG);
}
