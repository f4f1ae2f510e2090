/* bench.c - the verb bench: keeps N puts under way through the library, and measures.
 *
 * A put's time runs from the call to the result. With --rate it runs from the moment the put
 * was due, so a stall is seen in the puts that waited behind it. */
#include "cmd/changeagent/histogram.h"
#include "cmd/changeagent/local.h"
#include "cmd/changeagent/print.h"
#include "cmd/changeagent/verbs.h"

#include "common/bytes.h"
#include "common/clock.h"
#include "common/worker.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    OUTSTANDING = 64,
    DATA_SIZE = 256,
    TAGS = 2,
    DISTINCT = 1000,
    SECONDS = 5,
    BODIES_MIN = 256, /* encoded once, sent in turn; as many as the tags need */
    BODIES_MAX = 1 << 17,
    DRAIN_MS = 10000,
    STEP_US = 1000000,
};

struct body {
    void *data;
    size_t size;
};

struct bench {
    const struct args *args;
    struct ca *ca;
    struct body *bodies;
    uint64_t *started_us; /* by slot */
    uint32_t *free_slots;
    uint32_t free_count, outstanding, body_count, next_body;
    uint64_t begun, acked, errors, due_us;
    bool measuring;
    struct histogram histogram;
    struct local servers;
};

/* ---- what is written ------------------------------------------------------------------------- */

static uint64_t or_else(uint64_t value, uint64_t preset)
{
    return value > 0 ? value : preset;
}

static uint64_t tags_of(const struct args *args)
{
    uint64_t room = ARGS_LIST_MAX - args->tags.count;
    return args->tag_per_put < room ? args->tag_per_put : room;
}

static uint64_t distinct_of(const struct args *args)
{
    return or_else(args->distinct_tags, DISTINCT);
}

/* Each of the distinct tags stands in one body at least. */
static uint32_t bodies_of(const struct args *args)
{
    uint64_t tags = tags_of(args), wanted = tags > 0 ? (distinct_of(args) + tags - 1) / tags : 0;
    return (uint32_t)(wanted > BODIES_MIN ? wanted : BODIES_MIN);
}

static bool encode_bodies(struct bench *bench)
{
    const struct args *args = bench->args;
    uint64_t size = or_else(args->size, DATA_SIZE), distinct = distinct_of(args);
    uint64_t tags = tags_of(args);
    char names[ARGS_LIST_MAX][32];
    const char *list[ARGS_LIST_MAX];
    char *data = bytes_zeroed(1, size);
    enum ca_code code = CA_OK;
    for (uint32_t i = 0; i < bench->body_count && code == CA_OK; i++) {
        for (uint64_t t = 0; t < tags; t++) {
            snprintf(names[t], sizeof names[t], "tag-%llu",
                     (unsigned long long)((i * tags + t) % distinct));
            list[t] = names[t];
        }
        for (uint32_t t = 0; t < args->tags.count; t++)
            list[tags + t] = args->tags.at[t];
        for (uint64_t at = 0; at < size; at++)
            data[at] = (char)('a' + (at * 7 + at / 26 + i) % 26);
        struct ca_change change = {
            .tags = list, .tag_count = (uint32_t)tags + args->tags.count, .data = {data, size}};
        code =
            ca_body_encode(bench->ca, &change, 1, &bench->bodies[i].data, &bench->bodies[i].size);
    }
    bytes_free(data);
    if (code != CA_OK)
        args_fail(ca_last_error(bench->ca));
    return code == CA_OK;
}

/* ---- one turn -------------------------------------------------------------------------------- */

static bool begin_one(struct bench *bench, uint64_t started_us)
{
    struct body *body = &bench->bodies[bench->next_body];
    uint32_t slot = bench->free_slots[bench->free_count - 1];
    enum ca_code code = ca_put_body(bench->ca, NULL, (struct ca_bytes){body->data, body->size},
                                    (void *)(uintptr_t)slot, NULL);
    if (code != CA_OK)
        return false;
    bench->next_body = (bench->next_body + 1) % bench->body_count;
    bench->free_count--;
    bench->started_us[slot] = started_us;
    bench->begun++;
    return true;
}

