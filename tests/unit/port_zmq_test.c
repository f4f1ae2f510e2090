/* port_zmq_test.c - a port, and libzmq at the other end of the wire. */
#include "tests/unit/port_kit.h"

#include <stdio.h>

enum { COUNT = 2 * ZMTP_FRAMES_MAX * COUNT_OF(body_sizes) };

/* A socket of libzmq, its monitor, and where it stands in the messages. */
struct other {
    void *context, *socket, *monitor;
    uint32_t sent, got;
    bool routes;         /* a ROUTER: an id goes before */
    uint8_t id[5];       /* of the one that it speaks with */
    uint32_t ends, lets; /* told by the monitor: it ended; the handshake was done */
};

static void set_int(void *socket, int option, int value)
{
    CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void watch_socket(struct other *other)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://monitor-%p", other->socket);
    CHECK(zmq_socket_monitor(other->socket, name, ZMQ_EVENT_ALL) == 0);
    other->monitor = zmq_socket(other->context, ZMQ_PAIR);
    CHECK(zmq_connect(other->monitor, name) == 0);
}

static struct other other_new(int type)
{
    struct other other = {.context = zmq_ctx_new(), .routes = type == ZMQ_ROUTER};
    other.socket = zmq_socket(other.context, type);
    CHECK(other.socket != NULL);
    set_int(other.socket, ZMQ_LINGER, 0);
    set_int(other.socket, ZMQ_SNDHWM, 0);
    set_int(other.socket, ZMQ_RCVHWM, 0);
    set_int(other.socket, ZMQ_RECONNECT_IVL, 10);
    watch_socket(&other);
    return other;
}

static void other_close(struct other *other)
{
    zmq_close(other->monitor);
    zmq_close(other->socket);
    zmq_ctx_term(other->context);
}

static void wear_keys(struct other *other, const struct keys *keys, const uint8_t *server)
{
    CHECK(zmq_setsockopt(other->socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, KEY_SIZE) == 0);
    CHECK(zmq_setsockopt(other->socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, KEY_SIZE) == 0);
    if (server != NULL)
        CHECK(zmq_setsockopt(other->socket, ZMQ_CURVE_SERVERKEY, server, KEY_SIZE) == 0);
    else
        set_int(other->socket, ZMQ_CURVE_SERVER, 1);
}

/* Takes what the monitor has told. */
static void look(struct other *other)
{
    uint8_t event[64], address[256];
    while (zmq_recv(other->monitor, event, sizeof event, ZMQ_DONTWAIT) >= 2) {
        uint16_t what = load_u16(event);
        CHECK(zmq_recv(other->monitor, address, sizeof address, 0) >= 0);
        other->lets += what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
        other->ends += what == ZMQ_EVENT_DISCONNECTED || what == ZMQ_EVENT_CLOSED ||
                       what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
                       what == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL ||
                       what == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
    }
}

static uint32_t ends(struct other *other)
{
    look(other);
    return other->ends;
}

static void other_say(struct other *other)
{
    static uint8_t body[MiB(1)];
    uint32_t number = other->sent++;
    if (other->routes)
        CHECK(zmq_send(other->socket, other->id, sizeof other->id, ZMQ_SNDMORE) >= 0);
    for (uint32_t i = 0; i <= envelope_count(number); i++) {
        fill_frame(number, i, body);
        CHECK(zmq_send(other->socket, body, frame_size(number, i),
                       i < envelope_count(number) ? ZMQ_SNDMORE : 0) >= 0);
    }
}

static bool take_id(struct other *other)
{
    return zmq_recv(other->socket, other->id, sizeof other->id, ZMQ_DONTWAIT) ==
           (int)sizeof other->id;
}

/* The next message, if there is one, is the one that is due. */
static void other_hear(struct other *other)
{
    zmq_msg_t frame;
    int more = 1;
    if (other->routes && !take_id(other))
        return;
    zmq_msg_init(&frame);
    for (uint32_t i = 0; more; i++) {
        if (zmq_msg_recv(&frame, other->socket, ZMQ_DONTWAIT) < 0)
            break;
        CHECK(is_frame(other->got, i, SPAN(zmq_msg_data(&frame), zmq_msg_size(&frame))));
        more = zmq_msg_more(&frame);
        CHECK(more == (i < envelope_count(other->got)));
    }
    other->got += !more;
    zmq_msg_close(&frame);
}

/* Both say all they have while they listen. */
static void speak_both_ways(struct party *party, struct conn *conn, struct other *other)
{
    uint32_t sent = 0;
    party->hear = hear_in_order;
    for (uint64_t until = clock_now_ms() + DEADLINE_MS;
         party->messages < COUNT || other->got < COUNT;) {
        CHECK(clock_now_ms() < until);
        if (sent < COUNT && conn_has_room(conn) == ERR_NONE)
            say_number(conn, sent++);
        other_hear(other);
        if (other->sent < COUNT && (!other->routes || other->got > 0))
            other_say(other);
        turn_all();
    }
    CHECK(sent == COUNT && other->sent == COUNT);
    CHECK(party->ups == 1 && party->downs == 0);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void hear_who_calls(bool secure, const char *endpoint)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys;
    make_keys(&keys);
    party_open(&party, secure);
    party_listen(&party, endpoint);
    if (secure)
        wear_keys(&other, &keys, party.keys.public_key);
    CHECK(zmq_connect(other.socket, party.endpoint) == 0);
    UNTIL(party.ups == 1);
    struct conn *conn = port_find(&party.port, party.last);
    CHECK(conn != NULL && conn->accepted);
    if (secure)
        CHECK(memcmp(conn->zmtp.curve.other_key, keys.public_key, KEY_SIZE) == 0);
    speak_both_ways(&party, conn, &other);
    CHECK(port_find(&party.port, party.last) == conn);
    party_close(&party);
    other_close(&other);
}

