/* port_limits_test.c - what bad ends cost a port: descriptors, processor, memory, lines in the
 * log. */
#include "tests/unit/bare_kit.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { CALLERS = 20 };

/* ---- bare sockets ---------------------------------------------------------------------------- */

/* Greeting, READY, and at once a message. */
static void bare_begin(int fd)
{
    static const uint8_t greeting[64] = {0xff, [9] = 0x7f, 3, 1, 'N', 'U', 'L', 'L'};
    static const char rest[] = "\x04\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER\0\5hello";
    uint8_t all[sizeof greeting + sizeof rest - 1];
    memcpy(all, greeting, sizeof greeting);
    memcpy(all + sizeof greeting, rest, sizeof rest - 1);
    CHECK(write(fd, all, sizeof all) == sizeof all);
}

/* ---- the log --------------------------------------------------------------------------------- */

static int log_fd, true_stderr;

static void begin_log(void)
{
    char name[] = "/tmp/port-log-XXXXXX";
    log_fd = mkstemp(name);
    true_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    CHECK(log_fd >= 0 && true_stderr >= 0 && unlink(name) == 0);
    CHECK(dup2(log_fd, STDERR_FILENO) >= 0);
}

/* How many lines tell of the event so far. */
static uint32_t told(const char *event)
{
    static char text[MiB(1)];
    ssize_t size = pread(log_fd, text, sizeof text - 1, 0);
    uint32_t count = 0;
    CHECK(size >= 0);
    text[size] = '\0';
    for (const char *at = text; (at = strstr(at, event)) != NULL; at++)
        count++;
    return count;
}

static void end_log(void)
{
    CHECK(dup2(true_stderr, STDERR_FILENO) >= 0);
    close(true_stderr);
    close(log_fd);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* So many more may be opened, and no more. */
static void leave_descriptors(struct rlimit *before, uint32_t more)
{
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
    CHECK(next >= 0 && close(next) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, before) == 0);
    struct rlimit limit = {(rlim_t)next + more, before->rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Ticks come often meanwhile: neither they nor those who wait at the door keep it busy. */
TEST(without_descriptors_it_neither_spins_nor_complains)
{
    struct party listener = party_new(), caller = party_new();
    struct rlimit before;
    int fds[CALLERS];
    uint32_t turns = 0;
    listener.rules.heartbeat_ms = 20;
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, false);
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.conn.up && listener.ups == 1);
    begin_log();
    for (uint32_t i = 0; i < CALLERS; i++)
        bare_begin(fds[i] = bare_call(&listener));
    leave_descriptors(&before, 3);
    UNTIL(listener.messages == 3 && told("accept_failed") > 0);
    uint64_t until_ms = clock_now_ms() + 700;
    for (; clock_now_ms() < until_ms; turns++) {
        loop_turn(&listener.loop, 100);
        loop_turn(&caller.loop, 0);
    }
    uint32_t lines = told("accept_failed");
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(turns < 700);
    CHECK(lines == 1);
    CHECK(listener.messages == 3 && caller.conn.up);
    UNTIL(listener.messages == CALLERS);
    end_log();
    for (uint32_t i = 0; i < CALLERS; i++)
        close(fds[i]);
    party_close(&caller);
    party_close(&listener);
}

/* Who calls finds none either, and tries again. */
TEST(without_descriptors_a_call_is_tried_again)
{
    struct party listener = party_new(), caller = party_new();
    struct rlimit before;
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, false);
    party_call(&caller, listener.endpoint, &listener);
    leave_descriptors(&before, 0);
    UNTIL(caller.conn.tries >= 3);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(!caller.conn.up);
    UNTIL(caller.conn.up);
    party_close(&caller);
    party_close(&listener);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* This process stood still, and the other end had nothing to say: it was never asked. */
TEST(a_pause_of_ours_is_no_silence_of_theirs)
{
    struct party listener = party_new(), caller = party_new();
    listener.rules.heartbeat_ms = 50;
    listener.rules.silence_ms = 300;
    caller.rules.heartbeat_ms = caller.rules.silence_ms = 60000;
    party_open(&listener, true);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, true);
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.conn.up && listener.ups == 1);
    uint64_t id = listener.last, until_ms = clock_now_ms() + 500;
    while (clock_now_ms() < until_ms) /* the pause itself: longer than silence_ms */
        usleep(20000);
    until_ms += 500;
    UNTIL(clock_now_ms() >= until_ms || port_find(&listener.port, id) == NULL);
    CHECK(port_find(&listener.port, id) != NULL && caller.downs == 0);
    caller.away = true; /* and yet its own silence is seen */
    UNTIL(port_find(&listener.port, id) == NULL);
    party_close(&caller);
    party_close(&listener);
}

