/* contacts.c - slots become links. */
#include "consensus/contacts.h"

#include "common/log.h"

void contacts_connect(struct contacts *contacts, const struct raft *raft, struct peerlink *links)
{
    if (contacts->version == raft_peers_version(raft))
        return;
    contacts->version = raft_peers_version(raft);
    for (uint32_t slot = 0; slot < raft_peer_count(raft); slot++) {
        struct raft_peer_view peer = raft_peer(raft, slot);
        enum err err = peerlink_set(links, slot, peer.key, peer.endpoint);
        if (err != ERR_NONE)
            log_warn("peer_refused", kv_text("endpoint", peer.endpoint), kv_err(err));
    }
}
