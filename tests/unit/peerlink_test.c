/* peerlink_test.c - the wires between servers: who finds whom again. */
#include "protocol/peerlink.h"

#include "common/clock.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

struct side {
    struct loop loop;
    struct peerlink link;
    struct keys keys;
};

static void on_message(void *owner, uint32_t slot, const struct message *message)
{
}

static void on_down(void *owner, uint32_t slot)
{
}

static const struct peerlink_rules rules = {on_message, on_message, on_down};

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

TEST_MAIN(T(who_found_nonsense_at_an_address_comes_back_to_it))
