/* port_test.c - ports that call one another: who is found, who is lost, who is found again. */
#include "tests/unit/bare_kit.h"
#include "tests/unit/name_kit.h"

/* An endpoint that is free now. */
static void free_endpoint(char endpoint[ADDRESS_TEXT_MAX])
{
    close(bare_listen(endpoint));
}

static void find_late(bool secure)
{
    struct party caller = party_new(), listener = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    free_endpoint(endpoint);
    do /* one key of 256 begins so, and is a key like any other */
        make_keys(&listener.keys);
    while (listener.keys.public_key[0] != 0);
    party_open(&caller, secure);
    party_call(&caller, endpoint, &listener);
    UNTIL(caller.conn.tries >= 4);
    CHECK(caller.ups == 0 && caller.downs == 0);
    party_open(&listener, secure);
    party_listen(&listener, endpoint);
    UNTIL(caller.ups == 1 && listener.ups == 1);
    party_close(&caller);
    party_close(&listener);
}

TEST(who_opens_later_is_found)
{
    find_late(false);
    find_late(true);
}

/* A pause of the retry doubles up to its limit, and is short again once it stood. */
TEST(the_pauses_grow)
{
    struct party caller = party_new(), listener = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    free_endpoint(endpoint);
    caller.rules.retry_max_ms = 40;
    party_open(&caller, false);
    party_call(&caller, endpoint, &listener);
    UNTIL(caller.conn.tries == 1);
    uint64_t began_ms = clock_now_ms();
    UNTIL(caller.conn.tries == 6); /* 5, 10, 20, 40, 40 */
    CHECK(clock_now_ms() >= began_ms + 100);
    CHECK(caller.conn.retry_ms == 40);
    party_open(&listener, false);
    party_listen(&listener, endpoint);
    UNTIL(caller.conn.up);
    CHECK(caller.conn.retry_ms == 5);
    party_close(&caller);
    party_close(&listener);
}

static void come_back(bool secure, const char *at)
{
    struct party caller = party_new(), listener = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    party_open(&listener, secure);
    party_listen(&listener, at);
    memcpy(endpoint, listener.endpoint, sizeof endpoint);
    party_open(&caller, secure);
    party_call(&caller, endpoint, &listener);
    for (uint32_t life = 1; life <= 3; life++) {
        UNTIL(caller.ups == life && listener.ups == life);
        uint64_t id = caller.conn.id;
        CHECK(caller.conn.up && caller.downs == life - 1);
        say_text(&caller.conn, "hello");
        UNTIL(listener.messages == life);
        party_close(&listener);
        UNTIL(caller.downs == life);
        CHECK(!caller.conn.up && conn_has_room(&caller.conn) == ERR_CLOSED);
        CHECK(caller.conn.id == id && port_find(&caller.port, id) == &caller.conn);
        party_open(&listener, secure);
        party_listen(&listener, endpoint);
    }
    party_close(&caller);
    UNTIL(listener.port.slot_count == 0 || port_find(&listener.port, listener.last) == NULL);
    party_close(&listener);
}

TEST(who_comes_back_is_found_again)
{
    come_back(false, "tcp://127.0.0.1:*");
    come_back(true, "tcp://127.0.0.1:*");
}

TEST(who_comes_back_at_a_path_is_found_again)
{
    char dir[] = "/tmp/port-XXXXXX", endpoint[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/a.ipc", dir);
    come_back(false, endpoint);
    CHECK(rmdir(dir) == 0);
}

/* What an earlier life left at a path is in nobody's way. */
TEST(a_path_of_a_dead_process_is_taken_over)
{
    struct party caller = party_new(), listener = party_new();
    char dir[] = "/tmp/port-XXXXXX", endpoint[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/a.ipc", dir);
    FILE *left = fopen(endpoint + strlen("ipc://"), "w");
    CHECK(left != NULL && fclose(left) == 0);
    party_open(&caller, false);
    party_call(&caller, endpoint, &listener);
    UNTIL(caller.conn.tries >= 2);
    party_open(&listener, false);
    party_listen(&listener, endpoint);
    UNTIL(caller.conn.up);
    party_close(&caller);
    party_close(&listener);
    CHECK(rmdir(dir) == 0);
}

TEST(a_name_is_looked_up)
{
    needs_localhost();
    struct party caller = party_new(), listener = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    snprintf(endpoint, sizeof endpoint, "tcp://localhost:%u", number_of(listener.endpoint));
    party_open(&caller, false);
    party_call(&caller, endpoint, &listener);
    CHECK(caller.conn.state == CONN_CLOSED);
    UNTIL(caller.conn.state == CONN_LOOKUP); /* nothing waits for it */
    UNTIL(caller.conn.up && listener.ups == 1);
    party_close(&caller);
    party_close(&listener);
}

/* One is under way for as long as it takes: it does not come back to a connection at rest. */
TEST(who_hangs_up_while_a_name_is_looked_up_hears_nothing_of_it)
{
    struct party caller = party_new();
    party_open(&caller, false);
    for (int i = 0; i < 20; i++) {
        party_call(&caller, "tcp://localhost:1", &caller);
        UNTIL(caller.conn.state == CONN_LOOKUP);
        port_hang_up(&caller.conn);
        CHECK(caller.conn.state == CONN_CLOSED && caller.conn.port == NULL);
    }
    UNTIL(port_find(&caller.port, 0) == NULL);
    party_close(&caller);
    CHECK(caller.ups == 0 && caller.conn.tries == 0);
}

TEST(what_is_no_endpoint_is_not_called)
{
    struct party caller = party_new();
    char endpoint[2 * ADDRESS_TEXT_MAX] = "tcp://";
    memset(endpoint + 6, 'a', sizeof endpoint - 7);
    party_open(&caller, false);
    CHECK(port_call(&caller.port, &caller.conn, "here", NULL) == ERR_CONFIG);
    CHECK(port_call(&caller.port, &caller.conn, "tcp://*:5", NULL) == ERR_CONFIG);
    CHECK(port_call(&caller.port, &caller.conn, endpoint, NULL) == ERR_CONFIG);
    CHECK(caller.conn.port == NULL);
    CHECK(port_listen(&caller.port, "tcp://192.0.2.1:*") == ERR_CONFIG);
    party_close(&caller);
}

TEST(an_address_in_use_is_an_error)
{
    struct party first = party_new(), second = party_new();
    party_open(&first, false);
    party_listen(&first, "tcp://127.0.0.1:*");
    party_open(&second, false);
    CHECK(port_listen(&second.port, first.endpoint) == ERR_SYSTEM);
    CHECK(errno == EADDRINUSE);
    party_close(&first);
    party_close(&second);
}

TEST_MAIN(P(who_opens_later_is_found), P(the_pauses_grow), P(who_comes_back_is_found_again),
          P(who_comes_back_at_a_path_is_found_again), P(a_path_of_a_dead_process_is_taken_over),
          P(a_name_is_looked_up), P(who_hangs_up_while_a_name_is_looked_up_hears_nothing_of_it),
          P(what_is_no_endpoint_is_not_called), P(an_address_in_use_is_an_error))
