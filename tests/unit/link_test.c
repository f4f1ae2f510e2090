/* link_test.c - hello, new lives, and strangers on a link. */
#include "protocol/link.h"

#include "common/clock.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
    struct loop loop;
    struct link link;
    struct link_rules rules;
    uint32_t ups, downs, commits;
    uint64_t last_index;
};

static void on_up(void *owner, uint32_t neighbour)
{
    ((struct end *)owner)->ups++;
}

static void on_down(void *owner, uint32_t neighbour)
{
    ((struct end *)owner)->downs++;
}

static enum err on_commit(void *owner, uint32_t neighbour, const struct message *message)
{
    struct end *end = owner;
    end->commits++;
    end->last_index = message->commit.index;
    return ERR_NONE;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {ON(COMMIT, on_commit)};

static char path[64];

static void open_end(struct end *end, bool binds, uint64_t life)
{
    *end = (struct end){.rules = {"test", handlers, on_up, on_down, life}};
    if (binds)
        CHECK(link_bind(&end->link, &end->loop, path, &end->rules, end) == ERR_NONE);
    else
        link_connect(&end->link, &end->loop, path, &end->rules, end);
}

/* Turns both loops until the condition holds; a deadline, not a hope. */
#define UNTIL(a, b, condition)                                    \
    for (uint64_t until = clock_now_ms() + 5000; !(condition);) { \
        CHECK(clock_now_ms() < until);                            \
        loop_turn(&(a)->loop, 5);                                 \
        loop_turn(&(b)->loop, 5);                                 \
    }

/* Until it has lost its neighbour, which does not turn. */
static void turn_alone(struct end *end)
{
    for (uint64_t until = clock_now_ms() + 5000; end->downs == 0;) {
        CHECK(clock_now_ms() < until);
        loop_turn(&end->loop, 50);
    }
}

static void send_commit(struct end *end, uint64_t index)
{
    struct message message = {.type = MESSAGE_COMMIT, .commit = {index, 1}};
    CHECK(link_send(&end->link, 0, &message) == ERR_NONE);
}

TEST(a_conversation_opens_with_hello_and_carries_messages)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    send_commit(&client, 42);
    UNTIL(&server, &client, server.commits == 1);
    CHECK(server.last_index == 42);
    link_close(&client.link);
    link_close(&server.link);
}

/* The turn of who says it goes on: only the other end turns. */
TEST(what_is_pushed_has_left_before_the_turn_ends)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    send_commit(&client, 43);
    link_push(&client.link);
    UNTIL(&server, &server, server.commits == 1);
    CHECK(server.last_index == 43);
    link_close(&client.link);
    link_close(&server.link);
}

TEST(a_new_life_is_reported_as_down_and_up)
{
    struct end server, client, again;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, client.ups == 1);
    link_close(&server.link);
    open_end(&again, true, 3);
    UNTIL(&again, &client, client.downs == 1 && client.ups == 2 && again.ups == 1);
    send_commit(&client, 7);
    UNTIL(&again, &client, again.commits == 1);
    link_close(&client.link);
    link_close(&again.link);
}

TEST(silence_is_reported_as_down)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1);
    turn_alone(&server);
    link_close(&client.link);
    link_close(&server.link);
}

/* Both say so often enough that they are there, though nobody has anything to say. */
TEST(a_quiet_conversation_lasts)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    uint64_t began_ms = clock_now_ms();
    UNTIL(&server, &client, clock_now_ms() - began_ms > LINK_SILENCE_MS + LINK_ALIVE_MS);
    CHECK(server.downs == 0 && client.downs == 0);
    link_close(&client.link);
    link_close(&server.link);
}

/* The one that was paused finds the newest words of the other before it notices any silence. */
TEST(who_was_paused_answers_the_hello_of_one_that_gave_it_up)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    turn_alone(&client);
    UNTIL(&server, &client, client.ups == 2);
    send_commit(&client, 9);
    UNTIL(&server, &client, server.commits == 1);
    link_close(&client.link);
    link_close(&server.link);
}

/* The other way round: the one that binds gave up the one that was paused. */
TEST(who_was_given_up_while_paused_begins_anew)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    turn_alone(&server);
    UNTIL(&server, &client, server.ups == 2 && client.ups == 2);
    CHECK(client.downs == 1);
    send_commit(&client, 10);
    UNTIL(&server, &client, server.commits == 1);
    link_close(&client.link);
    link_close(&server.link);
}

static int stranger(const char *bytes, size_t size)
{
    int fd;
    CHECK(channel_connect(path, &fd) == ERR_NONE);
    CHECK(write(fd, bytes, size) == (ssize_t)size);
    return fd;
}

