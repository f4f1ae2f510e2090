/* fanout_bench.c - many subscribers in one process: what arrives at each, and how late.
 *
 *   fanout_bench SUBSCRIBERS SECONDS ENDPOINT...
 *
 * Each subscriber has a connection of its own and follows everything, at the endpoints in turn;
 * none uses a library, as those beside which we are set do not (tests/bench/rivals). Prints
 * `joined` when all have their first frame, counts for so many seconds from the first change on,
 * and ends with one JSON line. How late: the wall clock less the log time of the change, of every
 * 16th delivery; so it holds the commit too. */
#include "cmd/changeagent/histogram.h"
#include "common/clock.h"
#include "protocol/message.h"
#include "tests/bench/zmtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { SUBSCRIBERS_MAX = 1000, SAMPLE = 16, EVENTS = 128, EVENT_MIN = 200 };

static struct {
    struct zmtp subscribers[SUBSCRIBERS_MAX];
    bool joined[SUBSCRIBERS_MAX];
    uint32_t count, joined_count;
    int epoll;
    uint64_t delivered, least, begin_us;
    uint64_t of[SUBSCRIBERS_MAX];
    struct histogram late_us;
} bench;

static void subscribe(uint32_t i, const char *endpoint)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    if (zmtp_open(&bench.subscribers[i], endpoint, "a") != ERR_NONE ||
        epoll_ctl(bench.epoll, EPOLL_CTL_ADD, bench.subscribers[i].fd, &event) != 0)
        exit(1);
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

/* The body is the second frame; the message that proves the connection has one frame only. */
static void turn(void)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(bench.epoll, events, EVENTS, 100);
    for (int n = 0; n < ready; n++) {
        uint32_t number, i = events[n].data.u32;
        struct span frame;
        if (zmtp_read(&bench.subscribers[i]) != ERR_NONE) {
            fprintf(stderr, "fanout_bench: subscriber %u was left\n", i);
            exit(1);
        }
        while (zmtp_next(&bench.subscribers[i], &frame, &number))
            if (number == 1)
                take(i, frame);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4 || atoi(argv[1]) < 1 || atoi(argv[1]) > SUBSCRIBERS_MAX) {
        fprintf(stderr, "fanout_bench SUBSCRIBERS (1..1000) SECONDS ENDPOINT...\n");
        return 2;
    }
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    bench.count = (uint32_t)atoi(argv[1]);
    for (uint32_t i = 0; i < bench.count; i++)
        subscribe(i, argv[3 + i % (uint32_t)(argc - 3)]);
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
    return 0; /* connections end with the process */
}
