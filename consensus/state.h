/* state.h - what a member knows: the struct that the files of the core share, and the
 * few steps all of them need (emitting, the ballot, the active configuration).
 *
 * Only the files of the core (those that define a raft_rule, status.c, trace.c and state.c)
 * and the tests of the core include it; the shell knows raft.h alone. */
#ifndef CONSENSUS_STATE_H
#define CONSENSUS_STATE_H

#include "protocol/members.h"
#include "consensus/peers.h"
#include "consensus/raft.h"
#include "consensus/raftlog.h"

enum {
    RAFT_STORES_MAX = 256,         /* STOREs that wait for STORED */
    RAFT_CONFIGS_MAX = 8,          /* configuration entries kept for a truncation */
    RAFT_ENTRIES_LAG_MAX = 131072, /* committed, not yet applied here */
    RAFT_BATCH_BYTES = 1 << 20,    /* one APPEND, or one entry */
    RAFT_STORE_BYTES = 4 << 20,    /* one STORE, or one entry */
    RAFT_INFLIGHT_BYTES = 4 << 20, /* per peer */
    RAFT_WAITING_BYTES = 32 << 20, /* uncommitted, or not yet applied */
    RAFT_TAIL_BYTES = 16 << 20,    /* held in memory */
    RAFT_FORWARD_BYTES = 4 << 20,  /* one FORWARD */
    RAFT_HELD_BYTES = 8 << 20,     /* proposals during a hand-over */
    RAFT_RETRY_MS = 500,           /* MEET, NOTE, LOAD, FETCH again */
    RAFT_CUT_MS = 1000,            /* storage is asked whether a cut is due */
    RAFT_LIVE_MS = 10000,          /* a peer not heard for so long is down, for the cut */
    RAFT_HINT_MIN_MS = 10,         /* after LINK_DOWN of the leader */
    RAFT_HINT_MAX_MS = 50,
    RAFT_HURRIES = 6,       /* tries after LINK_DOWN that do not wait a whole election timeout */
    RAFT_HURRY_MIN_MS = 50, /* for the next of them */
    RAFT_HURRY_MAX_MS = 150,
    RAFT_DRAINED_TIMES = 5,  /* so many election timeouts later a drained node stands */
    RAFT_READS_PER_SLOT = 8, /* asks for a read index: of the own api, of each peer */
    RAFT_READS_MAX = 64,
    RAFT_NOBODY = RAFT_PEERS_MAX, /* as leader slot */
    RAFT_SELF = RAFT_PEERS_MAX + 1,
};

/* As in DISK_IS. */
enum raft_disk { DISK_ENOUGH, DISK_LOW, DISK_FULL };

/* Columns of the rules: inputs, with peer messages by their type. */
enum raft_column {
    ON_TICK,
    ON_STORAGE_UP,
    ON_LOADED,
    ON_BALLOTED,
    ON_STORED,
    ON_FETCHED,
    ON_APPLIED,
    ON_DISK,
    ON_STORAGE_LOST,
    ON_PROPOSE,
    ON_LINK_DOWN,
    ON_HINT,
    ON_TRANSFER,
    ON_DRAIN,
    ON_CUT,
    ON_MEMBERS,
    ON_FLUSH,
    ON_MEET,
    ON_MET,
    ON_NOTE,
    ON_NOTED,
    ON_VOTE,
    ON_VOTED,
    ON_APPEND,
    ON_APPENDED,
    ON_FORWARD,
    ON_FORWARD_REFUSED,
    ON_TIMEOUT_NOW,
    ON_READ_INDEX,
    ON_ASK_INDEX,
    ON_INDEX_IS,
    ON_ASK_MEMBERS,
    ON_TELL_MEMBERS,
    ON_PART,
    ON_WRITTEN,
    ON_SNAPSHOT,
    ON_SNAPSHOT_TAKEN,
    ON_COUNT
};

typedef void raft_rule(struct raft *raft, const struct raft_input *in);

/* A STORE that was emitted. A truncation lowers `last`: what a late STORED then
 * confirms is only what is still in the log (I4). */
struct store_mark {
    uint64_t ticket, term, last, sent_ms;
};

struct config_mark {
    uint64_t index;
    struct members members;
};

/* Who asked for a read index, and under which ticket. */
struct read_ask {
    uint32_t slot;               /* RAFT_SELF: the own api */
    uint64_t to, to_incarnation; /* of a peer */
    uint64_t ticket;
};

