/* operate.h - the client library for who operates a cluster: settings, holders, rules of tags,
 * leadership, members, backup. By the same handle as changes (changeagent.h). */
#ifndef CHANGEAGENT_OPERATE_H
#define CHANGEAGENT_OPERATE_H

#include "client/changeagent.h"

/* ---- settings of the cluster ------------------------------------------------------------- */

enum { CA_SETTINGS_MAX = 64 };

struct ca_setting {
    char name[64];
    uint64_t value;
};

struct ca_settings {
    struct ca_setting at[CA_SETTINGS_MAX];
    uint32_t count;
    uint64_t first_id; /* of the first change kept */
};

/* What the cluster has agreed on, as one node has applied it. */
enum ca_code ca_settings(struct ca *ca, struct ca_settings *settings);

/* Changes some settings, all or none of them, in the order of the log: a write like ca_put, whose
 * result bears id 0. CA_REFUSED: no such setting, or a value it cannot have. */
enum ca_code ca_settings_set(struct ca *ca, const struct ca_setting *settings, size_t count,
                             struct ca_result *result);

/* ---- holders ------------------------------------------------------------------------------ */

enum { CA_HOLDERS_MAX = 64 };

struct ca_holder {
    char name[40];
    uint64_t from;  /* the first change it needs */
    uint64_t until; /* log time, nanoseconds since 1970, at which that ends */
};

struct ca_holders {
    struct ca_holder at[CA_HOLDERS_MAX];
    uint32_t count;
    uint64_t first_id; /* of the first change kept */
};

/* Who holds changes from being cut, as one node has applied it. */
enum ca_code ca_holders(struct ca *ca, struct ca_holders *holders);

/* Changes from `from` on are not cut for `for_s` seconds, or until the name is set again or
 * removed: set it again in time, as far as you have come. Only retention.max_bytes goes before it.
 * A write like ca_put, whose result bears id 0. CA_TRUNCATED: some of them are cut already.
 * CA_REFUSED: E_LIMIT too many holders or too long; E_AHEAD no change has such an id yet. */
enum ca_code ca_holder_set(struct ca *ca, const char *name, uint64_t from, uint64_t for_s,
                           struct ca_result *result);

/* CA_NOT_FOUND: no holder has this name. */
enum ca_code ca_holder_remove(struct ca *ca, const char *name, struct ca_result *result);

/* ---- rules of tags ------------------------------------------------------------------------ */

enum { CA_RULES_MAX = 64 };

#define CA_UNCHANGED UINT64_MAX /* ca_rule_set: what the rule says of it stays */

/* 0: it does not say. */
struct ca_rule {
    char tag[72];       /* a tag, or PATH/ and a star: all tags below */
    uint64_t keep_s;    /* seconds of log time that its changes are kept at least */
    uint64_t changes_s; /* of its changes, and of their bytes, each node takes so many a second */
    uint64_t bytes_s;
};

struct ca_rules {
    struct ca_rule at[CA_RULES_MAX];
    uint32_t count;
    uint64_t first_id; /* of the first change kept */
};

/* What holds for the changes of single tags, as one node has applied it. */
enum ca_code ca_rules(struct ca *ca, struct ca_rules *rules);

/* Sets what a rule says, but for what is CA_UNCHANGED; one that says nothing any more goes. A write
 * like ca_put, whose result bears id 0. CA_REFUSED: E_LIMIT too many rules, or too large a value.
 */
enum ca_code ca_rule_set(struct ca *ca, const struct ca_rule *rule, struct ca_result *result);

/* CA_NOT_FOUND: no rule is about this tag. */
enum ca_code ca_rule_remove(struct ca *ca, const char *tag, struct ca_result *result);

/* ---- operating -------------------------------------------------------------------------- */

struct ca_node {
    char leader[40]; /* id of the leader now; empty: none is known */
    uint64_t term, took_ms;
    bool drained;
};

/* Lets the node with this id lead, or with NULL the voter that has most of the log; asks the
 * endpoints until it meets the leader. CA_OK: `node` says who leads. CA_NOT_FOUND: no such
 * voter, or no other. CA_REFUSED: E_DRAINED. CA_TIMEOUT: that node is dead or too far behind;
 * the leader stays. */
enum ca_code ca_transfer(struct ca *ca, const char *to, struct ca_node *node);

/* Drained, the node at this endpoint gives up the lead, takes it only where nobody else can, and
 * is not `ready`; it goes on serving. Ends with false, or when the node is restarted. */
enum ca_code ca_drain(struct ca *ca, int slot, bool on, struct ca_node *node);

/* ---- members ---------------------------------------------------------------------------- */

enum { CA_MEMBERS_MAX = 24, CA_WISHES_MAX = 16 };

struct ca_member {
    char node[40], name[72], peer[136], api[136], key[48];
    char role[16];  /* voter, learner (gets the log and will vote), replica, none (removed) */
    char wish[16];  /* the role it shall get; another than `role` while a change is pending */
    char state[16]; /* where it is on the way: voter, syncing, ready, joining, leaving … */
    uint64_t incarnation;
    uint64_t changed; /* log index where its role changed last */
    bool leader;
    bool has_progress; /* the rest is known: a leader told it, and it is not the leader itself */
    uint64_t match, silent_ms;
    uint32_t percent;
};

struct ca_members {
    struct ca_member at[CA_MEMBERS_MAX];
    uint32_t count;
    bool done;           /* all that was wished for is so, and committed */
    bool joint, stale;   /* stale: no leader is known */
    char waits_for[520]; /* in words; empty if for nothing */
    uint64_t index;      /* log index of the configuration */
    uint64_t since; /* for the next call with the same wishes; 0: they do not stand there yet */
};

/* The members; with wishes, also: let this be so, all of it, and wait up to wait_ms for it. A wish
 * is a text as in docs/protocol.md ("add peer=… key=…", "remove node=…", "cancel"). The same wishes
 * may be told again and again. CA_OK: `done` says whether it is so already. Pass `since` of the
 * answer (at first 0) to go on waiting: CA_REFUSED E_ABORTED then says that somebody cancelled it.
 * CA_REFUSED: E_UNREACHABLE, E_CLONE, E_BAD_REQUEST and the like, with what to do about it. */
enum ca_code ca_members(struct ca *ca, const char *const *wishes, size_t count, uint32_t wait_ms,
                        uint64_t since, struct ca_members *members);

/* A part of a snapshot of one node, which is one stream of bytes: a manifest, then the files it
 * names, in its order. */
struct ca_slice {
    uint8_t id[32];      /* of the snapshot: the BLAKE2b-256 of its manifest */
    uint64_t head, size; /* bytes of the manifest, and of the whole stream */
    uint64_t index;      /* log index at which it ends */
    uint8_t hash[32];    /* of the data: XXH3-128; of an earlier server BLAKE2b-256 */
    size_t hash_size;    /* 16; 32 */
    void *data;
    size_t data_size;
};

/* Reads at most 1 MiB from `offset` on; `id` NULL: of the present snapshot, made where there is
 * none, which can take a while. CA_REFUSED with E_NOT_FOUND: it is no longer kept. */
enum ca_code ca_backup(struct ca *ca, int slot, const uint8_t id[32], uint64_t offset,
                       struct ca_slice *slice);
void ca_slice_close(struct ca_slice *slice);

#endif
