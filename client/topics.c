/* topics.c - the topics of a follower, in one piece of memory. */
#include "client/topics.h"

#include <stdlib.h>

enum { TAG_MAX = 256 };

static size_t length_of(const char *tag)
{
    return tag != NULL ? strlen(tag) : 0;
}

enum ca_code topics_open(struct topics *topics, const char *const *tags, uint32_t count)
{
    size_t size = 1;
    if (count > FOLLOW_TOPICS_MAX)
        return CA_USAGE;
    for (uint32_t i = 0; i < count; i++) {
        if (length_of(tags[i]) == 0 || length_of(tags[i]) > TAG_MAX)
            return CA_USAGE;
        const char *end = tags[i] + length_of(tags[i]);
        if (end - tags[i] >= 2 && end[-2] == '/' && end[-1] == '*')
            return CA_USAGE; /* a prefix: the stream has a topic for each whole tag only */
        size += length_of(tags[i]) + 2;
    }
    topics->text = malloc(size);
    if (topics->text == NULL)
        return CA_NOMEM;
    char *at = topics->text;
    for (uint32_t i = 0; i < count; i++) {
        size_t length = length_of(tags[i]);
        at[0] = 't';
        memcpy(at + 1, tags[i], length + 1);
        topics->at[i] = SPAN(at, length + 2);
        at += length + 2;
    }
    if (count == 0)
        topics->at[0] = SPAN("a", 1);
    topics->tags = count;
    topics->count = count > 0 ? count : 1;
    return CA_OK;
}

void topics_close(struct topics *topics)
{
    free(topics->text);
    *topics = (struct topics){0};
}

uint32_t topics_slot(const struct topics *topics, struct span topic)
{
    uint32_t slot = 0;
    while (slot < topics->count && !span_equal(topics->at[slot], topic))
        slot++;
    return slot;
}

struct span topics_tag(const struct topics *topics, uint32_t slot)
{
    return SPAN(topics->at[slot].data + 1, topics->at[slot].size - 2);
}