struct raft {
    /* of the node */
    uint64_t node;
    uint8_t key[RAFT_KEY_SIZE];
    char endpoint[RAFT_ENDPOINT_MAX];
    uint32_t expect;
    uint64_t heartbeat_ms, election_min_ms, election_max_ms;
    uint8_t chance_cluster[CLUSTER_ID_SIZE];
    uint64_t chance_history;

    /* of this step */
    uint64_t now_ms, wall_ns, wall_error_ns;
    struct raft_outputs *out;
    struct bytes texts;     /* of complaints, lent */
    struct bytes txids;     /* of refusals, lent */
    struct bytes note_sent; /* of BALLOT and NOTE, lent */
    struct bytes rows;      /* of MEMBERS_ARE, lent */
    bool broken;            /* FATAL was emitted: nothing more is done */

    enum raft_role role;
    bool dirty;          /* a FLUSH may find something */
    uint64_t tail_bytes; /* RAFT_TAIL_BYTES; tests lower it */

    /* storage conversation */
    bool load_asked;
    uint64_t life, incarnation, load_due_ms;
    bool may_vote;   /* false: storage drew a new incarnation, because the old one is not trusted */
    bool state_lost; /* it has log and ballot, and waits for a snapshot of the state */
    bool load_lost;  /* it told more as applied than its log holds */
    bool barred;     /* what is on disk contradicts itself: promises nothing (I18) */
    enum raft_disk disk; /* what storage said last */
    uint64_t ticket;     /* of BALLOT, STORE, FETCH: one sequence */
    struct bytes load_tail, load_configs;
    uint64_t load_next, load_upto, load_ticket, load_applied; /* older terms still to be read */

    /* ballot: what is decided, what is durable */
    uint64_t term, vote, durable_term;
    bool has_note, ballot_dirty;
    struct members note;
    uint64_t ballot_ticket, balloted;

    /* log */
    struct raftlog log;
    uint64_t emitted; /* STOREd up to here */
    uint64_t stored;  /* durable up to here */
    uint64_t commit, commit_emitted, applied, leader_commit;
    struct store_mark stores[RAFT_STORES_MAX];
    uint32_t store_first, store_count;
    struct bytes store_scratch;

    /* configuration */
    struct config_mark configs[RAFT_CONFIGS_MAX];
    uint32_t config_count;
    int self;    /* position in the active configuration, under this incarnation; -1: none */
    bool stands; /* may campaign: votes in the active configuration, or it is not committed and
                    this node votes in the one before it (thesis section 4.2.2) */
    bool inside; /* belongs to the cluster as far as this node knows */
    uint64_t told_removed; /* a member knows this committed configuration, without this node */
    bool config_settled;   /* all of this was judged with the active configuration committed */

    struct peers peers;

    /* election */
    uint64_t chance; /* state of the generator */
    uint64_t election_due_ms, leader_heard_ms;
    uint32_t leader; /* slot, RAFT_SELF or RAFT_NOBODY */
    uint64_t epoch;
    bool loose;             /* stickiness ended by LINK_DOWN of the leader */
    uint32_t hurry;         /* short election timeouts left after it */
    uint64_t transfer_term; /* the term this node was told to campaign for */
    bool drained;           /* it leads only where nobody else does */
    uint64_t drain_due_ms;  /* as leader: tried again to hand over */
    bool asked;             /* VOTE of this candidacy went out */
    uint32_t votes;         /* bit per position in the active configuration */

    /* as follower */
    uint64_t verified; /* equal to the log of this term's leader up to here */
    uint64_t verified_term;
    bool ack_owed;
    uint32_t ack_slot;
    uint64_t ack_round, ack_to, ack_to_incarnation;
    bool nack_owed;
    uint64_t nack_index, nack_term;
    struct bytes forward, forward_sent;

    /* as leader */
    uint64_t round, term_first;     /* index of the first entry of the own term */
    bool clock_doubted, shed;       /* shed: handed over, or tried to, because of the own disk */
    uint64_t cut_due_ms, cut_index; /* the last cut logged by this leader */
    uint64_t check_due_ms;          /* quorum and disk are looked at, however busy the links are */
    struct transfer {
        bool running, told;
        uint32_t target;
        uint64_t last; /* log index; stays as it is while this runs */
        uint64_t due_ms;
        struct bytes held; /* proposals, until it is known who leads */
    } transfer;
    struct reads {
        struct read_ask at[RAFT_READS_MAX]; /* those of the running round first */
        uint32_t count, begun;
        uint64_t index; /* of the running round: what is answered */
        uint64_t round; /* answers to appends up to this one confirm nothing */
    } reads;
    struct membership {
        uint32_t handovers;       /* tried because this node is to go */
        uint64_t handover_due_ms; /* when to go without one; 0: not begun */
    } membership;

