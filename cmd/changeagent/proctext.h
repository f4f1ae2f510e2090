/* proctext.h - PURE: what the lines of /proc and the text of an endpoint say.
 *
 * All of it comes from outside: what does not parse is refused, and nothing is opened here. */
#ifndef CMD_CHANGEAGENT_PROCTEXT_H
#define CMD_CHANGEAGENT_PROCTEXT_H

#include <stdbool.h>
#include <stdint.h>

enum { PROCTEXT_ADDRESS = 16, PROCTEXT_HOST = 256, PROCTEXT_PORT = 6 };

/* An address is one of IPv6; one of IPv4 is mapped into it. */
struct listener {
    uint8_t address[PROCTEXT_ADDRESS];
    uint32_t port;
    uint64_t inode;
};

struct process {
    char name[64], state;
    long parent;
    uint64_t own, reaped, start; /* ticks: its own CPU, that of children it has waited for */
};

void proctext_map_v4(uint8_t address[PROCTEXT_ADDRESS], const void *v4);

/* A line of /proc/net/tcp or tcp6; false unless a socket listens there. */
bool proctext_listener(const char *line, struct listener *listener);

/* Whether one who connects there reaches this listener. */
bool proctext_covers(const struct listener *listener, const uint8_t *address, uint32_t port);

/* The text of /proc/PID/stat. */
bool proctext_process(const char *text, struct process *process);

/* "tcp://host:port" or "tcp://[host]:port"; false if it is neither. */
bool proctext_endpoint(const char *endpoint, char host[PROCTEXT_HOST], char port[PROCTEXT_PORT]);

#endif
