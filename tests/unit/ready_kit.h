/* ready_kit.h - waits for a thread of storage to open: one that cannot never says that it is ready.
 */
#ifndef TESTS_UNIT_READY_KIT_H
#define TESTS_UNIT_READY_KIT_H

#include "common/clock.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { READY_US = 30000000 };

static inline void kit_await_ready(sem_t *ready)
{
    uint64_t until_us = clock_now_us() + READY_US;
    struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                             .tv_nsec = (long)(until_us % 1000000) * 1000};
    if (sem_clockwait(ready, CLOCK_MONOTONIC, &until) != 0) {
        fprintf(stderr, "waited in vain for a room to open\n");
        abort();
    }
}

#endif
