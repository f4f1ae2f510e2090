#include "storage/watchers.h"

#include <assert.h>

enum { LEVEL_GATHER, LEVEL_AT_ONCE, LEVEL_WHOLE };
enum { GATHER_MS = 10, GATHER_BYTES_MAX = 256 << 10 };

static struct span cluster_of(const struct apply_mark *at)
{
    return SPAN(at->cluster, at->founded ? sizeof at->cluster : 0);
}

static void welcome(struct watchers *watchers, uint32_t neighbour, const struct apply_mark *at)
{
    struct message message = {.type = MESSAGE_WATCHING};
    uint8_t settings[SETTINGS_COUNT * 8], holders[HOLDERS_SAVED_MAX], rules[RULES_SAVED_MAX];
    settings_save(&at->settings, settings);
    message.watching = (struct message_watching){
        .cluster = cluster_of(at),
        .history = at->history,
        .parent = at->parent,
        .fork_id = at->fork_id,
        .applied_index = at->index,
        .ts = at->ts,
        .first_id = at->last_id ? at->first_id : 0,
        .last_id = at->last_id,
        .hash = SPAN(at->hash, HASH_SIZE),
        .outcome_floor = at->floor,
        .settings = SPAN(settings, sizeof settings),
        .holders = SPAN(holders, holders_save(&at->holders, holders)),
        .rules = SPAN(rules, rules_save(&at->rules, rules)),
    };
    enum err err = link_send(watchers->link, neighbour, &message);
    if (err == ERR_NONE)
        watchers->all |= 1u << neighbour;
    else if (err == ERR_BUSY)
        watchers->waiting |= 1u << neighbour;
}

/* Who is welcomed is told holders and rules; others may not have been, so they stay news. */
static void stand(struct watchers *watchers, const struct apply_mark *at)
{
    if (memcmp(&watchers->at.holders, &at->holders, sizeof at->holders) != 0 ||
        memcmp(&watchers->at.rules, &at->rules, sizeof at->rules) != 0)
        watchers->lists_news = true;
    watchers->at = *at;
}

static void judge_level(struct watchers *watchers)
{
    watchers->level = LEVEL_GATHER;
    for (uint32_t neighbour = 0; neighbour < LINK_NEIGHBOURS_MAX; neighbour++) {
        bool follows = watchers->all & (1u << neighbour);
        if (follows && watchers->levels[neighbour] > watchers->level)
            watchers->level = watchers->levels[neighbour];
    }
}

/* What was gathered goes out by the flush of this turn. */
static void on_gathered(void *owner)
{
    struct watchers *watchers = owner;
    watchers->armed = false;
}

void watchers_open(struct watchers *watchers, struct link *link, struct loop *loop)
{
    watchers->link = link;
    watchers->loop = loop;
    watchers->timer = loop_add_timer(loop, GATHER_MS, 0, on_gathered, watchers);
    watchers->armed = true;
}

void watchers_close(struct watchers *watchers)
{
    blob_release(watchers->effects);
    bytes_close(&watchers->gathered);
    *watchers = (struct watchers){0};
}

void watchers_add(struct watchers *watchers, uint32_t neighbour, uint64_t level)
{
    watchers_remove(watchers, neighbour);
    watchers->waiting |= 1u << neighbour;
    watchers_attend(watchers, neighbour, level);
}

void watchers_remove(struct watchers *watchers, uint32_t neighbour)
{
    uint32_t others = ~(1u << neighbour);
    watchers->all &= others;
    watchers->owed &= others;
    watchers->waiting &= others;
    if (watchers->all == 0) {
        watchers->news = false;
        bytes_close(&watchers->gathered);
    }
    judge_level(watchers);
}

void watchers_attend(struct watchers *watchers, uint32_t neighbour, uint64_t level)
{
    bool follows = watchers->all & (1u << neighbour);
    watchers->levels[neighbour] = level < LEVEL_WHOLE ? (uint8_t)level : LEVEL_WHOLE;
    if (follows && level >= LEVEL_WHOLE) /* to be told from where on the feed is whole */
        watchers->news = true;
    judge_level(watchers);
}

