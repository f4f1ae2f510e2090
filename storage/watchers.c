#include "storage/watchers.h"

#include <assert.h>

static struct span cluster_of(const struct apply_mark *at)
{
    return SPAN(at->cluster, at->founded ? sizeof at->cluster : 0);
}

static void welcome(struct watchers *watchers, uint32_t neighbour, const struct apply_mark *at)
{
    struct message message = {.type = MESSAGE_WATCHING};
    uint8_t settings[SETTINGS_COUNT * 8];
    settings_save(&at->settings, settings);
    message.watching = (struct message_watching){
        .cluster = cluster_of(at),
        .history = at->history,
        .applied_index = at->index,
        .ts = at->ts,
        .first_id = at->last_id ? at->first_id : 0,
        .last_id = at->last_id,
        .hash = SPAN(at->hash, HASH_SIZE),
        .outcome_floor = at->floor,
        .settings = SPAN(settings, sizeof settings),
    };
    enum err err = link_send(watchers->link, neighbour, &message);
    if (err == ERR_NONE)
        watchers->all |= 1u << neighbour;
    else if (err == ERR_BUSY)
        watchers->waiting |= 1u << neighbour;
}

void watchers_open(struct watchers *watchers, struct link *link)
{
    watchers->link = link;
}

void watchers_close(struct watchers *watchers)
{
    blob_release(watchers->effects);
    *watchers = (struct watchers){0};
}

void watchers_add(struct watchers *watchers, uint32_t neighbour)
{
    watchers_remove(watchers, neighbour);
    watchers->waiting |= 1u << neighbour;
}

void watchers_remove(struct watchers *watchers, uint32_t neighbour)
{
    uint32_t others = ~(1u << neighbour);
    watchers->all &= others;
    watchers->owed &= others;
    watchers->waiting &= others;
}

void watchers_welcome(struct watchers *watchers, const struct apply_mark *at)
{
    uint32_t waiting = watchers->waiting;
    watchers->waiting = 0;
    for (uint32_t neighbour = 0; neighbour < LINK_NEIGHBOURS_MAX; neighbour++) {
        if (waiting & (1u << neighbour))
            welcome(watchers, neighbour, at);
    }
}

void watchers_publish(struct watchers *watchers, const struct apply_mark *at, struct blob *effects)
{
    assert(watchers->owed == 0);
    blob_release(watchers->effects);
    watchers->effects = blob_hold(effects);
    watchers->at = *at;
    settings_save(&at->settings, watchers->settings);
    watchers->feed = (struct message){.type = MESSAGE_FEED};
    watchers->feed.feed = (struct message_feed){
        .applied_index = at->index,
        .ts = at->ts,
        .outcome_floor = at->floor,
        .cluster = cluster_of(&watchers->at),
        .history = at->history,
        .effects = blob_span(effects),
        .first_id = at->last_id ? at->first_id : 0,
        .settings = SPAN(watchers->settings, sizeof watchers->settings),
    };
    watchers->owed = watchers->all;
}

bool watchers_send(struct watchers *watchers)
{
    for (uint32_t neighbour = 0; neighbour < LINK_NEIGHBOURS_MAX; neighbour++) {
        uint32_t bit = 1u << neighbour;
        if ((watchers->owed & bit) == 0)
            continue;
        enum err err = link_send(watchers->link, neighbour, &watchers->feed);
        if (err == ERR_NONE)
            watchers->owed &= ~bit;
        else if (err != ERR_BUSY)
            watchers_remove(watchers, neighbour);
    }
    return watchers->owed == 0;
}

bool watchers_busy(const struct watchers *watchers)
{
    return (watchers->owed | watchers->waiting) != 0;
}
