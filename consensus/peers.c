/* peers.c - slots, progress, and the page of older entries a slow peer gets. */
#include "consensus/peers.h"

#include "protocol/entry.h"

#include <assert.h>

void peers_close(struct peers *peers)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        bytes_close(&peers->at[i].fetched);
        bytes_close(&peers->at[i].scratch);
    }
    *peers = (struct peers){0};
}

int peers_find(const struct peers *peers, const uint8_t key[RAFT_KEY_SIZE])
{
    for (uint32_t i = 0; i < peers->count; i++)
        if (memcmp(peers->at[i].key, key, RAFT_KEY_SIZE) == 0)
            return (int)i;
    return -1;
}

static void set_endpoint(struct peers *peers, struct peer *peer, const char *endpoint)
{
    if (endpoint == NULL || endpoint[0] == 0 || strcmp(peer->endpoint, endpoint) == 0)
        return;
    members_copy_endpoint(peer->endpoint, endpoint, strlen(endpoint));
    peers->version++;
}

int peers_add(struct peers *peers, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint)
{
    int slot = peers_find(peers, key);
    if (slot < 0 && peers->count == RAFT_PEERS_MAX)
        return -1;
    if (slot < 0) {
        slot = (int)peers->count++;
        peers->at[slot] = (struct peer){.member = -1};
        memcpy(peers->at[slot].key, key, RAFT_KEY_SIZE);
        peers->version++;
    }
    set_endpoint(peers, &peers->at[slot], endpoint);
    return slot;
}

int peers_reuse(struct peers *peers, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint,
                uint64_t keep)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->at[i];
        if (peers_fed(peer) || peer->vote.owed || (keep >> i & 1) != 0)
            continue;
        bytes_close(&peer->fetched);
        bytes_close(&peer->scratch);
        *peer = (struct peer){.member = -1};
        memcpy(peer->key, key, RAFT_KEY_SIZE);
        peers->version++;
        set_endpoint(peers, peer, endpoint);
        return (int)i;
    }
    return -1;
}

void peers_forget_fetch(struct peer *peer)
{
    peer->fetch_ticket = 0;
    peer->fetched_first = peer->fetched_last = 0;
    bytes_clear(&peer->fetched);
}

void peers_rewind(struct peer *peer, uint64_t next)
{
    peer->next = next > peer->match ? next : peer->match + 1;
    peer->probing = true;
    peer->beat = true;
}

void peers_begin_lead(struct peer *peer, uint64_t last, uint64_t now_ms)
{
    peer->match = 0;
    peer->commit_sent = 0;
    peer->rewound = 0;
    peer->read_round = 0;
    peer->heard_ms = now_ms;
    peer->sent_ms = 0;
    peer->has_clock = false;
    peer->before_index = peer->before_term = 0;
    peer->leaving = peer->commit_known = 0;
    peer->round_target = last;
    peer->round_began_ms = now_ms;
    peer->caught = false;
    peer->catchup = (struct catchup){0};
    peer->past_snapshot = false;
    peers_forget_fetch(peer);
    peers_rewind(peer, last + 1);
}

struct span peers_fetched(const struct peer *peer, uint64_t index)
{
    if (peer->fetched_first == 0 || index < peer->fetched_first || index > peer->fetched_last)
        return (struct span){0};
    struct span rest = bytes_span(&peer->fetched), record;
    while (entry_next(&rest, &record))
        if (entry_index_of(record) == index)
            return record;
    return (struct span){0};
}
