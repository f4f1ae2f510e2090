/* watchers.h - who follows what is applied (WATCH), how much of it (ATTEND), and what was not
 * sent yet.
 *
 * A feed has no holes: as long as a living watcher cannot take a FEED, no
 * further one may be made. One that is down has to ask WATCH again.
 * Where nobody waits, what was applied is gathered for a moment: an api that
 * has nobody to answer is not woken for each commit. */
#ifndef STORAGE_WATCHERS_H
#define STORAGE_WATCHERS_H

#include "protocol/link.h"
#include "storage/apply.h"

struct watchers {
    struct link *link;
    struct loop *loop;
    uint32_t timer;
    bool armed;
    uint32_t all;     /* one bit for each neighbour that follows */
    uint32_t owed;    /* of them: the last FEED did not go out yet */
    uint32_t waiting; /* asked WATCH, and were not told yet where the state stands */
    uint8_t levels[LINK_NEIGHBOURS_MAX];
    uint8_t level;         /* the highest of those that follow */
    bool news;             /* `at` is not in a FEED yet */
    uint64_t news_ms;      /* since when */
    bool lists_news;       /* holders or rules are not in a FEED yet */
    struct bytes gathered; /* thin effects up to `at` */
    struct blob *effects;
    uint8_t settings[SETTINGS_COUNT * 8]; /* lent by `feed` */
    uint8_t holders[HOLDERS_SAVED_MAX];   /* as well */
    uint8_t rules[RULES_SAVED_MAX];
    struct message feed; /* the last one; lends from `effects` and from `sent` */
    struct apply_mark at, sent;
};

/* Lends both; sends what was gathered by a timer of its own. */
void watchers_open(struct watchers *watchers, struct link *link, struct loop *loop);
void watchers_close(struct watchers *watchers);

/* WATCH came; answered by the next watchers_welcome. */
void watchers_add(struct watchers *watchers, uint32_t neighbour, uint64_t level);
void watchers_remove(struct watchers *watchers, uint32_t neighbour);

/* ATTEND came. */
void watchers_attend(struct watchers *watchers, uint32_t neighbour, uint64_t level);

/* Tells those who wait where the state stands: the feed goes on from there. To be called when
 * watchers_send has said true, before anything else is published. */
void watchers_welcome(struct watchers *watchers, const struct apply_mark *at);

/* What was applied up to `at`; holds the effects where changes are wanted. Nobody is owed an
 * older FEED. ERR_CORRUPT: the effects are broken. */
MUST_USE enum err watchers_publish(struct watchers *watchers, const struct apply_mark *at,
                                   struct blob *effects);

/* Sends what is owed and what is due; true if nothing is owed any more. */
bool watchers_send(struct watchers *watchers);

/* True if somebody waits for what is applied, or follows it. */
bool watchers_are_attended(const struct watchers *watchers);

/* True if somebody is still to be sent something, now. */
bool watchers_busy(const struct watchers *watchers);

#endif
