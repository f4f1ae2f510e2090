/* address_test.c - endpoints in text, and names that are looked up while nobody waits. */
#include "protocol/address.h"

#include "common/clock.h"
#include "tests/unit/name_kit.h"
#include "tests/unit/test.h"

#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <time.h>

enum { DEADLINE_MS = 30000 };

static bool is_printed(const char *endpoint, bool listens, const char *wanted)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    if (address_parse(endpoint, listens, &address) != ERR_NONE)
        return false;
    address_print(&address, text);
    return strcmp(text, wanted) == 0;
}

static bool is_same(const char *endpoint)
{
    return is_printed(endpoint, true, endpoint) && is_printed(endpoint, false, endpoint);
}

/* What both who listens and who calls hears of it; ERR_COUNT: they do not agree. */
static enum err parse(const char *endpoint)
{
    struct address address;
    enum err listens = address_parse(endpoint, true, &address);
    return address_parse(endpoint, false, &address) == listens ? listens : ERR_COUNT;
}

/* ---- numbers --------------------------------------------------------------------------------- */

TEST(numbers_are_read_and_printed)
{
    CHECK(is_same("tcp://127.0.0.1:5555"));
    CHECK(is_same("tcp://192.168.255.1:1"));
    CHECK(is_same("tcp://10.0.0.1:65535"));
    CHECK(is_same("tcp://[::1]:80"));
    CHECK(is_same("tcp://[2001:db8::7]:65535"));
    CHECK(is_printed("tcp://::1:80", false, "tcp://[::1]:80"));
    CHECK(is_printed("tcp://[127.0.0.1]:80", false, "tcp://127.0.0.1:80"));
    CHECK(is_printed("tcp://127.0.0.1:0080", false, "tcp://127.0.0.1:80"));
}

TEST(any_address_and_any_port_are_to_listen_at)
{
    static const char *const endpoints[] = {"tcp://*:80", "tcp://*:*", "tcp://127.0.0.1:*",
                                            "tcp://127.0.0.1:0", "tcp://[::1]:0"};
    struct address address;
    CHECK(is_printed("tcp://*:80", true, "tcp://0.0.0.0:80"));
    CHECK(is_printed("tcp://*:*", true, "tcp://0.0.0.0:0"));
    CHECK(is_printed("tcp://127.0.0.1:*", true, "tcp://127.0.0.1:0"));
    CHECK(is_printed("tcp://127.0.0.1:0", true, "tcp://127.0.0.1:0"));
    CHECK(is_printed("tcp://[::]:*", true, "tcp://[::]:0"));
    for (size_t i = 0; i < COUNT_OF(endpoints); i++)
        CHECK(address_parse(endpoints[i], false, &address) == ERR_CONFIG);
}

TEST(a_family_and_a_size_come_with_an_address)
{
    struct address address;
    CHECK(address_parse("tcp://127.0.0.1:80", false, &address) == ERR_NONE);
    CHECK(address.at.ss_family == AF_INET && address.size == 16);
    CHECK(address_parse("tcp://[::1]:80", false, &address) == ERR_NONE);
    CHECK(address.at.ss_family == AF_INET6 && address.size == 28);
    CHECK(address_parse("ipc:///tmp/x", false, &address) == ERR_NONE);
    CHECK(address.at.ss_family == AF_UNIX && address.size == sizeof(struct sockaddr_un));
}

TEST(a_port_beyond_65535_is_no_port)
{
    CHECK(parse("tcp://127.0.0.1:65536") == ERR_CONFIG);
    CHECK(parse("tcp://127.0.0.1:70000") == ERR_CONFIG);
    CHECK(parse("tcp://*:70000") == ERR_CONFIG);
    CHECK(parse("tcp://some.name:70000") == ERR_CONFIG);
    CHECK(parse("tcp://127.0.0.1:4294967376") == ERR_CONFIG);
    CHECK(parse("tcp://127.0.0.1:18446744073709551696") == ERR_CONFIG);
}

TEST(garbage_is_no_endpoint)
{
    static const char *const garbage[] = {
        "",
        "tcp",
        "tcp:",
        "tcp://",
        "tcp://:",
        "tcp://:80",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:-1",
        "tcp://127.0.0.1:+80",
        "tcp://127.0.0.1: 80",
        "tcp://127.0.0.1:80 ",
        "tcp://127.0.0.1:80/path",
        "tcp://127.0.0.1:0x50",
        "tcp://127.0.0.1:http",
        "tcp://127.0.0.1:**",
        "tcp://some.name:http",
        "tcp://some.name:",
        "tcp://some name:80",
        "tcp://some/name:80",
        "tcp://[::1:80",
        "tcp://::1]:80",
        "tcp://[]:80",
        "tcp://[::1]80",
        "TCP://127.0.0.1:80",
        "udp://127.0.0.1:80",
        "127.0.0.1:80",
        "ipc",
        "ipc:/tmp/x",
        "inproc://x",
    };
    for (size_t i = 0; i < COUNT_OF(garbage); i++)
        if (parse(garbage[i]) != ERR_CONFIG)
            fail_msg("'%s' is taken for an endpoint", garbage[i]);
}

/* A host of so many letters. */
static void long_host(char *endpoint, size_t size)
{
    memcpy(endpoint, "tcp://", 6);
    memset(endpoint + 6, 'a', size);
    memcpy(endpoint + 6 + size, ":80", 4);
}

