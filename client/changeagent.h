/* changeagent.h - the client library: write, read and follow a replicated log of changes.
 *
 * A handle knows several endpoints of one cluster, asks one of them, and moves to
 * another when it does not answer. A write is sent again under the same transaction
 * id until its outcome is known or the time is up, so it takes effect at most once;
 * the application needs no retry loop. Reads wait for what this handle has seen.
 * A guest in your program: no global state, no signals, no output; running out of
 * memory is CA_NOMEM. A handle belongs to one thread at a time. What an operator asks of
 * the cluster itself is in operate.h. */
#ifndef CHANGEAGENT_H
#define CHANGEAGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ca;        /* a handle */
struct ca_page;   /* what a read gave */
struct ca_follow; /* a follower */

enum ca_code {
    CA_OK = 0,
    CA_REFUSED = 1,   /* refused for the reason in `name`; a write was not done */
    CA_USAGE = 2,     /* a parameter is wrong; nothing was sent */
    CA_NOT_FOUND = 3, /* there is no such change */
    CA_TIMEOUT = 4,   /* no usable answer in time; a write was not done */
    CA_OPEN = 5,      /* a write may or may not have been done, or may yet be */
    CA_NO_LEADER = 6, /* the cluster had no leader until the time was up; a write was not done */
    CA_TRUNCATED = 7, /* the changes asked for are no longer kept; see first_id */
    CA_NOMEM = 8,     /* out of memory or sockets */
    CA_AGAIN = 9,     /* nothing there yet: wait, then call again */
};

/* Bytes that belong to somebody else. */
struct ca_bytes {
    const void *data;
    size_t size;
};

struct ca_error {
    enum ca_code code;
    char name[40];     /* E_…, as on the wire; empty with CA_OK */
    char detail[256];  /* a sentence with advice */
    uint64_t first_id; /* CA_TRUNCATED: the first id still kept */
};

struct ca_options {
    uint32_t timeout_ms;  /* for one call, with all its retries; 0: 30000 */
    uint32_t patience_ms; /* without an answer, ask another node after this; 0: 1500 */
    uint32_t outstanding; /* asks under way at most; 0: 4096 */
    bool linearizable;    /* reads show all that anybody was told to be written before the call */
    uint32_t max_lag_ms;  /* with it: but for the last so many ms, at most 3600000; 0: all */
    bool spread;          /* pipelined writes go round over all endpoints, not to one */
    const char *server_key, *public_key, *secret_key; /* CURVE, Z85; all or none */
    void (*log)(void *owner, const char *line);       /* what an operator may want to read */
    void *log_owner;
};

/* ---- the handle ------------------------------------------------------------------------- */

/* Gives a handle; it connects in the background. Endpoints are "tcp://host:port".
 * `options` may be NULL. CA_USAGE: no endpoint, or not one.  CA_NOMEM. */
enum ca_code ca_open(const char *const *endpoints, size_t count, const struct ca_options *options,
                     struct ca **handle);
void ca_close(struct ca *ca); /* also its followers; NULL is fine */

/* Lends the error of the last call on this handle that did not return CA_OK or CA_AGAIN. */
const struct ca_error *ca_last_error(const struct ca *ca);

/* For programs with a loop of their own: readable when ca_poll has work; call ca_poll also
 * after ca_wait_ms at the latest. ca_poll works, waiting at most wait_ms for something to do,
 * and returns how much it found: wait on the descriptor only after it returned 0. */
int ca_fd(const struct ca *ca);
uint32_t ca_wait_ms(const struct ca *ca);
uint32_t ca_poll(struct ca *ca, uint32_t wait_ms);

const char *ca_code_name(enum ca_code code); /* lends a constant */

/* ---- writing ---------------------------------------------------------------------------- */

/* Header names and values are texts, `count` pairs of them. */
struct ca_headers {
    const char *const *pairs; /* name, value, name, value … */
    uint32_t count;
};

struct ca_change {
    uint64_t type;
    const char *key;         /* NULL: none */
    bool removes;            /* the key is gone from the collection; goes with a key */
    const char *ctype;       /* content type; NULL: none */
    const char *const *tags; /* tag_count texts */
    uint32_t tag_count;      /* at most 64 */
    struct ca_headers headers;
    struct ca_bytes data;
};

/* Names a write for ever: the same write may be sent again, even by another process after a
 * crash, and takes effect once. */
struct ca_write {
    uint8_t txid[16];
    uint64_t born;
};

struct ca_result {
    void *token; /* as given to ca_put_begin */
    uint64_t number;
    struct ca_error error; /* code CA_OK: the fields below are set */
    struct ca_write write;
    uint32_t attempts;
    uint64_t id, last_id; /* first and last change of the put */
    uint64_t ts;          /* log time, nanoseconds since 1970 */
    uint8_t hash[32];     /* change hash at last_id */
    char history[20], cursor[192];
};

