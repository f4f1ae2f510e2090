/* memberlist.c - rows, and words. */
#include "consensus/memberlist.h"

#include "common/keys.h"
#include "protocol/wire.h"

#include <stdio.h>

static const struct peer *peer_of(const struct raft *raft, const struct member *member)
{
    int slot = peers_find(&raft->peers, member->key);
    return slot >= 0 && peers_fed(&raft->peers.at[slot]) ? &raft->peers.at[slot] : NULL;
}

uint32_t memberlist_percent(const struct raft *raft, const struct peer *peer)
{
    uint64_t last = raft->log.last;
    return last == 0 ? 100 : (uint32_t)(peer->match * 100 / last);
}

/* One word for where it stands on the way from what it is to what it shall be. */
static const char *state_of(const struct member *member, const struct peer *peer)
{
    if (!member_lives(member))
        return "removed";
    if (member->now == MEMBER_LEARNER)
        return member->next == MEMBER_VOTER ? "joining"
               : peer && peer->caught       ? "ready"
                                            : "syncing";
    if (member->now == member->wish)
        return member_role_name(member->now);
    return member->next == member->wish ? "leaving" : "to leave";
}

static void pack_text(struct bytes *out, const char *name, const char *text)
{
    wire_pack_text(out, SPAN_TEXT(name));
    wire_pack_text(out, SPAN_TEXT(text));
}

static void pack_member(const struct raft *raft, const struct member *member, struct bytes *out)
{
    char node[NODE_ID_TEXT_SIZE], key[KEY_TEXT_SIZE];
    bool self = memcmp(member->key, raft->key, RAFT_KEY_SIZE) == 0,
         leads = raft->leader == RAFT_SELF;
    const struct peer *peer = self || !leads ? NULL : peer_of(raft, member);
    uint64_t leader = leads                           ? raft->node
                      : raft->leader < RAFT_PEERS_MAX ? raft->peers.at[raft->leader].node
                                                      : 0;
    node_id_print(member->node, node);
    keys_print(member->key, key);
    wire_pack_map(out, peer ? 14 : 11);
    pack_text(out, "node", node);
    pack_text(out, "name", member->name);
    pack_text(out, "peer", member->endpoint);
    pack_text(out, "api", member->api);
    pack_text(out, "key", key);
    pack_text(out, "role", member_role_name(member->now));
    pack_text(out, "wish", member_role_name(member->wish));
    pack_text(out, "state", state_of(member, peer));
    wire_pack_counter(out, "incarnation", member->incarnation);
    wire_pack_counter(out, "changed", member->changed);
    wire_pack_text(out, SPAN_TEXT("leader"));
    wire_pack_bool(out, member->node == leader && member_lives(member));
    if (peer == NULL)
        return;
    wire_pack_counter(out, "match", peer->match);
    wire_pack_counter(out, "percent", memberlist_percent(raft, peer));
    wire_pack_counter(out, "silent_ms", raft->now_ms - peer->heard_ms);
}

void memberlist_pack(const struct raft *raft, struct bytes *out)
{
    const struct members *members = state_members(raft);
    wire_pack_array(out, members->count);
    for (uint32_t i = 0; i < members->count; i++)
        pack_member(raft, &members->at[i], out);
}

static const char *place_of(const struct member *member, char text[MEMBERS_ENDPOINT_MAX + 32])
{
    char node[NODE_ID_TEXT_SIZE];
    node_id_print(member->node, node);
    snprintf(text, MEMBERS_ENDPOINT_MAX + 32, "%s at %s", node, member->endpoint);
    return text;
}

const char *memberlist_waits_for(struct raft *raft)
{
    const struct members *members = state_members(raft);
    char place[MEMBERS_ENDPOINT_MAX + 32];
    if (raft->commit < state_config_index(raft))
        return state_print(raft, "for a majority to store the configuration");
    if (members->joint)
        return state_print(raft, "for a majority of the voters before and after the change");
    if (raft->transfer.running)
        return state_print(raft, "for another node to lead");
    for (uint32_t i = 0; i < members->count; i++) {
        const struct member *member = &members->at[i];
        const struct peer *peer = peer_of(raft, member);
        if (member->now != MEMBER_LEARNER || peer == NULL || peer->caught)
            continue;
        bool silent = raft->now_ms > peer->heard_ms + raft->election_max_ms;
        return state_print(raft, "for %s to %s (%u %% of the log)", place_of(member, place),
                           silent ? "answer, then to catch up" : "catch up",
                           memberlist_percent(raft, peer));
    }
    for (uint32_t i = 0; i < members->count; i++)
        if (members->at[i].wish != members->at[i].now)
            return state_print(raft, "for a majority of the voters after the change to answer");
    return "";
}
