/* operate.c - what an operator asks of the node: that it leads no more, that it ends.
 *
 * Drained is kept here and in consensus, and each tells a new life of the other; it ends with the
 * node. A node that stops gives up the lead first, takes nothing new, and ends when everybody who
 * waited has an answer. */
#include "api/shell.h"

#include "common/keys.h"
#include "common/log.h"

enum { OPERATE_MS = 4000, STOP_MS = 4500, HAND_OVER_MS = 1500, DRAIN = 1, UNDRAIN = 2 };

static uint64_t now_ms(const struct api *api)
{
    return api->base.loop.now_ms;
}

/* ---- the verb node ----------------------------------------------------------------------------
 */

static void answer_node(struct api *api, const struct message_transferred *transferred)
{
    struct operate *operate = &api->operate;
    struct message answer = {.type = MESSAGE_NODE_IS};
    char leader[NODE_ID_TEXT_SIZE];
    operate->waits = false;
    node_id_print(transferred->leader, leader);
    answer.node_is.leader = transferred->leader != 0 ? SPAN_TEXT(leader) : (struct span){0};
    answer.node_is.term = transferred->term;
    answer.node_is.took_ms = transferred->took_ms;
    answer.node_is.drained = operate->drained;
    api_answer(api, &operate->route, operate->request, &answer);
}

/* Where nobody else can lead, a drained node goes on: the answer names it, and is no failure. */
static bool is_fine(const struct operate *operate, enum err err)
{
    return err == ERR_NONE || operate->asked.drain == DRAIN;
}

enum err operate_transferred(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct operate *operate = &api->operate;
    struct span name = message->transferred.error;
    enum err err = name.size > 0 ? err_by_name((const char *)name.data, name.size) : ERR_NONE;
    operate->hands_over = false;
    if (!operate->waits)
        return ERR_NONE;
    if (is_fine(operate, err)) {
        answer_node(api, &message->transferred);
        return ERR_NONE;
    }
    operate->waits = false;
    api_refuse(api, &operate->route, operate->request, err,
               err == ERR_NOT_FOUND ? "no voter has this id, or there is no other voter" : NULL);
    return ERR_NONE;
}

static struct refusal read_ask(const struct message_node *node, struct message_transfer *transfer)
{
    *transfer = (struct message_transfer){0};
    bool moves = span_is(node->action, "transfer");
    if (node->to.size > 0 && (!moves || node_id_parse(node->to, &transfer->to) != ERR_NONE))
        return (struct refusal){ERR_BAD_REQUEST, "to: a node id, and only with transfer"};
    if (span_is(node->action, "drain"))
        *transfer = (struct message_transfer){.leave = true, .drain = DRAIN};
    else if (span_is(node->action, "undrain"))
        transfer->drain = UNDRAIN;
    else if (!moves)
        return (struct refusal){ERR_BAD_REQUEST, "action: transfer, drain or undrain"};
    return (struct refusal){ERR_NONE, NULL};
}

static enum err tell_consensus(struct api *api, const struct message_transfer *transfer)
{
    struct message message = {.type = MESSAGE_TRANSFER, .transfer = *transfer};
    return link_send(&api->consensus, 0, &message);
}

void operate_node(struct api *api, const struct door_route *route, const struct message *message)
{
    struct operate *operate = &api->operate;
    struct message_transfer transfer;
    struct refusal refusal = read_ask(&message->node, &transfer);
    if (refusal.err == ERR_NONE && operate->waits)
        refusal = (struct refusal){ERR_BUSY, "another operator's ask is under way"};
    if (refusal.err == ERR_NONE && tell_consensus(api, &transfer) != ERR_NONE)
        refusal = (struct refusal){ERR_NOT_READY, "consensus is starting"};
    if (refusal.err != ERR_NONE) {
        api_refuse(api, route, message->request, refusal.err, refusal.detail);
        return;
    }
    if (transfer.drain != 0)
        operate->drained = transfer.drain == DRAIN;
    operate->waits = true;
    operate->route = *route;
    operate->request = message->request;
    operate->asked = transfer;
    operate->due_ms = now_ms(api) + OPERATE_MS;
}

/* ---- drained ----------------------------------------------------------------------------------
 */

void operate_consensus_up(struct api *api)
{
    if (api->operate.drained)
        (void)!tell_consensus(api, &(struct message_transfer){.leave = true, .drain = DRAIN});
}

void operate_learn(struct api *api, bool drained)
{
    if (!api->operate.heard)
        api->operate.drained = drained;
    api->operate.heard = true;
}

void operate_consensus_lost(struct api *api)
{
    struct operate *operate = &api->operate;
    operate->hands_over = false;
    if (operate->waits)
        api_refuse(api, &operate->route, operate->request, ERR_TIMEOUT, "consensus was restarted");
    operate->waits = false;
}

bool operate_ready(const struct api *api)
{
    const struct standing *standing = &api->standing;
    return standing->synced && standing->leader != 0 && standing->consensus_up &&
           standing->behind_ms < REQUEST_BEHIND_MS && !api->operate.drained &&
           !api->operate.stopping;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

/* Who polls is answered with what is there; who waits for an id may ask another node. */
static void end_waits(struct api *api)
{
    for (uint32_t i = 0; i < api->waits.high; i++) {
        struct wait *wait = api->waits.slots[i];
        if (wait == NULL)
            continue;
        wait->poll_until_ms = 0;
        if (wait->state == WAIT_MATCH) {
            reads_ask(api, wait);
        } else if (wait->state == WAIT_ID) {
            operate_refuse(api, &wait->route, wait->request);
            waits_remove(&api->waits, wait);
        }
    }
}

void operate_refuse(struct api *api, const struct door_route *route, uint64_t request)
{
    api_refuse(api, route, request, ERR_NOT_READY, "the node is stopping; ask another");
}

void operate_stop(void *owner)
{
    struct api *api = owner;
    struct operate *operate = &api->operate;
    struct message_transfer leave = {.leave = true};
    operate->stopping = true;
    operate->stop_due_ms = now_ms(api) + STOP_MS;
    operate->hand_over_due_ms = now_ms(api) + HAND_OVER_MS;
    operate->hands_over = tell_consensus(api, &leave) == ERR_NONE;
    log_info("answers_owed", kv_u64("writes", api->session.count),
             kv_u64("reads", api->waits.count));
    end_waits(api);
}

static bool is_over(const struct api *api)
{
    const struct operate *operate = &api->operate;
    bool hands_over = operate->hands_over && now_ms(api) < operate->hand_over_due_ms;
    bool waits = api->session.count > 0 || api->waits.count > 0 || operate->waits;
    return now_ms(api) >= operate->stop_due_ms || (!waits && !hands_over);
}

void operate_expire(struct api *api)
{
    struct operate *operate = &api->operate;
    if (operate->waits && now_ms(api) >= operate->due_ms) {
        operate->waits = false;
        api_refuse(api, &operate->route, operate->request, ERR_TIMEOUT, NULL);
    }
    operate_flush(api);
}

void operate_flush(struct api *api)
{
    if (api->operate.stopping && is_over(api))
        loop_stop(&api->base.loop, EXIT_DONE);
}
