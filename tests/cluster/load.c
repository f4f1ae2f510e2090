/* load.c - one client that writes through the client library and keeps a history.
 *
 * Each change has a text of its own. One line a write, as NDJSON: when it was asked, when it was
 * answered (CLOCK_MONOTONIC, microseconds: comparable between the clients of one machine), and
 * what the answer was. There is no retry here: that is the library's job, and under test.
 *
 *   load --endpoints A,B,C --client NAME [--rate PER_SECOND] [--count N] [--bytes N] [--tag T]
 *
 * SIGTERM: finishes the write in hand, then ends. */
#include "client/changeagent.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENDPOINTS_MAX = 16, PAYLOAD_MAX = 65536 };

static volatile sig_atomic_t stopping;

static void on_term(int number)
{
    (void)number;
    stopping = 1;
}

static unsigned long long now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long long)t.tv_sec * 1000000u + (unsigned long long)t.tv_nsec / 1000;
}

static void pause_until(unsigned long long due_us)
{
    struct timespec due = {(time_t)(due_us / 1000000), (long)(due_us % 1000000) * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

struct plan {
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoint_count;
    const char *client, *tag;
    unsigned long long rate, count, bytes;
};

static int read_plan(struct plan *plan, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        char *value = argv[i + 1];
        if (strcmp(argv[i], "--client") == 0)
            plan->client = value;
        else if (strcmp(argv[i], "--tag") == 0)
            plan->tag = value;
        else if (strcmp(argv[i], "--rate") == 0)
            plan->rate = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--count") == 0)
            plan->count = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--bytes") == 0)
            plan->bytes = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--endpoints") == 0)
            for (char *at = strtok(value, ","); at && plan->endpoint_count < ENDPOINTS_MAX;
                 at = strtok(NULL, ","))
                plan->endpoints[plan->endpoint_count++] = at;
        else
            return 2;
    }
    return plan->client != NULL && plan->endpoint_count > 0 && plan->bytes < PAYLOAD_MAX ? 0 : 2;
}

/* The text, then dots up to the size that was asked for. */
static size_t make_payload(char payload[PAYLOAD_MAX], const struct plan *plan,
                           unsigned long long number)
{
    size_t size = (size_t)snprintf(payload, PAYLOAD_MAX, "%s-%llu", plan->client, number);
    if (size < plan->bytes) {
        memset(payload + size, '.', plan->bytes - size);
        size = plan->bytes;
    }
    payload[size] = '\0';
    return size;
}

static void write_one(struct ca *ca, const struct plan *plan, unsigned long long number)
{
    static char payload[PAYLOAD_MAX];
    struct ca_result result = {0};
    struct ca_change change = {.tags = &plan->tag, .tag_count = plan->tag != NULL ? 1 : 0};
    change.data = (struct ca_bytes){payload, make_payload(payload, plan, number)};
    unsigned long long asked_us = now_us();
    enum ca_code code = ca_put(ca, &change, 1, &result);
    unsigned long long answered_us = now_us();
    printf("{\"text\": \"%s-%llu\", \"size\": %zu, \"asked\": %llu, \"answered\": %llu, "
           "\"code\": \"%s\", \"error\": \"%s\", \"id\": %llu, \"attempts\": %u}\n",
           plan->client, number, change.data.size, asked_us, answered_us, ca_code_name(code),
           code == CA_OK ? "" : ca_last_error(ca)->name,
           code == CA_OK ? (unsigned long long)result.id : 0ull, result.attempts);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct plan plan = {0};
    struct ca *ca = NULL;
    struct sigaction action = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    if (read_plan(&plan, argc, argv) != 0) {
        fputs("load: --endpoints and --client are wanted\n", stderr);
        return 2;
    }
    if (ca_open(plan.endpoints, plan.endpoint_count, NULL, &ca) != CA_OK)
        return 1;
    unsigned long long begin_us = now_us();
    for (unsigned long long number = 0; !stopping && (plan.count == 0 || number < plan.count);
         number++) {
        if (plan.rate > 0)
            pause_until(begin_us + number * 1000000 / plan.rate);
        if (plan.rate > 0 && now_us() > begin_us + number * 1000000 / plan.rate + 1000000)
            begin_us = now_us() - number * 1000000 / plan.rate; /* no burst after a stall */
        write_one(ca, &plan, number);
    }
    ca_close(ca);
    return 0;
}
