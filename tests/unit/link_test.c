/* link_test.c - hello, new lives, and strangers on a link; the gate refuses. */
#include "protocol/link.h"

#include "common/clock.h"
#include "protocol/gate.h"
#include "tests/unit/test.h"

#include <zmq.h>

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

static void *context;

static char endpoint[64];

/* libzmq closes a socket in its own time: the same address is bound again until it is free. */
static void open_end(struct end *end, bool binds, uint64_t life)
{
    enum err err = ERR_SYSTEM;
    for (uint64_t until = clock_now_ms() + 5000; err != ERR_NONE;) {
        CHECK(clock_now_ms() < until);
        *end = (struct end){.rules = {"test", handlers, on_up, on_down, life}};
        err = binds ? link_bind(&end->link, &end->loop, context, endpoint, &end->rules, end)
                    : link_connect(&end->link, &end->loop, context, endpoint, &end->rules, end);
        if (err != ERR_NONE)
            link_close(&end->link);
    }
}

/* Turns both loops until the condition holds; a deadline, not a hope. */
#define UNTIL(a, b, condition)                                    \
    for (uint64_t until = clock_now_ms() + 5000; !(condition);) { \
        CHECK(clock_now_ms() < until);                            \
        loop_turn(&(a)->loop, 5);                                 \
        loop_turn(&(b)->loop, 5);                                 \
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
    for (uint64_t until = clock_now_ms() + 5000; server.downs == 0;) {
        CHECK(clock_now_ms() < until);
        loop_turn(&server.loop, 50);
    }
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
    for (uint64_t until = clock_now_ms() + 5000; client.downs == 0;) {
        CHECK(clock_now_ms() < until);
        loop_turn(&client.loop, 50);
    }
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
    for (uint64_t until = clock_now_ms() + 5000; server.downs == 0;) {
        CHECK(clock_now_ms() < until);
        loop_turn(&server.loop, 50);
    }
    UNTIL(&server, &client, server.ups == 2 && client.ups == 2);
    CHECK(client.downs == 1);
    send_commit(&client, 10);
    UNTIL(&server, &client, server.commits == 1);
    link_close(&client.link);
    link_close(&server.link);
}

TEST(bytes_that_are_no_message_are_counted_and_the_link_goes_on)
{
    struct end server, client;
    open_end(&server, true, 1);
    open_end(&client, false, 2);
    UNTIL(&server, &client, server.ups == 1);
    void *stranger = zmq_socket(context, ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(stranger, ZMQ_LINGER, &linger, sizeof linger);
    CHECK(zmq_connect(stranger, endpoint) == 0);
    zmq_send(stranger, "\xdd\x08\0\0\0", 5, 0);
    zmq_send(stranger, "a", 1, ZMQ_SNDMORE);
    zmq_send(stranger, "b", 1, ZMQ_SNDMORE);
    zmq_send(stranger, "c", 1, 0);
    UNTIL(&server, &client, server.link.refused == 2);
    send_commit(&client, 8);
    UNTIL(&server, &client, server.commits == 1);
    zmq_close(stranger);
    link_close(&client.link);
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

/* Z1: with the handler gone, a guarded socket lets nobody in. */
TEST(a_gate_without_a_handler_is_closed)
{
    struct loop loop = {0};
    struct gate gate = {0};
    char bound[256], byte;
    size_t size = sizeof bound;
    int timeout = 300, linger = 0;
    CHECK(gate_open(&gate, &loop, context) == ERR_NONE);
    void *server = zmq_socket(context, ZMQ_ROUTER), *client = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(server, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(client, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(server, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    CHECK(gate_guard(server, GATE_CLIENT, NULL) == ERR_NONE);
    CHECK(zmq_bind(server, "tcp://127.0.0.1:*") == 0);
    zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, bound, &size);
    gate_close(&gate);
    CHECK(zmq_connect(client, bound) == 0);
    zmq_send(client, "x", 1, ZMQ_DONTWAIT);
    CHECK(zmq_recv(server, &byte, 1, 0) < 0);
    zmq_close(client);
    zmq_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_conversation_opens_with_hello_and_carries_messages),
        T(a_new_life_is_reported_as_down_and_up),
        T(silence_is_reported_as_down),
        T(who_was_paused_answers_the_hello_of_one_that_gave_it_up),
        T(who_was_given_up_while_paused_begins_anew),
        T(bytes_that_are_no_message_are_counted_and_the_link_goes_on),
        T(nobody_there_is_an_error_not_a_drop),
        T(a_gate_without_a_handler_is_closed),
    };
    context = zmq_ctx_new();
    void *probe = zmq_socket(context, ZMQ_ROUTER);
    size_t size = sizeof endpoint;
    if (zmq_bind(probe, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(probe, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0)
        return 1;
    zmq_close(probe);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    zmq_ctx_term(context);
    return failed;
}
