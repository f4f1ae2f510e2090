/* probe.h - does anybody listen there? Asked once, before a cluster is founded.
 *
 * A bare connection that says nothing; who answers, and with which key, is not known here. */
#ifndef COMMON_PROBE_H
#define COMMON_PROBE_H

#include "common/err.h"

#include <stdint.h>

/* True if a connection to tcp://HOST:PORT comes about in time. False too for a name that nobody
 * knows, and for what is no such endpoint. */
bool probe_answers(const char *endpoint, uint32_t wait_ms);

/* True for an address of this machine alone: 127.x, [::1], localhost, ipc. */
bool probe_is_loopback(const char *endpoint);

/* True for a host that stands for all addresses of a machine: *, 0.0.0.0, [::]. */
bool probe_is_any(const char *endpoint);

/* The address of this machine from which that host would be reached, as text without port.
 * ERR_SYSTEM: no way leads there. */
MUST_USE enum err probe_local_address(const char *endpoint, char *text, size_t size);

/* Host and port of tcp://HOST:PORT; brackets of an IPv6 address are taken off. False: not one. */
bool probe_split(const char *endpoint, char host[128], char port[8]);

#endif
