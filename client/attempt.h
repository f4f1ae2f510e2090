/* attempt.h - PURE: one ask and its retries; what may be said about its outcome.
 *
 * A write is sent again under the same txid. A refusal concerns one attempt; as
 * long as any other attempt stayed without a definite answer, the write is open:
 * a wrong "not done" is a bug of the highest class (G7). No clock, no sockets. */
#ifndef CLIENT_ATTEMPT_H
#define CLIENT_ATTEMPT_H

#include "common/err.h"

#include <stdint.h>

enum attempt_state {
    ATTEMPT_READY,  /* to be sent as soon as an endpoint can take it */
    ATTEMPT_SENT,   /* until due_ms */
    ATTEMPT_PAUSED, /* to be sent again at due_ms */
    ATTEMPT_DONE,   /* answered */
    ATTEMPT_FAILED, /* refused, or the time is up: error and outcome are final */
};

enum { ATTEMPT_TRACKED_MAX = 64 };

struct attempt {
    enum attempt_state state;
    bool is_write, other_node; /* the next send should go to another node */
    bool same_node;            /* it should go to the one that was asked last */
    uint32_t count;            /* sends so far; the next one is count + 1 */
    uint64_t started_ms, deadline_ms, due_ms;
    uint32_t settled;         /* all sends up to this one were refused, and did nothing */
    uint64_t refused;         /* bit per send behind it: answered, and not done by that send */
    bool lasting;             /* some answer was "open": no later refusal settles it */
    enum err error;           /* of the last refusal */
    bool known;               /* error holds what a server said */
    enum err_outcome outcome; /* of a failed write */
    uint32_t pauses;
};

/* What a `failed` said. */
struct attempt_refusal {
    enum err error;
    bool retryable;
    enum err_outcome outcome;
    uint64_t retry_after_ms;
};

void attempt_begin(struct attempt *attempt, bool is_write, uint64_t now_ms, uint64_t timeout_ms);
/* The write bears a name that an earlier call may have sent: no refusal but a final one says
 * that it was not done (G7). */
void attempt_doubt(struct attempt *attempt);
void attempt_sent(struct attempt *attempt, uint64_t now_ms, uint64_t patience_ms);

/* An answer that settles the ask, from whichever send. */
void attempt_answered(struct attempt *attempt);

/* Send number `send` (counted from 1) was refused. `chance` spreads the pauses. */
void attempt_refused(struct attempt *attempt, uint32_t send, const struct attempt_refusal *refusal,
                     uint64_t now_ms, uint32_t chance);

/* The connection that carried the present send is gone: try elsewhere at once. */
void attempt_lost(struct attempt *attempt);

/* Time passes: patience, pauses and the deadline. */
void attempt_tick(struct attempt *attempt, uint64_t now_ms);

/* The caller waits no longer. */
void attempt_cancel(struct attempt *attempt);

/* True if some send may have been, or may yet be, carried out. */
bool attempt_is_open(const struct attempt *attempt);

#endif
