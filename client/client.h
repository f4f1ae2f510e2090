/* client.h - the inside of a handle, for the files of client/ only.
 *
 * An ask is a message on its way, with its retries. The handle keeps asks in a
 * table by number, sends those that wait, and hands each to its `done` once. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/attempt.h"
#include "client/changeagent.h"
#include "client/endpoints.h"
#include "client/operate.h"
#include "client/txid.h"
#include "protocol/asking.h"
#include "protocol/talk.h"

enum { CLIENT_ANY = ENDPOINTS_MAX, CLIENT_TEXT_MAX = 256, CLIENT_SLOTS_MAX = 32768 };

struct ask;

/* The ask is answered (`answer` lends) or has failed (NULL; result.error says why). Frees
 * nothing; the ask is closed behind it unless `kept` was set. */
typedef void ask_done(struct ca *ca, struct ask *ask, const struct message *answer);

struct ask {
    struct ask *next;
    uint64_t number;
    struct message message; /* spans lent by the caller, or by `own` */
    struct bytes own;
    struct attempt attempt;
    uint32_t slot, prefer; /* endpoint asked last; endpoint wished for */
    bool pinned;           /* that endpoint or none */
    bool waiting;          /* in the queue of those to be sent */
    bool kept;
    bool named; /* a write under a name that an earlier call may have sent */
    uint64_t patience_ms;
    ask_done *done;
    void *owner;
    struct ca_result result;
};

struct node {
    struct conn conn;
    char endpoint[ADDRESS_TEXT_MAX];
    char stream[CLIENT_TEXT_MAX + 1]; /* learned from hello; empty before */
};

struct ask_queue {
    struct ask *first, **last;
};

struct ca {
    void *context; /* of the sockets of followers */
    struct port port;
    struct node *nodes;
    struct endpoints endpoints;
    struct talk_keys keys; /* as texts; and parsed, if they were given */
    char key_texts[3][48];
    struct keys own_keys;
    uint8_t server_key[KEY_SIZE];
    struct ca_options options;
    struct ask **table; /* by number */
    uint64_t table_size, last_number;
    uint32_t asks, puts; /* in the table; puts not yet taken by ca_next */
    struct ask_queue waiting, finished;
    struct ask *spare;
    struct txid_pool *txids;
    uint64_t born, seen; /* newest told; highest id seen */
    uint64_t scan_due_ms, born_due_ms;
    char cluster[36], history[20];
    uint32_t change_bytes_max, body_bytes_max;
    struct ca_follow *follows;
    struct ca_error error;
};

/* Gives an ask of this type with everything else zero; NULL: out of memory, or too many. */
struct ask *client_ask_open(struct ca *ca, enum message_type type);
void client_ask_close(struct ca *ca, struct ask *ask);

/* Sends it as soon as a node can take it. */
void client_ask_start(struct ca *ca, struct ask *ask, ask_done *done, void *owner);

/* Ends the wait now: `done` runs inside. */
void client_ask_cancel(struct ca *ca, struct ask *ask);
struct ask *client_ask_find(const struct ca *ca, uint64_t number); /* NULL: finished */

/* Works, sleeping at most wait_ms; returns how much it found. */
uint32_t client_work(struct ca *ca, uint32_t wait_ms);

/* Queues of asks. */
void client_queue_push(struct ask_queue *queue, struct ask *ask);
struct ask *client_queue_pop(struct ask_queue *queue);

/* Remembers an id that was seen, for min_id. */
void client_saw(struct ca *ca, uint64_t id);

/* Notes why a call failed, and returns the code. */
enum ca_code client_fail(struct ca *ca, enum ca_code code, enum err err, const char *detail);
enum ca_code client_failed_as(struct ca *ca, const struct ca_error *error);
enum ca_code client_no_memory(struct ca *ca);

/* Starts an ask and works until it is over; `take` reads the answer. */
enum ca_code client_wait_for(struct ca *ca, struct ask *ask,
                             enum err (*take)(void *into, const struct message *answer),
                             void *into);
/* The parts of a query that more than one verb sends. */
struct span client_consistency(const struct ca *ca, uint64_t *max_lag_ms);
bool client_query_fits(const struct ca_query *query);
void client_fill_tags(struct texts *texts, const char *const *tags, uint32_t count);
struct span client_text(const char *text); /* NULL: empty */
void client_log(const struct ca *ca, const char *event, const char *about);

/* A text with its NUL, cut to fit. */
void client_copy_text(char *to, size_t room, struct span text);

/* ---- exchange.c: asks on their way -------------------------------------------------------- */

uint32_t exchange_receive(struct ca *ca); /* what has come; how much */
uint32_t exchange_send(struct ca *ca);    /* all that waits and can go; how much */
void exchange_put_in_line(struct ca *ca, struct ask *ask);
void exchange_finish(struct ca *ca, struct ask *ask, const struct message *answer);
bool exchange_say_hello(struct ca *ca, uint32_t slot);

/* ---- put.c: writes that wait ---------------------------------------------------------------- */

/* Gives an ask with a name, whose body is to be put into `own`. */
enum ca_code put_open(struct ca *ca, const struct ca_write *write, struct ask **gives);

/* The body is in place: checks it, or closes the ask. */
enum ca_code put_seal(struct ca *ca, struct ask *ask);

/* Works until the put is over. `code`: of its opening. */
enum ca_code put_finish(struct ca *ca, struct ask *ask, enum ca_code code,
                        struct ca_result *result);

/* ---- stream.c: followers ------------------------------------------------------------------ */

/* Reads the signals of their sockets; returns how many followers have something to deliver. */
uint32_t stream_rearm(struct ca *ca);

/* ---- page.c: rows ------------------------------------------------------------------------ */

/* Gives a page holding copies; `rows` is an array of change maps, or one map.
 * ERR_NOMEM, ERR_BAD_MESSAGE. */
MUST_USE enum err page_open(struct span rows, bool single, struct ca_page **page);

/* Notes what a list answered beside the rows. */
void page_note_keys(struct ca_page *page, const struct message_scan_is *answer);
void page_note(struct ca_page *page, const struct message_list_is *answer);

struct ca_bytes page_bytes(struct span span);

#endif
