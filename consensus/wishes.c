/* wishes.c - from an ask to the configuration, and back to a verdict. */
#include "consensus/wishes.h"

#include "consensus/memberlist.h"
#include "consensus/membership.h"
#include "consensus/plan.h"

enum { MET_LASTS_MS = 3000 }; /* a call-back that was answered proves who is there */

struct wish {
    uint32_t slot; /* who asks: RAFT_SELF is the own api */
    const struct peer_head *head;
    uint64_t ticket, since;
    const struct texts *ops;
};

/* What became of it. */
struct verdict {
    enum err err;
    const char *detail; /* lent for this step */
    bool done;
    uint64_t since;
};

/* Both messages have the same fields. */
#define FILL(message)                                                                           \
    do {                                                                                        \
        (message)->ticket = wish->ticket;                                                       \
        (message)->error = verdict->err ? SPAN_TEXT(err_name(verdict->err)) : (struct span){0}; \
        (message)->detail = SPAN_TEXT(verdict->detail ? verdict->detail : "");                  \
        (message)->done = verdict->done;                                                        \
        (message)->since = verdict->since;                                                      \
        (message)->index = state_config_index(raft);                                            \
        (message)->joint = state_members(raft)->joint;                                          \
        (message)->members = bytes_span(&raft->rows);                                           \
    } while (0)

static void respond(struct raft *raft, const struct wish *wish, const struct verdict *verdict)
{
    bytes_clear(&raft->rows);
    memberlist_pack(raft, &raft->rows);
    if (wish->slot == RAFT_SELF) {
        struct message *message = &state_emit(raft, OUTPUT_MEMBERS)->message;
        message->type = MESSAGE_MEMBERS_ARE;
        FILL(&message->members_are);
        return;
    }
    struct message *message = state_answer(raft, wish->slot, wish->head->from,
                                           wish->head->from_incarnation, MESSAGE_TELL_MEMBERS);
    FILL(&message->tell_members);
}

static struct verdict refuse(struct raft *raft, enum err err, const char *why)
{
    return (struct verdict){.err = err, .detail = state_print(raft, "%s", why)};
}

static struct verdict refuse_history(struct raft *raft, const struct peer *peer)
{
    return (struct verdict){
        .err = ERR_HISTORY,
        .detail = state_print(raft,
                              "the server at %s has history %016llx of this cluster, here it is "
                              "%016llx: what it holds does not fit; clear its data directory (keep "
                              "a copy, if something there may be missed), and start it with --join",
                              peer->endpoint, (unsigned long long)peer->met_history,
                              (unsigned long long)state_members(raft)->history)};
}

/* The server itself says who it is, and so proves that it is there (R116); a member too, which may
 * have been wiped since it answered last. False: it has not yet, and is asked. */
static bool call_back(struct raft *raft, struct memberop *op, struct verdict *verdict)
{
    if (memcmp(op->key, raft->key, RAFT_KEY_SIZE) == 0) {
        op->node = raft->node;
        op->incarnation = raft->incarnation;
        return true;
    }
    int slot = state_slot(raft, op->key, op->endpoint);
    if (slot < 0) {
        *verdict = refuse(raft, ERR_LIMIT, "too many servers are called back; wait a moment");
        return false;
    }
    struct peer *peer = &raft->peers.at[slot];
    bool met = peer->met_ms != 0 && raft->now_ms < peer->met_ms + MET_LASTS_MS;
    if (!met) {
        state_answer(raft, (uint32_t)slot, 0, 0, MESSAGE_MEET);
        verdict->err = ERR_UNREACHABLE;
        verdict->detail = state_print(raft,
                                      "the server at %s has not answered a call-back; check its "
                                      "address and key, and that it knows those of the leader",
                                      op->endpoint);
        return false;
    }
    if (peer->met_other) {
        *verdict = refuse_history(raft, peer);
        peer->met_ms = 0; /* it is asked anew next time: it may have been cleared meanwhile */
        return false;
    }
    if (op->node != 0 && op->node != peer->met_node) {
        *verdict = refuse(raft, ERR_CLONE, "the server there says that it has another node id");
        return false;
    }
    op->node = peer->met_node;
    op->incarnation = peer->met_incarnation;
    return true;
}

/* Reads and resolves all wishes. False: the verdict says what is wrong, or waited for. */
static bool read_ops(struct raft *raft, const struct wish *wish, struct memberop *ops,
                     struct verdict *verdict)
{
    char why[MEMBEROP_WHY_MAX];
    bool known = true;
    if (wish->ops->count > MEMBEROP_MAX) {
        *verdict = refuse(raft, ERR_LIMIT, "at most 16 wishes at a time");
        return false;
    }
    for (uint32_t i = 0; i < wish->ops->count; i++) {
        enum err err = memberop_parse(wish->ops->at[i], &ops[i], why);
        if (err != ERR_NONE) {
            *verdict = refuse(raft, err, why);
            return false;
        }
    }
    for (uint32_t i = 0; i < wish->ops->count; i++) {
        if (ops[i].kind != MEMBEROP_ADD || call_back(raft, &ops[i], verdict))
            continue;
        if (verdict->err != ERR_UNREACHABLE)
            return false;
        known = false; /* the others are called too, at the same time */
    }
    return known;
}

