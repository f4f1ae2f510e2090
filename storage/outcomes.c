#include "storage/outcomes.h"

#include <assert.h>

/* A slot holds the place in the ring + 1, and in the bits above it some of the print that its own
 * number does not show: nearly every slot of another print is told by them, without a look at the
 * ring. To grow is a pause of all writes, so it is done in few steps: what nobody has touched of
 * the ring costs nothing, but slots are touched everywhere, and the window brings 16 MiB of them.
 * Beyond it only who lets nothing expire goes on, by doubling. */
enum { ROWS_MIN = 1024, ROWS_SMALL = 4096, ROWS_MIDDLE = 1 << 19, EARLY_ROWS = 8 };

#define ROWS_WINDOW (UINT32_C(1) << 21) /* with room for the one row that is dropped next */

_Static_assert(OUTCOMES_MAX < ROWS_WINDOW, "the window fits");

static uint32_t slot_value(const struct outcomes *outcomes, uint64_t print, uint32_t position)
{
    return (uint32_t)(print >> 32) << outcomes->place_bits | (position + 1);
}

static uint32_t place_of(const struct outcomes *outcomes, uint32_t value)
{
    return (value & ((1u << outcomes->place_bits) - 1)) - 1;
}

static void place(struct outcomes *outcomes, uint32_t position)
{
    uint32_t mask = outcomes->slot_count - 1;
    uint64_t print = outcomes->ring[position].print;
    uint32_t slot = (uint32_t)print & mask;
    while (outcomes->slots[slot] != 0)
        slot = (slot + 1) & mask;
    outcomes->slots[slot] = slot_value(outcomes, print, position);
}

/* Positions change, so every slot is set anew. */
static void grow_to(struct outcomes *outcomes, uint32_t size)
{
    struct outcome_key *ring = bytes_zeroed(size, sizeof *ring);
    for (uint64_t row = outcomes->first; row < outcomes->end; row++)
        ring[row & (size - 1)] = outcomes->ring[row & (outcomes->ring_size - 1)];
    bytes_free(outcomes->ring);
    bytes_free(outcomes->slots);
    outcomes->ring = ring;
    outcomes->ring_size = size;
    outcomes->slot_count = size * 2;
    outcomes->place_bits = (uint32_t)__builtin_ctz(outcomes->slot_count);
    outcomes->slots = bytes_zeroed(outcomes->slot_count, sizeof *outcomes->slots);
    for (uint64_t row = outcomes->first; row < outcomes->end; row++)
        place(outcomes, (uint32_t)(row & (size - 1)));
}

static uint32_t next_size(uint32_t size)
{
    assert(size < UINT32_C(1) << 30);
    if (size >= ROWS_SMALL && size < ROWS_MIDDLE)
        return ROWS_MIDDLE;
    return size >= ROWS_MIDDLE && size < ROWS_WINDOW ? ROWS_WINDOW : size * 2;
}

/* Frees a slot and moves back what was displaced by it, so that no probe ends early. */
static void free_slot(struct outcomes *outcomes, uint32_t hole)
{
    uint32_t mask = outcomes->slot_count - 1;
    for (uint32_t slot = (hole + 1) & mask; outcomes->slots[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t home =
            (uint32_t)outcomes->ring[place_of(outcomes, outcomes->slots[slot])].print & mask;
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            outcomes->slots[hole] = outcomes->slots[slot];
            hole = slot;
        }
    }
    outcomes->slots[hole] = 0;
}

static const struct outcome_key *row_at(const struct outcomes *outcomes, uint64_t row)
{
    return &outcomes->ring[row & (outcomes->ring_size - 1)];
}

void outcomes_call_for(const struct outcomes *outcomes, uint64_t print)
{
    if (outcomes->slot_count > 0)
        __builtin_prefetch(&outcomes->slots[(uint32_t)print & (outcomes->slot_count - 1)], 1);
}

