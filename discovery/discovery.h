/* discovery.h - the shell of the process that says where other servers might be.
 *
 * It hands hints to consensus, at the start, on each change, and whenever
 * consensus has a new life. It decides nothing about members. */
#ifndef DISCOVERY_DISCOVERY_H
#define DISCOVERY_DISCOVERY_H

#include "common/service.h"

extern const struct service discovery_service;

#endif