static void call_who_listens(bool secure, const char *endpoint)
{
    struct party party = party_new(), server = party_new(); /* of this, only the keys */
    struct other other = other_new(ZMQ_ROUTER);
    char bound[256];
    size_t size = sizeof bound;
    make_keys(&server.keys);
    party_open(&party, secure);
    if (secure)
        wear_keys(&other, &server.keys, NULL);
    CHECK(zmq_bind(other.socket, endpoint) == 0);
    CHECK(zmq_getsockopt(other.socket, ZMQ_LAST_ENDPOINT, bound, &size) == 0);
    party_call(&party, bound, &server);
    UNTIL(party.conn.up);
    speak_both_ways(&party, &party.conn, &other);
    party_close(&party);
    other_close(&other);
}

TEST(a_dealer_calls_us)
{
    hear_who_calls(false, "tcp://127.0.0.1:*");
}

TEST(a_dealer_calls_us_with_keys)
{
    hear_who_calls(true, "tcp://127.0.0.1:*");
}

TEST(we_call_a_router)
{
    call_who_listens(false, "tcp://127.0.0.1:*");
}

TEST(we_call_a_router_with_keys)
{
    call_who_listens(true, "tcp://127.0.0.1:*");
}

TEST(both_ways_over_ipc)
{
    char dir[] = "/tmp/port-XXXXXX", endpoint[64];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(endpoint, sizeof endpoint, "ipc://%s/a.ipc", dir);
    hear_who_calls(false, endpoint);
    CHECK(access(endpoint + strlen("ipc://"), F_OK) != 0); /* we leave nothing there */
    call_who_listens(true, endpoint);
    unlink(endpoint + strlen("ipc://"));
    CHECK(rmdir(dir) == 0);
}

static void send_back(struct party *party, struct conn *from, const struct zmtp_message *message)
{
    CHECK(message->count == 2 && message->frames[0].size == 0);
    for (uint32_t i = 0; i < message->count; i++)
        CHECK(zmtp_frame(&from->zmtp, message->frames[i], i + 1 < message->count) == ERR_NONE);
    conn_touch(from);
}

/* A REQ asks, and hears its answer, and no other. */
TEST(a_req_is_answered)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_REQ);
    static uint8_t body[MiB(1)], back[MiB(1)];
    party.hear = send_back;
    party_open(&party, false);
    party_listen(&party, "tcp://127.0.0.1:*");
    CHECK(zmq_connect(other.socket, party.endpoint) == 0);
    for (uint32_t number = 0; number < 2 * COUNT_OF(body_sizes); number++) {
        size_t size = body_size(number);
        int got = -1;
        memset(body, (int)number, size);
        CHECK(zmq_send(other.socket, body, size, 0) == (int)size);
        UNTIL((got = zmq_recv(other.socket, back, sizeof back, ZMQ_DONTWAIT)) >= 0);
        CHECK(got == (int)size && memcmp(back, body, size) == 0);
    }
    party_close(&party);
    other_close(&other);
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

/* It asks, and would leave a port that does not answer; ours says nothing of its own. */
static void stay_with_who_asks(bool secure)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys;
    uint64_t heard_ms = 0;
    uint32_t heard = 0;
    make_keys(&keys);
    party.rules.heartbeat_ms = party.rules.silence_ms = 60000;
    set_int(other.socket, ZMQ_HEARTBEAT_IVL, 50);
    set_int(other.socket, ZMQ_HEARTBEAT_TIMEOUT, 400);
    party_open(&party, secure);
    party_listen(&party, "tcp://127.0.0.1:*");
    if (secure)
        wear_keys(&other, &keys, party.keys.public_key);
    CHECK(zmq_connect(other.socket, party.endpoint) == 0);
    UNTIL(party.ups == 1);
    const struct conn *conn = port_find(&party.port, party.last);
    while (heard < 20) {
        UNTIL(port_find(&party.port, party.last) == NULL || conn->heard_ms != heard_ms);
        CHECK(port_find(&party.port, party.last) == conn); /* it stays */
        heard_ms = conn->heard_ms;
        heard++;
    }
    CHECK(ends(&other) == 0 && party.ups == 1);
    party_close(&party);
    other_close(&other);
}

TEST(who_asks_whether_we_live_stays)
{
    stay_with_who_asks(false);
}

TEST(who_asks_whether_we_live_stays_with_keys)
{
    stay_with_who_asks(true);
}