/* Writes `count` changes as one put: all of them or none, with ids in a row. Returns when
 * the outcome is known or the time is up; `result` may be NULL. */
enum ca_code ca_put(struct ca *ca, const struct ca_change *changes, size_t count,
                    struct ca_result *result);

/* Draws a name for a write, waiting for a node to tell the log time. CA_TIMEOUT, CA_NOMEM. */
enum ca_code ca_write_new(struct ca *ca, struct ca_write *write);

/* As ca_put, under a name drawn before. Another body under a used name is E_TXID_REUSED. What an
 * earlier call under this name has sent is not known here, so what is neither done nor refused
 * for good is CA_OPEN, also where ca_put would say that it was not done. */
enum ca_code ca_put_named(struct ca *ca, const struct ca_write *write,
                          const struct ca_change *changes, size_t count, struct ca_result *result);

/* Pipelined: copies the changes and returns at once; results come from ca_next.
 * `write` NULL draws a name; `number` (may be NULL) names the ask for ca_cancel.
 * CA_AGAIN: as many as allowed are under way; call ca_poll and ca_next first. */
enum ca_code ca_put_begin(struct ca *ca, const struct ca_write *write,
                          const struct ca_change *changes, size_t count, void *token,
                          uint64_t *number);

/* The same with a body encoded by ca_body_encode or by yourself (docs/protocol.md). */
enum ca_code ca_put_body(struct ca *ca, const struct ca_write *write, struct ca_bytes body,
                         void *token, uint64_t *number);

/* Gives a body; ca_body_free takes it back. */
enum ca_code ca_body_encode(struct ca *ca, const struct ca_change *changes, size_t count,
                            void **body, size_t *size);
void ca_body_free(void *body);

/* Copies the next finished put. CA_AGAIN: none is finished; CA_OK says nothing about the put. */
enum ca_code ca_next(struct ca *ca, struct ca_result *result);

/* Ends the wait for a put: its result comes from ca_next as CA_OPEN if it was ever sent.
 * CA_NOT_FOUND: it has finished. */
enum ca_code ca_cancel(struct ca *ca, uint64_t number);

uint32_t ca_outstanding(const struct ca *ca); /* puts begun whose results were not taken */

/* ---- reading ---------------------------------------------------------------------------- */

/* One change. Everything is lent by the page or by the follower. */
struct ca_row {
    uint64_t id, ts, type;
    bool has_key, removes;
    uint64_t data_size; /* also where the data itself was not asked for */
    struct ca_bytes key, ctype, data;
    struct ca_bytes hash;    /* 32 bytes */
    struct ca_bytes headers; /* for ca_header_next */
    const struct ca_bytes *tags;
    uint32_t tag_count;
};

/* Walks headers: copy row->headers, call until false. */
bool ca_header_next(struct ca_bytes *headers, struct ca_bytes *name, struct ca_bytes *value);

/* Writes rows that were read from another log, at most 1024 of at most 4 MiB, as one put: ids,
 * times and hashes stay. They must go on where this log ends, else E_IMPORT. See ca_put. */
enum ca_code ca_import(struct ca *ca, const struct ca_row *rows, size_t count,
                       struct ca_result *result);

struct ca_query {
    uint64_t since;     /* changes after this id */
    const char *cursor; /* in place of since: go on after this cursor */
    const char *before; /* in place of since: the page that ends at this `prev` cursor */
    bool now;           /* in place of since: start at the head of this moment */
    uint32_t limit;     /* 0: 100; at most 10000 */
    uint32_t bytes;     /* 0: 1 MiB; at most 4 MiB */
    uint32_t block_ms;  /* wait so long for the first match; at most 60000 */
    const char *const *tags;
    uint32_t tag_count; /* any of them; 0: all changes. "coke/" and a star: all tags below */
    const char *const *all_tags;
    uint32_t all_count; /* and all of them */
    const char *const *no_tags;
    uint32_t no_count;   /* and none of them */
    uint64_t until;      /* changes up to and with this id; 0: no end */
    uint64_t since_time; /* changes of this log time or later, nanoseconds since 1970 */
    uint64_t until_time; /* changes before this log time; 0: no end */
    uint64_t at_time;    /* the page that ends with the last change up to and with this time */
    bool last, reverse;  /* the page at the end; reverse: its newest change first */
    bool headers_only;   /* no data, only its size */
    bool latest;         /* of the changes of a key only the newest */
};

