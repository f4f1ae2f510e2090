/* outcomes.h - which txids took effect lately: fingerprint -> log index.
 *
 * A fingerprint is only a hint: the caller reads the row at the index and
 * compares the txid before he believes it. Rows are in log order and expire
 * from the front, by the log alone: the floor is the time of the newest entry
 * less 7 days, or behind the oldest row while there are more than 2 M. Every
 * row whose ts is at the floor or above it is here. */
#ifndef STORAGE_OUTCOMES_H
#define STORAGE_OUTCOMES_H

#include "common/bytes.h"
#include "common/hash.h"

enum { OUTCOMES_MAX = 2000000 };
#define OUTCOMES_AGE_NS (7 * 86400 * UINT64_C(1000000000))

struct outcome_key {
    uint64_t print, index, ts;
};

struct outcomes {
    uint8_t key[HASH_KEY_SIZE];
    uint64_t max, age_ns; /* the window; part of replicated state */
    struct outcome_key *ring;
    uint32_t ring_size;  /* a power of two */
    uint64_t first, end; /* sequence numbers of the oldest row and behind the newest */
    uint32_t *slots;     /* place in the ring, and bits of the print; 0 is free */
    uint32_t slot_count; /* twice the ring */
    uint32_t place_bits; /* of a slot; those above are of the print */
};

void outcomes_open(struct outcomes *outcomes, const uint8_t key[HASH_KEY_SIZE]);
void outcomes_close(struct outcomes *outcomes);

uint64_t outcomes_print(const struct outcomes *outcomes, const uint8_t txid[16]);
uint64_t outcomes_count(const struct outcomes *outcomes);

/* So many rows come, at most: room for them is made once. */
void outcomes_expect(struct outcomes *outcomes, uint64_t count);

/* Adds the newest row. Its index and ts do not fall. */
void outcomes_add(struct outcomes *outcomes, uint64_t print, uint64_t index, uint64_t ts);

/* As outcomes_add for each; many at once wait for memory together, and not one after the other. */
void outcomes_add_all(struct outcomes *outcomes, const struct outcome_key *rows, uint32_t count);

/* A row of that print will be asked for, or added, soon: its slot lies anywhere. */
void outcomes_call_for(const struct outcomes *outcomes, uint64_t print);

/* The floor after an entry of time `ts`, never below `floor`; forgets the rows below it. */
uint64_t outcomes_expire(struct outcomes *outcomes, uint64_t floor, uint64_t ts);

/* Walks the indexes under a fingerprint; begin with *cursor = 0. False: no more. */
bool outcomes_next(const struct outcomes *outcomes, uint64_t print, uint32_t *cursor,
                   uint64_t *index);

#endif
