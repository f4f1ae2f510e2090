/* consensus.h - the shell around the Raft core: links, timers, nothing decided.
 *
 * It feeds messages to raft_step() and performs the outputs in their order. It
 * touches no disk but the identity (the CURVE key), and waits for nobody. */
#ifndef CONSENSUS_CONSENSUS_H
#define CONSENSUS_CONSENSUS_H

#include "common/service.h"

extern const struct service consensus_service;

#endif
