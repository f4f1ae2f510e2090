/* raft.h - the door of the consensus core: one input in, outputs out.
 *
 * Pure: no clock, no chance, no socket, no disk. Time and a seed come with the
 * input; the same inputs give the same outputs, byte for byte. The shell
 * (consensus.c) performs outputs in their order and decides nothing.
 * Peers are the OTHER servers, addressed by slot 0 .. raft_peer_count() - 1.
 * The shell connects a link for every slot (again after each step that changed
 * raft_peers_version: slots are added, and that of a stranger may get another
 * key) and reports messages with the slot whose public key the link has proven. */
#ifndef CONSENSUS_RAFT_H
#define CONSENSUS_RAFT_H

#include "common/bytes.h"
#include "common/err.h"
#include "protocol/members.h"
#include "protocol/message.h"

enum {
    RAFT_KEY_SIZE = MEMBERS_KEY_SIZE,
    RAFT_VOTERS_MAX = MEMBERS_VOTERS_MAX, /* ourselves included */
    RAFT_PEERS_MAX = 32, /* members and strangers that hints named; without ourselves */
    RAFT_ENDPOINT_MAX = MEMBERS_ENDPOINT_MAX,
    RAFT_TEXT_MAX = 512,
};

struct raft;

/* A voter as the configuration file or a hint names it. */
struct raft_voter {
    uint8_t key[RAFT_KEY_SIZE];
    const char *endpoint; /* copied; may be empty for ourselves */
};

/* Copied by raft_open. */
struct raft_options {
    uint64_t node; /* own node id, not 0 */
    uint8_t key[RAFT_KEY_SIZE];
    const char *endpoint;            /* where the others reach us; goes into the founding note */
    const struct raft_voter *voters; /* the static list; our own key in it is recognised */
    uint32_t voter_count;
    uint32_t expect;          /* found with so many voters, ourselves included; 0: the list's */
    uint64_t heartbeat_ms;    /* 0: 100 */
    uint64_t election_min_ms; /* 0: 500 */
    uint64_t election_max_ms; /* 0: 1000 */
    uint64_t catchup_rate;    /* bytes a second for snapshots while clients write; 0: no limit */
    uint64_t catchup_entries; /* who lacks more, and most of the log, gets one; 0: 131072 */
    uint64_t seed;
    uint8_t cluster[CLUSTER_ID_SIZE]; /* chance, used only if this node founds */
    uint64_t history;                 /* chance, the same */
    bool joins; /* never founds: waits until a leader calls it (ARCHITECTURE section 8) */
};

enum raft_role {
    ROLE_LOADING,  /* storage has not told its state yet, or was lost */
    ROLE_FOUNDING, /* record 1 is not in the log: gathers, notes, waits; votes once it noted */
    ROLE_OUTSIDE,  /* not a member under this incarnation: never votes, never counts */
    ROLE_FOLLOWER,
    ROLE_PRECANDIDATE,
    ROLE_CANDIDATE,
    ROLE_LEADER,
    ROLE_COUNT
};

enum raft_input_kind {
    INPUT_TICK,         /* time passed; come at raft_due_ms() at the latest */
    INPUT_STORAGE_UP,   /* every link to storage is up: the core asks LOAD */
    INPUT_LOADED,       /* message: LOADED */
    INPUT_BALLOTED,     /* message: BALLOTED */
    INPUT_STORED,       /* message: STORED */
    INPUT_FETCHED,      /* message: FETCHED */
    INPUT_APPLIED,      /* message: APPLIED */
    INPUT_DISK,         /* message: DISK_IS */
    INPUT_STORAGE_LOST, /* a link to storage is down, or storage has a new life */
    INPUT_PROPOSE,      /* message: PROPOSE of the own api */
    INPUT_PEER,         /* slot, message: of another server */
    INPUT_LINK_DOWN,    /* slot */
    INPUT_HINT,         /* voter: another server may be there, or has another endpoint */
    INPUT_TRANSFER,     /* number: node id that shall lead; 0: whoever has most of the log */
    INPUT_DRAIN,        /* number: 1 this node shall not lead while another can, 0 it may again */
    INPUT_READ_INDEX,   /* message: READ_INDEX of the own api */
    INPUT_CUT,          /* message: CUT_AT */
    INPUT_MEMBERS,      /* message: MEMBERS_ASK of the own api */
    INPUT_PART,         /* message: SNAPSHOT_PART */
    INPUT_WRITTEN,      /* message: SNAPSHOT_WRITTEN */
    INPUT_FLUSH,        /* once per turn, after everything else */
    INPUT_COUNT
};

struct raft_input {
    enum raft_input_kind kind;
    uint32_t slot;
    uint64_t now_ms;        /* never falls */
    uint64_t wall_ns;       /* may jump */
    uint64_t wall_error_ns; /* the true time is not farther away than this; 0: not known */
    const struct message *message;
    const struct raft_voter *voter;
    uint64_t number;
};