static void drop_first(struct outcomes *outcomes)
{
    uint32_t mask = outcomes->slot_count - 1;
    uint32_t position = (uint32_t)(outcomes->first & (outcomes->ring_size - 1));
    uint64_t print = outcomes->ring[position].print;
    uint32_t slot = (uint32_t)print & mask;
    while (outcomes->slots[slot] != slot_value(outcomes, print, position))
        slot = (slot + 1) & mask;
    free_slot(outcomes, slot);
    outcomes->first++;
    outcomes_call_for(outcomes, row_at(outcomes, outcomes->first + EARLY_ROWS)->print);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void outcomes_open(struct outcomes *outcomes, const uint8_t key[HASH_KEY_SIZE])
{
    memcpy(outcomes->key, key, HASH_KEY_SIZE);
    outcomes->max = OUTCOMES_MAX;
    outcomes->age_ns = OUTCOMES_AGE_NS;
}

void outcomes_close(struct outcomes *outcomes)
{
    bytes_free(outcomes->ring);
    bytes_free(outcomes->slots);
    *outcomes = (struct outcomes){0};
}

uint64_t outcomes_print(const struct outcomes *outcomes, const uint8_t txid[16])
{
    return hash_keyed(outcomes->key, SPAN(txid, 16));
}

uint64_t outcomes_count(const struct outcomes *outcomes)
{
    return outcomes->end - outcomes->first;
}

void outcomes_expect(struct outcomes *outcomes, uint64_t count)
{
    uint64_t most = count < outcomes->max ? count : outcomes->max;
    uint32_t size = outcomes->ring_size ? outcomes->ring_size : ROWS_MIN;
    while (size < most)
        size = next_size(size);
    if (size > outcomes->ring_size)
        grow_to(outcomes, size);
}

void outcomes_add(struct outcomes *outcomes, uint64_t print, uint64_t index, uint64_t ts)
{
    if (outcomes_count(outcomes) == outcomes->ring_size)
        grow_to(outcomes, outcomes->ring_size ? next_size(outcomes->ring_size) : ROWS_MIN);
    uint32_t position = (uint32_t)(outcomes->end++ & (outcomes->ring_size - 1));
    outcomes->ring[position] = (struct outcome_key){print, index, ts};
    place(outcomes, position);
}

void outcomes_add_all(struct outcomes *outcomes, const struct outcome_key *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        outcomes_call_for(outcomes, rows[i].print);
    for (uint32_t i = 0; i < count; i++)
        outcomes_add(outcomes, rows[i].print, rows[i].index, rows[i].ts);
}

uint64_t outcomes_expire(struct outcomes *outcomes, uint64_t floor, uint64_t ts)
{
    assert(outcomes->max > 0);
    floor = later(floor, ts > outcomes->age_ns ? ts - outcomes->age_ns : 0);
    if (outcomes_count(outcomes) > outcomes->max)
        floor = later(floor, row_at(outcomes, outcomes->end - outcomes->max - 1)->ts + 1);
    while (outcomes->first < outcomes->end && row_at(outcomes, outcomes->first)->ts < floor)
        drop_first(outcomes);
    return floor;
}

bool outcomes_next(const struct outcomes *outcomes, uint64_t print, uint32_t *cursor,
                   uint64_t *index)
{
    if (outcomes->slot_count == 0)
        return false;
    uint32_t mask = outcomes->slot_count - 1, bits = outcomes->place_bits;
    uint32_t wanted = slot_value(outcomes, print, 0) >> bits;
    for (;; ++*cursor) {
        uint32_t value = outcomes->slots[((uint32_t)print + *cursor) & mask];
        if (value == 0)
            return false;
        if (value >> bits != wanted)
            continue;
        const struct outcome_key *row = &outcomes->ring[place_of(outcomes, value)];
        if (row->print == print) {
            *index = row->index;
            ++*cursor;
            return true;
        }
    }
}
