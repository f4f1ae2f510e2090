/* api.c - a node's api: the real session (who waits for what), a thin shell around it. */
#include "protocol/entry.h"
#include "tests/sim/world.h"

static void answer_all(struct world *world, struct session *session, struct session_write *write,
                       enum err err)
{
    for (uint32_t i = 0; i < write->waiter_count; i++)
        clients_told(world, write->waiters[i].request, err, NULL);
    session_remove(session, write);
}

static bool leader_known(const struct node *node)
{
    return node->up && node->raft->leader != RAFT_NOBODY;
}

static void propose(struct node *node, struct session_write *write)
{
    bytes_append_span(&node->api.proposals, bytes_span(&write->record));
    write->handed++;
}

void api_put(struct world *world, uint32_t at, const struct entry *entry, uint64_t request)
{
    struct node *node = &world->nodes[at];
    struct session_write *write;
    struct session_waiter waiter = {.request = request, .body_hash = hash_short(entry->body)};
    if (session_add(&node->api.session, entry, &waiter, world->now, &write) != ERR_NONE)
        clients_told(world, request, ERR_BUSY, NULL);
    else if (write != NULL && leader_known(node))
        propose(node, write);
}

/* The leader, the link to it or consensus changed: what waits is proposed again. */
static void notice_leader(struct node *node)
{
    struct sim_api *api = &node->api;
    if (!leader_known(node) || (api->epoch == node->raft->epoch && api->life == node->life))
        return;
    api->epoch = node->raft->epoch;
    api->life = node->life;
    for (struct session_write *write = api->session.oldest; write != NULL; write = write->newer)
        propose(node, write);
}

void api_turn(struct world *world, uint32_t at)
{
    struct node *node = &world->nodes[at];
    struct session_write *write;
    while ((write = session_expired(&node->api.session, world->now)) != NULL)
        answer_all(world, &node->api.session, write, write->handed > 0 ? ERR_OPEN : ERR_NO_LEADER);
    if (!node->up || node_paused(world, at))
        return;
    notice_leader(node);
    if (node->api.proposals.size == 0)
        return;
    struct bytes records = node->api.proposals;
    node->api.proposals = (struct bytes){0};
    struct message message = {.type = MESSAGE_PROPOSE};
    message.propose.records = bytes_span(&records);
    node_step(world, at, (struct raft_input){.kind = INPUT_PROPOSE, .message = &message});
    bytes_close(&records);
}

/* As writes.c: a refusal of the only copy is final, but for want of a leader. */
void api_refused(struct world *world, uint32_t at, const struct message *message)
{
    struct session *session = &world->nodes[at].api.session;
    if (session->buckets == NULL)
        return;
    struct span txids = message->refused.txids, name = message->refused.error;
    enum err err = err_by_name((const char *)name.data, name.size);
    for (size_t i = 0; i + TXID_SIZE <= txids.size; i += TXID_SIZE) {
        struct session_write *write = session_find(session, txids.data + i);
        if (write == NULL || write->handed != 1)
            continue;
        if (err == ERR_NO_LEADER)
            write->handed = 0;
        else
            answer_all(world, session, write, err);
    }
}

void api_effect(struct world *world, uint32_t at, const struct effect *effect)
{
    struct session *session = &world->nodes[at].api.session;
    struct session_write *write =
        session->buckets != NULL ? session_find(session, effect->txid) : NULL;
    if (write == NULL)
        return;
    for (uint32_t i = 0; i < write->waiter_count; i++)
        clients_told(world, write->waiters[i].request, effect->err, effect);
    session_remove(session, write);
}

/* Storage is new: what became of all that is waited for? */
void api_storage_new(struct world *world, uint32_t at)
{
    struct session_write *next, *write = world->nodes[at].api.session.oldest;
    struct effect effect;
    for (; write != NULL; write = next) {
        next = write->newer;
        if (view_outcome(world, at, write->txid, &effect))
            api_effect(world, at, &effect);
    }
}

void api_open(struct node *node)
{
    session_open(&node->api.session);
}

void api_close(struct node *node)
{
    session_close(&node->api.session);
    bytes_close(&node->api.proposals);
    node->api = (struct sim_api){0};
}
