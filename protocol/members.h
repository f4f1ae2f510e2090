/* members.h - who belongs to the cluster, and who of them votes: the founding note, the body
 * of record 1 and of each later configuration entry are these bytes.
 *
 *  at size                          at size
 *   0 16  cluster id                24  1  layout (2 or 3; 1 is read too)
 *  16  8  history                   25  1  member count
 *                                   26  1  1: joint
 *                                   27  5  zeros
 *  in layout 3, which is that of every history but the first: parent 8
 *  then each member, in layouts 2 and 3:
 *   key 32, node id 8, incarnation 8, changed 8, now 1, next 1, wish 1, zero 1,
 *   endpoint, api, name: size 2 and bytes each
 *  in layout 1 (all vote): key 32, node id 8, incarnation 8, endpoint size 2, endpoint
 *
 * Members stand in the order of their keys, so of a founding note the first one is the
 * founder. What a role means to an election is in consensus/quorum.h, how one becomes the
 * other in consensus/plan.h. */
#ifndef PROTOCOL_MEMBERS_H
#define PROTOCOL_MEMBERS_H

#include "common/bytes.h"
#include "common/err.h"

enum {
    MEMBERS_KEY_SIZE = 32,
    MEMBERS_CLUSTER_SIZE = 16,
    MEMBERS_ENDPOINT_MAX = 128, /* bytes, with the zero */
    MEMBERS_NAME_MAX = 64,
    MEMBERS_VOTERS_MAX = 9, /* of each majority */
    MEMBERS_LIVE_MAX = 16,  /* voters, learners and replicas */
    MEMBERS_MAX = 24,       /* with those that were removed last */
    MEMBERS_HEADER_SIZE = 32,
};

enum member_role {
    MEMBER_VOTER,
    MEMBER_LEARNER, /* gets the log, counts for nothing, and is to vote once it has caught up */
    MEMBER_REPLICA, /* gets the log, counts for nothing, and stays so */
    MEMBER_NONE,    /* removed; kept for a while, so that it can be told */
    MEMBER_ROLES
};

/* Zeroed but for key, node and incarnation is a voter. */
struct member {
    uint8_t key[MEMBERS_KEY_SIZE];
    uint64_t node, incarnation;
    uint64_t changed;      /* log index of the entry that changed its role last; 0: record 1 */
    enum member_role now;  /* what it counts as */
    enum member_role next; /* while joint: what it counts as in the other majority; else `now` */
    enum member_role wish; /* what it shall become; another than `now`: a change is pending */
    char endpoint[MEMBERS_ENDPOINT_MAX]; /* for other servers */
    char api[MEMBERS_ENDPOINT_MAX];      /* for clients; empty: not told */
    char name[MEMBERS_NAME_MAX];         /* for people; empty: none */
};

/* Zeroed is nobody. */
struct members {
    uint8_t cluster[MEMBERS_CLUSTER_SIZE];
    uint64_t history;
    uint64_t parent; /* the history that this one goes on from; 0: it is the cluster's first */
    bool joint;      /* decisions need a majority of both: who votes now, and who votes next */
    uint32_t count;
    struct member at[MEMBERS_MAX];
};

/* Adds a member in key order. The caller has checked that there is room. */
void members_add(struct members *members, const struct member *member);
void members_drop(struct members *members, uint32_t at);

/* Position of a key; -1 if it is not there. One that was removed is there too. */
int members_find(const struct members *members, const uint8_t key[MEMBERS_KEY_SIZE]);

/* Gets the log: not removed in both majorities. */
static inline bool member_lives(const struct member *member)
{
    return member->now != MEMBER_NONE || member->next != MEMBER_NONE;
}

/* Counts in at least one of the active majorities. */
static inline bool member_votes(const struct member *member)
{
    return member->now == MEMBER_VOTER || member->next == MEMBER_VOTER;
}

/* How many count so, now. */
uint32_t members_count(const struct members *members, enum member_role role);

void members_encode(const struct members *members, struct bytes *out);

/* ERR_BAD_MESSAGE: not these bytes, no voter, too many, out of order, or roles that contradict. */
MUST_USE enum err members_decode(struct span bytes, struct members *members);

bool members_same(const struct members *a, const struct members *b);

/* Lend constant text: voter, learner, replica, none. */
const char *member_role_name(enum member_role role);

/* Copies an endpoint, cut at the limit. */
void members_copy_endpoint(char to[MEMBERS_ENDPOINT_MAX], const char *from, size_t size);

#endif