void watchers_welcome(struct watchers *watchers, const struct apply_mark *at)
{
    uint32_t waiting = watchers->waiting;
    watchers->waiting = 0;
    for (uint32_t neighbour = 0; neighbour < LINK_NEIGHBOURS_MAX; neighbour++) {
        if (waiting & (1u << neighbour))
            welcome(watchers, neighbour, at);
    }
    if (waiting == 0)
        return;
    stand(watchers, at);
    judge_level(watchers);
    watchers->news = watchers->level == LEVEL_WHOLE;
}

/* They change seldom: told where they did. */
static void tell_lists(struct watchers *watchers)
{
    struct message_feed *feed = &watchers->feed.feed;
    feed->lists_changed = watchers->lists_news;
    if (watchers->lists_news) {
        feed->holders =
            SPAN(watchers->holders, holders_save(&watchers->sent.holders, watchers->holders));
        feed->rules = SPAN(watchers->rules, rules_save(&watchers->sent.rules, watchers->rules));
    }
    watchers->lists_news = false;
}

/* Takes the effects; `whole` is said of a feed that begins here. */
static void make_feed(struct watchers *watchers, struct blob *effects, bool whole)
{
    assert(watchers->owed == 0);
    blob_release(watchers->effects);
    watchers->effects = effects;
    watchers->sent = watchers->at;
    watchers->news = false;
    const struct apply_mark *at = &watchers->sent;
    settings_save(&at->settings, watchers->settings);
    watchers->feed = (struct message){.type = MESSAGE_FEED};
    watchers->feed.feed = (struct message_feed){
        .applied_index = at->index,
        .ts = at->ts,
        .outcome_floor = at->floor,
        .cluster = cluster_of(at),
        .history = at->history,
        .parent = at->parent,
        .fork_id = at->fork_id,
        .effects = blob_span(effects),
        .first_id = at->last_id ? at->first_id : 0,
        .settings = SPAN(watchers->settings, sizeof watchers->settings),
        .whole = whole,
    };
    tell_lists(watchers);
    watchers->owed = watchers->all;
}

enum err watchers_publish(struct watchers *watchers, const struct apply_mark *at,
                          struct blob *effects)
{
    stand(watchers, at);
    if (watchers->all == 0)
        return ERR_NONE;
    if (watchers->level == LEVEL_WHOLE && watchers->gathered.size == 0) {
        make_feed(watchers, blob_hold(effects), true);
        return ERR_NONE;
    }
    if (!watchers->news)
        watchers->news_ms = watchers->loop->now_ms;
    watchers->news = true;
    return effect_thin(blob_span(effects), &watchers->gathered) ? ERR_NONE : ERR_CORRUPT;
}

static bool is_due(const struct watchers *watchers)
{
    return watchers->news && watchers->all != 0 &&
           (watchers->level > LEVEL_GATHER || watchers->waiting != 0 ||
            watchers->gathered.size >= GATHER_BYTES_MAX ||
            watchers->loop->now_ms >= watchers->news_ms + GATHER_MS);
}

static void send_owed(struct watchers *watchers)
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
}

bool watchers_send(struct watchers *watchers)
{
    send_owed(watchers);
    if (watchers->owed == 0 && is_due(watchers)) {
        bool whole = watchers->level == LEVEL_WHOLE && watchers->gathered.size == 0;
        make_feed(watchers, blob_copy(bytes_span(&watchers->gathered)), whole);
        bytes_clear(&watchers->gathered);
        watchers->news = watchers->level == LEVEL_WHOLE && !whole; /* an empty one tells it */
        send_owed(watchers);
    }
    if (watchers->news && watchers->level == LEVEL_GATHER && !watchers->armed) {
        loop_move_timer(watchers->loop, watchers->timer, GATHER_MS);
        watchers->armed = true;
    }
    return watchers->owed == 0;
}

bool watchers_are_attended(const struct watchers *watchers)
{
    return watchers->level > LEVEL_GATHER;
}

bool watchers_busy(const struct watchers *watchers)
{
    return (watchers->owed | watchers->waiting) != 0 ||
           (watchers->news && watchers->level > LEVEL_GATHER);
}
