/* attention.c - tells storage how much of its feed is wanted: where nobody waits, nobody is woken.
 *
 * Raised before a write leaves for consensus, so what becomes of it is told at once. Storage
 * loses nothing at any level: below the highest it leaves the changes themselves out, and at the
 * lowest it gathers for a moment. Lowered only after a while, so that it does not flap. */
#include "api/shell.h"

enum { WANT_LITTLE, WANT_OUTCOMES, WANT_CHANGES };

static uint32_t wanted(const struct api *api)
{
    if (feed_is_followed(&api->feed) || waits_poll(&api->waits))
        return WANT_CHANGES;
    return api->session.count > 0 || api->waits.count > 0 ? WANT_OUTCOMES : WANT_LITTLE;
}

static void tell(struct api *api, uint32_t level)
{
    struct message message = {.type = MESSAGE_ATTEND};
    message.attend.level = level;
    if (link_send(&api->view, 0, &message) != ERR_NONE)
        return; /* the next turn tries again, or a new life of storage is told at the start */
    api->attention = level;
    if (level < WANT_CHANGES)
        feed_rest(&api->feed);
}

void attention_watch(struct api *api)
{
    struct message message = {.type = MESSAGE_WATCH};
    api->attention = wanted(api);
    message.watch.level = api->attention;
    feed_rest(&api->feed);
    link_tell(&api->view, 0, &message);
}

void attention_raise(struct api *api)
{
    uint32_t level = wanted(api);
    if (level >= api->attention)
        api->calm = false;
    if (level > api->attention && api->watching)
        tell(api, level);
}

void attention_lower(struct api *api)
{
    uint32_t level = wanted(api);
    if (level < api->attention && api->calm && api->watching)
        tell(api, level);
    api->calm = level < api->attention;
}
