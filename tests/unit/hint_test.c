/* hint_test.c - "ENDPOINT PUBLICKEY", and what is refused before a founding. */
#include "consensus/hint.h"

#include "common/keys.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY "0123456789012345678901234567890123456789" /* Z85 */
#define OLD "9876543210987654321098765432109876543210"

static enum err parse(const char *text, struct raft_voter *voter, char endpoint[RAFT_ENDPOINT_MAX])
{
    return hint_parse(SPAN_TEXT(text), voter, endpoint);
}

TEST(a_hint_is_an_endpoint_and_a_key)
{
    struct raft_voter voter;
    uint8_t key[RAFT_KEY_SIZE], other[RAFT_KEY_SIZE];
    char endpoint[RAFT_ENDPOINT_MAX];
    CHECK(keys_parse(SPAN_TEXT(KEY), key) == ERR_NONE);
    CHECK(keys_parse(SPAN_TEXT(OLD), other) == ERR_NONE);
    CHECK(parse("tcp://a:1 " KEY, &voter, endpoint) == ERR_NONE);
    CHECK(voter.endpoint == endpoint && strcmp(endpoint, "tcp://a:1") == 0);
    CHECK(memcmp(voter.key, key, sizeof key) == 0);
    CHECK(hint_is_of(SPAN_TEXT("tcp://a:1 " KEY), key, endpoint));
    CHECK(!hint_is_of(SPAN_TEXT("tcp://a:1 " KEY), other, endpoint));
    CHECK(!hint_is_of(SPAN_TEXT("tcp://a:1"), key, endpoint));
}

TEST(what_is_no_hint_is_refused)
{
    struct raft_voter voter;
    char endpoint[RAFT_ENDPOINT_MAX], text[RAFT_ENDPOINT_MAX + 64];
    CHECK(parse("", &voter, endpoint) != ERR_NONE);
    CHECK(parse("tcp://a:1", &voter, endpoint) != ERR_NONE);
    CHECK(parse("tcp://a:1 ", &voter, endpoint) != ERR_NONE);
    CHECK(parse("tcp://a:1 short", &voter, endpoint) != ERR_NONE);
    CHECK(parse("tcp://a:1 " KEY "9", &voter, endpoint) != ERR_NONE);
    snprintf(text, sizeof text, "%0*d " KEY, RAFT_ENDPOINT_MAX - 1, 0);
    CHECK(parse(text, &voter, endpoint) == ERR_NONE);
    snprintf(text, sizeof text, "%0*d " KEY, RAFT_ENDPOINT_MAX, 0);
    CHECK(parse(text, &voter, endpoint) != ERR_NONE);
}

static struct option_list list_of(const char *first, const char *second)
{
    struct option_list list = {0};
    list.at[list.count++] = first;
    list.at[list.count++] = second;
    return list;
}

/* R116: others could not come to an address of this machine. */
TEST(an_own_address_must_be_reachable_for_all_members)
{
    struct option_list here = list_of("tcp://127.0.0.1:1 " KEY, "no hint");
    struct option_list there = list_of("no hint", "tcp://10.0.0.1:1 " KEY);
    CHECK(hint_check_reach("tcp://127.0.0.1:5", &here) == ERR_NONE);
    CHECK(hint_check_reach("tcp://127.0.0.1:5", &there) == ERR_CONFIG);
    CHECK(hint_check_reach("tcp://10.0.0.2:5", &there) == ERR_NONE);
}

/* Nothing is founded beside a server that lives. */
TEST(a_server_that_answers_forbids_a_founding)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    char text[RAFT_ENDPOINT_MAX + 64];
    snprintf(text, sizeof text, "tcp://127.0.0.1:%u " KEY, ntohs(address.sin_port));
    struct option_list list = list_of("no hint", text);
    CHECK(hint_probe(&list) == ERR_CONFIG);
    close(fd);
    CHECK(hint_probe(&list) == ERR_NONE);
}

TEST_MAIN(T(a_hint_is_an_endpoint_and_a_key), T(what_is_no_hint_is_refused),
          T(an_own_address_must_be_reachable_for_all_members),
          T(a_server_that_answers_forbids_a_founding))
