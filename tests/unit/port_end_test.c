/* port_end_test.c - how a connection of a port ends: by silence, by one who does not read, by
 * hanging up; and that its number is never given again. */
#include "tests/unit/bare_kit.h"

/* ---- silence --------------------------------------------------------------------------------- */

TEST(who_was_accepted_and_falls_silent_is_closed)
{
    struct party party = party_new();
    party.rules.heartbeat_ms = 50;
    party.rules.silence_ms = 300;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int fd = bare_call(&party);
    bare_greet(fd);
    UNTIL(party.ups == 1);
    uint64_t heard_ms = port_find(&party.port, party.last)->heard_ms;
    UNTIL(port_find(&party.port, party.last) == NULL);
    CHECK(clock_now_ms() >= heard_ms + 300);
    CHECK(party.downs == 0); /* of those that were called */
    close(fd);
    party_close(&party);
}

TEST(who_was_called_and_falls_silent_is_called_again)
{
    struct party party = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    int listener = bare_listen(endpoint);
    party.rules.heartbeat_ms = 50;
    party.rules.silence_ms = 300;
    party_open(&party, false);
    party_call(&party, endpoint, &party);
    int first = bare_accept(listener);
    bare_greet(first);
    UNTIL(party.ups == 1);
    uint64_t heard_ms = party.conn.heard_ms;
    UNTIL(party.downs == 1);
    CHECK(clock_now_ms() >= heard_ms + 300);
    int second = bare_accept(listener);
    bare_greet(second);
    UNTIL(party.ups == 2);
    close(first);
    close(second);
    close(listener);
    party_close(&party);
}

/* Each time it says something, were it a single byte, its time begins anew. */
TEST(who_says_anything_stays)
{
    struct party party = party_new();
    party.rules.heartbeat_ms = 50;
    party.rules.silence_ms = 500;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int fd = bare_call(&party);
    bare_greet(fd);
    UNTIL(party.ups == 1);
    uint64_t until_ms = clock_now_ms() + 1500, last_ms = 0;
    CHECK(write(fd, "\0\xff", 2) == 2);
    for (uint32_t said = 0; said < 255 && clock_now_ms() < until_ms; turn_all()) {
        if (clock_now_ms() < last_ms + 20)
            continue;
        last_ms = clock_now_ms();
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
        said++;
    }
    CHECK(port_find(&party.port, party.last) != NULL && party.ups == 1);
    close(fd);
    UNTIL(port_find(&party.port, party.last) == NULL);
    party_close(&party);
}

/* Neither one that says nothing, nor one that says a byte now and then. */
TEST(who_does_not_finish_the_handshake_is_closed)
{
    struct party party = party_new();
    party.rules.handshake_ms = 300;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    uint64_t began_ms = clock_now_ms();
    int mute = bare_call(&party), slow = bare_call(&party);
    bool is_mute_shut = false, is_slow_shut = false;
    uint32_t said = 1;
    CHECK(write(slow, "\xff", 1) == 1);
    while (!is_mute_shut || !is_slow_shut) {
        CHECK(clock_now_ms() < began_ms + DEADLINE_MS);
        turn_all();
        is_mute_shut = is_mute_shut || is_shut(mute);
        is_slow_shut = is_slow_shut || is_shut(slow);
        CHECK((!is_mute_shut && !is_slow_shut) || clock_now_ms() >= began_ms + 300);
        if (clock_now_ms() >= began_ms + 40 * said && said < 7) {
            CHECK(send(slow, "", 1, MSG_NOSIGNAL) == 1);
            said++;
        }
    }
    CHECK(party.ups == 0 && party.port.strangers == 2);
    close(mute);
    close(slow);
    party_close(&party);
}

TEST(who_does_not_answer_a_call_is_called_again)
{
    struct party party = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    int listener = bare_listen(endpoint);
    party.rules.handshake_ms = 100;
    party_open(&party, false);
    party_call(&party, endpoint, &party);
    UNTIL(party.conn.tries == 1);
    uint64_t began_ms = clock_now_ms();
    UNTIL(party.conn.tries == 3);
    CHECK(clock_now_ms() >= began_ms + 200);
    CHECK(party.ups == 0 && party.downs == 0);
    close(listener);
    party_close(&party);
}

/* ---- who does not read ----------------------------------------------------------------------- */

