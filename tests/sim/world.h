/* world.h - whole nodes in one program: the real core, a storage model, a network.
 *
 * Virtual time in milliseconds; one seed gives one run, byte for byte. Which
 * faults happen is the caller's (faults.c draws them, transcripts script them);
 * what must never happen is checked after every step (check.c). */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "api/session.h"
#include "consensus/raft.h"
#include "consensus/state.h"
#include "storage/apply.h"

enum {
    WORLD_NODES_MAX = 7,
    WORLD_PAIRS_MAX = 64,
    WORLD_READS_MAX = 16,
    WORLD_INPUTS = INPUT_COUNT + 30, /* peer messages by their type */
    WORLD_FAULTS_MAX = 32,
    WORLD_CLIENTS_MAX = 16,
    WORLD_SHOTS_MAX = 16,
    CLOCK_SLOWEST = 500, /* per 1000 */
    CLOCK_FASTEST = 3000,
};

/* What survives a crash. */
struct disk {
    bool exists, wiped, may_vote;
    uint64_t incarnation, term, vote, applied;
    uint64_t promised_term, promised_vote; /* of the voter that it was before its memory was lost */
    struct bytes note;
    struct bytes *records; /* log index i is records[i - 1] */
    uint64_t count, room;
    uint64_t first; /* what is below is cut: kept for the checks, and lent to nobody */
};

/* The state of a node, in memory; what of it is durable, the log brings again. */
struct view {
    struct apply apply;
    struct overlay overlay; /* all outcomes */
    struct bytes effects;
};

/* A snapshot of another one that comes in. */
struct taking {
    uint64_t number, offset;
    bool installing;
};

/* The storage process over the disk, and the view that applies. */
struct store_model {
    bool up;
    uint64_t life, stalled_until;
    uint64_t busy_until, next_until; /* what waits is written together (one transaction) */
    uint64_t keeper_until;           /* it has other work */
    uint64_t told_until;             /* answers are late, but in order */
    uint64_t told_talk;              /* the conversation that has heard what is applied */
    uint64_t applied;
    struct message_commit pairs[WORLD_PAIRS_MAX];
    uint32_t pair_count;
    uint64_t lends, lends_from_ms, lent_ms; /* the snapshot for others: its number */
    struct taking takes;
    struct view view;
};

/* Its api process. */
struct sim_api {
    struct session session;
    struct bytes proposals; /* of this turn */
    uint64_t epoch, life;   /* of consensus, last seen */
};

/* One that writes, one write after the other. */
struct client {
    bool waits;
    uint64_t serial, due; /* of its write; when it tries again */
    uint32_t tries;
    struct bytes body;
};

enum said { SAID_NOTHING, SAID_DONE, SAID_REFUSED };

/* A write: what its client was told, and what became of it. */
struct write {
    uint64_t born, sent_ms, floor_id; /* floor_id: acknowledged before it was sent */
    uint32_t attempts;
    enum said said;
    uint64_t index, first_id, last_id; /* 0: not applied anywhere yet */
};

/* A read index that was asked for, and what was committed then. */
struct read_mark {
    uint64_t ticket, committed;
};

/* What a node takes for the time: since `from` of the world it runs at another rate. */
struct node_clock {
    uint64_t from, base, per_mille;
    int64_t wall_ns; /* ahead of the world */
};

struct node {
    bool up; /* the consensus process */
    uint64_t paused_until;
    uint32_t dies_after; /* so many outputs; 0: lives on */
    struct node_clock clock;
    struct raft *raft;
    struct raft_outputs outputs;
    uint64_t conversation; /* answers of an earlier one are dropped */
    uint64_t life;         /* of consensus */
    struct sim_api api;
    struct view kept; /* state.db, where it is as new as the disk */
    struct disk disk;
    struct store_model store;
    uint8_t key[RAFT_KEY_SIZE];
    uint64_t id;
    enum raft_role role; /* last seen, for the trace and the checks */
    uint64_t term, commit;
    uint64_t heard[WORLD_NODES_MAX]; /* when an answer to an append last came in */
    uint64_t led_since;
    uint64_t refused, proposed;
    struct read_mark reads[WORLD_READS_MAX]; /* a ring */
};

/* A snapshot: the log of its maker, up to what was applied there. */
struct shot {
    uint64_t number, index, size; /* number 0: none */
    uint8_t id[HASH_SIZE];
    struct disk content;
};

enum event_kind {
    EVENT_PEER,
    EVENT_LINK,
    EVENT_ANSWER,
    EVENT_OP,
    EVENT_FETCH,
    EVENT_KEEPER,
    EVENT_VIEW,
    EVENT_CALL
};

struct world;

struct event {
    uint64_t at, order;
    enum event_kind kind;
    uint32_t node, from;
    uint64_t stamp; /* conversation, or life of storage */
    uint64_t talk;  /* of an ask: the conversation it belongs to */
    struct bytes frame;
    void (*call)(struct world *world, uint32_t node);
};

