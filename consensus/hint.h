/* hint.h - a server as the configuration and discovery name it: "ENDPOINT PUBLICKEY". */
#ifndef CONSENSUS_HINT_H
#define CONSENSUS_HINT_H

#include "consensus/raft.h"

/* The endpoint is copied into `endpoint`, which `voter` lends. ERR_BAD_REQUEST: not that form. */
MUST_USE enum err hint_parse(struct span text, struct raft_voter *voter,
                             char endpoint[RAFT_ENDPOINT_MAX]);

#endif
