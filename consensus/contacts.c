/* contacts.c - slots become links. */
#include "consensus/contacts.h"

#include "common/log.h"

enum { PATIENCE_MS = 3000 };

static void set(const struct raft *raft, struct peerlink *links, uint32_t slot, bool elsewhere)
{
    struct raft_peer_view peer = raft_peer(raft, slot);
    const char *endpoint = elsewhere ? peer.hinted : peer.endpoint;
    enum err err = peerlink_set(links, slot, peer.key, endpoint);
    if (err != ERR_NONE)
        log_warn("peer_refused", kv_text("endpoint", endpoint), kv_err(err));
}

void contacts_connect(struct contacts *contacts, const struct raft *raft, struct peerlink *links)
{
    if (contacts->version == raft_peers_version(raft))
        return;
    contacts->version = raft_peers_version(raft);
    for (uint32_t slot = 0; slot < raft_peer_count(raft); slot++) {
        bool there = peerlink_connected(links, slot) &&
                     strcmp(peerlink_at(links, slot), raft_peer(raft, slot).hinted) == 0;
        contacts->elsewhere[slot] = contacts->elsewhere[slot] && there;
        set(raft, links, slot, contacts->elsewhere[slot]);
    }
}

void contacts_look(struct contacts *contacts, const struct raft *raft, struct peerlink *links,
                   uint64_t now_ms)
{
    for (uint32_t slot = 0; slot < raft_peer_count(raft); slot++) {
        struct raft_peer_view peer = raft_peer(raft, slot);
        uint64_t *since = &contacts->dead_since_ms[slot];
        bool has_other = peer.hinted[0] != 0 && strcmp(peer.hinted, peer.endpoint) != 0;
        if (peerlink_connected(links, slot) || !has_other) {
            *since = 0;
            continue;
        }
        if (*since == 0)
            *since = now_ms;
        if (now_ms < *since + PATIENCE_MS)
            continue;
        *since = now_ms;
        contacts->elsewhere[slot] = !contacts->elsewhere[slot];
        set(raft, links, slot, contacts->elsewhere[slot]);
    }
}
