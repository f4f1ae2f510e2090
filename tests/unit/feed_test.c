/* feed_test.c - topics, progress and events of the live stream, without a socket. */
#include "api/feed.h"

#include "tests/unit/test.h"

static uint32_t frames;
static struct message last;
static uint8_t last_topic[400], last_body[4096];
static size_t last_topic_size;

static void on_emit(void *owner, struct span topic, struct span body)
{
    frames++;
    memcpy(last_topic, topic.data, topic.size);
    last_topic_size = topic.size;
    memcpy(last_body, body.data, body.size);
    CHECK(message_decode_map(SPAN(last_body, body.size), &last, NULL) == ERR_NONE);
}

static const struct standing standing = {.founded = true, .last_id = 7, .ts = 9, .history = 5};

static void begin(struct feed *feed)
{
    *feed = (struct feed){0};
    frames = 0;
    feed_open(feed, on_emit, NULL);
    feed_join(feed, &standing, 3);
}

/* One applied change with these tags, and the previous id of each. */
static void apply_change(struct feed *feed, uint64_t id, struct span tag, uint64_t previous)
{
    SCOPED(bytes) body = {0};
    SCOPED(bytes) links = {0};
    static const uint8_t hash[HASH_SIZE];
    struct change change = {.data = SPAN("d", 1), .tags = {.count = 1, .at = {tag}}};
    change_body_begin(&body, 1);
    change_body_add(&body, &change);
    effect_link_append(&links, hash, &previous, 1);
    struct effect effect = {.change_count = 1, .first_id = id, .last_id = id, .ts = 1};
    effect.links = bytes_span(&links);
    effect.body = bytes_span(&body);
    feed_effect(feed, &effect);
}

TEST(a_new_follower_of_everything_is_told_the_head_at_once)
{
    struct feed feed;
    begin(&feed);
    CHECK(!feed_subscribed(&feed, SPAN("a", 1), true, &standing, 3));
    CHECK(frames == 1 && last.type == MESSAGE_PROGRESS);
    CHECK(last.progress.head == 7 && last.progress.prev == 7 && last.progress.contact_ms == 3);
    feed_close(&feed);
}

TEST(who_subscribes_while_changes_are_left_out_joins_later)
{
    struct feed feed;
    begin(&feed);
    feed_rest(&feed);
    CHECK(!feed_subscribed(&feed, SPAN("a", 1), true, &standing, 3));
    CHECK(!feed_subscribed(&feed, SPAN("tx\0", 3), true, &standing, 3));
    apply_change(&feed, 8, SPAN("x", 1), 7);
    CHECK(frames == 0); /* a change that may have come without its body is nobody's */
    feed_join(&feed, &standing, 3);
    CHECK(frames == 1 && last.type == MESSAGE_PROGRESS && last.progress.head == 7);
    struct span tag;
    CHECK(feed_unasked(&feed, &tag, 1) == 1 && span_is(tag, "x"));
    feed_close(&feed);
}

TEST(what_is_known_of_a_tag_is_asked_anew_after_a_rest)
{
    struct feed feed;
    struct span tag;
    begin(&feed);
    feed_subscribed(&feed, SPAN("tx\0", 3), true, &standing, 3);
    CHECK(feed_unasked(&feed, &tag, 1) == 1);
    feed_tag_head(&feed, SPAN("x", 1), 5, &standing, 3);
    CHECK(feed_unasked(&feed, &tag, 1) == 0);
    feed_rest(&feed);
    CHECK(feed_unasked(&feed, &tag, 1) == 0); /* not before the changes come again */
    feed_join(&feed, &standing, 3);
    CHECK(feed_unasked(&feed, &tag, 1) == 1);
    feed_close(&feed);
}

/* A name of zeros would be another history, and end the follower. */
TEST(a_node_that_does_not_know_its_log_yet_names_no_history)
{
    static const struct standing unknown;
    struct feed feed;
    begin(&feed);
    feed_subscribed(&feed, SPAN("h", 1), true, &unknown, 0);
    CHECK(frames == 1 && last.progress.history.size == 0);
    feed_progress(&feed, &standing, 0);
    CHECK(frames == 2 && span_is(last.progress.history, "0000000000000005"));
    feed_close(&feed);
}

