#include "consensus/mending.h"

#include "common/log.h"

enum { EVERY_MS = 400, ASK_MS = 2000, GIVE_MS = 2000 };

#define PAGE_BYTES KiB(512)
#define TICKETS    (UINT64_C(1) << 63) /* none of the core's */

static void fill_head(const struct mending *mending, uint32_t slot, struct message *message)
{
    struct raft_status status;
    struct raft_peer_view peer = raft_peer(mending->raft, slot);
    struct peer_head *head = &message->peer;
    raft_status(mending->raft, &status);
    memcpy(head->cluster, status.cluster, CLUSTER_ID_SIZE);
    head->history = status.head_history;
    head->from = status.node;
    head->from_incarnation = status.incarnation;
    head->to = peer.node;
    head->to_incarnation = peer.incarnation;
    head->term = status.term;
}

static void tell_keeper(struct mending *mending, struct span entries)
{
    struct message message = {.type = MESSAGE_MEND, .mend = {entries}};
    mending->due_ms = mending->loop->now_ms + ASK_MS;
    link_tell(mending->keeper, 0, &message);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* The next member in turn; false: there is no other. */
static bool choose(struct mending *mending)
{
    uint32_t count = raft_peer_count(mending->raft);
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t slot = (mending->slot + i) % count;
        if (!raft_peer(mending->raft, slot).member)
            continue;
        mending->slot = slot;
        return true;
    }
    return false;
}

static void on_mend_at(struct mending *mending, const struct message_mend_at *at)
{
    struct message message = {.type = MESSAGE_GIVE};
    bool stuck = at->from == mending->wanted; /* that one could not help */
    bool member = mending->slot < raft_peer_count(mending->raft) &&
                  raft_peer(mending->raft, mending->slot).member;
    mending->wanted = at->from;
    if (at->from == 0 || ((stuck || !member) && !choose(mending)))
        return;
    fill_head(mending, mending->slot, &message);
    message.give.from = at->from;
    message.give.to = at->to;
    mending->due_ms = mending->loop->now_ms + ASK_MS;
    peerlink_send(mending->peers, mending->slot, &message);
}

/* ---- giving --------------------------------------------------------------------------------- */

static void on_give(struct mending *mending, uint32_t slot, const struct message_give *give)
{
    struct message message = {.type = MESSAGE_FETCH};
    struct raft_status status;
    uint64_t now = mending->loop->now_ms;
    raft_status(mending->raft, &status);
    if (!raft_peer(mending->raft, slot).member || give->from == 0 ||
        give->from > status.commit_index || (mending->gives && now < mending->give_due_ms))
        return; /* the other one asks somebody else, or again */
    mending->gives = true;
    mending->give_slot = slot;
    mending->give_from = give->from;
    mending->give_due_ms = now + GIVE_MS;
    message.fetch.ticket = mending->give_ticket = (mending->give_ticket + 1) | TICKETS;
    message.fetch.from = give->from;
    message.fetch.to = give->to < status.commit_index ? give->to : status.commit_index;
    message.fetch.bytes = PAGE_BYTES;
    link_tell(mending->keeper, 0, &message);
}

static void give_page(struct mending *mending, const struct message_fetched *fetched)
{
    struct message message = {.type = MESSAGE_GIVEN};
    if (!mending->gives || fetched->ticket != mending->give_ticket ||
        mending->give_slot >= raft_peer_count(mending->raft))
        return;
    mending->gives = false;
    fill_head(mending, mending->give_slot, &message);
    message.given.from = mending->give_from;
    message.given.entries = fetched->entries;
    peerlink_send(mending->peers, mending->give_slot, &message);
}

static void on_timer(void *owner)
{
    struct mending *mending = owner;
    if (mending->loop->now_ms >= mending->due_ms)
        tell_keeper(mending, SPAN(NULL, 0));
}

/* ---- public, in header order ------------------------------------------------------------------
 */

void mending_open(struct mending *mending, const struct raft *raft, struct peerlink *peers,
                  struct link *keeper, struct loop *loop)
{
    *mending = (struct mending){.raft = raft, .peers = peers, .keeper = keeper, .loop = loop};
    loop_add_timer(loop, EVERY_MS, EVERY_MS, on_timer, mending);
}

bool mending_take(struct mending *mending, uint32_t slot, const struct message *message)
{
    struct raft_status status;
    if (message->type != MESSAGE_GIVE && message->type != MESSAGE_GIVEN)
        return false;
    raft_status(mending->raft, &status);
    if (memcmp(message->peer.cluster, status.cluster, CLUSTER_ID_SIZE) != 0 ||
        message->peer.history != status.head_history || message->peer.to != status.node)
        return true;
    if (message->type == MESSAGE_GIVE)
        on_give(mending, slot, &message->give);
    else if (mending->wanted != 0 && message->given.from == mending->wanted)
        tell_keeper(mending, message->given.entries);
    return true;
}

bool mending_told(struct mending *mending, const struct message *message)
{
    if (message->type == MESSAGE_MEND_AT)
        on_mend_at(mending, &message->mend_at);
    else if (message->type == MESSAGE_FETCHED && (message->fetched.ticket & TICKETS) != 0)
        give_page(mending, &message->fetched);
    else
        return false;
    return true;
}
