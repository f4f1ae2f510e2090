/* setup.h - what consensus is told at its start, and the options that the core is opened with. */
#ifndef CONSENSUS_SETUP_H
#define CONSENSUS_SETUP_H

#include "common/keys.h"
#include "common/service.h"
#include "consensus/raft.h"

struct setup {
    const char *listen, *advertise;
    struct option_list members;
    uint64_t expect, heartbeat_ms, election_min_ms, election_max_ms, catchup_rate, catchup_entries;
    uint64_t found;    /* pid of the supervisor that founds a cluster of one; 0: none does */
    const char *trace; /* folder of the trace; NULL: none */
    bool probe;        /* only look whether a listed member answers */
    bool announced;    /* the founding, to the supervisor */
    char own[RAFT_ENDPOINT_MAX];
};

/* The process begins so; the table of options has its offsets. */
struct setup_head {
    struct service_base base;
    struct setup setup;
};

extern const struct option setup_options[];

/* Settles `advertise`: as set, else as the list of members has it for the own key, else `listen`.
 * ERR_CONFIG: it is of this machine only, and a member is elsewhere; stderr says so (R116). */
MUST_USE enum err setup_settle(struct setup *setup, const uint8_t key[KEY_SIZE]);

/* Gives the core. ERR_CONFIG: stderr says which setting is wrong. */
MUST_USE enum err setup_open_core(const struct setup_head *head, const struct keys *keys,
                                  struct raft **raft);

/* Says once, if the supervisor waits for it, that the cluster is founded. */
void setup_announce(struct setup_head *head, const struct raft *raft);

/* Where this process really is, for those that find two of it: `listen`, but for a host that stands
 * for all addresses. Lends. */
const char *setup_place(const struct setup *setup);

/* "ENDPOINT PUBLICKEY" of this server. */
void setup_print_self(const struct setup *setup, const uint8_t key[KEY_SIZE],
                      char text[RAFT_ENDPOINT_MAX + KEY_TEXT_SIZE]);

#endif
