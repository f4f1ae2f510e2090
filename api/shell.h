/* shell.h - the struct of the api process, shared by the files of its shell:
 * api.c opens it, standing.c keeps what is known of the node, writes.c carries puts, reads.c
 * everything that is read, estimate.c what is only counted, confirm.c learns what a linearizable
 * read must wait for, operate.c what an operator asks, status.c tells what the node says of itself,
 * backup.c lends a snapshot. */
#ifndef API_SHELL_H
#define API_SHELL_H

#include "api/answer.h"
#include "api/feed.h"
#include "api/quota.h"
#include "api/session.h"
#include "api/waits.h"
#include "common/service.h"
#include "protocol/door.h"
#include "protocol/link.h"

/* Who leads, and when this ends (operate.c). */
struct operate {
    bool drained, heard; /* heard: consensus said once whether it is */
    bool waits;          /* an operator's ask, for TRANSFERRED */
    struct door_route route;
    uint64_t request, due_ms;
    struct message_transfer asked;
    bool stopping, hands_over;
    uint64_t stop_due_ms, hand_over_due_ms;
};

/* Who waits for a slice of a snapshot (backup.c). */
struct backup {
    bool waits;
    struct door_route route;
    uint64_t request, ticket, due_ms;
    uint64_t least_index, asked_ms; /* where a new one ends at least; last asked for a new one */
};

/* The read index asked for last (confirm.c). */
struct confirm {
    uint64_t ticket, due_ms; /* due: asked again, or not asked before */
    bool running;
    uint64_t asked_ms; /* when the one under way was sent first */
    bool known;        /* the last answer: what was committed at `known_ms` ends at `known_index` */
    uint64_t known_index, known_ms;
};

/* Somebody waits until the membership is as wished (members.c). */
struct member_ask {
    struct door_route route;
    uint64_t request, since, asked_ms, deadline_ms;
    uint64_t ticket;  /* 0: free */
    struct bytes ops; /* one behind the other */
    uint16_t sizes[TEXTS_MAX];
    uint32_t count;
};

enum { MEMBER_ASKS_MAX = 16 };

/* What a process counted when it was last asked (status.c). */
struct counted {
    struct bytes counters; /* a msgpack map; empty: it never said anything */
    uint64_t at_ms;
};

struct api {
    struct service_base base;
    const char *listen, *stream;
    bool plain;

    struct door door;
    struct link consensus, view, keeper;
    struct standing standing;
    struct session session;
    struct quota quota;
    struct waits waits;
    struct operate operate;
    struct backup backup;
    struct confirm confirm;
    struct member_ask member_asks[MEMBER_ASKS_MAX];
    uint64_t member_ticket;
    struct feed feed;
    struct counted of_consensus, of_storage;
    struct answer_texts texts;
    struct bytes proposals; /* of this turn */
    char stream_endpoint[256];
    uint64_t contact_ms;      /* when a leader was last known */
    uint64_t behind_since_ms; /* 0: not behind */
    uint64_t synced_at;       /* first commit index learned from a leader */
    uint64_t tag_ticket, tag_asked_ms;
    struct bytes tag_names; /* asked by tag_ticket */
    struct span tags_asked[TEXTS_MAX];
    uint32_t tags_asked_count;
    bool watching;
    uint32_t attention; /* what storage was told: see attention.c */
    bool calm;          /* less was wanted, a while ago already */
    uint64_t puts, puts_done, puts_refused, puts_open, puts_over_quota, proposed_again, reads,
        polls;
};

/* ---- api.c: answers ---- */
void api_answer(struct api *api, const struct door_route *route, uint64_t request,
                struct message *message);
void api_refuse(struct api *api, const struct door_route *route, uint64_t request, enum err err,
                const char *detail);
/* A write that may come in `wait_ms`, over a bound of api->quota. */
void api_refuse_quota(struct api *api, const struct door_route *route, uint64_t request,
                      uint64_t wait_ms);
uint64_t api_contact_ms(const struct api *api);

/* Asks storage for the last ids of tags that were just followed. */
void api_ask_tag_heads(struct api *api);

/* ---- attention.c: how much of the feed is wanted ---- */
void attention_watch(struct api *api);
void attention_raise(struct api *api); /* once per turn: somebody may wait since */
void attention_lower(struct api *api); /* now and then */

/* ---- standing.c: link handlers and events ---- */
void standing_open(struct api *api);
void standing_judge(struct api *api);
enum err standing_on_leader(void *owner, uint32_t neighbour, const struct message *message);
enum err standing_on_watching(void *owner, uint32_t neighbour, const struct message *message);
enum err standing_on_feed(void *owner, uint32_t neighbour, const struct message *message);
void standing_consensus_lost(void *owner, uint32_t neighbour);
void standing_storage_lost(void *owner, uint32_t neighbour);