static void keep_while_away(bool secure)
{
    struct party caller = party_new(), listener = party_new();
    uint32_t said = 0;
    listener.hear = hear_in_order;
    caller.rules.silence_ms = listener.rules.silence_ms = 60000;
    caller.rules.heartbeat_ms = listener.rules.heartbeat_ms = 60000; /* they wake nobody */
    party_open(&listener, secure);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, secure);
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.conn.up && listener.ups == 1);
    listener.away = true;
    /* Also what the kernel takes is full then: nothing leaves any more. */
    for (uint32_t full = 0; full < 20; turn_all()) {
        full = conn_has_room(&caller.conn) == ERR_BUSY ? full + 1 : 0;
        if (full == 0)
            say_number(&caller.conn, said++);
        CHECK(said < 2000);
    }
    size_t waiting = zmtp_waiting(&caller.conn.zmtp).size;
    CHECK(waiting >= caller.rules.waiting_max);
    CHECK(waiting < caller.rules.waiting_max + MiB(1) + KiB(8));
    CHECK(caller.conn.up && caller.conn.stuck);
    listener.away = false;
    UNTIL(listener.messages == said);
    UNTIL(zmtp_waiting(&caller.conn.zmtp).size == 0);
    CHECK(!caller.conn.stuck && caller.conn.zmtp.out.room <= MiB(1)); /* given back */
    say_number(&caller.conn, said);
    UNTIL(listener.messages == said + 1);
    CHECK(caller.ups == 1 && caller.downs == 0);
    party_close(&caller);
    party_close(&listener);
}

TEST(who_does_not_read_gets_it_all_later)
{
    keep_while_away(false);
    keep_while_away(true);
}

/* It asks and asks, and takes no answer: what it is owed is bounded, too. */
TEST(pings_of_one_who_does_not_read_fill_nothing)
{
    static const char ping[] = "\4\7\4PING\0\0";
    struct party party = party_new();
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int fd = bare_call(&party);
    bare_greet(fd);
    UNTIL(party.ups == 1);
    const struct conn *conn = port_find(&party.port, party.last);
    uint8_t many[KiB(64) / 9 * 9];
    for (size_t at = 0; at < sizeof many; at += 9)
        memcpy(many + at, ping, 9);
    size_t sent = 0;
    for (uint64_t until = clock_now_ms() + DEADLINE_MS; sent < MiB(32); turn_all()) {
        ssize_t size = send(fd, many + sent % 9, sizeof many - sent % 9, MSG_NOSIGNAL);
        CHECK(size > 0 || errno == EAGAIN);
        sent += size > 0 ? (size_t)size : 0;
        CHECK(clock_now_ms() < until);
        CHECK(conn->zmtp.out.size < MiB(4));
    }
    close(fd);
    UNTIL(port_find(&party.port, party.last) == NULL);
    party_close(&party);
}

/* ---- hanging up ------------------------------------------------------------------------------ */

static void hang_up_on_others(struct party *party, struct conn *from,
                              const struct zmtp_message *message)
{
    for (uint32_t slot = 0; slot < party->port.slot_count; slot++)
        for (uint64_t generation = 1; generation < 4; generation++) {
            struct conn *conn = port_find(&party->port, generation << 32 | slot);
            if (conn != NULL && conn != from)
                port_hang_up(conn);
        }
}

/* All speak at once; the first one heard is the last one left. */
TEST(who_speaks_may_end_all_others)
{
    enum { COUNT = 5 };
    struct party callers[COUNT], listener = party_new();
    uint32_t downs = 0, up = 0;
    listener.hear = hang_up_on_others;
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    for (uint32_t i = 0; i < COUNT; i++) {
        callers[i] = party_new();
        callers[i].rules.retry_ms = callers[i].rules.retry_max_ms = 60000;
        party_open(&callers[i], false);
        party_call(&callers[i], listener.endpoint, &listener);
        UNTIL(callers[i].conn.up && listener.ups == i + 1);
    }
    listener.away = true;
    for (uint32_t number = 0; number < 12; number++)
        for (uint32_t i = 0; i < COUNT; i++)
            say_number(&callers[i].conn, number);
    for (uint32_t i = 0; i < 10; i++) /* what the kernel takes of it has left */
        turn_all();
    listener.away = false;
    UNTIL(listener.messages == 12);
    while (downs < COUNT - 1) {
        turn_all();
        downs = up = 0;
        for (uint32_t i = 0; i < COUNT; i++) {
            downs += callers[i].downs;
            up += callers[i].conn.up;
        }
    }
    CHECK(up == 1 && listener.messages == 12);
    for (uint32_t i = 0; i < COUNT; i++)
        party_close(&callers[i]);
    party_close(&listener);
}