TEST(a_name_is_to_be_looked_up)
{
    char endpoint[1024];
    CHECK(parse("tcp://localhost:80") == ERR_NOT_FOUND);
    CHECK(parse("tcp://some.name:80") == ERR_NOT_FOUND);
    CHECK(parse("tcp://node-1_a:65535") == ERR_NOT_FOUND);
    long_host(endpoint, ADDRESS_TEXT_MAX - 1);
    CHECK(parse(endpoint) == ERR_NOT_FOUND);
    long_host(endpoint, ADDRESS_TEXT_MAX);
    CHECK(parse(endpoint) == ERR_CONFIG);
    long_host(endpoint, 1000);
    CHECK(parse(endpoint) == ERR_CONFIG);
}

/* ---- paths ----------------------------------------------------------------------------------- */

TEST(a_path_is_as_long_as_a_socket_may_have_it)
{
    char endpoint[256] = "ipc://";
    struct sockaddr_un local;
    struct address address;
    CHECK(is_same("ipc:///tmp/some.sock") && is_same("ipc://here"));
    CHECK(parse("ipc://") == ERR_CONFIG);
    memset(endpoint + 6, 'a', sizeof local.sun_path - 1);
    CHECK(is_same(endpoint));
    CHECK(address_parse(endpoint, true, &address) == ERR_NONE);
    memcpy(&local, &address.at, sizeof local);
    CHECK(strcmp(local.sun_path, endpoint + 6) == 0);
    endpoint[6 + sizeof local.sun_path - 1] = 'a';
    CHECK(parse(endpoint) == ERR_CONFIG);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As a loop does it: look again now and then, until it is done. */
static enum err look_until_done(struct address_lookup *lookup, struct address *found,
                                uint32_t *count)
{
    int64_t until_ms = now_ms() + DEADLINE_MS;
    enum err err = ERR_BUSY;
    while (err == ERR_BUSY && now_ms() < until_ms) {
        poll(NULL, 0, 1);
        err = address_found(lookup, found, count);
    }
    return err;
}

static bool is_loopback(const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    address_print(address, text);
    return strcmp(text, "tcp://127.0.0.1:4711") == 0 || strcmp(text, "tcp://[::1]:4711") == 0;
}

TEST(localhost_is_found)
{
    needs_localhost();
    struct address found[ADDRESSES_MAX];
    uint32_t count = 0;
    struct address_lookup *lookup = address_look_up("tcp://localhost:4711");
    CHECK(lookup != NULL);
    CHECK(look_until_done(lookup, found, &count) == ERR_NONE);
    CHECK(count >= 1 && count <= ADDRESSES_MAX);
    for (uint32_t i = 0; i < count; i++)
        CHECK(is_loopback(&found[i]));
    CHECK(address_found(lookup, found, &count) == ERR_NONE); /* as often as one likes */
    address_lookup_close(lookup);
}

TEST(who_begins_may_wait_for_it)
{
    needs_localhost();
    struct address found[ADDRESSES_MAX];
    struct address_lookup *lookup = address_look_up("tcp://localhost:4711");
    CHECK(lookup != NULL);
    CHECK(address_await(lookup, found) == ERR_NONE);
    CHECK(is_loopback(&found[0]));
    address_lookup_close(lookup);
}

TEST(a_name_that_nobody_has_is_not_found)
{
    struct address found[ADDRESSES_MAX];
    uint32_t count = 7;
    struct address_lookup *lookup = address_look_up("tcp://nosuch.invalid:4711");
    CHECK(lookup != NULL);
    CHECK(look_until_done(lookup, found, &count) == ERR_NOT_FOUND);
    CHECK(count == 0);
    address_lookup_close(lookup);
}

TEST(what_is_no_endpoint_is_not_looked_up)
{
    CHECK(address_look_up("tcp://localhost") == NULL);
    CHECK(address_look_up("tcp://localhost:70000") == NULL);
    CHECK(address_look_up("ipc:///tmp/x") == NULL);
    CHECK(address_look_up("") == NULL);
}

/* More than the C library has threads for: some are done, some have not begun, and some are
 * under way. All are freed when their threads are done; what is lost, the sanitizer tells. */
TEST(closing_a_lookup_that_is_under_way_is_clean)
{
    needs_localhost();
    enum { LOOKUPS = 100, ROUNDS = 50 };
    struct address_lookup *lookups[LOOKUPS];
    struct address found[ADDRESSES_MAX];
    uint32_t count, under_way = 0;
    address_lookup_close(NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < LOOKUPS; i++)
            CHECK((lookups[i] = address_look_up("tcp://localhost:1")) != NULL);
        for (int i = 0; i < LOOKUPS; i++) {
            under_way += address_found(lookups[i], found, &count) == ERR_BUSY;
            address_lookup_close(lookups[i]);
        }
        struct address_lookup *last = address_look_up("tcp://localhost:1");
        CHECK(look_until_done(last, found, &count) == ERR_NONE);
        address_lookup_close(last);
    }
    CHECK(under_way > 0);
    int64_t until_ms = now_ms() + DEADLINE_MS;
    while (address_left_behind() > 0) {
        CHECK(now_ms() < until_ms);
        poll(NULL, 0, 1);
    }
}

TEST_MAIN(T(numbers_are_read_and_printed), T(any_address_and_any_port_are_to_listen_at),
          T(a_family_and_a_size_come_with_an_address), T(a_port_beyond_65535_is_no_port),
          T(garbage_is_no_endpoint), T(a_name_is_to_be_looked_up),
          T(a_path_is_as_long_as_a_socket_may_have_it), T(localhost_is_found),
          T(who_begins_may_wait_for_it), T(a_name_that_nobody_has_is_not_found),
          T(what_is_no_endpoint_is_not_looked_up), T(closing_a_lookup_that_is_under_way_is_clean))
