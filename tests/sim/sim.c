/* sim.c - seeds from the command line, spread over processes.
 *
 *   sim [--trace FILE] --seed N
 *                             one run, each transition told; each step of each core into FILE
 *   sim --seeds N             N runs, from --from N (1) on, in --jobs N (1) processes
 *   sim --seeds N --record F  the same in slices: goes on where F stands, for --seconds N (100),
 *                             and tells the sums of all; again until N are done
 *   sim --deadlock N          two of three up after the founding, N starts
 *   sim --cells 1             each membership change, with a crash at each step of it */
#include "tests/sim/cells.h"
#include "tests/sim/deadlock.h"
#include "tests/sim/record.h"
#include "tests/sim/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64 };

struct order {
    uint64_t from, seeds, jobs, seconds;
    const char *record;
};

static uint64_t running; /* the seed */

/* An assertion of the core is a violation like any other, and ends the process. */
static void on_abort(int number)
{
    printf("sim: an assertion ended it; replay with: make sim SEED=%llu\n",
           (unsigned long long)running);
    fflush(stdout);
    _exit(134);
}

/* Every jobs-th seed, so that no process gets all the long ones. */
static void run_share(const struct order *order, uint64_t share, struct tally *tally)
{
    uint64_t hash;
    for (uint64_t i = share; i < order->seeds; i += order->jobs) {
        running = order->from + i;
        run_seed(running, RUN_QUIET, tally, &hash);
    }
    fflush(stdout);
}

static pid_t spawn(const struct order *order, uint64_t share, int *result)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        static struct tally tally;
        run_share(order, share, &tally);
        _exit(write(ends[1], &tally, sizeof tally) == sizeof tally ? 0 : 1);
    }
    close(ends[1]);
    *result = ends[0];
    return pid;
}

static bool collect(pid_t pid, int result, struct tally *sum)
{
    struct tally tally;
    size_t have = 0;
    ssize_t size;
    int status;
    while (have < sizeof tally &&
           (size = read(result, (char *)&tally + have, sizeof tally - have)) > 0)
        have += (size_t)size;
    close(result);
    waitpid(pid, &status, 0);
    if (have < sizeof tally)
        return false; /* an assertion ended it, and said so */
    tally_add(sum, &tally);
    return true;
}

static void run_jobs(const struct order *order, struct tally *sum)
{
    pid_t pids[JOBS_MAX];
    int results[JOBS_MAX];
    for (uint64_t i = 0; i < order->jobs; i++)
        pids[i] = spawn(order, i, &results[i]);
    for (uint64_t i = 0; i < order->jobs; i++)
        if (pids[i] < 0 || !collect(pids[i], results[i], sum))
            sum->violations++;
}

/* The same seed gives the same run, byte for byte. */
static bool replays(uint64_t seed)
{
    struct tally tally = {0};
    uint64_t first, second;
    run_seed(seed, RUN_QUIET, &tally, &first);
    run_seed(seed, RUN_QUIET, &tally, &second);
    if (first != second)
        printf("sim: seed %llu runs another way the second time\n", (unsigned long long)seed);
    return first == second;
}

static int sum_up(const struct tally *tally, uint64_t from)
{
    uint64_t violations = tally->violations + tally_missing(tally) + !replays(from);
    tally_print(tally);
    printf("sim: seeds=%llu simulated_hours=%.1f faults=%llu violations=%llu\n",
           (unsigned long long)tally->seeds, (double)tally->ms / 3600000,
           (unsigned long long)tally_faults(tally), (unsigned long long)violations);
    return violations == 0 ? 0 : 1;
}

static int run_seeds(const struct order *order)
{
    static struct tally tally;
    fflush(stdout);
    if (order->jobs > 1)
        run_jobs(order, &tally);
    else
        run_share(order, 0, &tally);
    return sum_up(&tally, order->from);
}

/* Of the processor. */
static uint64_t cpu_ms(void)
{
    return (uint64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int run_slice(const struct order *order)
{
    static struct record record;
    uint64_t hash;
    if (!record_load(&record, order->record, order->from)) {
        fprintf(stderr, "sim: %s is no record of this build\n", order->record);
        return 2;
    }
    struct tally *tally = &record.tally;
    uint64_t end = wall_ms() + order->seconds * 1000;
    while (tally->seeds < order->seeds && wall_ms() < end) {
        running = record.next++;
        run_seed(running, RUN_QUIET, tally, &hash);
    }
    record.cpu_ms += cpu_ms();
    if (!record_save(&record, order->record)) {
        fprintf(stderr, "sim: %s cannot be written\n", order->record);
        return 2;
    }
    int result = sum_up(tally, record.next - 1);
    printf("sim: next=%llu cpu_seconds=%llu simulated hours per hour of processor: %.0f\n",
           (unsigned long long)record.next, (unsigned long long)record.cpu_ms / 1000,
           (double)tally->ms / ((double)record.cpu_ms + 1));
    return result;
}

static int run_deadlock(uint64_t count)
{
    uint32_t violations = 0;
    uint64_t worst = 0;
    for (uint64_t seed = 1; seed <= count; seed++)
        violations += !deadlock_start(seed, &worst);
    printf("sim: two of three up after the founding: starts=%llu slowest_leader_ms=%llu "
           "violations=%u\n",
           (unsigned long long)count, (unsigned long long)worst, violations);
    return violations == 0 ? 0 : 1;
}

static int run_one(uint64_t seed)
{
    struct tally tally = {0};
    uint64_t hash;
    running = seed;
    return run_seed(seed, RUN_VERBOSE, &tally, &hash) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct order order = {.from = 1, .jobs = 1, .seconds = 100};
    signal(SIGABRT, on_abort);
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--from") == 0)
            order.from = number;
        else if (strcmp(argv[i], "--jobs") == 0 && number >= 1 && number <= JOBS_MAX)
            order.jobs = number;
        else if (strcmp(argv[i], "--seeds") == 0)
            order.seeds = number;
        else if (strcmp(argv[i], "--seconds") == 0)
            order.seconds = number;
        else if (strcmp(argv[i], "--record") == 0)
            order.record = argv[i + 1];
        else if (strcmp(argv[i], "--trace") == 0)
            lines_open(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            return run_one(number);
        else if (strcmp(argv[i], "--deadlock") == 0)
            return run_deadlock(number);
        else if (strcmp(argv[i], "--cells") == 0)
            return cells_run() ? 0 : 1;
    }
    if (order.seeds > 0)
        return order.record ? run_slice(&order) : run_seeds(&order);
    fprintf(stderr, "usage: sim [--from N] [--jobs N] --seeds N [--record FILE [--seconds N]] | "
                    "[--trace FILE] --seed N | --deadlock N | --cells 1\n");
    return 2;
}