/* The same memory calls again at once: nothing of the first call is in it. */
TEST(who_hangs_up_in_the_middle_may_call_again)
{
    struct party caller = party_new(), listener = party_new(), other = party_new();
    party_open(&listener, true);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&other, true);
    party_listen(&other, "tcp://127.0.0.1:*");
    party_open(&caller, true);
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.conn.up && listener.ups == 1);
    listener.away = true;
    while (conn_has_room(&caller.conn) == ERR_NONE)
        say_number(&caller.conn, 5);
    turn_all();
    uint64_t first = caller.conn.id;
    port_hang_up(&caller.conn);
    port_hang_up(&caller.conn);
    CHECK(caller.conn.port == NULL && port_find(&caller.port, first) == NULL);
    other.hear = hear_in_order;
    party_call(&caller, other.endpoint, &other);
    CHECK(caller.conn.id != first && port_find(&caller.port, first) == NULL);
    UNTIL(caller.conn.up);
    say_number(&caller.conn, 0);
    say_number(&caller.conn, 1);
    UNTIL(other.messages == 2);
    listener.away = false;
    UNTIL(port_find(&listener.port, listener.last) == NULL);
    CHECK(caller.downs == 0); /* who hangs up is not told */
    party_close(&caller);
    party_close(&listener);
    party_close(&other);
}

static void hang_up_at_once(struct party *party, struct conn *conn)
{
    port_hang_up(conn);
}

static void call_back_at_once(struct party *party, struct conn *conn)
{
    char endpoint[ADDRESS_TEXT_MAX];
    memcpy(endpoint, conn->endpoint, sizeof endpoint);
    port_hang_up(conn);
    CHECK(port_call(&party->port, conn, endpoint, NULL) == ERR_NONE);
}

/* In `down` the owner may do with it what it likes. */
TEST(who_is_told_of_an_end_may_hang_up_or_call)
{
    struct party caller = party_new(), listener = party_new();
    char endpoint[ADDRESS_TEXT_MAX];
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    memcpy(endpoint, listener.endpoint, sizeof endpoint);
    caller.fall = call_back_at_once;
    party_open(&caller, false);
    party_call(&caller, endpoint, &listener);
    UNTIL(caller.conn.up);
    party_close(&listener);
    UNTIL(caller.downs == 1);
    party_open(&listener, false);
    party_listen(&listener, endpoint);
    UNTIL(caller.ups == 2);
    caller.fall = hang_up_at_once;
    party_close(&listener);
    UNTIL(caller.downs == 2);
    CHECK(caller.conn.port == NULL);
    party_close(&caller);
}

/* ---- numbers --------------------------------------------------------------------------------- */

TEST(a_number_is_never_given_twice)
{
    enum { COUNT = 300, AT_ONCE = 3 };
    struct party party = party_new();
    uint64_t ids[COUNT];
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    for (uint32_t count = 0; count < COUNT;) {
        int fds[AT_ONCE];
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            uint32_t ups = party.ups;
            fds[i] = bare_call(&party);
            bare_greet(fds[i]);
            UNTIL(party.ups == ups + 1);
            ids[count++] = party.last;
        }
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            CHECK(port_find(&party.port, ids[count - AT_ONCE + i]) != NULL);
            close(fds[i]);
            UNTIL(port_find(&party.port, ids[count - AT_ONCE + i]) == NULL);
        }
        for (uint32_t i = 0; i < count; i++) {
            CHECK(port_find(&party.port, ids[i]) == NULL);
            for (uint32_t k = 0; k < i; k++)
                CHECK(ids[i] != ids[k]);
        }
    }
    CHECK(party.port.slot_count == AT_ONCE); /* though their places were used again */
    CHECK(port_find(&party.port, 0) == NULL && port_find(&party.port, UINT64_MAX) == NULL);
    party_close(&party);
}

TEST_MAIN(P(who_was_accepted_and_falls_silent_is_closed),
          P(who_was_called_and_falls_silent_is_called_again), P(who_says_anything_stays),
          P(who_does_not_finish_the_handshake_is_closed),
          P(who_does_not_answer_a_call_is_called_again), P(who_does_not_read_gets_it_all_later),
          P(pings_of_one_who_does_not_read_fill_nothing), P(who_speaks_may_end_all_others),
          P(who_hangs_up_in_the_middle_may_call_again),
          P(who_is_told_of_an_end_may_hang_up_or_call), P(a_number_is_never_given_twice))
