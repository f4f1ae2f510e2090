/* follow.c - the gap rule. */
#include "client/follow.h"

static uint64_t all_topics(const struct follow *follow)
{
    return follow->topics == FOLLOW_TOPICS_MAX ? ~(uint64_t)0 : ((uint64_t)1 << follow->topics) - 1;
}

static enum follow_verdict heal(struct follow *follow, uint64_t wanted)
{
    follow->state = FOLLOW_HEALING;
    follow->wanted = wanted;
    return FOLLOW_HEAL;
}

void follow_begin(struct follow *follow, uint32_t topics, uint64_t position, uint64_t now_ms)
{
    *follow = (struct follow){.topics = topics, .position = position};
    follow_moved(follow, now_ms);
}

void follow_moved(struct follow *follow, uint64_t now_ms)
{
    follow->state = FOLLOW_HEALING;
    follow->wanted = follow->position;
    follow->joined = 0;
    follow->join_due_ms = 0;
    follow->contact_ms = 0;
    follow->heard_ms = now_ms;
}

enum follow_verdict follow_event(struct follow *follow, uint64_t id, uint64_t prev, uint64_t now_ms)
{
    follow->heard_ms = now_ms;
    if (id <= follow->position)
        return FOLLOW_NOTHING;
    if (prev > follow->position) {
        follow->gaps++;
        return heal(follow, id);
    }
    if (follow->topics > 1)
        return heal(follow, id);
    follow->position = id;
    return FOLLOW_DELIVER;
}

enum follow_verdict follow_progress(struct follow *follow, uint32_t topic, uint64_t prev,
                                    uint64_t now_ms)
{
    bool first = (follow->joined & (uint64_t)1 << topic) == 0;
    follow->heard_ms = now_ms;
    follow->joined |= (uint64_t)1 << topic;
    if (prev <= follow->position)
        return FOLLOW_NOTHING;
    follow->gaps += !first; /* before joining nothing was promised */
    return heal(follow, prev);
}

void follow_heard(struct follow *follow, uint64_t contact_ms, uint64_t now_ms)
{
    follow->heard_ms = now_ms;
    follow->contact_ms = contact_ms;
}

enum follow_verdict follow_listed(struct follow *follow, uint64_t id)
{
    if (id <= follow->position)
        return FOLLOW_NOTHING;
    follow->position = id;
    return FOLLOW_DELIVER;
}

bool follow_page_done(struct follow *follow, uint64_t scanned_to, bool at_end, uint64_t now_ms)
{
    if (scanned_to > follow->position)
        follow->position = scanned_to;
    if (!at_end || follow->position < follow->wanted)
        return false;
    follow->state = FOLLOW_LIVE;
    follow->heard_ms = now_ms; /* its words waited in the socket: it was not silent */
    if (follow->join_due_ms == 0)
        follow->join_due_ms = now_ms + FOLLOW_SILENCE_MS;
    return true;
}

bool follow_is_joined(const struct follow *follow)
{
    return follow->joined == all_topics(follow);
}

bool follow_is_silent(const struct follow *follow, uint64_t now_ms)
{
    if (follow->state != FOLLOW_LIVE)
        return false;
    if (!follow_is_joined(follow) && now_ms >= follow->join_due_ms)
        return true;
    return now_ms >= follow->heard_ms + FOLLOW_SILENCE_MS || follow->contact_ms > FOLLOW_CONTACT_MS;
}
