/* hint.h - servers as the configuration and discovery name them: "ENDPOINT PUBLICKEY". */
#ifndef CONSENSUS_HINT_H
#define CONSENSUS_HINT_H

#include "common/options.h"
#include "consensus/raft.h"

/* The endpoint is copied into `endpoint`, which `voter` lends. ERR_BAD_REQUEST: not that form. */
MUST_USE enum err hint_parse(struct span text, struct raft_voter *voter,
                             char endpoint[RAFT_ENDPOINT_MAX]);

/* True if it names this key; its endpoint is copied. */
bool hint_is_of(struct span text, const uint8_t key[RAFT_KEY_SIZE],
                char endpoint[RAFT_ENDPOINT_MAX]);

/* Before a founding. ERR_CONFIG: a server answers at one of these; the log says which. */
MUST_USE enum err hint_probe(const struct option_list *members);

/* R116. ERR_CONFIG: `own` is of this machine only, and a member is elsewhere; stderr says which. */
MUST_USE enum err hint_check_reach(const char *own, const struct option_list *members);

#endif