/* Takes the wishes into the configuration, where they do not stand there yet. */
static enum err take(struct raft *raft, const struct memberop *ops, uint32_t count,
                     char why[MEMBEROP_WHY_MAX])
{
    const struct members *active = state_members(raft);
    if (active->joint || !state_votes(raft) || !membership_may_propose(raft))
        return ERR_NONE; /* it is asked again, perhaps of the next leader */
    struct members next = *active;
    for (uint32_t i = 0; i < count; i++)
        TRY(plan_take(&next, &ops[i], raft->log.last + 1, why));
    if (!members_same(&next, active))
        membership_propose(raft, &next);
    return ERR_NONE;
}

static struct verdict judge(struct raft *raft, const struct wish *wish)
{
    struct memberop ops[MEMBEROP_MAX];
    struct verdict verdict = {0};
    char why[MEMBEROP_WHY_MAX];
    if (raft->commit < raft->term_first)
        return refuse(raft, ERR_NOT_READY,
                      "this leader has not committed an entry of its term yet");
    if (!read_ops(raft, wish, ops, &verdict))
        return verdict;
    enum err err = wish->since == 0 ? take(raft, ops, wish->ops->count, why) : ERR_NONE;
    if (err != ERR_NONE)
        return refuse(raft, err, why);
    const struct members *active = state_members(raft);
    bool holds = true, fulfilled = true, committed = raft->commit >= state_config_index(raft);
    for (uint32_t i = 0; i < wish->ops->count; i++) {
        holds = holds && plan_holds(active, &ops[i]);
        fulfilled = fulfilled && plan_fulfils(active, &ops[i]);
    }
    if (wish->since != 0 && !holds)
        return refuse(raft, ERR_ABORTED, "the change was cancelled, or another one replaced it");
    verdict.done = holds && fulfilled && committed;
    verdict.since = holds && committed ? state_config_index(raft) : wish->since;
    verdict.detail = verdict.done ? "" : memberlist_waits_for(raft);
    return verdict;
}

static void answer_wish(struct raft *raft, const struct wish *wish)
{
    struct verdict verdict = judge(raft, wish);
    respond(raft, wish, &verdict);
}

static struct wish own_wish(const struct raft_input *in)
{
    const struct message_members_ask *ask = &in->message->members_ask;
    return (struct wish){RAFT_SELF, NULL, ask->ticket, ask->since, &ask->ops};
}

void wishes_asked(struct raft *raft, const struct raft_input *in)
{
    struct wish wish = own_wish(in);
    answer_wish(raft, &wish);
}

void wishes_asked_by_peer(struct raft *raft, const struct raft_input *in)
{
    const struct message_ask_members *ask = &in->message->ask_members;
    struct wish wish = {in->slot, &in->message->peer, ask->ticket, ask->since, &ask->ops};
    answer_wish(raft, &wish);
}

void wishes_forward(struct raft *raft, const struct raft_input *in)
{
    struct wish wish = own_wish(in);
    if (raft->leader >= RAFT_PEERS_MAX) {
        respond(raft, &wish, &(struct verdict){.err = ERR_NO_LEADER});
        return;
    }
    struct message_ask_members *ask =
        &state_send(raft, raft->leader, MESSAGE_ASK_MEMBERS)->ask_members;
    ask->ticket = wish.ticket;
    ask->since = wish.since;
    ask->ops = *wish.ops;
}

void wishes_unknown(struct raft *raft, const struct raft_input *in)
{
    struct wish wish = own_wish(in);
    respond(raft, &wish, &(struct verdict){.err = ERR_NOT_READY});
}

void wishes_told(struct raft *raft, const struct raft_input *in)
{
    const struct message_tell_members *told = &in->message->tell_members;
    struct message *message = &state_emit(raft, OUTPUT_MEMBERS)->message;
    struct message_members_are *are = &message->members_are;
    message->type = MESSAGE_MEMBERS_ARE;
    are->ticket = told->ticket;
    are->error = told->error;
    are->detail = told->detail;
    are->done = told->done;
    are->since = told->since;
    are->index = told->index;
    are->joint = told->joint;
    are->members = told->members;
}

void wishes_met(struct raft *raft, const struct raft_input *in)
{
    const struct peer_head *head = &in->message->peer;
    struct peer *peer = &raft->peers.at[in->slot];
    if (head->from == 0 || head->from_incarnation == 0)
        return;
    peer->met_ms = raft->now_ms;
    peer->met_node = head->from;
    peer->met_incarnation = head->from_incarnation;
    bool founded = memcmp(head->cluster, state_cluster(raft), CLUSTER_ID_SIZE) == 0;
    bool member = peer->member >= 0 && peer->incarnation == head->from_incarnation;
    /* A member that has not got the whole log yet may not know which history it is in. */
    peer->met_other = founded && !member && head->history != state_history(raft);
    peer->met_history = in->message->met.history;
}