struct world {
    /* options, set before world_open */
    uint64_t seed;
    uint32_t count;             /* nodes */
    uint32_t founders;          /* the first of them found, the others wait to be added; 0: all */
    uint32_t loss, dup, garble; /* per 1000 messages */
    uint32_t rot;               /* per 1000 pages read */
    uint64_t delay_min, delay_max, slow_one_in, slow_ms;
    uint64_t disk_min, disk_max, answer_max;
    uint64_t busy_one_in, busy_ms;  /* at one of so many asks keeper has other work, so long */
    uint64_t tail_bytes, tail_told; /* held by the core; records LOADED tells */
    uint64_t heartbeat_ms, election_min_ms, election_max_ms;
    uint32_t cut_percent;                   /* of the asks whether a cut is due; 0: no answer */
    uint64_t catchup_entries, catchup_rate; /* as in raft.h */
    uint32_t client_count, propose_percent; /* of the idle ones, each step */
    uint64_t patience_ms, body_max, outcomes_max;
    bool verbose;
    void (*trace)(struct world *world, const char *line);

    uint64_t chance, now, order, wall_ns;
    struct node nodes[WORLD_NODES_MAX];
    bool cut[WORLD_NODES_MAX][WORLD_NODES_MAX]; /* [from][to] */
    struct event *events;
    size_t event_count, event_room;

    /* what the checks know */
    uint64_t hash; /* of everything emitted */
    uint64_t steps, delivered, faults[WORLD_FAULTS_MAX];
    uint64_t read_ticket, reads_answered;
    uint32_t violations;
    uint64_t sent[MESSAGE_TYPE_MAX];
    uint64_t cells[ROLE_COUNT][WORLD_INPUTS]; /* inputs by role: rules of the core that ran */
    struct committed {
        uint8_t hash[HASH_SIZE];
        uint64_t state; /* digest of what applying it gives; 0: not applied yet */
        bool known;
    } * committed;
    uint64_t committed_count, committed_room;
    struct client clients[WORLD_CLIENTS_MAX];
    struct write *writes;
    uint64_t write_count, write_room, acked_id;
    struct shot shots[WORLD_SHOTS_MAX]; /* by number */
    uint64_t shot_count, installs;
    uint32_t *leaders; /* node + 1, by term */
    uint64_t leader_room;
};

void world_open(struct world *world);
void world_close(struct world *world);

uint64_t world_chance(struct world *world, uint64_t below);

/* Lets time pass; nodes are told of ticks and flushed as the shell would. */
void world_run(struct world *world, uint64_t ms);

/* Runs until somebody leads a quorum and has committed in its term; false after `ms`. */
bool world_run_to_leader(struct world *world, uint64_t ms);

int world_leader(const struct world *world); /* the one with the highest term; -1 */