/* Nobody says anything but our PINGs and its PONGs, for longer than we would bear silence. */
static void ask_who_is_idle(bool secure)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys;
    make_keys(&keys);
    party.rules.heartbeat_ms = 40;
    party.rules.silence_ms = 400;
    party_open(&party, secure);
    party_listen(&party, "tcp://127.0.0.1:*");
    if (secure)
        wear_keys(&other, &keys, party.keys.public_key);
    CHECK(zmq_connect(other.socket, party.endpoint) == 0);
    UNTIL(party.ups == 1);
    uint64_t id = party.last;
    const struct conn *conn = port_find(&party.port, id);
    UNTIL(port_find(&party.port, id) == NULL ||
          conn->pinged_ms > conn->began_ms + 2 * party.rules.silence_ms);
    CHECK(port_find(&party.port, id) == conn && party.messages == 0);
    CHECK(ends(&other) == 0 && party.ups == 1);
    party_close(&party);
    other_close(&other);
}

TEST(an_idle_dealer_answers_that_it_lives)
{
    ask_who_is_idle(false);
}

TEST(an_idle_dealer_answers_that_it_lives_with_keys)
{
    ask_who_is_idle(true);
}

/* ---- who is not let in ----------------------------------------------------------------------- */

/* It tries so often (libzmq tries but once where the mechanisms differ), and neither side believes
 * that it is in. */
static void is_kept_out(struct party *party, struct other *other, uint32_t tries)
{
    CHECK(zmq_connect(other->socket, party->endpoint) == 0);
    CHECK(zmq_send(other->socket, "hello", 5, ZMQ_DONTWAIT) == 5);
    UNTIL(ends(other) >= tries);
    CHECK(other->lets == 0);
    CHECK(party->ups == 0 && party->messages == 0);
    party_close(party);
    other_close(other);
}

static void open_listener(struct party *party, bool secure)
{
    party_open(party, secure);
    party_listen(party, "tcp://127.0.0.1:*");
}

TEST(who_means_another_server_is_kept_out)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys, elsewhere;
    make_keys(&keys);
    make_keys(&elsewhere);
    open_listener(&party, true);
    wear_keys(&other, &keys, elsewhere.public_key);
    is_kept_out(&party, &other, 3);
}

TEST(a_key_that_is_refused_is_kept_out)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys;
    make_keys(&keys);
    party.refuses = true;
    open_listener(&party, true);
    wear_keys(&other, &keys, party.keys.public_key);
    is_kept_out(&party, &other, 3);
}

TEST(who_has_no_key_is_kept_out)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    open_listener(&party, true);
    is_kept_out(&party, &other, 1);
}

TEST(who_wants_keys_where_there_are_none_is_kept_out)
{
    struct party party = party_new();
    struct other other = other_new(ZMQ_DEALER);
    struct keys keys;
    make_keys(&keys);
    open_listener(&party, false);
    wear_keys(&other, &keys, keys.public_key);
    is_kept_out(&party, &other, 1);
}

/* We call a ROUTER that must not take us, or that we must not take. */
static void is_not_taken(bool we_have_keys, bool it_has_keys)
{
    struct party party = party_new(), server = party_new();
    struct other other = other_new(ZMQ_ROUTER);
    struct keys its;
    char bound[256];
    size_t size = sizeof bound;
    make_keys(&its);
    make_keys(&server.keys); /* not its own */
    party_open(&party, we_have_keys);
    if (it_has_keys)
        wear_keys(&other, &its, NULL);
    CHECK(zmq_bind(other.socket, "tcp://127.0.0.1:*") == 0);
    CHECK(zmq_getsockopt(other.socket, ZMQ_LAST_ENDPOINT, bound, &size) == 0);
    party_call(&party, bound, &server);
    party.rules.handshake_ms = 300; /* a server may also just say nothing */
    UNTIL(party.conn.tries >= 4);
    CHECK(party.ups == 0 && party.downs == 0);
    look(&other);
    CHECK(other.lets == 0);
    party_close(&party);
    other_close(&other);
}

TEST(a_server_with_another_key_is_not_believed)
{
    is_not_taken(true, true);
}

TEST(a_server_without_keys_is_not_believed)
{
    is_not_taken(true, false);
}

TEST(a_server_that_wants_keys_does_not_take_us_without)
{
    is_not_taken(false, true);
}

TEST_MAIN(P(a_dealer_calls_us), P(a_dealer_calls_us_with_keys), P(we_call_a_router),
          P(we_call_a_router_with_keys), P(both_ways_over_ipc), P(a_req_is_answered),
          P(who_asks_whether_we_live_stays), P(who_asks_whether_we_live_stays_with_keys),
          P(an_idle_dealer_answers_that_it_lives),
          P(an_idle_dealer_answers_that_it_lives_with_keys),
          P(who_means_another_server_is_kept_out), P(a_key_that_is_refused_is_kept_out),
          P(who_has_no_key_is_kept_out), P(who_wants_keys_where_there_are_none_is_kept_out),
          P(a_server_with_another_key_is_not_believed), P(a_server_without_keys_is_not_believed),
          P(a_server_that_wants_keys_does_not_take_us_without))
