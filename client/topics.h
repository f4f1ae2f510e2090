/* topics.h - what a follower subscribes: "a" for all changes, or 't' + tag + NUL for each tag. */
#ifndef CLIENT_TOPICS_H
#define CLIENT_TOPICS_H

#include "client/changeagent.h"
#include "client/follow.h"

struct topics {
    struct span at[FOLLOW_TOPICS_MAX]; /* at least one */
    uint32_t count, tags;              /* tags 0: all changes */
    char *text;
};

/* CA_USAGE: a tag is empty or over 256 bytes, or there are too many.  CA_NOMEM. */
enum ca_code topics_open(struct topics *topics, const char *const *tags, uint32_t count);
void topics_close(struct topics *topics);

/* Slot of a topic; `count` if it is none of ours. */
uint32_t topics_slot(const struct topics *topics, struct span topic);

/* Lends the tag of a slot. */
struct span topics_tag(const struct topics *topics, uint32_t slot);

#endif