enum raft_output_kind {
    OUTPUT_SEND,       /* message to the peer in `slot`; its head is filled in */
    OUTPUT_STORAGE,    /* message: LOAD, BALLOT, STORE (journal), COMMIT (view), FETCH, MAY_CUT,
                          SNAPSHOT_READ, SNAPSHOT_WRITE (keeper) */
    OUTPUT_REFUSED,    /* message: REFUSED, to the own api */
    OUTPUT_READ_INDEX, /* message: READ_INDEX_IS, to the own api */
    OUTPUT_KEPT,       /* err: a TRANSFER was refused, or failed and this node goes on leading;
                          that one succeeded shows in the status */
    OUTPUT_MEMBERS,    /* message: MEMBERS_ARE, to the own api */
    OUTPUT_COMPLAINT,  /* text: log it as a warning; said once per cause */
    OUTPUT_FATAL,      /* text: log it as an error and end with EXIT_CORRUPTION (I6, I7) */
};

/* Spans and texts are lent until the next raft_step. */
struct raft_output {
    enum raft_output_kind kind;
    uint32_t slot;
    enum err err;
    const char *text;
    struct message message;
};

/* Grows; owned by the caller, zeroed is empty. raft_step clears it first. */
struct raft_outputs {
    struct raft_output *at;
    uint32_t count, room;
};

void raft_outputs_close(struct raft_outputs *outputs);

/* Gives a new core. ERR_CONFIG: too many voters, timeouts that contradict each other (the
 * heartbeat must be at most half of election_min_ms, min at most max), expect below the list. */
MUST_USE enum err raft_open(struct raft **raft, const struct raft_options *options,
                            uint64_t now_ms);

/* Lends a sentence that begins with the name of the wrong setting; NULL: raft_open refused
 * nothing. */
const char *raft_wrong_option(const struct raft *raft, const struct raft_options *options);
void raft_close(struct raft **raft); /* takes */

void raft_step(struct raft *raft, const struct raft_input *input, struct raft_outputs *outputs);

/* When the next TICK is due. UINT64_MAX: no timer runs. */
uint64_t raft_due_ms(const struct raft *raft);

/* True if a FLUSH would emit something: skip it otherwise. */
bool raft_wants_flush(const struct raft *raft);

struct raft_peer_view {
    const uint8_t *key;         /* lent until raft_close */
    const char *endpoint;       /* lent until the next step; empty: not known */
    const char *hinted;         /* try this one while that one is dead; empty: none is known */
    uint64_t node, incarnation; /* 0: not known */
    uint64_t match_index;       /* as leader */
    bool catching_up;           /* as leader: it gets a snapshot, of so many bytes */
    uint64_t catchup_taken, catchup_size;
    uint64_t heard_ms; /* 0: never */
    bool voter;        /* of the active configuration */
    bool member;       /* of it: voter, learner or replica */
};

uint32_t raft_peer_count(const struct raft *raft);
uint64_t raft_peers_version(const struct raft *raft);
struct raft_peer_view raft_peer(const struct raft *raft, uint32_t slot);

/* The slot of a key; -1 if there is none. */
int raft_slot_of(const struct raft *raft, const uint8_t key[RAFT_KEY_SIZE]);

struct raft_counters {
    uint64_t catchups, slices_sent, slice_bytes; /* snapshots for peers */
    uint64_t elections, terms_led, appends_sent, append_bytes, heartbeats, stores, store_bytes,
        proposals, refused, forwarded, fetches, wrong_cluster, wrong_receiver, transfers, reads,
        read_rounds, cuts;
};

struct raft_status {
    enum raft_role role;
    const char *role_name; /* leader, follower, candidate, founding, outside, learner, replica,
                              removed or unknown */
    uint64_t epoch;        /* grows when the leader, or the link to it, changed */
    uint64_t term, leader; /* leader: node id, 0 if none is known */
    uint64_t node, incarnation;
    uint64_t commit_index, leader_commit; /* own; newest learned from a leader */
    uint64_t last_index, stored_index, applied_index;
    bool drained;
    bool has_cluster;
    uint8_t cluster[CLUSTER_ID_SIZE];
    uint64_t history;
    uint64_t head_history;                /* as peer heads bear it: 0 for the first of a cluster */
    uint64_t catchup_taken, catchup_size; /* as leader: bytes of all snapshots on their way */
    uint64_t incoming_taken, incoming_size; /* of the snapshot that comes in; size 0: none */
    char waits_for[RAFT_TEXT_MAX];          /* in words; empty if for nothing */
    struct raft_counters counters;
};

/* Copies. Cheap enough for every turn; compare `epoch`, `role`, `commit_index` to notice changes.
 */
void raft_status(const struct raft *raft, struct raft_status *status);

/* Of the data directory; 0: storage has not told yet. */
uint64_t raft_incarnation(const struct raft *raft);

const char *raft_role_name(enum raft_role role);

/* The invariants of the core; raft_step calls it after every step, in production too. */
void raft_assert(const struct raft *raft);

#endif
