/* request.h - PURE: is an ask allowed here and now, and in which form does it
 * go on? Knows the limits and the standing of the node, no socket, no clock. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "protocol/change.h"
#include "protocol/cursor.h"
#include "protocol/entry.h"
#include "protocol/filter.h"
#include "protocol/holders.h"
#include "protocol/message.h"
#include "protocol/rules.h"
#include "protocol/settings.h"

enum {
    REQUEST_LIMIT_DEFAULT = 100,
    REQUEST_LIMIT_MAX = 10000,
    REQUEST_BYTES_DEFAULT = 1 << 20,
    REQUEST_BYTES_MAX = 4 << 20,
    REQUEST_BLOCK_MAX_MS = 60000,
    REQUEST_BEHIND_MS = 2000,
};

/* What the api knows of its node, kept by the shell. */
struct standing {
    bool storage_up, consensus_up;
    bool removed;       /* the node was: what is written later never reaches it */
    bool synced;        /* applied the first commit index learned from a leader */
    uint64_t behind_ms; /* how long applied has been below what the leader committed */
    uint64_t epoch, term, leader, node;
    char role[17], waits_for[513];
    uint64_t commit_index, leader_commit, applied_index, last_index;
    bool founded;
    uint8_t cluster[CLUSTER_ID_SIZE];
    uint64_t history;
    uint64_t log_history;                   /* that of the log, as consensus knows it; 0: not yet */
    uint64_t parent, fork_id;               /* where it began; 0: it is the first of its cluster */
    char history_text[17], parent_text[17]; /* parent: empty if there is none */
    uint64_t ts, first_id, last_id, outcome_floor;
    uint8_t hash[HASH_SIZE]; /* change hash at last_id */
    struct settings settings;
    struct holders holders;
    struct rules rules;
};

#define REQUEST_REMOVED "this node was removed from the cluster; ask another one"

/* False: what is applied here is still of the history before. Nothing may be named by it. */
static inline bool request_knows_history(const struct standing *standing)
{
    return standing->log_history == 0 || standing->log_history == standing->history;
}

enum { REQUEST_LAG_MS_MAX = 3600000 };

/* Why an ask is refused; detail is constant text or NULL. */
struct refusal {
    enum err err;
    const char *detail;
};

/* A put becomes a record for the log. The body is lent. */
struct refusal request_put(const struct standing *standing, const struct message_put *put,
                           struct entry *entry);

/* What a reading ask becomes: a READ (without ticket), and the id that must be applied here
 * first (0: none). Tags are lent from the ask. */
struct request_read {
    struct message_read read;
    uint8_t since_hash[HASH_SIZE];
    bool has_since_hash;
    uint64_t wait_for, block_ms;
    bool linearizable;   /* all that was acknowledged before the ask must be applied here first */
    uint64_t max_lag_ms; /* with it: but for what was acknowledged in the last so many ms; 0: all */
    bool by_key;         /* `keys` in place of `read` */
    bool weighs;         /* `read` says which changes are only counted; `exact` */
    bool exact;
    struct message_scan_keys keys;
    bool now; /* since: the head of the moment it is read */
};

struct refusal request_list(const struct standing *standing, const struct message_list *list,
                            struct request_read *out);
struct refusal request_get(const struct standing *standing, const struct message_get *get,
                           struct request_read *out);
struct refusal request_estimate(const struct standing *standing,
                                const struct message_estimate *estimate, struct request_read *out);
struct refusal request_scan(const struct standing *standing, const struct message_scan *scan,
                            struct request_read *out);
struct refusal request_head(const struct standing *standing, const struct message_head *head,
                            struct request_read *out);

/* May this node answer reads? */
struct refusal request_readable(const struct standing *standing);

/* The cursor of a position of this log. */
size_t request_cursor(const struct standing *standing, uint64_t id, const uint8_t hash[HASH_SIZE],
                      char text[CURSOR_TEXT_MAX]);

#endif
