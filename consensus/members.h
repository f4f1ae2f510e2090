/* members.h - who votes: the founding note, the body of record 1 and of each later
 * configuration entry are these bytes.
 *
 *  at size                          at size
 *   0 16  cluster id                24  1  layout (1)
 *  16  8  history                   25  1  voter count
 *                                   26  6  zeros
 *  then each voter: key 32, node id 8, incarnation 8, endpoint size 2, endpoint
 *
 * Voters stand in the order of their keys, so the first one is the founder. */
#ifndef CONSENSUS_MEMBERS_H
#define CONSENSUS_MEMBERS_H

#include "consensus/raft.h"

enum { MEMBERS_HEADER_SIZE = 32, MEMBERS_VOTER_SIZE = 50 };

struct member {
    uint8_t key[RAFT_KEY_SIZE];
    uint64_t node, incarnation;
    char endpoint[RAFT_ENDPOINT_MAX];
};

/* Zeroed is nobody. */
struct members {
    uint8_t cluster[CLUSTER_ID_SIZE];
    uint64_t history;
    uint32_t count;
    struct member at[RAFT_VOTERS_MAX];
};

/* Adds a voter in key order. The caller has checked that there is room. */
void members_add(struct members *members, const struct member *member);

/* Position of a key; -1 if it is no voter. */
int members_find(const struct members *members, const uint8_t key[RAFT_KEY_SIZE]);

void members_encode(const struct members *members, struct bytes *out);

/* ERR_BAD_MESSAGE: not these bytes, no voter, too many, or out of order. */
MUST_USE enum err members_decode(struct span bytes, struct members *members);

bool members_same(const struct members *a, const struct members *b);

/* Copies an endpoint, cut at the limit. */
void members_copy_endpoint(char to[RAFT_ENDPOINT_MAX], const char *from, size_t size);

#endif