void world_violated(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_trace(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* clock.c */
void clock_reset(struct world *world, uint32_t node);
void clock_set_rate(struct world *world, uint32_t node, uint64_t per_mille);
uint64_t clock_now(const struct world *world, uint32_t node);
uint64_t clock_wall(const struct world *world, uint32_t node);
uint64_t clock_error(const struct world *world, uint32_t node);
uint64_t clock_world_time(const struct world *world, uint32_t node, uint64_t at);

/* How long `ms` of the node's clock can take in the world, at the slowest rate. */
uint64_t clock_longest(const struct world *world, uint32_t node, uint64_t ms);

/* events.c */
void events_push(struct world *world, struct event event);
void events_push_message(struct world *world, struct event event, const struct message *message);
void events_call(struct world *world, uint64_t in_ms, uint32_t node,
                 void (*call)(struct world *, uint32_t));
struct event events_pop(struct world *world); /* its frame is the caller's to close */
bool events_to_consensus(const struct event *event);

/* What its consensus was to hear at `from`, it hears at `to`, in the same order. */
void events_move(struct world *world, uint32_t node, uint64_t from, uint64_t to);
void events_close(struct world *world);

/* network.c */
void network_send(struct world *world, uint32_t from, const struct raft_output *output);
void network_deliver(struct world *world, const struct event *event);

/* node.c */
void node_step(struct world *world, uint32_t node, struct raft_input in);
void node_start(struct world *world, uint32_t node); /* whatever of it is down */
void node_crash(struct world *world, uint32_t node); /* consensus and storage: power is lost */
void node_crash_consensus(struct world *world, uint32_t node);
void node_crash_storage(struct world *world, uint32_t node);
void node_renew_storage(struct world *world, uint32_t node); /* a new life over what is on disk */
void node_swap_storage(struct world *world,
                       uint32_t node); /* a new life, unseen, sooner or later */
void node_pause(struct world *world, uint32_t node, uint64_t ms);
void node_wake(struct world *world, uint32_t node);
bool node_paused(const struct world *world, uint32_t node);
void node_wipe(struct world *world, uint32_t node); /* crash, and the directory is empty */

/* Crash, and the directory is an older copy of its own, or a copy of another one's: storage
 * notices by the identity beside it, so it bears a new incarnation. */
void node_restore(struct world *world, uint32_t node);
void node_clone(struct world *world, uint32_t node, uint32_t of);
void node_link_down(struct world *world, uint32_t node, uint32_t peer); /* node is told */

/* Storage says how much room there is, as in DISK_IS. */
void node_disk_is(struct world *world, uint32_t node, uint64_t state);

/* Asks the core for a hand-over to another node; -1: to any. */
void node_transfer(struct world *world, uint32_t node, int to);

void node_drain(struct world *world, uint32_t node, bool on);

/* Asks a node that the membership be so: wishes of consensus/memberop.h, ended by NULL. */
void node_members(struct world *world, uint32_t node, const char *const *wishes);

/* As a discovery would: tells one, or everybody, where others are, not who belongs. */
void node_hint(struct world *world, uint32_t node, uint32_t of);
void node_hint_all(struct world *world);

/* Proposes `count` records of `size` bytes of body at a node. */
void node_propose(struct world *world, uint32_t node, uint32_t count, uint32_t size);

/* lines.c */
void lines_open(const char *path); /* from now on steps are written there (tests/trace) */
void lines_step(struct world *world, uint32_t node, const struct raft_input *in);

/* reads.c */
void reads_ask(struct world *world, uint32_t node); /* its api wants a read index */
void reads_check_stamps(struct world *world, uint32_t node, uint64_t before);
void reads_told(struct world *world, uint32_t node, const struct message *message);

/* storage.c */
void storage_ask(struct world *world, uint32_t node, const struct message *message);
void storage_answer(struct world *world, uint32_t node, const struct message *message);
void storage_do(struct world *world, const struct event *event);   /* the time of an ask has come */
void storage_tell(struct world *world, const struct event *event); /* an answer, to the core */

/* disk.c */
void disk_answer_op(struct world *world, uint32_t node, const struct message *ask, bool answer);
void disk_fetch(struct world *world, uint32_t node, const struct message *ask);
void disk_view(struct world *world, uint32_t node);
void disk_tell_applied(struct world *world, uint32_t node);
void disk_close(struct disk *disk);
void disk_crash(struct world *world, uint32_t node); /* some of what waits still happens */
void disk_copy(struct disk *disk, const struct disk *from, uint64_t count);
void disk_forget(struct disk *disk, struct disk other); /* becomes another directory */
struct span disk_record(const struct disk *disk, uint64_t index);
void disk_install(struct world *world, uint32_t node, const struct disk *content, uint64_t index);

/* snapshot.c */
void snapshot_do(struct world *world, uint32_t node, const struct message *ask);
void snapshot_close(struct world *world);

/* view.c */
void view_open(struct world *world, uint32_t node);
void view_apply(struct world *world, uint32_t node, uint64_t index, bool tell);
void view_close(struct view *view);
void view_crash(struct world *world, uint32_t node); /* keeps it, or what it was some time ago */
bool view_outcome(const struct world *world, uint32_t node, const uint8_t txid[16],
                  struct effect *effect);

/* api.c */
void api_open(struct node *node);
void api_close(struct node *node);
void api_put(struct world *world, uint32_t node, const struct entry *entry, uint64_t request);
void api_turn(struct world *world, uint32_t node);
void api_refused(struct world *world, uint32_t node, const struct message *message);
void api_effect(struct world *world, uint32_t node, const struct effect *effect);
void api_storage_new(struct world *world, uint32_t node);

/* clients.c */
void clients_step(struct world *world, bool insist); /* insist: nobody begins, nobody gives up */
void clients_told(struct world *world, uint64_t serial, enum err err, const struct effect *effect);
void clients_hurry(struct world *world); /* whoever waits tries again now, and often */
bool clients_wait(const struct world *world);

/* Where there are large ones at all, most are small: a few show what limits do, many take time. */
uint64_t clients_body_size(struct world *world);
void clients_close(struct world *world);

/* history.c */
uint64_t history_begin(struct world *world, uint64_t born);
struct write *history_at(struct world *world, uint64_t serial); /* lends until the next begins */
void history_applied(struct world *world, uint32_t node, uint64_t index,
                     const struct effect *effect);
void history_done(struct world *world, uint64_t serial, enum err err, const struct effect *effect);
void history_refused(struct world *world, uint64_t serial);
void history_check(struct world *world, uint64_t committed);

/* check.c */
void check_step(struct world *world, uint32_t node);
void check_applied(struct world *world, uint32_t node, uint64_t index);
void check_state(struct world *world, uint32_t node, uint64_t index, uint64_t digest);
void check_truncated(struct world *world, uint32_t node, uint64_t index);
bool check_alike(const struct world *world); /* everyone applied all the leader has */
void check_quiet(struct world *world);       /* after a healed phase: all alike */

#endif
