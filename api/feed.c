/* feed.c - a small table of topics, and the frames of docs/protocol.md. */
#include "api/feed.h"

#include "protocol/wire.h"

#include <assert.h>
#include <stdio.h>

enum { BUCKETS = 4096 };

struct feed_topic {
    struct feed_topic *chain, *next, *previous;
    uint64_t last_id; /* newest id known on this topic */
    bool known;       /* last_id is right */
    bool asked, dirty, joining;
    uint16_t size;
    uint8_t name[]; /* as subscribed: `t` + tag + NUL, `a`, `h` */
};

static const uint8_t fingerprint_key[HASH_KEY_SIZE];

static struct feed_topic **bucket_of(struct feed *feed, struct span name)
{
    return &feed->buckets[hash_keyed(fingerprint_key, name) % BUCKETS];
}

static struct feed_topic *find(struct feed *feed, struct span name)
{
    struct feed_topic *topic = *bucket_of(feed, name);
    while (topic != NULL && !span_equal(SPAN(topic->name, topic->size), name))
        topic = topic->chain;
    return topic;
}

/* `t` + tag + NUL: the NUL keeps the prefix match of ZeroMQ exact. */
static bool is_tag_topic(struct span name)
{
    return name.size >= 3 && name.data[0] == 't' && name.data[name.size - 1] == '\0' &&
           memchr(name.data, 0, name.size - 1) == NULL &&
           wire_is_text(SPAN(name.data + 1, name.size - 2));
}

static bool is_topic(struct span name)
{
    return name.size <= FEED_TOPIC_BYTES_MAX &&
           (span_is(name, "a") || span_is(name, "h") || is_tag_topic(name));
}

static void recount(struct feed *feed, struct span name, bool on)
{
    feed->count += on ? 1u : -1u;
    if (name.data[0] == 't')
        feed->tags += on ? 1u : -1u;
    else if (name.data[0] == 'a')
        feed->all = on;
    else
        feed->progress = on;
}

static struct feed_topic *add(struct feed *feed, struct span name)
{
    if (feed->count == FEED_TOPICS_MAX)
        return NULL;
    struct feed_topic *topic = bytes_zeroed(1, sizeof *topic + name.size);
    struct feed_topic **bucket = bucket_of(feed, name);
    topic->size = (uint16_t)name.size;
    memcpy(topic->name, name.data, name.size);
    topic->chain = *bucket;
    *bucket = topic;
    topic->next = feed->first;
    if (feed->first != NULL)
        feed->first->previous = topic;
    feed->first = topic;
    recount(feed, name, true);
    return topic;
}

static void drop(struct feed *feed, struct feed_topic *topic)
{
    struct span name = SPAN(topic->name, topic->size);
    struct feed_topic **at = bucket_of(feed, name);
    while (*at != topic)
        at = &(*at)->chain;
    *at = topic->chain;
    if (topic->previous != NULL)
        topic->previous->next = topic->next;
    else
        feed->first = topic->next;
    if (topic->next != NULL)
        topic->next->previous = topic->previous;
    recount(feed, name, false);
    bytes_free(topic);
}

void feed_open(struct feed *feed, void (*emit)(void *, struct span, struct span), void *owner)
{
    assert(feed->buckets == NULL);
    feed->emit = emit;
    feed->owner = owner;
    feed->buckets = bytes_zeroed(BUCKETS, sizeof(struct feed_topic *));
}

void feed_close(struct feed *feed)
{
    while (feed->first != NULL)
        drop(feed, feed->first);
    bytes_free(feed->buckets);
    bytes_close(&feed->body);
    *feed = (struct feed){0};
}

static void emit(struct feed *feed, struct span topic, const struct message *message)
{
    bytes_clear(&feed->body);
    message_encode_map(message, &feed->body);
    feed->emit(feed->owner, topic, bytes_span(&feed->body));
}

static void emit_progress(struct feed *feed, struct span topic, uint64_t prev,
                          const struct standing *standing, uint64_t contact_ms)
{
    char history[17];
    snprintf(history, sizeof history, "%016llx", (unsigned long long)standing->history);
    struct message message = {.type = MESSAGE_PROGRESS};
    message.progress.head = standing->last_id;
    message.progress.prev = prev;
    message.progress.ts = standing->ts;
    message.progress.contact_ms = contact_ms;
    /* another name, or one of zeros, would end the follower */
    if (standing->founded && request_knows_history(standing))
        message.progress.history = SPAN_TEXT(history);
    emit(feed, topic, &message);
}

/* The head is the last id of `a` and of `h`. */
static void say_progress(struct feed *feed, struct feed_topic *topic,
                         const struct standing *standing, uint64_t contact_ms)
{
    uint64_t prev = topic->name[0] == 't' ? topic->last_id : standing->last_id;
    topic->dirty = false;
    emit_progress(feed, SPAN(topic->name, topic->size), prev, standing, contact_ms);
}