static void begin_all(struct bench *bench, uint64_t now_us)
{
    uint64_t rate = bench->args->rate;
    while (bench->free_count > 0) {
        if (rate > 0 && bench->due_us > now_us)
            return;
        if (!begin_one(bench, rate > 0 ? bench->due_us : now_us))
            return;
        bench->due_us += rate > 0 ? STEP_US / rate : 0;
    }
}

static void take_results(struct bench *bench)
{
    struct ca_result result;
    uint64_t now_us = clock_now_us();
    while (ca_next(bench->ca, &result) == CA_OK) {
        uint32_t slot = (uint32_t)(uintptr_t)result.token;
        bench->free_slots[bench->free_count++] = slot;
        if (result.error.code != CA_OK) {
            if (bench->errors++ < 5)
                args_fail(&result.error);
        } else if (bench->measuring) {
            bench->acked++;
            histogram_add(&bench->histogram, now_us - bench->started_us[slot]);
        }
    }
}

/* Until something came, or the next write is due: to the microsecond, and asleep. One that turns
 * meanwhile takes a processor away from the servers beside it. */
static void rest(struct bench *bench)
{
    if (bench->args->rate == 0 || bench->free_count == 0) {
        ca_poll(bench->ca, 100);
        return;
    }
    if (ca_poll(bench->ca, 0) > 0)
        return;
    uint64_t now_us = clock_now_us(), wait_us = (uint64_t)ca_wait_ms(bench->ca) * 1000;
    if (bench->due_us <= now_us)
        return;
    if (bench->due_us - now_us < wait_us)
        wait_us = bench->due_us - now_us;
    struct timespec wait = {(time_t)(wait_us / STEP_US), (long)(wait_us % STEP_US) * 1000};
    struct pollfd work = {.fd = ca_fd(bench->ca), .events = POLLIN};
    ppoll(&work, 1, &wait, NULL);
}

static void run_until(struct bench *bench, uint64_t end_us)
{
    for (uint64_t now_us = clock_now_us(); now_us < end_us; now_us = clock_now_us()) {
        begin_all(bench, now_us);
        rest(bench);
        take_results(bench);
    }
}

static void drain(struct bench *bench)
{
    uint64_t end_ms = clock_now_ms() + DRAIN_MS;
    while (ca_outstanding(bench->ca) > 0 && clock_now_ms() < end_ms) {
        ca_poll(bench->ca, 100);
        take_results(bench);
    }
}

/* ---- the measurement ------------------------------------------------------------------------- */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / STEP_US;
}

static double own_cpu(void)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static void find_servers(struct bench *bench, const struct args *given)
{
    if (given->pids != NULL)
        local_name(&bench->servers, given->pids);
    else
        local_find(&bench->servers, given->endpoints.at, given->endpoints.count);
}

/* What is NAN is left out. */
static void print_result(const struct bench *bench, double seconds, double server_cpu,
                         double client_cpu)
{
    const struct histogram *histogram = &bench->histogram;
    double ten_thousands = (double)bench->acked / 10000;
    bool has_acks = bench->acked > 0;
    const struct print_number numbers[] = {
        {"acked_per_s", (double)bench->acked / seconds, 1},
        {"p50_us", (double)histogram_at(histogram, 0.50), 0},
        {"p99_us", (double)histogram_at(histogram, 0.99), 0},
        {"max_us", (double)histogram->max, 0},
        {"acked", (double)bench->acked, 0},
        {"errors", (double)bench->errors, 0},
        {"seconds", seconds, 3},
        {"outstanding", bench->outstanding, 0},
        {"client_cores", client_cpu / seconds, 2},
        {"server_cores", has_acks ? server_cpu / seconds : NAN, 2},
        {"server_cpu_s_per_10k", has_acks ? server_cpu / ten_thousands : NAN, 4},
    };
    print_numbers(numbers, sizeof numbers / sizeof *numbers, bench->args->output);
}

