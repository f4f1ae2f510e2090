/* local_test.c - listeners, processes and endpoints from texts; servers that went away. */
#include "cmd/changeagent/local.c" /* the command line is in no archive */
#include "cmd/changeagent/proctext.c"

#include "tests/unit/test.h"

#define V4_LINE                                                                                   \
    "   1: 0100007F:1DB0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 " \
    "424242 1 0000000000000000 100 0 0 10 0\n"
#define V6_LINE                                                                             \
    "   0: 00000000000000000000000001000000:1DB1 00000000000000000000000000000000:0000 0A " \
    "00000000:00000000 00:00000000 00000000     0        0 7 1 0000000000000000 100 0 0 10 0\n"
#define STAT(name)                                                                              \
    "4711 (" name ") S 4000 4711 4711 0 -1 4194560 900 10 1 2 250 50 30 7 20 0 5 0 987654 1 2 " \
    "18446744073709551615 1\n"

static const uint8_t loopback[PROCTEXT_ADDRESS] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
static const uint8_t loopback_v6[PROCTEXT_ADDRESS] = {[15] = 1};
static const uint8_t elsewhere[PROCTEXT_ADDRESS] = {[10] = 0xff, 0xff, 10, 0, 0, 1};

TEST(a_listener_has_address_port_and_inode)
{
    struct listener listener;
    CHECK(proctext_listener(V4_LINE, &listener));
    CHECK(memcmp(listener.address, loopback, sizeof loopback) == 0);
    CHECK(listener.port == 7600 && listener.inode == 424242);
    CHECK(proctext_listener(V6_LINE, &listener));
    CHECK(memcmp(listener.address, loopback_v6, sizeof loopback_v6) == 0);
    CHECK(listener.port == 7601 && listener.inode == 7);
}

TEST(only_listeners_count)
{
    struct listener listener;
    CHECK(!proctext_listener("", &listener));
    CHECK(!proctext_listener("  sl  local_address rem_address   st tx_queue rx_queue tr\n",
                             &listener));
    CHECK(!proctext_listener("   1: 0100007F:1DB0 0100007F:A000 01 00000000:00000000 00:00000000 "
                             "00000000  1000        0 424242 1\n",
                             &listener)); /* a connection */
    CHECK(!proctext_listener("   1: 0100007F00:1DB0 00000000:0000 0A 00000000:00000000 "
                             "00:00000000 00000000  1000        0 424242 1\n",
                             &listener)); /* no address is so long */
    CHECK(!proctext_listener("   1: 0100007F:1DB0 00000000:0000 0A 00000000", &listener));
}

TEST(a_listener_covers_its_address_or_any)
{
    struct listener exact = {.port = 7600}, any_v4 = {.port = 7600}, any = {.port = 7600};
    memcpy(exact.address, loopback, sizeof loopback);
    memcpy(any_v4.address, (uint8_t[PROCTEXT_ADDRESS]){[10] = 0xff, 0xff}, PROCTEXT_ADDRESS);
    CHECK(proctext_covers(&exact, loopback, 7600));
    CHECK(!proctext_covers(&exact, loopback, 7601));
    CHECK(!proctext_covers(&exact, elsewhere, 7600));
    CHECK(proctext_covers(&any_v4, elsewhere, 7600));
    CHECK(!proctext_covers(&any_v4, loopback_v6, 7600));
    CHECK(proctext_covers(&any, elsewhere, 7600));
    CHECK(proctext_covers(&any, loopback_v6, 7600));
    CHECK(!proctext_covers(&any, loopback_v6, 1));
}

TEST(a_process_has_parent_ticks_and_start)
{
    struct process process;
    CHECK(proctext_process(STAT("changeagent-api"), &process));
    CHECK(strcmp(process.name, "changeagent-api") == 0);
    CHECK(process.state == 'S' && process.parent == 4000);
    CHECK(process.own == 300 && process.reaped == 37 && process.start == 987654);
}

TEST(a_name_may_hold_anything)
{
    struct process process;
    CHECK(proctext_process(STAT("a) R 1 (b"), &process));
    CHECK(strcmp(process.name, "a) R 1 (b") == 0);
    CHECK(process.parent == 4000 && process.start == 987654);
    CHECK(!proctext_process("", &process));
    CHECK(!proctext_process("1 )x( S 1", &process));
    CHECK(!proctext_process("1 (x)", &process));
    CHECK(!proctext_process("1 (x) S 4000 4711 4711 0 -1 4194560 900 10 1 2 250 50", &process));
}

TEST(an_endpoint_has_host_and_port)
{
    char host[PROCTEXT_HOST], port[PROCTEXT_PORT], longer[400];
    CHECK(proctext_endpoint("tcp://127.0.0.1:7600", host, port));
    CHECK(strcmp(host, "127.0.0.1") == 0 && strcmp(port, "7600") == 0);
    CHECK(proctext_endpoint("tcp://[::1]:65535", host, port));
    CHECK(strcmp(host, "::1") == 0 && strcmp(port, "65535") == 0);
    CHECK(!proctext_endpoint("ipc:///tmp/socket:1", host, port));
    CHECK(!proctext_endpoint("tcp://", host, port));
    CHECK(!proctext_endpoint("tcp://:7600", host, port));
    CHECK(!proctext_endpoint("tcp://[]:7600", host, port));
    CHECK(!proctext_endpoint("tcp://localhost:123456", host, port));
    snprintf(longer, sizeof longer, "tcp://%0300d:7600", 1);
    CHECK(!proctext_endpoint(longer, host, port));
}

static struct local ourselves(void)
{
    struct local local = {0};
    char pids[64];
    snprintf(pids, sizeof pids, "%ld,%ld,x", (long)getpid(), (long)getpid());
    local_name(&local, pids);
    local_begin(&local);
    return local;
}

TEST(a_named_process_counts_once)
{
    struct local local = ourselves();
    CHECK(local.count == 1);
    CHECK(local_end(&local) >= 0);
}

TEST(another_process_of_the_same_number_does_not_count)
{
    struct local local = ourselves();
    local.servers[0].start++;
    CHECK(isnan(local_end(&local)));
    local_begin(&local);
    CHECK(local.count == 0);
}

TEST(a_sum_is_never_negative)
{
    struct local local = ourselves();
    local.servers[0].ticks = UINT64_MAX;
    CHECK(local_end(&local) == 0);
}

TEST(what_is_not_here_has_no_servers)
{
    struct local local = {0};
    const char *far[] = {"tcp://192.0.2.1:7600"}, *other[] = {"ipc:///tmp/x"};
    local_find(&local, far, 1);
    CHECK(local.count == 0 && isnan(local_end(&local)));
    local_find(&local, other, 1);
    CHECK(local.count == 0);
}

TEST_MAIN(T(a_listener_has_address_port_and_inode), T(only_listeners_count),
          T(a_listener_covers_its_address_or_any), T(a_process_has_parent_ticks_and_start),
          T(a_name_may_hold_anything), T(an_endpoint_has_host_and_port),
          T(a_named_process_counts_once), T(another_process_of_the_same_number_does_not_count),
          T(a_sum_is_never_negative), T(what_is_not_here_has_no_servers))