/* Many connections, each of which wants to be asked at another moment. */
TEST(heartbeats_of_many_fall_together)
{
    enum { COUNT = 40 };
    struct party listener = party_new();
    int fds[COUNT];
    uint32_t turns = 0;
    listener.rules.heartbeat_ms = 400;
    listener.rules.silence_ms = 60000;
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    for (uint32_t i = 0; i < COUNT; i++) {
        uint64_t until_ms = clock_now_ms() + 10;
        bare_begin(fds[i] = bare_call(&listener));
        UNTIL(listener.ups == i + 1 && clock_now_ms() >= until_ms);
    }
    for (uint64_t until_ms = clock_now_ms() + 800; clock_now_ms() < until_ms; turns++)
        loop_turn(&listener.loop, 1000);
    CHECK(turns < COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        close(fds[i]);
    party_close(&listener);
}

/* ---- who does not read ----------------------------------------------------------------------- */

/* It says a little now and then, and reads nothing: our asking would pile up for ever. */
TEST(who_does_not_read_is_not_asked_either)
{
    struct party party = party_new();
    party.rules.heartbeat_ms = 5;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int fd = bare_call(&party);
    bare_begin(fd);
    UNTIL(party.ups == 1);
    struct conn *conn = port_find(&party.port, party.last);
    for (uint32_t full = 0; full < 20; turn_all()) {
        full = conn_has_room(conn) == ERR_BUSY ? full + 1 : 0;
        if (full == 0)
            say_number(conn, 5);
    }
    size_t waiting = zmtp_waiting(&conn->zmtp).size;
    CHECK(write(fd, "\0\xff", 2) == 2);
    for (uint32_t said = 0; said < 40; said++) {
        uint64_t until_ms = clock_now_ms() + 12;
        CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
        UNTIL(clock_now_ms() >= until_ms);
    }
    CHECK(port_find(&party.port, party.last) == conn);
    CHECK(zmtp_waiting(&conn->zmtp).size <= waiting);
    close(fd);
    party_close(&party);
}

/* Whoever reads lives, though what it takes now is older than our question. */
TEST(who_reads_slowly_is_not_silent)
{
    struct party party = party_new();
    static uint8_t taken[KiB(256)];
    party.rules.waiting_max = MiB(24);
    party.rules.heartbeat_ms = 50;
    party.rules.silence_ms = 400;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int fd = bare_call(&party);
    bare_begin(fd);
    UNTIL(party.ups == 1);
    struct conn *conn = port_find(&party.port, party.last);
    uint64_t began_ms = clock_now_ms(), taken_ms = 0;
    while (conn_has_room(conn) == ERR_NONE)
        say_number(conn, 5);
    for (uint64_t until = began_ms + DEADLINE_MS; zmtp_waiting(&conn->zmtp).size > 0;) {
        CHECK(clock_now_ms() < until);
        turn_all();
        CHECK(port_find(&party.port, party.last) == conn);
        if (clock_now_ms() >= taken_ms + 15) {
            taken_ms = clock_now_ms();
            CHECK(recv(fd, taken, sizeof taken, 0) > 0);
        }
    }
    CHECK(clock_now_ms() > began_ms + 2 * party.rules.silence_ms);
    UNTIL(port_find(&party.port, party.last) == NULL); /* who stops to read, is */
    close(fd);
    party_close(&party);
}

/* ---- the log --------------------------------------------------------------------------------- */

TEST(strangers_do_not_fill_the_log)
{
    struct party party = party_new();
    int fds[CALLERS];
    party.rules.handshake_ms = 100;
    party.rules.heartbeat_ms = 50;
    party.rules.silence_ms = 200;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    begin_log();
    for (uint32_t i = 0; i < CALLERS; i++)
        close(bare_call(&party));
    for (uint32_t i = 0; i < CALLERS; i++)
        bare_begin(fds[i] = bare_call(&party));
    UNTIL(party.ups == CALLERS && party.port.strangers == CALLERS);
    UNTIL(told("strangers_refused") == 1);
    for (uint32_t i = 0; i < CALLERS; i++) {
        UNTIL(recv(fds[i], &(char[4096]){0}, 4096, 0) == 0);
        close(fds[i]);
    }
    CHECK(told("event=") == 1);
    end_log();
    party_close(&party);
}

/* A guest in another's process: its owner is told, and says what it likes. */
TEST(who_calls_says_nothing_in_the_log)
{
    struct party listener = party_new(), caller = party_new();
    caller.rules.heartbeat_ms = 50;
    caller.rules.silence_ms = 200;
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, false);
    begin_log();
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.ups == 1 && listener.ups == 1);
    listener.away = true;
    UNTIL(caller.downs == 1);
    listener.away = false;
    UNTIL(caller.ups == 2);
    party_close(&listener);
    UNTIL(caller.downs == 2 && caller.conn.tries >= 4);
    CHECK(told("event=") == 0);
    end_log();
    party_close(&caller);
}

