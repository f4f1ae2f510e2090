/* peerlink_test.c - the wires between servers: who is found, who is believed, who is let in. */
#include "protocol/peerlink.h"

#include "common/clock.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

/* What one side heard last, and how often. */
struct heard {
    uint32_t count, slot;
    enum message_type type;
    uint64_t life;
};

struct side {
    struct loop loop;
    struct peerlink link;
    struct keys keys;
    struct heard received, replied;
    uint32_t downs, down_slot;
    uint64_t route; /* of the message that was received last */
};

static void on_message(void *owner, uint32_t slot, const struct message *message)
{
    struct side *side = owner;
    uint32_t count = side->received.count + 1;
    side->received = (struct heard){count, slot, message->type, message->claim.life};
    side->route = side->link.route;
}

static void on_reply(void *owner, uint32_t slot, const struct message *message)
{
    struct side *side = owner;
    uint32_t count = side->replied.count + 1;
    side->replied = (struct heard){count, slot, message->type, message->claimed.life};
}

static void on_down(void *owner, uint32_t slot)
{
    struct side *side = owner;
    side->downs++;
    side->down_slot = slot;
}

static const struct peerlink_rules rules = {on_message, on_reply, on_down};

#define UNTIL(a, b, condition)                                     \
    for (uint64_t until = clock_now_ms() + 20000; !(condition);) { \
        CHECK(clock_now_ms() < until);                             \
        loop_turn(&(a)->loop, 1);                                  \
        loop_turn(&(b)->loop, 1);                                  \
    }

static void make_keys(struct keys *keys)
{
    char public_text[41], secret_text[41];
    CHECK(zmq_curve_keypair(public_text, secret_text) == 0);
    CHECK(zmq_z85_decode(keys->public_key, public_text) != NULL);
    CHECK(zmq_z85_decode(keys->secret_key, secret_text) != NULL);
}

static void open_side(struct side *side, const char *listen)
{
    side->loop.now_ms = clock_now_ms();
    CHECK(peerlink_open(&side->link, &side->loop, &side->keys, listen, &rules, side) == ERR_NONE);
}

/* A listener that breaks the protocol: it takes connections and answers with bytes. Gives its port.
 */
