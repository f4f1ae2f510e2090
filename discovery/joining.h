/* joining.h - PURE: how a new server asks to be a member, and learns where the members are.
 *
 * It asks one node of the cluster, as any client may: which members there are, then: let me be one.
 * The same wish is sent until it is fulfilled; repeated by a member, it changes nothing. What is
 * answered becomes sightings, so that consensus lets the callers in. A dead member with the name
 * and the address of this one was this one before its disk was lost: it is removed first.
 * docs/decisions/0020. */
#ifndef DISCOVERY_JOINING_H
#define DISCOVERY_JOINING_H

#include "discovery/source.h"
#include "common/err.h"

enum { JOINING_MEMBERS_MAX = 32, JOINING_WISH_MAX = 512, JOINING_NAME_MAX = 63 };

enum joining_state {
    JOINING_UNKNOWN, /* consensus has not told who this node is */
    JOINING_ASKS,    /* the wish is sent, again and again */
    JOINING_DONE,
    JOINING_REFUSED, /* for good; `reason` says why */
};

struct joining {
    enum joining_state state;
    char bootstrap[SIGHTING_MAX + 1], name[JOINING_NAME_MAX + 1];
    struct sighting self; /* "ENDPOINT KEY" */
    uint64_t incarnation; /* of the data directory */
    char replaces[48];    /* key of the dead one that is removed first; empty: none */
    bool told;            /* the members are known: the next ask is a wish */
    bool listed;          /* this very directory is a member, by the last answer */
    uint64_t since;       /* the wish stood in the configuration of this log index; 0: not yet */
    struct sighting members[JOINING_MEMBERS_MAX];
    uint32_t member_count;
    char reason[512]; /* what it waits for, or why it was refused */
};

/* `name` is of people: bytes that a wish cannot hold become '_'. */
void joining_begin(struct joining *joining, const char *bootstrap, const char *name);

/* Who this node is. A host that stands for all addresses gives way to `local`, the own address
 * towards the bootstrap node. ERR_CONFIG: the address is of this machine alone and the bootstrap
 * node is elsewhere (R116), or it is none; `reason` is advice. */
MUST_USE enum err joining_know(struct joining *joining, struct span self, uint64_t incarnation,
                               const char *local);

/* The wish to be sent, as text (consensus/memberop.h); empty: only ask who is there. */
void joining_wish(const struct joining *joining, char wish[JOINING_WISH_MAX]);

/* What was answered: an error, or how far it is. `rows` is a msgpack array of maps, checked; it
 * replaces `members`. */
struct joining_answer {
    struct span error, detail, rows;
    bool done;
    uint64_t since;
};

void joining_answered(struct joining *joining, const struct joining_answer *answer);

#endif