/* ---- oneself --------------------------------------------------------------------------------- */

/* As the kernel may do with one who calls a number that nobody has. */
static void connect_to_itself(struct party *party)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&at, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    CHECK(connect(fd, (struct sockaddr *)&at, size) == 0);
    CHECK(dup3(fd, party->conn.fd, O_CLOEXEC) >= 0 && close(fd) == 0);
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = party->conn.id};
    CHECK(epoll_ctl(party->port.epoll, EPOLL_CTL_ADD, party->conn.fd, &event) == 0);
}

TEST(who_reached_itself_tries_again)
{
    struct party caller = party_new(), listener = party_new();
    party_open(&listener, false);
    party_listen(&listener, "tcp://127.0.0.1:*");
    party_open(&caller, false);
    party_call(&caller, listener.endpoint, &listener);
    UNTIL(caller.conn.state == CONN_CONNECTING);
    connect_to_itself(&caller);
    UNTIL(caller.ups == 1);
    CHECK(caller.conn.tries == 2);
    UNTIL(listener.ups == 1);
    party_close(&caller);
    party_close(&listener);
}

/* ---- hanging up in `up` ---------------------------------------------------------------------- */

static void hang_up_at_once(struct party *party, struct conn *conn)
{
    port_hang_up(conn);
}

static void call_anew(struct party *party, struct conn *conn)
{
    char endpoint[ADDRESS_TEXT_MAX];
    memcpy(endpoint, conn->endpoint, sizeof endpoint);
    port_hang_up(conn);
    if (party->ups < 3)
        CHECK(port_call(&party->port, conn, endpoint, NULL) == ERR_NONE);
}

/* A message has come right behind the handshake: it is gone with the connection. */
TEST(who_is_told_that_one_came_may_hang_up)
{
    struct party party = party_new();
    party.rise = hang_up_at_once;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    int first = bare_call(&party), second = bare_call(&party);
    bare_begin(first);
    bare_begin(second);
    UNTIL(party.ups == 2);
    CHECK(party.messages == 0 && port_find(&party.port, party.last) == NULL);
    close(first);
    close(second);
    party_close(&party);
}

TEST(who_is_told_that_a_call_was_taken_may_call_anew)
{
    struct party caller = party_new();
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char endpoint[ADDRESS_TEXT_MAX];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 8) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    caller.rise = call_anew;
    party_open(&caller, false);
    party_call(&caller, endpoint, &caller);
    for (uint32_t life = 1; life <= 3; life++) {
        int fd = -1;
        UNTIL((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
        bare_begin(fd);
        UNTIL(caller.ups == life);
        close(fd);
    }
    CHECK(caller.conn.port == NULL && caller.messages == 0 && caller.downs == 0);
    close(listener);
    party_close(&caller);
}

TEST_MAIN(P(without_descriptors_it_neither_spins_nor_complains),
          P(without_descriptors_a_call_is_tried_again), P(a_pause_of_ours_is_no_silence_of_theirs),
          P(heartbeats_of_many_fall_together), P(who_does_not_read_is_not_asked_either),
          P(who_reads_slowly_is_not_silent), P(strangers_do_not_fill_the_log),
          P(who_calls_says_nothing_in_the_log), P(who_reached_itself_tries_again),
          P(who_is_told_that_one_came_may_hang_up),
          P(who_is_told_that_a_call_was_taken_may_call_anew))