static int open_nonsense(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* ZMTP 3.0 with the mechanism NULL, which is refused. */
static bool answer_nonsense(int fd)
{
    static const uint8_t greeting[64] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                         1,    0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    int client = accept(fd, NULL, NULL);
    if (client < 0)
        return false;
    bool sent = write(client, greeting, sizeof greeting) == (ssize_t)sizeof greeting;
    uint64_t until_ms = clock_now_ms() + 200;
    uint8_t bytes[256];
    while (clock_now_ms() < until_ms && recv(client, bytes, sizeof bytes, MSG_DONTWAIT) != 0)
        continue;
    close(client);
    return sent;
}

TEST(who_found_nonsense_at_an_address_comes_back_to_it)
{
    struct side here = {0}, there = {0};
    char endpoint[64];
    uint16_t port;
    int fd = open_nonsense(&port);
    make_keys(&here.keys);
    make_keys(&there.keys);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    open_side(&here, "tcp://127.0.0.1:*");
    CHECK(peerlink_set(&here.link, 0, there.keys.public_key, endpoint) == ERR_NONE);
    uint64_t until_ms = clock_now_ms() + 10000;
    bool answered = false;
    while (!answered && clock_now_ms() < until_ms) {
        loop_turn(&here.loop, 10);
        answered = answer_nonsense(fd);
    }
    CHECK(answered);
    close(fd);
    open_side(&there, endpoint);
    CHECK(peerlink_set(&there.link, 0, here.keys.public_key, "") == ERR_NONE);
    until_ms = clock_now_ms() + 20000;
    while (!peerlink_connected(&here.link, 0) && clock_now_ms() < until_ms) {
        loop_turn(&here.loop, 5);
        loop_turn(&there.loop, 5);
    }
    CHECK(peerlink_connected(&here.link, 0));
    peerlink_close(&here.link);
    peerlink_close(&there.link);
}

/* ---- two that know each other ---------------------------------------------------------------- */

enum { HERE = 1, THERE = 3 }; /* the slots in which each has the other */

static void set_peer(struct side *side, uint32_t slot, const struct side *other)
{
    char endpoint[PEERLINK_ENDPOINT_MAX];
    peerlink_endpoint(&other->link, endpoint);
    CHECK(peerlink_set(&side->link, slot, other->keys.public_key, endpoint) == ERR_NONE);
}

static void open_both(struct side *here, struct side *there)
{
    make_keys(&here->keys);
    make_keys(&there->keys);
    open_side(here, "tcp://127.0.0.1:*");
    open_side(there, "tcp://127.0.0.1:*");
    set_peer(here, THERE, there);
    set_peer(there, HERE, here);
    UNTIL(here, there,
          peerlink_connected(&here->link, THERE) && peerlink_connected(&there->link, HERE));
}

static void close_both(struct side *here, struct side *there)
{
    peerlink_close(&here->link);
    peerlink_close(&there->link);
}

static void claim(struct side *side, uint32_t slot, uint64_t life)
{
    struct message message = {.type = MESSAGE_CLAIM};
    message.claim.life = life;
    message.claim.endpoint = SPAN_TEXT("here");
    peerlink_send(&side->link, slot, &message);
}

static bool answer_claim(struct side *side, uint64_t route, uint64_t life)
{
    struct message message = {.type = MESSAGE_CLAIMED};
    message.claimed.life = life;
    return peerlink_reply(&side->link, route, &message);
}

TEST(a_message_goes_both_ways)
{
    struct side here = {0}, there = {0};
    open_both(&here, &there);
    for (uint32_t life = 1; life <= 50; life++) {
        claim(&here, THERE, life);
        claim(&there, HERE, 1000 + life);
        UNTIL(&here, &there, here.received.count == life && there.received.count == life);
        CHECK(there.received.slot == HERE && there.received.life == life);
        CHECK(here.received.slot == THERE && here.received.life == 1000 + life);
        CHECK(here.received.type == MESSAGE_CLAIM && there.received.type == MESSAGE_CLAIM);
    }
    CHECK(here.replied.count == 0 && there.replied.count == 0);
    CHECK(here.link.sent == 50 && here.link.dropped == 0 && here.downs == 0);
    close_both(&here, &there);
}

/* The turn of who says it goes on: only the other end turns. */
TEST(what_is_pushed_has_left_before_the_turn_ends)
{
    struct side here = {0}, there = {0};
    open_both(&here, &there);
    claim(&here, THERE, 3);
    peerlink_push(&here.link);
    UNTIL(&there, &there, there.received.count == 1);
    close_both(&here, &there);
}

TEST(a_reply_goes_back_on_the_connection_of_what_it_answers)
{
    struct side here = {0}, there = {0};
    open_both(&here, &there);
    claim(&here, THERE, 7);
    UNTIL(&here, &there, there.received.count == 1);
    uint64_t route = there.route;
    CHECK(answer_claim(&there, route, 8));
    UNTIL(&here, &there, here.replied.count == 1);
    CHECK(here.replied.slot == THERE && here.replied.life == 8);
    CHECK(here.replied.type == MESSAGE_CLAIMED && here.received.count == 0);
    CHECK(!answer_claim(&there, 0, 9) && !answer_claim(&there, route + 1, 9));
    CHECK(peerlink_set(&here.link, THERE, there.keys.public_key, "") == ERR_NONE);
    UNTIL(&here, &there, !answer_claim(&there, route, 9)); /* it is gone */
    set_peer(&here, THERE, &there); /* another one does not get what was meant for it */
    UNTIL(&here, &there, peerlink_connected(&here.link, THERE));
    claim(&here, THERE, 10);
    UNTIL(&here, &there, there.received.count == 2);
    CHECK(there.route != route && !answer_claim(&there, route, 9));
    CHECK(here.replied.life != 10 && answer_claim(&there, there.route, 11));
    UNTIL(&here, &there, here.replied.life == 11);
    close_both(&here, &there);
}

TEST(an_end_is_told_and_what_is_said_meanwhile_is_dropped)
{
    struct side here = {0}, there = {0};
    char endpoint[PEERLINK_ENDPOINT_MAX];
    open_both(&here, &there);
    peerlink_endpoint(&there.link, endpoint);
    peerlink_close(&there.link);
    UNTIL(&here, &here, here.downs == 1);
    CHECK(here.down_slot == THERE && !peerlink_connected(&here.link, THERE));
    claim(&here, THERE, 1);
    CHECK(here.link.dropped == 1 && here.link.sent == 0);
    open_side(&there, endpoint);
    set_peer(&there, HERE, &here);
    UNTIL(&here, &there, peerlink_connected(&here.link, THERE));
    claim(&here, THERE, 2);
    UNTIL(&here, &there, there.received.count == 1);
    CHECK(there.received.life == 2 && here.downs == 1);
    close_both(&here, &there);
}

/* ---- who is believed, and who is let in ------------------------------------------------------ */

/* Its connection still stands; it does not help. */
TEST(a_key_that_left_the_list_is_not_believed)
{
    struct side here = {0}, there = {0}, other = {0};
    open_both(&here, &there);
    claim(&here, THERE, 1);
    UNTIL(&here, &there, there.received.count == 1);
    make_keys(&other.keys);
    CHECK(peerlink_set(&there.link, HERE, other.keys.public_key, "") == ERR_NONE);
    CHECK(!peerlink_connected(&there.link, HERE));
    claim(&here, THERE, 2);
    UNTIL(&here, &there, there.link.refused == 1);
    CHECK(there.received.count == 1 && here.link.sent == 2);
    CHECK(peerlink_set(&here.link, THERE, there.keys.public_key, "") == ERR_NONE);
    set_peer(&here, THERE, &there); /* and it does not come in again */
    UNTIL(&here, &there, there.link.port.refused >= 3);
    CHECK(!peerlink_connected(&here.link, THERE));
    CHECK(peerlink_set(&there.link, HERE + 1, here.keys.public_key, "") == ERR_NONE);
    UNTIL(&here, &there, peerlink_connected(&here.link, THERE));
    claim(&here, THERE, 3);
    UNTIL(&here, &there, there.received.count == 2);
    CHECK(there.received.slot == HERE + 1 && there.received.life == 3);
    close_both(&here, &there);
}

/* What is said on the standard error meanwhile; gives where it went before. */
static int begin_log(int *log)
{
    char name[] = "/tmp/peerlink-log-XXXXXX";
    int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    *log = mkstemp(name);
    CHECK(*log >= 0 && before >= 0 && unlink(name) == 0);
    CHECK(dup2(*log, STDERR_FILENO) >= 0);
    return before;
}

static uint32_t end_log(int log, int before, const char *event)
{
    static char text[MiB(1)];
    ssize_t size = pread(log, text, sizeof text - 1, 0);
    uint32_t count = 0;
    CHECK(dup2(before, STDERR_FILENO) >= 0 && size >= 0);
    close(before);
    close(log);
    text[size] = '\0';
    for (const char *at = text; (at = strstr(at, event)) != NULL; at++)
        count++;
    return count;
}

TEST(a_stranger_is_not_let_in_and_does_not_fill_the_log)
{
    struct side here = {0}, there = {0}, stranger = {0};
    int log, before;
    open_both(&here, &there);
    make_keys(&stranger.keys);
    open_side(&stranger, "tcp://127.0.0.1:*");
    before = begin_log(&log);
    for (uint32_t slot = 0; slot < PEERLINK_PEERS_MAX; slot++) /* so that it goes faster */
        set_peer(&stranger, slot, &there);
    UNTIL(&stranger, &there, there.link.port.refused > 205);
    uint32_t lines = end_log(log, before, "connection_refused");
    CHECK(lines == (there.link.port.refused + 99) / 100);
    for (uint32_t slot = 0; slot < PEERLINK_PEERS_MAX; slot++)
        CHECK(!peerlink_connected(&stranger.link, slot));
    CHECK(there.received.count == 0 && stranger.downs == 0);
    claim(&here, THERE, 1); /* nobody else is disturbed */
    UNTIL(&here, &there, there.received.count == 1);
    CHECK(here.downs == 0 && there.downs == 0);
    peerlink_close(&stranger.link);
    close_both(&here, &there);
}

/* Who took the address of a peer is not it. */
TEST(a_peer_with_another_key_at_its_address_is_not_believed)
{
    struct side here = {0}, there = {0}, meant = {0};
    char endpoint[PEERLINK_ENDPOINT_MAX];
    int log, before;
    make_keys(&here.keys);
    make_keys(&there.keys);
    make_keys(&meant.keys);
    open_side(&here, "tcp://127.0.0.1:*");
    open_side(&there, "tcp://127.0.0.1:*");
    CHECK(peerlink_set(&there.link, HERE, here.keys.public_key, "") == ERR_NONE);
    peerlink_endpoint(&there.link, endpoint);
    CHECK(peerlink_set(&here.link, THERE, meant.keys.public_key, endpoint) == ERR_NONE);
    before = begin_log(&log);
    UNTIL(&here, &there, here.link.peers[THERE].conn.unproven >= 7);
    CHECK(!peerlink_connected(&here.link, THERE));
    CHECK(end_log(log, before, "has not the key that is listed") == 1); /* at the fourth time */
    CHECK(peerlink_set(&here.link, THERE, there.keys.public_key, endpoint) == ERR_NONE);
    UNTIL(&here, &there, peerlink_connected(&here.link, THERE));
    close_both(&here, &there);
}

/* And who is not in its list learns that. */
TEST(a_key_that_is_not_listed_is_told_so)
{
    struct side here = {0}, there = {0};
    int log, before;
    make_keys(&here.keys);
    make_keys(&there.keys);
    open_side(&here, "tcp://127.0.0.1:*");
    open_side(&there, "tcp://127.0.0.1:*");
    before = begin_log(&log);
    set_peer(&here, THERE, &there);
    UNTIL(&here, &there, here.link.peers[THERE].conn.unproven >= 5);
    CHECK(end_log(log, before, "does not list our key") == 1);
    set_peer(&there, HERE, &here);
    UNTIL(&here, &there, peerlink_connected(&here.link, THERE));
    CHECK(here.link.peers[THERE].conn.unproven == 0); /* the same connection: it counts anew */
    close_both(&here, &there);
}

TEST_MAIN(T(who_found_nonsense_at_an_address_comes_back_to_it), T(a_message_goes_both_ways),
          T(what_is_pushed_has_left_before_the_turn_ends),
          T(a_reply_goes_back_on_the_connection_of_what_it_answers),
          T(an_end_is_told_and_what_is_said_meanwhile_is_dropped),
          T(a_key_that_left_the_list_is_not_believed),
          T(a_stranger_is_not_let_in_and_does_not_fill_the_log),
          T(a_peer_with_another_key_at_its_address_is_not_believed),
          T(a_key_that_is_not_listed_is_told_so))
