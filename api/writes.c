/* writes.c - a put from the ask to its answer. */
#include "api/shell.h"

#include "common/log.h"

#include <assert.h>

enum { PROPOSE_BYTES_MAX = 1 << 20, TXIDS_PER_ASK = 4096 };

static void answer_all(struct api *api, struct session_write *write, enum err err,
                       const char *detail)
{
    for (uint32_t i = 0; i < write->waiter_count; i++)
        api_refuse(api, &write->waiters[i].route, write->waiters[i].request, err, detail);
    session_remove(&api->session, write);
}

/* ---- on the way to consensus ------------------------------------------------------------------
 */

static void send_proposals(struct api *api)
{
    struct message message = {.type = MESSAGE_PROPOSE};
    message.propose.records = bytes_span(&api->proposals);
    enum err err = link_send(&api->consensus, 0, &message);
    if (err != ERR_NONE) /* the writes stay open; a new life of consensus gets them again */
        log_warn("propose_failed", kv_err(err));
    bytes_clear(&api->proposals);
}

static void propose(struct api *api, struct session_write *write)
{
    if (api->proposals.size > 0 && api->proposals.size + write->record.size > PROPOSE_BYTES_MAX)
        send_proposals(api);
    bytes_append_span(&api->proposals, bytes_span(&write->record));
    write->handed++;
}

static bool may_propose(const struct api *api)
{
    return api->standing.consensus_up && api->standing.leader != 0;
}

void writes_flush(struct api *api)
{
    if (api->proposals.size > 0)
        send_proposals(api);
}

/* ---- quotas ---------------------------------------------------------------------------------- */

static uint64_t print_of(const uint8_t *txid, uint64_t body_hash)
{
    return load_u64(txid) ^ load_u64(txid + 8) ^ body_hash;
}

/* False: over a bound. Counted is here, where it comes in, a put that nobody waits for yet, and
 * whose answer was not lost. */
static bool admit(struct api *api, const struct entry *entry, const struct session_waiter *waiter,
                  bool again, bool *counted, uint64_t *wait_ms)
{
    uint64_t print = print_of(entry->txid, waiter->body_hash);
    *counted = false;
    if (!entry_is_write(entry->kind) || !api->quota.bounded ||
        session_find(&api->session, entry->txid) != NULL || quota_knows(&api->quota, print))
        return true;
    *counted = quota_admit(&api->quota, entry->body, again, api->base.loop.now_ms, wait_ms);
    if (*counted)
        quota_note(&api->quota, print);
    return *counted;
}

static void refund(struct api *api, const struct entry *entry)
{
    quota_knows(&api->quota, print_of(entry->txid, hash_short(entry->body))); /* not any more */
    quota_refund(&api->quota, entry->body);
}

/* A put that is surely not done. */
static void refund_write(struct api *api, const struct session_write *write)
{
    struct entry entry;
    if (write->counted && entry_decode(bytes_span(&write->record), &entry) == ERR_NONE)
        refund(api, &entry);
}

/* ---- from clients ---------------------------------------------------------------------------- */

/* Notes that the client waits. `write`: what is new. */
static enum err take_in(struct api *api, const struct entry *entry,
                        const struct session_waiter *waiter, bool counted,
                        struct session_write **write)
{
    enum err err = session_add(&api->session, entry, waiter, api->base.loop.now_ms, write);
    if (err != ERR_NONE && counted)
        refund(api, entry);
    else if (err == ERR_NONE && *write != NULL)
        (*write)->counted = counted;
    return err;
}

void writes_put(struct api *api, const struct door_route *route, const struct message *message)
{
    struct entry entry;
    struct session_write *write;
    struct session_waiter waiter = {.route = *route, .request = message->request};
    api->puts++;
    struct refusal refusal = request_put(&api->standing, &message->put, &entry);
    bool counted;
    uint64_t wait_ms;
    if (refusal.err == ERR_NONE) {
        waiter.body_hash = hash_short(entry.body);
        if (!admit(api, &entry, &waiter, message->put.attempt > 1, &counted, &wait_ms)) {
            api->puts_over_quota++;
            api_refuse_quota(api, route, message->request, wait_ms);
            return;
        }
        refusal.err = take_in(api, &entry, &waiter, counted, &write);
    }
    if (refusal.err != ERR_NONE) {
        api->puts_refused++;
        api_refuse(api, route, message->request, refusal.err, refusal.detail);
        return;
    }
    if (write != NULL && may_propose(api))
        propose(api, write);
}

void writes_again(struct api *api)
{
    if (!may_propose(api))
        return;
    for (struct session_write *at = api->session.oldest; at != NULL; at = at->newer) {
        api->proposed_again += at->handed > 0;
        propose(api, at);
    }
}

/* A refusal before the log of the only copy is final for that copy. With a second copy under
 * way it says nothing. A write refused for want of a leader waits for the next one. */
static void refuse_copy(struct api *api, const uint8_t *txid, enum err err)
{
    struct session_write *write = session_find(&api->session, txid);
    if (write == NULL || write->handed != 1)
        return;
    if (err == ERR_NO_LEADER) {
        write->handed = 0;
        return;
    }
    refund_write(api, write);
    api->puts_refused += write->waiter_count;
    answer_all(api, write, err, NULL);
}

void writes_refused(struct api *api, const struct message *message)
{
    struct span txids = message->refused.txids, name = message->refused.error;
    enum err err = err_by_name((const char *)name.data, name.size);
    for (size_t at = 0; at + TXID_SIZE <= txids.size; at += TXID_SIZE)
        refuse_copy(api, txids.data + at, err);
}