static int measure(struct bench *bench)
{
    const struct args *args = bench->args;
    struct ca_write ready;
    if (ca_write_new(bench->ca, &ready) != CA_OK)
        return args_fail(ca_last_error(bench->ca));
    bench->due_us = clock_now_us();
    run_until(bench, clock_now_us() + args->warm * STEP_US);
    local_begin(&bench->servers);
    double client = own_cpu();
    uint64_t start_us = clock_now_us();
    bench->measuring = true;
    run_until(bench, start_us + or_else(args->seconds, SECONDS) * STEP_US);
    bench->measuring = false;
    double seconds = (double)(clock_now_us() - start_us) / STEP_US;
    client = own_cpu() - client;
    double server = local_end(&bench->servers);
    drain(bench);
    print_result(bench, seconds, server, client);
    if (!print_flush())
        return EXIT_SYSTEM;
    return bench->acked > 0 ? EXIT_OK : EXIT_TIMEOUT;
}

static void open_slots(struct bench *bench)
{
    bench->started_us = bytes_zeroed(bench->outstanding, sizeof *bench->started_us);
    bench->free_slots = bytes_zeroed(bench->outstanding, sizeof *bench->free_slots);
    for (uint32_t slot = 0; slot < bench->outstanding; slot++)
        bench->free_slots[bench->free_count++] = slot;
}

static void bench_close(struct bench *bench)
{
    for (uint32_t i = 0; i < bench->body_count; i++)
        ca_body_free(bench->bodies[i].data);
    bytes_free(bench->bodies);
    bytes_free(bench->started_us);
    bytes_free(bench->free_slots);
    ca_close(bench->ca);
    bytes_free(bench);
}

/* Each connection is an endpoint of its own to the library. */
static bool multiply_endpoints(struct args *args, uint64_t connections)
{
    uint32_t count = args->endpoints.count;
    if (count * connections > ARGS_LIST_MAX)
        return false;
    for (uint64_t i = 1; i < connections; i++)
        for (uint32_t slot = 0; slot < count; slot++)
            args->endpoints.at[args->endpoints.count++] = args->endpoints.at[slot];
    return true;
}

int verb_bench(const struct args *given)
{
    struct args args = *given;
    uint64_t outstanding = or_else(args.outstanding, OUTSTANDING);
    if (!args.has_tags)
        args.tag_per_put = TAGS;
    if (args.word_count > 0 || outstanding > 16384 || args.size > MiB(1) || args.rate > STEP_US ||
        bodies_of(&args) > BODIES_MAX ||
        bodies_of(&args) * or_else(args.size, DATA_SIZE) > MiB(256) ||
        !multiply_endpoints(&args, or_else(args.connections, 1))) {
        fprintf(stderr, "changeagent: bench: at most 16384 outstanding, 1 MiB, 1000000 per second, "
                        "64 connections in all, and 256 MiB of "
                        "bodies: of --size, as many as --distinct-tags needs\n");
        return EXIT_USAGE;
    }
    if (!args.has_warm)
        args.warm = 1;
    struct bench *bench = bytes_zeroed(1, sizeof *bench);
    struct ca_options options = {.outstanding = (uint32_t)outstanding, .spread = true};
    bench->args = &args;
    bench->outstanding = (uint32_t)outstanding;
    bench->body_count = bodies_of(&args);
    bench->bodies = bytes_zeroed(bench->body_count, sizeof *bench->bodies);
    open_slots(bench);
    find_servers(bench, given);
    if (args.rate == 0) /* as fast as it goes: the servers beside it come first */
        (void)worker_wake_gently();
    int code = EXIT_USAGE;
    if (args_open(&args, &options, &bench->ca) == CA_OK && encode_bodies(bench))
        code = measure(bench);
    bench_close(bench);
    return code;
}
