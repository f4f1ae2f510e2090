/* contacts.h - a link for every slot of the core. Part of the shell. */
#ifndef CONSENSUS_CONTACTS_H
#define CONSENSUS_CONTACTS_H

#include "consensus/raft.h"
#include "protocol/peerlink.h"

/* Zeroed is: nobody is connected yet. */
struct contacts {
    uint64_t version; /* of the slots that are connected */
};

/* Connects what is new, and anew what has another endpoint or key. Cheap where nothing is. */
void contacts_connect(struct contacts *contacts, const struct raft *raft, struct peerlink *links);

#endif
