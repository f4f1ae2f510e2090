/* peers.h - what is known of the other servers: identity, and as leader their progress.
 *
 * Who is a member is decided by the active configuration (state.c marks it here).
 * The slot of a member never changes its key; that of a stranger may be given to
 * another one when all are taken. Sends nothing. */
#ifndef CONSENSUS_PEERS_H
#define CONSENSUS_PEERS_H

#include "consensus/raft.h"
#include "consensus/raftlog.h"

/* An answer to VOTE that waits for the ballot. */
struct owed_vote {
    bool owed, pre, granted;
    uint64_t to, to_incarnation, term;
};

/* A snapshot on its way to the peer (catchup.h). */
struct catchup {
    bool running, complained;
    bool begun;      /* the peer has said where it is */
    bool installing; /* it has all of it, and is asked now and then whether it is in use */
    uint8_t id[HASH_SIZE];
    uint64_t head, size;   /* bytes of the manifest, and of all; 0: not known yet */
    uint64_t index;        /* where it ends in the log */
    bool state_only;       /* the peer has its log, which goes on meanwhile */
    uint64_t least_index;  /* where it has to end at least: what the peer knows as committed */
    uint64_t taken, asked; /* the peer has all before it; storage was asked up to here */
    uint64_t attempt;      /* what is answered to an earlier one is void */
    uint64_t due_ms;       /* without news until then it goes back to `taken`; 0: none due */
    uint64_t not_before_ms;
};

struct peer {
    uint8_t key[RAFT_KEY_SIZE];
    char endpoint[RAFT_ENDPOINT_MAX];
    char hinted[RAFT_ENDPOINT_MAX]; /* of a member: where else it may be, if not at its endpoint */
    bool listed; /* by the configuration file or a hint: counts for the founding */

    /* founding: what it said of itself */
    bool met, met_noted, met_founded, noted;
    uint64_t met_node, met_incarnation;
    uint8_t met_cluster[CLUSTER_ID_SIZE];
    uint64_t met_ms; /* as leader, called back: when it answered; 0: not yet */
    bool met_other;  /* it has another history of our cluster: not to be let in */
    uint64_t met_history;

    /* active configuration */
    int member; /* position in it; -1: no member */
    bool votes; /* counts in one of its majorities */
    bool was_member;
    uint64_t node, incarnation;
    uint64_t leaving; /* as leader: the entry that removed it, which it shall still get; 0: none */

    struct owed_vote vote;
    bool complained;

    /* progress, as leader */
    uint64_t match, next;
    bool probing; /* one empty append, then wait */
    bool beat;    /* an append is due, entries or not */
    uint64_t sent_ms, heard_ms;
    uint64_t commit_sent;
    uint64_t read_round,
        read_incarnation; /* highest append it answered in this term, and as whom */
    uint64_t rewound;     /* refusals of rounds up to this one were dealt with */
    int64_t clock_ahead;  /* its wall clock minus ours, ns */
    bool has_clock;
    bool drained;          /* it said that it shall not lead */
    uint64_t commit_known; /* what it said to know as committed */

    /* a learner catches up in rounds (thesis section 4.2.1) */
    uint64_t round_target, round_began_ms;
    bool caught; /* the last round took less than an election timeout */

    /* older entries, from storage */
    uint64_t fetch_ticket, fetch_due_ms; /* ticket 0: none asked */
    struct bytes fetched;
    uint64_t fetched_first, fetched_last; /* first 0: nothing here */
    uint64_t before_index, before_term;   /* of the entry before the page that was asked for */

    struct catchup catchup;
    bool past_snapshot; /* the one that storage offers brought it nothing: its log does */
    struct bytes scratch;
};

struct peers {
    struct peer at[RAFT_PEERS_MAX];
    uint32_t count;
    uint64_t version; /* grows when a slot has another key or endpoint */
};

void peers_close(struct peers *peers);

/* Slot of a key; -1 if there is none. */
int peers_find(const struct peers *peers, const uint8_t key[RAFT_KEY_SIZE]);

/* Slot of a new or known key, with the newest endpoint that was told; -1 if all slots are taken. */
int peers_add(struct peers *peers, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint);

/* Frees the slot of a stranger for another key; `keep` are slots that something waits for. -1: all
 * slots are those of members. */
int peers_reuse(struct peers *peers, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint,
                uint64_t keep);

/* Gets the log from the leader. */
static inline bool peers_fed(const struct peer *peer)
{
    return peer->member >= 0 || peer->leaving != 0;
}

/* A new leader knows nothing of this one but where its own log ends. */
void peers_begin_lead(struct peer *peer, uint64_t last, uint64_t now_ms);

/* Starts over behind what is surely there, with a probe. */
void peers_rewind(struct peer *peer, uint64_t next);

void peers_forget_fetch(struct peer *peer);

/* The fetched record of an index: empty if it is not here. */
struct span peers_fetched(const struct peer *peer, uint64_t index);

/* It answered lately, in this term. */
static inline bool peers_answers(const struct peer *peer, uint64_t now_ms, uint64_t within_ms)
{
    return peer->has_clock && now_ms < peer->heard_ms + within_ms; /* every answer tells a clock */
}

#endif
