/* clock.h - time and chance, the only door to them.
 *
 * A pure core never calls these: it is handed the time and its seed. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_now_ms(void); /* CLOCK_BOOTTIME: counts while the machine sleeps */
uint64_t clock_now_us(void); /* CLOCK_MONOTONIC */
/* CLOCK_REALTIME, nanoseconds since 1970. *error_ns (may be NULL): the true time is not farther
 * away than this, by what the kernel was told of its clock; 0: nobody disciplines it. */
uint64_t clock_wall_ns(uint64_t *error_ns);

/* Random bytes of the kernel; random u64 is never 0. */
void chance_fill(void *at, size_t size);
uint64_t chance_u64(void);

#endif
