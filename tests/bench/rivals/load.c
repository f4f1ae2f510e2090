/* load.c - keeps N writes under way over K connections, and measures. One JSON line at the end.
 *
 *   load SYSTEM HOST:PORT OUTSTANDING CONNECTIONS BYTES SECONDS WARM_SECONDS */
#include "tests/bench/rivals/load.h"

#include "cmd/changeagent/histogram.h"
#include "common/clock.h"
#include "common/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNS_MAX = 64, OUTSTANDING_MAX = 65536, READ_SIZE = 256 << 10, WAIT_MS = 100 };

static struct {
    const struct protocol *protocol;
    struct conn conns[CONNS_MAX];
    uint32_t conn_count, outstanding;
    uint64_t *started_us; /* by slot */
    uint32_t *idle, idle_count;
    uint64_t acked, errors;
    bool measuring;
    struct histogram times;
} load;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

void load_acked(uint32_t slot, bool ok)
{
    if (slot >= load.outstanding || load.started_us[slot] == 0)
        return;
    if (load.measuring && ok) {
        load.acked++;
        histogram_add(&load.times, clock_now_us() - load.started_us[slot]);
    }
    load.errors += !ok;
    load.started_us[slot] = 0;
    load.idle[load.idle_count++] = slot;
}

/* ---- one connection ---------------------------------------------------------------------------
 */

static void connect_to(struct conn *conn, const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        die("HOST must be an IPv4 address");
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static bool send_some(struct conn *conn)
{
    while (conn->sent < conn->out.size) {
        ssize_t size = send(conn->fd, conn->out.data + conn->sent, conn->out.size - conn->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size < 0)
            return errno == EAGAIN;
        conn->sent += (size_t)size;
    }
    bytes_clear(&conn->out);
    conn->sent = 0;
    return true;
}

static bool read_some(struct conn *conn, int flags)
{
    uint8_t *at = bytes_reserve(&conn->in, READ_SIZE);
    ssize_t size = recv(conn->fd, at, READ_SIZE, flags);
    if (size > 0)
        conn->in.size += (size_t)size;
    return size > 0 || (size < 0 && errno == EAGAIN);
}

bool load_more(struct conn *conn)
{
    return read_some(conn, 0);
}

void load_taken(struct conn *conn, size_t size)
{
    memmove(conn->in.data, conn->in.data + size, conn->in.size - size);
    conn->in.size -= size;
}

bool load_say(struct conn *conn)
{
    while (conn->out.size > 0)
        if (!send_some(conn))
            return false;
    return true;
}

bool load_expect(struct conn *conn, const char *text)
{
    while (memmem(conn->in.data, conn->in.size, text, strlen(text)) == NULL)
        if (!read_some(conn, 0))
            return false;
    bytes_clear(&conn->in);
    return true;
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

/* Each idle slot belongs to one connection: the load is spread evenly. */
static void write_all(struct span payload)
{
    uint64_t now_us = clock_now_us();
    while (load.idle_count > 0) {
        uint32_t slot = load.idle[--load.idle_count];
        load.started_us[slot] = now_us;
        load.protocol->write(&load.conns[slot % load.conn_count], slot, payload);
    }
    for (uint32_t i = 0; i < load.conn_count; i++) {
        load.protocol->flush(&load.conns[i]);
        if (!send_some(&load.conns[i]))
            die("send");
    }
}

static void run_for(int epoll, double seconds, struct span payload)
{
    uint64_t until_us = clock_now_us() + (uint64_t)(seconds * 1e6);
    struct epoll_event events[CONNS_MAX];
    while (clock_now_us() < until_us) {
        write_all(payload);
        int count = epoll_wait(epoll, events, CONNS_MAX, WAIT_MS);
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (!read_some(conn, MSG_DONTWAIT))
                die("the server hung up");
            load_taken(conn, load.protocol->input(conn));
        }
    }
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static const struct protocol *choose(const char *name)
{
    const struct protocol *all[] = {&protocol_etcd, &protocol_nats, &protocol_redis,
                                    &protocol_rabbit};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    fprintf(stderr, "load: SYSTEM is etcd, nats, redis or rabbit\n");
    exit(2);
}

static void open_all(const char *place, int epoll)
{
    char host[64];
    const char *colon = strrchr(place, ':');
    if (colon == NULL || (size_t)(colon - place) >= sizeof host)
        die("HOST:PORT");
    snprintf(host, sizeof host, "%.*s", (int)(colon - place), place);
    for (uint32_t i = 0; i < load.conn_count; i++) {
        struct conn *conn = &load.conns[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->number = i;
        connect_to(conn, host, (uint16_t)atoi(colon + 1));
        if (!load.protocol->open(conn))
            die("greeting");
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
            die("epoll_ctl");
    }
}

static void report(double seconds, double cpu)
{
    printf("{\"acked_per_s\":%.1f,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,\"acked\":%llu,"
           "\"errors\":%llu,\"seconds\":%.3f,\"outstanding\":%u,\"client_cores\":%.2f}\n",
           (double)load.acked / seconds, (unsigned long long)histogram_at(&load.times, 0.5),
           (unsigned long long)histogram_at(&load.times, 0.99), (unsigned long long)load.times.max,
           (unsigned long long)load.acked, (unsigned long long)load.errors, seconds,
           load.outstanding, cpu / seconds);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "load SYSTEM HOST:PORT OUTSTANDING CONNECTIONS BYTES SECONDS WARM\n");
        return 2;
    }
    load.protocol = choose(argv[1]);
    load.outstanding = (uint32_t)atoi(argv[3]);
    load.conn_count = (uint32_t)atoi(argv[4]);
    size_t size = (size_t)atoi(argv[5]);
    if (load.outstanding < 1 || load.outstanding > OUTSTANDING_MAX || load.conn_count < 1 ||
        load.conn_count > CONNS_MAX || size < 1 || size > MiB(1))
        die("a number is out of its range");
    if (load.conn_count > load.outstanding)
        load.conn_count = load.outstanding;
    load.started_us = bytes_zeroed(load.outstanding, sizeof *load.started_us);
    load.idle = bytes_zeroed(load.outstanding, sizeof *load.idle);
    for (uint32_t slot = 0; slot < load.outstanding; slot++)
        load.idle[load.idle_count++] = slot;
    uint8_t *payload = bytes_zeroed(1, size);
    memset(payload, 'x', size);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    (void)worker_wake_gently(); /* as our own bench */
    open_all(argv[2], epoll);
    run_for(epoll, atof(argv[7]), SPAN(payload, size));
    load.measuring = true;
    double cpu = cpu_s();
    uint64_t begin_us = clock_now_us();
    run_for(epoll, atof(argv[6]), SPAN(payload, size));
    report((double)(clock_now_us() - begin_us) / 1e6, cpu_s() - cpu);
    return load.acked > 0 ? 0 : 1;
}
