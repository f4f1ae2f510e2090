/* steady_bench.c - does this machine run as fast in each moment as in the others?
 *
 *   steady_bench SECONDS    spins on one processor and counts work in windows of 5 ms
 *
 * Prints one JSON line: windows, those with less than half of the median's work, and the least as
 * a part of the median. A virtual machine whose host is busy shows it here and nowhere else: time
 * that the host takes in small bits is not counted as stolen. What is late by more than such
 * windows explain is ours. */
#include "common/bytes.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_US = 5000, STEPS = 200, SECONDS_MAX = 600 };

static int compare(const void *a, const void *b)
{
    uint32_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

/* Work done in one window. */
static uint32_t spin(void)
{
    static volatile uint32_t value = 1;
    uint64_t end = clock_now_us() + WINDOW_US;
    uint32_t done = 0;
    for (; clock_now_us() < end; done++)
        for (int i = 0; i < STEPS; i++)
            value = value * 1664525 + 1013904223;
    return done;
}

int main(int argc, char **argv)
{
    long seconds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (seconds < 1 || seconds > SECONDS_MAX) {
        fprintf(stderr, "steady_bench SECONDS (1 to %d)\n", SECONDS_MAX);
        return 2;
    }
    uint32_t count = (uint32_t)(seconds * 1000000 / WINDOW_US), slow = 0;
    uint32_t *windows = bytes_zeroed(count, sizeof *windows);
    for (uint32_t i = 0; i < count; i++)
        windows[i] = spin();
    qsort(windows, count, sizeof *windows, compare);
    uint32_t median = windows[count / 2];
    while (slow < count && windows[slow] < median / 2)
        slow++;
    printf("{\"windows\":%" PRIu32 ",\"slow\":%" PRIu32 ",\"least\":%.3f}\n", count, slow,
           (double)windows[0] / median);
    bytes_free(windows);
    return 0;
}