/* Gives a page of one row. CA_NOT_FOUND, CA_TRUNCATED. */
enum ca_code ca_get(struct ca *ca, uint64_t id, struct ca_page **page);
/* The newest change of a key. CA_NOT_FOUND: it has none, or it was deleted. */
enum ca_code ca_get_key(struct ca *ca, const char *key, struct ca_page **page);

/* Keys in the order of their bytes, each with its newest change; go on after info.next_key until
 * at_end. A page is as of info.last_id; what comes later is in the log. */
struct ca_scan {
    const char *after;  /* keys behind this one; NULL: from the start */
    const char *prefix; /* keys that begin with this; NULL: all */
    uint32_t limit;     /* 0: 100; at most 10000 */
    uint32_t bytes;     /* 0: 1 MiB; at most 4 MiB */
};
enum ca_code ca_scan(struct ca *ca, const struct ca_scan *scan, struct ca_page **page);

enum ca_code ca_list(struct ca *ca, const struct ca_query *query, struct ca_page **page);
void ca_page_close(struct ca_page *page);

/* What a query would give, without its rows. */
struct ca_count {
    uint64_t count;
    uint64_t bytes;             /* of the rows, as ca_list has them sent */
    bool exact;                 /* `bytes` is no estimate; `count` never is */
    uint64_t first_id, last_id; /* kept, and applied, when the count began */
};

enum { CA_COUNT_EXACT_MAX = 99999 };

/* Counts the changes that match the tags and the bounds (since, until and the two times) of the
 * query; nothing else of it may be set. In several asks, all up to the head of the first one. Up to
 * CA_COUNT_EXACT_MAX changes are all read for their sizes; of more a sample. CA_TRUNCATED: also if
 * changes that were still to be counted were cut meanwhile. */
enum ca_code ca_count(struct ca *ca, const struct ca_query *query, struct ca_count *count);

struct ca_page_info {
    bool at_start, at_end; /* nothing that matches lies before, behind */
    uint64_t first_id, last_id, scanned_to;
    uint64_t clock_error_ns; /* log times here are not farther off than this; 0: not known */
    const char *next, *prev; /* cursors behind and before the page; lent */
    const char *next_key;    /* of ca_scan; lent */
};
uint32_t ca_page_count(const struct ca_page *page);
const struct ca_row *ca_page_row(const struct ca_page *page, uint32_t slot); /* lends */
void ca_page_info(const struct ca_page *page, struct ca_page_info *info);

struct ca_head {
    uint64_t id, ts;
    uint8_t hash[32];
    char cursor[192];
    bool stale; /* this node has not heard from a leader lately */
};
enum ca_code ca_head(struct ca *ca, struct ca_head *head);

struct ca_status {
    char node[40], name[72], role[20], leader[40], cluster[40], history[20], chain[68];
    char waits_for[516];
    bool drained, ready; /* ready: new work may be sent there */
    uint64_t term, commit_index, applied_index, last_index, first_id, last_id, outcome_floor;
    void *processes; /* msgpack map process -> counter -> number; NULL if none */
    size_t processes_size;
};

/* Asks the endpoint with this slot (in the order given to ca_open), or any if it is negative. */
enum ca_code ca_status(struct ca *ca, int slot, struct ca_status *status);
void ca_status_close(struct ca_status *status);

/* ---- following -------------------------------------------------------------------------- */

struct ca_follow_options {
    uint64_t since;     /* deliver changes after this id */
    const char *cursor; /* in place of since */
    bool now;           /* in place of since: from the head of this moment */
    const char *const *tags;
    uint32_t tag_count; /* any of them, whole tags; 0: all changes. At most 64 */
};

/* Gives a follower: every matching change, in order, each once. It heals what the stream
 * lost from `list`, and moves to another node when its node falls silent. */
enum ca_code ca_follow_open(struct ca *ca, const struct ca_follow_options *options,
                            struct ca_follow **follow);

/* Lends the next change until the next call. CA_AGAIN: none came within wait_ms; wait on
 * ca_fd only after CA_AGAIN. Other codes end the follower: CA_TRUNCATED, CA_REFUSED
 * (E_HISTORY: the log was replaced), CA_NOMEM. */
enum ca_code ca_follow_next(struct ca_follow *follow, uint32_t wait_ms, const struct ca_row **row);

/* The position behind the last change delivered, for a later follow; empty if none is known. */
const char *ca_follow_cursor(struct ca_follow *follow);
uint64_t ca_follow_id(const struct ca_follow *follow);     /* everything up to here was delivered */
uint64_t ca_follow_healed(const struct ca_follow *follow); /* how often the stream had a gap */
bool ca_follow_live(const struct ca_follow *follow);       /* caught up and joined */
void ca_follow_close(struct ca_follow *follow);

#endif
