/* feed.h - the live stream: which topics are followed, and what goes out on them.
 *
 * Topics: `a` everything, `t` + tag + NUL one tag, `h` progress. A change goes
 * out only where somebody listens. Knows no socket: frames leave through `emit`. */
#ifndef API_FEED_H
#define API_FEED_H

#include "api/request.h"
#include "protocol/effect.h"

enum { FEED_TOPICS_MAX = 65536, FEED_TOPIC_BYTES_MAX = 300 };

struct feed_topic;

struct feed {
    void (*emit)(void *owner, struct span topic, struct span body);
    void *owner;
    struct feed_topic **buckets, *first;
    uint32_t count, tags; /* topics; those of tags */
    bool all, progress;   /* somebody follows `a`, `h` */
    bool live;            /* the effects that come bear their changes */
    struct bytes body;
};

void feed_open(struct feed *feed, void (*emit)(void *, struct span, struct span), void *owner);
void feed_close(struct feed *feed);

/* From here on effects bear their changes: who subscribed meanwhile has joined now. */
void feed_join(struct feed *feed, const struct standing *standing, uint64_t contact_ms);

/* Effects may come without their changes, or not at all: what is known of tags is old, and who
 * subscribes has to wait for feed_join. */
void feed_rest(struct feed *feed);

/* A subscription came or went. Returns true if the topic is a tag whose last id must be
 * asked from storage before its progress frame can be sent: see feed_tag_head. */
bool feed_subscribed(struct feed *feed, struct span topic, bool on, const struct standing *standing,
                     uint64_t contact_ms);

/* The tag of such topics, at most `max`, lent until the topic goes; taken off the list of
 * those to be asked. */
uint32_t feed_unasked(struct feed *feed, struct span *tags, uint32_t max);

/* What was asked will not be answered: it is to be asked again. */
void feed_forget_asked(struct feed *feed);

/* Storage answered: the last id of a tag when `last_id` was the head. Sends the progress. */
void feed_tag_head(struct feed *feed, struct span tag, uint64_t id, const struct standing *standing,
                   uint64_t contact_ms);

/* Publishes the changes of one applied entry. */
void feed_effect(struct feed *feed, const struct effect *effect);

/* Progress on every topic that had a change since its last one, and on `h` always. */
void feed_progress(struct feed *feed, const struct standing *standing, uint64_t contact_ms);

/* True if a body must be decoded at all. */
static inline bool feed_is_followed(const struct feed *feed)
{
    return feed->all || feed->tags > 0;
}

#endif
