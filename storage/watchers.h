/* watchers.h - who follows what is applied (WATCH), and what they have not been sent yet.
 *
 * A feed has no holes: as long as a living watcher cannot take a FEED, no
 * further one may be made. One that is down has to ask WATCH again. */
#ifndef STORAGE_WATCHERS_H
#define STORAGE_WATCHERS_H

#include "protocol/link.h"
#include "storage/apply.h"

struct watchers {
    struct link *link;
    uint32_t all;     /* one bit for each neighbour that follows */
    uint32_t owed;    /* of them: the last FEED did not go out yet */
    uint32_t waiting; /* asked WATCH, and were not told yet where the state stands */
    struct blob *effects;
    uint8_t settings[SETTINGS_COUNT * 8]; /* lent by `feed` */
    struct message feed;                  /* the last one; lends from `effects` and from the mark */
    struct apply_mark at;
};

void watchers_open(struct watchers *watchers, struct link *link); /* lends the link */
void watchers_close(struct watchers *watchers);

/* WATCH came; answered by the next watchers_welcome. */
void watchers_add(struct watchers *watchers, uint32_t neighbour);
void watchers_remove(struct watchers *watchers, uint32_t neighbour);

/* Tells those who wait where the state stands: the feed goes on from there. */
void watchers_welcome(struct watchers *watchers, const struct apply_mark *at);

/* A new FEED for all; holds the effects. Nobody is owed an older one. */
void watchers_publish(struct watchers *watchers, const struct apply_mark *at, struct blob *effects);

/* Sends what is owed; true if nothing is owed any more. */
bool watchers_send(struct watchers *watchers);

/* True if somebody is still to be sent something. */
bool watchers_busy(const struct watchers *watchers);

#endif