/* ---- writes.c ---- */
void writes_put(struct api *api, const struct door_route *route, const struct message *message);
void writes_effect(struct api *api, const struct effect *effect);
void writes_refused(struct api *api, const struct message *message);
/* The leader, the link to it, or consensus changed: open writes are proposed again. */
void writes_again(struct api *api);
/* Storage is new: asks for the outcomes of all that is waited for. */
void writes_ask_outcomes(struct api *api);
void writes_expire(struct api *api);
void writes_leave(struct api *api); /* this node was removed */
void writes_flush(struct api *api);
/* The hash of a known outcome came (a write answered from the outcome table). */
void writes_page(struct api *api, struct wait *wait, const struct message_page *page);

/* ---- operate.c ---- */
void operate_node(struct api *api, const struct door_route *route, const struct message *message);
enum err operate_transferred(void *owner, uint32_t neighbour, const struct message *message);
void operate_consensus_up(struct api *api);
void operate_consensus_lost(struct api *api);
void operate_learn(struct api *api, bool drained); /* LEADER_IS said so */
bool operate_ready(const struct api *api);         /* new work may be sent here */
void operate_stop(void *owner);                    /* SIGTERM */
void operate_refuse(struct api *api, const struct door_route *route, uint64_t request);
void operate_expire(struct api *api);
void operate_flush(struct api *api);

/* ---- members.c ---- */
void members_ask(struct api *api, const struct door_route *route, const struct message *message);
enum err members_told(void *owner, uint32_t neighbour, const struct message *message);
void members_expire(struct api *api);
void members_close(struct api *api);

/* ---- backup.c ---- */
void backup_ask(struct api *api, const struct door_route *route, const struct message *message);
enum err backup_part(void *owner, uint32_t neighbour, const struct message *message);
void backup_expire(struct api *api);
void backup_storage_lost(struct api *api);

/* ---- reads.c ---- */
/* Refuses, or asks storage once all that the ask waits for is applied here. */
void reads_take(struct api *api, const struct door_route *route, const struct message *message,
                struct refusal refusal, const struct request_read *ask);
void reads_get(struct api *api, const struct door_route *route, const struct message *message);
void reads_list(struct api *api, const struct door_route *route, const struct message *message);
void reads_scan(struct api *api, const struct door_route *route, const struct message *message);
enum err reads_keys(void *owner, uint32_t neighbour, const struct message *message);
void reads_head(struct api *api, const struct door_route *route, const struct message *message);
void reads_settings(struct api *api, const struct door_route *route, const struct message *message);
void reads_holders(struct api *api, const struct door_route *route, const struct message *message);
void reads_rules(struct api *api, const struct door_route *route, const struct message *message);
void reads_page(struct api *api, const struct message *message);
void reads_effect(struct api *api, const struct effect *effect);
/* The head moved, or time passed: wakes and ends what waits. */
void reads_wake(struct api *api);
void reads_expire(struct api *api);
/* Storage is gone: its pages will not come. */
void reads_storage_lost(struct api *api);
/* Sends the READ of a wait. */
void reads_ask(struct api *api, struct wait *wait);

/* ---- status.c ---- */
void status_ask(struct api *api, const struct door_route *route, const struct message *message);
enum err status_counted(void *owner, uint32_t neighbour, const struct message *message);
enum err status_tallied(void *owner, uint32_t neighbour, const struct message *message);
void status_answer(struct api *api, struct wait *wait); /* with what is known; ends the wait */
void status_consensus_lost(struct api *api);
void status_storage_lost(struct api *api);

/* ---- confirm.c ---- */
void confirm_open(struct api *api);
void confirm_flush(struct api *api); /* once per turn, if something waits */
void confirm_again(struct api *api); /* the leader, the link to it, or consensus changed */
enum err confirm_told(void *owner, uint32_t neighbour, const struct message *message);
/* Must a majority be asked before this read is answered? Not if it was so lately that the answer is
 * as new as the read wants it. */
bool confirm_is_needed(const struct api *api, const struct request_read *ask);
/* What a majority confirmed after the ask came is applied here. */
bool confirm_is_done(const struct api *api, const struct wait *wait);

/* estimate.c: what `wait` asks of storage. */
void estimate_message(const struct wait *wait, struct message *message);
void estimate_ask(struct api *api, const struct door_route *route, const struct message *message);
enum err estimate_weighed(void *owner, uint32_t neighbour, const struct message *message);

#endif
