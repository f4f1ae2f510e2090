/* histogram.h - latencies in buckets: 64 steps for each power of two, about 1.5 %. */
#ifndef CMD_CHANGEAGENT_HISTOGRAM_H
#define CMD_CHANGEAGENT_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = 60 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The smallest value that at least this share (0..1) of all values does not pass, up to the
 * width of its bucket; 0 if there are none. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