/* Turns until the other end has hung up on this descriptor. */
static void expect_hang_up(struct end *server, struct end *client, int fd)
{
    char byte[64];
    UNTIL(server, client, recv(fd, byte, sizeof byte, MSG_DONTWAIT) == 0);
    close(fd);
}

TEST(a_frame_that_is_no_message_is_counted_and_the_link_goes_on)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, client.ups == 1);
    int fd = stranger("chn1\5\0\0\0\xdd\x08\0\0\0chn1\0\0\0\0", 21);
    UNTIL(&server, &client, server.link.refused == 2);
    send_commit(&client, 8);
    UNTIL(&server, &client, server.commits == 1);
    expect_hang_up(&server, &client, fd); /* it never said hello */
    link_close(&client.link);
    link_close(&server.link);
}

TEST(bytes_that_are_no_frame_end_the_connection)
{
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {{"\xff\0\0\0\0\0\0\0\1\x7f", 10}, /* ZMTP */
                 {"chn1\xff\xff\xff\xff", 8},      /* of 4 GiB */
                 {"GET / HTTP/1.0\r\n\r\n", 18}};
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, client.ups == 1);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        expect_hang_up(&server, &client, stranger(wrong[i].bytes, wrong[i].size));
        CHECK(server.link.refused == i + 1);
    }
    send_commit(&client, 8);
    UNTIL(&server, &client, server.commits == 1);
    CHECK(server.downs == 0);
    link_close(&client.link);
    link_close(&server.link);
}

TEST(who_speaks_before_it_says_hello_is_refused)
{
    struct end server, client;
    SCOPED(bytes) frame = {0};
    struct message message = {.type = MESSAGE_COMMIT, .commit = {5, 1}};
    message_encode(&message, &frame);
    uint8_t bytes[128] = "chn1";
    save_u32(bytes + 4, (uint32_t)frame.size);
    memcpy(bytes + 8, frame.data, frame.size);
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, client.ups == 1);
    int fd = stranger((const char *)bytes, frame.size + 8);
    UNTIL(&server, &client, server.link.refused == 1);
    CHECK(server.commits == 0);
    /* however much it goes on saying: only who said hello keeps its place */
    UNTIL(&server, &client, send(fd, bytes, frame.size + 8, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
    CHECK(server.link.refused > 10 && server.commits == 0);
    close(fd);
    link_close(&client.link);
    link_close(&server.link);
}

/* There is a place for each neighbour that a process has, and those who say nothing lose theirs. */
TEST(one_neighbour_too_many_is_hung_up_on_and_a_place_comes_free)
{
    struct end server, client;
    int fds[LINK_NEIGHBOURS_MAX];
    open_end(&server, true, 1);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        CHECK(channel_connect(path, &fds[i]) == ERR_NONE);
        loop_turn(&server.loop, 5);
    }
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.link.refused > 0);
    UNTIL(&server, &client, client.ups == 1);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    link_close(&client.link);
    link_close(&server.link);
}

/* A death is known at once, without waiting for silence. */
TEST(the_end_of_a_connection_is_reported_as_down)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1 && client.ups == 1);
    send_commit(&client, 3);
    loop_turn(&client.loop, 0); /* it is on its way */
    link_close(&client.link);
    uint64_t began_ms = clock_now_ms();
    turn_alone(&server);
    CHECK(clock_now_ms() - began_ms < LINK_SILENCE_MS);
    CHECK(server.commits == 1); /* its last words are heard */
    link_close(&server.link);
}

TEST(nobody_there_is_an_error_not_a_drop)
{
    struct end client;
    open_end(&client, false, 2);
    struct message message = {.type = MESSAGE_COMMIT};
    CHECK(link_send(&client.link, 0, &message) == ERR_CLOSED);
    link_close(&client.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_conversation_opens_with_hello_and_carries_messages),
        T(what_is_pushed_has_left_before_the_turn_ends),
        T(a_new_life_is_reported_as_down_and_up),
        T(silence_is_reported_as_down),
        T(a_quiet_conversation_lasts),
        T(who_was_paused_answers_the_hello_of_one_that_gave_it_up),
        T(who_was_given_up_while_paused_begins_anew),
        T(a_frame_that_is_no_message_is_counted_and_the_link_goes_on),
        T(bytes_that_are_no_frame_end_the_connection),
        T(who_speaks_before_it_says_hello_is_refused),
        T(one_neighbour_too_many_is_hung_up_on_and_a_place_comes_free),
        T(the_end_of_a_connection_is_reported_as_down),
        T(nobody_there_is_an_error_not_a_drop),
    };
    char dir[] = "/tmp/link-XXXXXX";
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/x.ipc", dir);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