TEST(a_new_follower_of_a_tag_waits_for_storage_to_tell_its_last_id)
{
    struct feed feed;
    struct span tags[4];
    begin(&feed);
    CHECK(feed_subscribed(&feed, SPAN("tx\0", 3), true, &standing, 0));
    CHECK(frames == 0 && feed_unasked(&feed, tags, 4) == 1 && span_is(tags[0], "x"));
    CHECK(feed_unasked(&feed, tags, 4) == 0);
    feed_forget_asked(&feed); /* the answer was lost */
    CHECK(feed_unasked(&feed, tags, 4) == 1);
    feed_tag_head(&feed, SPAN("x", 1), 4, &standing, 0);
    CHECK(frames == 1 && last.progress.prev == 4 && last_topic_size == 3);
    CHECK(!feed_subscribed(&feed, SPAN("tx\0", 3), true, &standing, 0) && frames == 2);
    feed_close(&feed);
}

/* A topic that storage could not be asked about would keep all others waiting. */
TEST(what_is_no_topic_is_ignored)
{
    struct feed feed;
    begin(&feed);
    CHECK(!feed_subscribed(&feed, SPAN("t\xff\xfe\0", 4), true, &standing, 0));
    CHECK(!feed_subscribed(&feed, SPAN("tno-nul", 7), true, &standing, 0));
    CHECK(!feed_subscribed(&feed, SPAN("t\0", 2), true, &standing, 0));
    CHECK(!feed_subscribed(&feed, SPAN("", 0), true, &standing, 0));
    CHECK(!feed_subscribed(&feed, SPAN("z", 1), true, &standing, 0));
    CHECK(feed.count == 0 && frames == 0);
    feed_close(&feed);
}

TEST(a_change_goes_only_where_somebody_listens)
{
    struct feed feed;
    begin(&feed);
    apply_change(&feed, 8, SPAN("x", 1), 4);
    CHECK(frames == 0);
    feed_subscribed(&feed, SPAN("tx\0", 3), true, &standing, 0);
    apply_change(&feed, 9, SPAN("x", 1), 8);
    CHECK(frames == 1 && last.type == MESSAGE_EVENT && last.event.id == 9 && last.event.prev == 8);
    apply_change(&feed, 10, SPAN("y", 1), 0);
    CHECK(frames == 1);
    feed_subscribed(&feed, SPAN("a", 1), true, &standing, 0);
    apply_change(&feed, 11, SPAN("y", 1), 10);
    CHECK(last.event.id == 11 && last.event.prev == 10 && last_topic_size == 1);
    feed_subscribed(&feed, SPAN("tx\0", 3), false, &standing, 0);
    uint32_t before = frames;
    apply_change(&feed, 12, SPAN("x", 1), 9);
    CHECK(frames == before + 1);
    feed_close(&feed);
}

TEST(progress_follows_a_change_and_always_goes_to_h)
{
    struct feed feed;
    begin(&feed);
    feed_subscribed(&feed, SPAN("a", 1), true, &standing, 0);
    feed_subscribed(&feed, SPAN("h", 1), true, &standing, 0);
    frames = 0;
    feed_progress(&feed, &standing, 0);
    CHECK(frames == 1 && last_topic[0] == 'h');
    apply_change(&feed, 8, SPAN("x", 1), 0);
    frames = 0;
    feed_progress(&feed, &standing, 0);
    CHECK(frames == 2);
    feed_close(&feed);
}

TEST_MAIN(T(a_new_follower_of_everything_is_told_the_head_at_once),
          T(a_node_that_does_not_know_its_log_yet_names_no_history),
          T(a_new_follower_of_a_tag_waits_for_storage_to_tell_its_last_id),
          T(what_is_no_topic_is_ignored), T(a_change_goes_only_where_somebody_listens),
          T(who_subscribes_while_changes_are_left_out_joins_later),
          T(what_is_known_of_a_tag_is_asked_anew_after_a_rest),
          T(progress_follows_a_change_and_always_goes_to_h))
