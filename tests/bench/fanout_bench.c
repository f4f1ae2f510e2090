/* fanout_bench.c - many subscribers in one process: what arrives at each, and how late.
 *
 *   fanout_bench SUBSCRIBERS SECONDS ENDPOINT…
 *
 * Each subscriber is a SUB socket of its own on the topic of everything, at the endpoints in turn.
 * Prints `joined` when all have their first frame, counts for so many seconds from the first
 * change on, and ends with one JSON line. How late: the wall clock less the log time of the
 * change, of every 16th delivery; so it holds the commit too. */
#include "cmd/changeagent/histogram.h"
#include "common/clock.h"
#include "protocol/message.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { SUBSCRIBERS_MAX = 1000, SAMPLE = 16, DRAIN = 64, EVENT_MIN = 200 };

static struct {
    void *sockets[SUBSCRIBERS_MAX];
    struct pollfd fds[SUBSCRIBERS_MAX];
    bool joined[SUBSCRIBERS_MAX];
    uint32_t count, joined_count;
    uint64_t delivered, least, begin_us;
    uint64_t of[SUBSCRIBERS_MAX];
    struct histogram late_us;
} bench;

static void subscribe(void *context, uint32_t i, const char *endpoint)
{
    int hwm = 100000;
    size_t size = sizeof bench.fds[i].fd;
    bench.sockets[i] = zmq_socket(context, ZMQ_SUB);
    zmq_setsockopt(bench.sockets[i], ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(bench.sockets[i], ZMQ_SUBSCRIBE, "a", 1);
    if (zmq_connect(bench.sockets[i], endpoint) != 0)
        exit(1);
    zmq_getsockopt(bench.sockets[i], ZMQ_FD, &bench.fds[i].fd, &size);
    bench.fds[i].events = POLLIN;
}

static void take(uint32_t i, struct span body)
{
    struct message message;
    if (!bench.joined[i]) {
        bench.joined[i] = true;
        bench.joined_count++;
        return;
    }
    if (body.size < EVENT_MIN)
        return; /* a progress frame is smaller */
    if (bench.begin_us == 0)
        bench.begin_us = clock_now_us();
    bench.of[i]++;
    if (bench.delivered++ % SAMPLE != 0 || message_decode_map(body, &message, NULL) != ERR_NONE ||
        message.type != MESSAGE_EVENT)
        return;
    uint64_t now_ns = clock_wall_ns(NULL);
    histogram_add(&bench.late_us,
                  now_ns > message.event.ts ? (now_ns - message.event.ts) / 1000 : 0);
}

static bool drain(uint32_t i)
{
    zmq_msg_t topic, body;
    for (int n = 0; n < DRAIN; n++) {
        zmq_msg_init(&topic);
        zmq_msg_init(&body);
        bool got = zmq_msg_recv(&topic, bench.sockets[i], ZMQ_DONTWAIT) >= 0 &&
                   zmq_msg_recv(&body, bench.sockets[i], ZMQ_DONTWAIT) >= 0;
        if (got)
            take(i, SPAN(zmq_msg_data(&body), zmq_msg_size(&body)));
        zmq_msg_close(&topic);
        zmq_msg_close(&body);
        if (!got)
            return false;
    }
    return true;
}

static void turn(void)
{
    static bool more[SUBSCRIBERS_MAX];
    bool any = false;
    for (uint32_t i = 0; i < bench.count; i++)
        any = any || more[i];
    poll(bench.fds, bench.count, any ? 0 : 100);
    for (uint32_t i = 0; i < bench.count; i++)
        if (more[i] || bench.fds[i].revents != 0)
            more[i] = drain(i);
}

int main(int argc, char **argv)
{
    if (argc < 4 || atoi(argv[1]) < 1 || atoi(argv[1]) > SUBSCRIBERS_MAX) {
        fprintf(stderr, "fanout_bench SUBSCRIBERS (1..1000) SECONDS ENDPOINT...\n");
        return 2;
    }
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SUBSCRIBERS_MAX + 8);
    bench.count = (uint32_t)atoi(argv[1]);
    for (uint32_t i = 0; i < bench.count; i++)
        subscribe(context, i, argv[3 + i % (uint32_t)(argc - 3)]);
    while (bench.joined_count < bench.count)
        turn();
    printf("joined\n");
    fflush(stdout);
    uint64_t seconds_us = (uint64_t)(atof(argv[2]) * 1e6);
    while (bench.begin_us == 0 || clock_now_us() < bench.begin_us + seconds_us)
        turn();
    bench.least = UINT64_MAX;
    for (uint32_t i = 0; i < bench.count; i++)
        bench.least = bench.of[i] < bench.least ? bench.of[i] : bench.least;
    printf("{\"subscribers\":%u,\"deliveries_per_s\":%.0f,\"slowest_per_s\":%.0f,\"p50_us\":%llu,"
           "\"p99_us\":%llu}\n",
           bench.count, (double)bench.delivered * 1e6 / (double)seconds_us,
           (double)bench.least * 1e6 / (double)seconds_us,
           (unsigned long long)histogram_at(&bench.late_us, 0.5),
           (unsigned long long)histogram_at(&bench.late_us, 0.99));
    return 0; /* sockets end with the process: nobody waits for them */
}
