/* clock.c - the kernel's clocks and its random bytes. */
#include "common/clock.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec t;
    int rc = clock_gettime(id, &t);
    assert(rc == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ms(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000000u;
}

uint64_t clock_now_us(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_wall_ns(uint64_t *error_ns)
{
    struct timex state = {0};
    if (error_ns != NULL) {
        int rc = adjtimex(&state); /* asks only */
        bool known = rc >= 0 && rc != TIME_ERROR && state.maxerror > 0;
        *error_ns = known ? (uint64_t)state.maxerror * 1000u : 0;
    }
    return read_ns(CLOCK_REALTIME);
}

void chance_fill(void *at, size_t size)
{
    uint8_t *place = at;
    while (size > 0) {
        ssize_t got = getrandom(place, size, 0);
        assert(got > 0);
        place += got;
        size -= (size_t)got;
    }
}

uint64_t chance_u64(void)
{
    uint64_t value = 0;
    while (value == 0)
        chance_fill(&value, sizeof value);
    return value;
}