bool feed_subscribed(struct feed *feed, struct span name, bool on, const struct standing *standing,
                     uint64_t contact_ms)
{
    if (!is_topic(name))
        return false;
    struct feed_topic *topic = find(feed, name);
    if (!on) {
        if (topic != NULL)
            drop(feed, topic);
        return false;
    }
    if (topic == NULL)
        topic = add(feed, name);
    if (topic == NULL)
        return false;
    topic->joining = topic->name[0] != 'h' && !feed->live;
    if (topic->joining)
        return false;
    if (topic->name[0] != 't' || topic->known) {
        say_progress(feed, topic, standing, contact_ms);
        return false;
    }
    topic->asked = false;
    return true;
}

void feed_join(struct feed *feed, const struct standing *standing, uint64_t contact_ms)
{
    feed->live = true;
    for (struct feed_topic *at = feed->first; at != NULL; at = at->next) {
        if (at->joining && at->name[0] != 't')
            say_progress(feed, at, standing, contact_ms);
        at->joining = false;
    }
}

void feed_rest(struct feed *feed)
{
    feed->live = false;
    for (struct feed_topic *at = feed->first; at != NULL; at = at->next) {
        at->known = at->asked = false;
        at->dirty = at->dirty && at->name[0] != 't';
    }
}

uint32_t feed_unasked(struct feed *feed, struct span *tags, uint32_t max)
{
    uint32_t count = 0;
    for (struct feed_topic *at = feed->first; at != NULL && count < max; at = at->next) {
        if (at->name[0] != 't' || at->known || at->asked || !feed->live)
            continue;
        at->asked = true;
        tags[count++] = SPAN(at->name + 1, at->size - 2u);
    }
    return count;
}

void feed_forget_asked(struct feed *feed)
{
    for (struct feed_topic *at = feed->first; at != NULL; at = at->next)
        at->asked = false;
}

static struct span topic_of_tag(struct span tag, uint8_t name[FEED_TOPIC_BYTES_MAX])
{
    assert(tag.size + 2 <= FEED_TOPIC_BYTES_MAX);
    name[0] = 't';
    memcpy(name + 1, tag.data, tag.size);
    name[tag.size + 1] = '\0';
    return SPAN(name, tag.size + 2);
}

void feed_tag_head(struct feed *feed, struct span tag, uint64_t id, const struct standing *standing,
                   uint64_t contact_ms)
{
    uint8_t name[FEED_TOPIC_BYTES_MAX];
    if (tag.size + 2 > sizeof name)
        return;
    struct feed_topic *topic = find(feed, topic_of_tag(tag, name));
    if (topic == NULL)
        return;
    if (id > topic->last_id)
        topic->last_id = id;
    topic->known = true;
    say_progress(feed, topic, standing, contact_ms);
}

static void fill_event(struct message_event *event, uint64_t id, uint64_t ts,
                       const struct change *change, const uint8_t *hash)
{
    event->id = id;
    event->ts = ts;
    event->type = change->type;
    event->key = change->key;
    event->tags = change->tags;
    event->headers = change->headers;
    event->ctype = change->ctype;
    event->delete = change->removes;
    event->hash = SPAN(hash, HASH_SIZE);
    event->data = change->data;
}

static void publish(struct feed *feed, uint64_t id, uint64_t ts, const struct change *change,
                    const struct effect_link *link)
{
    struct message message = {.type = MESSAGE_EVENT};
    fill_event(&message.event, id, ts, change, link->hash);
    if (feed->all) {
        message.event.prev = id - 1;
        emit(feed, SPAN("a", 1), &message);
        find(feed, SPAN("a", 1))->dirty = true;
    }
    for (uint32_t i = 0; feed->tags > 0 && i < change->tags.count && i < link->tag_count; i++) {
        uint8_t name[FEED_TOPIC_BYTES_MAX];
        struct feed_topic *topic = find(feed, topic_of_tag(change->tags.at[i], name));
        if (topic == NULL)
            continue;
        message.event.prev = load_u64(link->previous + (size_t)i * 8);
        emit(feed, SPAN(topic->name, topic->size), &message);
        topic->last_id = id;
        topic->known = topic->dirty = true;
    }
}

void feed_effect(struct feed *feed, const struct effect *effect)
{
    struct change_walk walk;
    struct change change;
    struct effect_link link;
    struct span links = effect->links;
    uint64_t id = effect->first_id;
    if (effect->err != ERR_NONE || effect->links.size == 0 || !feed_is_followed(feed) ||
        !feed->live)
        return;
    change_walk_begin(&walk, effect->body);
    while (change_walk_next(&walk, &change) && effect_link_next(&links, &link))
        publish(feed, id++, change_ts(&change, effect->ts), &change, &link);
}

void feed_progress(struct feed *feed, const struct standing *standing, uint64_t contact_ms)
{
    for (struct feed_topic *at = feed->first; at != NULL; at = at->next)
        if (at->dirty || at->name[0] == 'h')
            say_progress(feed, at, standing, contact_ms);
}