static void give_up(struct api *api, struct session_write *write, const char *detail)
{
    bool open = write->handed > 0;
    api->puts_open += open;
    if (!open)
        refund_write(api, write);
    answer_all(api, write, open ? ERR_OPEN : ERR_NO_LEADER, detail);
}

void writes_expire(struct api *api)
{
    struct session_write *write;
    while ((write = session_expired(&api->session, api->base.loop.now_ms)) != NULL)
        give_up(api, write, NULL);
}

/* A leader takes them still, but their outcome stands in entries that never come here: who asks
 * another node with the same txid learns it at once. */
void writes_leave(struct api *api)
{
    while (api->session.oldest != NULL)
        give_up(api, api->session.oldest, REQUEST_REMOVED);
}

/* ---- outcomes ---------------------------------------------------------------------------------
 */

void writes_ask_outcomes(struct api *api)
{
    SCOPED(bytes) txids = {0};
    struct message message = {.type = MESSAGE_OUTCOMES};
    for (struct session_write *at = api->session.oldest; at != NULL; at = at->newer) {
        bytes_append(&txids, at->txid, TXID_SIZE);
        if (at->newer != NULL && txids.size < TXIDS_PER_ASK * TXID_SIZE)
            continue;
        message.outcomes.txids = bytes_span(&txids);
        link_tell(&api->view, 0, &message);
        bytes_clear(&txids);
    }
}

/* The change hash at the last id: from the effect where it was just applied, else from the
 * change itself, which storage is asked for. */
static const uint8_t *last_hash(const struct effect *effect)
{
    struct span links = effect->links;
    struct effect_link link;
    const uint8_t *hash = NULL;
    while (effect_link_next(&links, &link))
        hash = link.hash;
    return hash;
}

static void ask_for_hash(struct api *api, const struct session_waiter *waiter,
                         const struct effect *effect)
{
    struct wait *wait;
    struct request_read ask = {.read = {.since = effect->last_id - 1, .limit = 1, .exact = true}};
    ask.read.bytes = REQUEST_BYTES_MAX;
    if (waits_add(&api->waits, &waiter->route, waiter->request, MESSAGE_PUT, &ask, &wait) !=
        ERR_NONE) {
        api_refuse(api, &waiter->route, waiter->request, ERR_OPEN, NULL);
        return;
    }
    wait->outcome = *effect;
    wait->outcome.links = wait->outcome.body = (struct span){0};
    reads_ask(api, wait);
}

/* E_TXID_REUSED concerns the attempt whose body it names; the outcome of the txid is another. */
static bool concerns(const struct session_waiter *waiter, const struct effect *effect)
{
    return effect->err != ERR_TXID_REUSED || effect->body_hash == waiter->body_hash;
}

/* Settings, holders and rules bring no change: the head of this node says where they stand. */
static void answer_settled(struct api *api, const struct session_waiter *waiter,
                           const struct effect *effect)
{
    struct message answer;
    struct effect at_head = *effect;
    at_head.last_id = api->standing.last_id;
    answer_put(&api->standing, &at_head, api->standing.hash, &api->texts, &answer);
    api_answer(api, &waiter->route, waiter->request, &answer);
}

static const char *advice(const struct session_write *write, enum err err)
{
    enum entry_kind kind = entry_kind_of(bytes_span(&write->record));
    return kind == ENTRY_HOLDER ? holders_advice(err)
           : kind == ENTRY_RULE ? rules_advice(err)
                                : NULL;
}

static void answer_waiter(struct api *api, const struct session_write *write,
                          const struct session_waiter *waiter, const struct effect *effect)
{
    struct message answer;
    const uint8_t *hash = last_hash(effect);
    if (effect->err != ERR_NONE) {
        api->puts_refused++;
        api_refuse(api, &waiter->route, waiter->request, effect->err, advice(write, effect->err));
    } else if (effect->body_hash != waiter->body_hash) {
        api->puts_refused++;
        api_refuse(api, &waiter->route, waiter->request, ERR_TXID_REUSED, NULL);
    } else if (effect->change_count == 0) {
        answer_settled(api, waiter, effect);
    } else if (hash == NULL) {
        ask_for_hash(api, waiter, effect);
    } else {
        api->puts_done++;
        answer_put(&api->standing, effect, hash, &api->texts, &answer);
        api_answer(api, &waiter->route, waiter->request, &answer);
    }
}

void writes_effect(struct api *api, const struct effect *effect)
{
    struct session_write *write = session_find(&api->session, effect->txid);
    if (write == NULL)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < write->waiter_count; i++) {
        if (concerns(&write->waiters[i], effect))
            answer_waiter(api, write, &write->waiters[i], effect);
        else
            write->waiters[kept++] = write->waiters[i];
    }
    write->waiter_count = kept;
    if (kept == 0)
        session_remove(&api->session, write);
}

void writes_page(struct api *api, struct wait *wait, const struct message_page *page)
{
    struct message answer;
    static const uint8_t zeros[HASH_SIZE];
    /* The change itself may have been cut since: the outcome stands, its hash is gone. */
    const uint8_t *hash =
        page->next_hash.size == HASH_SIZE && page->error.size == 0 ? page->next_hash.data : zeros;
    api->puts_done++;
    answer_put(&api->standing, &wait->outcome, hash, &api->texts, &answer);
    api_answer(api, &wait->route, wait->request, &answer);
    waits_remove(&api->waits, wait);
}