    /* snapshots, as leader and as receiver */
    uint64_t first_index; /* of the kept log, as storage told it */
    uint64_t catchup_entries, catchup_rate, catchup_budget, catchup_refilled_ms, catchup_attempts,
        proposed_ms;
    uint32_t courier_slot;
    uint64_t courier_to, courier_to_incarnation;
    uint64_t incoming_offset, incoming_size;

    /* founding */
    uint64_t meet_due_ms;
    bool drawn; /* the note is new: the others hear of it once it is durable */
    struct owed_note {
        bool owed;
        uint32_t slot;
        uint64_t to, to_incarnation;
    } noted;
    bool joins;                         /* never founds: waits to be added */
    uint8_t called_by[CLUSTER_ID_SIZE]; /* the leader's cluster, for while the own log names none */
    bool called; /* and its history, for while the own log does not name this node */
    uint64_t called_history;
    const char *outside; /* why the role is OUTSIDE */
    uint8_t outside_cluster[CLUSTER_ID_SIZE];

    struct raft_counters counters;
};

/* --- emitting --- */

struct raft_output *state_emit(struct raft *raft, enum raft_output_kind kind);

/* A message to storage, zeroed but for its type. */
struct message *state_ask(struct raft *raft, enum message_type type);

/* A message to the voter in `slot`, head filled in. VOTE .. APPENDED only while the ballot
 * is settled. */
struct message *state_send(struct raft *raft, uint32_t slot, enum message_type type);

/* An answer: addressed to whom the question named as its sender. */
struct message *state_answer(struct raft *raft, uint32_t slot, uint64_t to, uint64_t to_incarnation,
                             enum message_type type);

/* Lends a text until the next step; NULL once there are too many. */
const char *state_print(struct raft *raft, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void state_complain(struct raft *raft, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void state_fatal(struct raft *raft, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- ballot --- */

/* Nothing of the ballot waits for the disk. */
bool state_settled(const struct raft *raft);
void state_set_term(struct raft *raft, uint64_t term, uint64_t vote);
void state_emit_ballot(struct raft *raft); /* if something changed in this step */

/* --- configuration --- */

/* Lends the active configuration: the last one in the log, else the note; count 0: none. */
const struct members *state_members(const struct raft *raft);

void state_add_config(struct raft *raft, struct span record);

/* Lends the cluster id: of the active configuration, else of the leader that calls. Zeros: none. */
const uint8_t *state_cluster(const struct raft *raft);

/* The history of that, as peer heads bear it: 0 for the first of a cluster. Who gets the log from
 * its start is in the leader's history before its own log says so. */
uint64_t state_history(const struct raft *raft);

/* Log index of the active configuration; 0: it is the note, or there is none. */
uint64_t state_config_index(const struct raft *raft);

/* This node counts in a majority of the active configuration. */
bool state_votes(const struct raft *raft);

/* Slot of a key, new or known; a stranger gives way where all are taken. -1: none is left. */
int state_slot(struct raft *raft, const uint8_t key[RAFT_KEY_SIZE], const char *endpoint);

/* True if the head's sender is the member that the active configuration has for this slot, or
 * had until it was removed: the very incarnation (I11). Whether it votes: peer->votes. */
bool state_counts(const struct raft *raft, uint32_t slot, const struct peer_head *head);

/* --- roles --- */

/* FOLLOWER, FOUNDING while record 1 is not in the log, or OUTSIDE where this node is no member.
 * Drops what a leader or candidate had. */
void state_step_down(struct raft *raft);
void state_set_leader(struct raft *raft, uint32_t slot);
void state_restart_election(struct raft *raft); /* a new random timeout from now */
bool state_drained(const struct raft *raft);    /* and there are others to lead */
uint64_t state_chance(struct raft *raft, uint64_t below);

/* Truncates log, marks and configurations alike. */
void state_truncate(struct raft *raft, uint64_t index);

/* Refuses whole records of `records`, towards the api (slot RAFT_SELF) or a peer. */
void state_refuse(struct raft *raft, uint32_t slot, const struct peer_head *head,
                  struct span records, enum err err);

/* Lends the rule of a cell; a unit test walks them. */
raft_rule *raft_rule_at(enum raft_role role, enum raft_column column);

#endif
