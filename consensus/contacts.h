/* contacts.h - a link for every slot of the core. Part of the shell. */
#ifndef CONSENSUS_CONTACTS_H
#define CONSENSUS_CONTACTS_H

#include "consensus/raft.h"
#include "protocol/peerlink.h"

/* Zeroed is: nobody is connected yet. */
struct contacts {
    uint64_t version;                       /* of the slots that are connected */
    uint64_t dead_since_ms[RAFT_PEERS_MAX]; /* 0: connected when it was looked at last */
    bool elsewhere[RAFT_PEERS_MAX];         /* at the hinted endpoint */
};

/* Connects what is new, and anew what has another endpoint or key. Cheap where nothing is. */
void contacts_connect(struct contacts *contacts, const struct raft *raft, struct peerlink *links);

/* Now and then: who is not reached at its endpoint is tried where a hint says it is, and back. */
void contacts_look(struct contacts *contacts, const struct raft *raft, struct peerlink *links,
                   uint64_t now_ms);

#endif
