/* local.h - the servers on this machine: which processes they are, and the CPU they take.
 *
 * Looks into /proc and asks no server. A server is a supervisor with all its children, or one
 * process that was named. */
#ifndef CMD_CHANGEAGENT_LOCAL_H
#define CMD_CHANGEAGENT_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

enum { LOCAL_SERVERS_MAX = 64, LOCAL_CHILDREN_MAX = 16 };

struct local_server {
    long pid;
    uint64_t start; /* tells it from a later process of the same number */
    bool alone;     /* without children */
    long children[LOCAL_CHILDREN_MAX];
    uint32_t child_count;
    uint64_t ticks; /* at local_begin */
};

/* Zeroed is empty; there is nothing to close. */
struct local {
    struct local_server servers[LOCAL_SERVERS_MAX];
    uint32_t count;
};

/* The processes of "A,B", each alone. Those that are not there are left out. */
void local_name(struct local *local, const char *pids);

/* The servers that listen at these endpoints. An endpoint of this machine where nobody listens
 * takes no CPU and is passed over. Empty if another is elsewhere, or its server cannot be seen: a
 * part would pass for the whole. */
void local_find(struct local *local, const char *const *endpoints, uint32_t count);

void local_begin(struct local *local);

/* Seconds of CPU since local_begin, those of children that came or went included. A server whose
 * first process is gone counts nothing, so the sum is then too low; NAN if none remains. */
double local_end(struct local *local);

#endif
