/* guard.h - how much room the disk has (S8): enough, low, or full, and the
 * ballast file that buys the last metres.
 *
 * What follows from it is decided elsewhere: consensus refuses client writes
 * while it is low and steps down when it is full. */
#ifndef STORAGE_GUARD_H
#define STORAGE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_state { GUARD_ENOUGH, GUARD_LOW, GUARD_FULL };

struct guard {
    char *directory, *ballast;
    uint64_t low_bytes, ballast_bytes;
    uint64_t free_bytes;
    enum guard_state state;
    bool has_ballast;
};

/* Before anything is opened: on a full disk the ballast goes, so that recovery has room. */
void guard_make_way(const char *data_dir);

/* Looks once, and lays the ballast down where there is room for it. */
void guard_open(struct guard *guard, const char *data_dir, uint64_t low_bytes,
                uint64_t ballast_bytes);
void guard_close(struct guard *guard);

/* Looks again; lays the ballast down anew once there is plenty. Returns the state. */
enum guard_state guard_look(struct guard *guard);

/* True if `bytes` more can be written now. If not, the ballast goes first; false even
 * then: the disk is full, nothing is to be begun. */
bool guard_admits(struct guard *guard, uint64_t bytes);

#endif
