/* source_join.h - asks a node of the cluster to let this one in: the socket and the clock of
 * joining.h. What it learns are sightings like those of any other source. */
#ifndef DISCOVERY_SOURCE_JOIN_H
#define DISCOVERY_SOURCE_JOIN_H

#include "common/service.h"
#include "discovery/joining.h"
#include "protocol/asking.h"

struct source_join {
    struct joining joining;
    struct service_base *base;
    struct port_rules rules;
    struct port port;
    struct conn conn;
    void (*learned)(
        void *owner); /* joining.members may be others now, or consensus is to be asked */
    void *owner;
    char said[sizeof(((struct joining *)0)->reason)];
    uint64_t request;
};

/* ERR_CONFIG: the bootstrap endpoint is none.  ERR_SYSTEM. */
MUST_USE enum err source_join_open(struct source_join *join, struct service_base *base,
                                   void (*learned)(void *owner), void *owner);
void source_join_close(struct source_join *join);

/* Consensus said who this node is. A node that cannot join for good is ended (R116). */
void source_join_know(struct source_join *join, const struct message_hinted *hinted);

#endif
