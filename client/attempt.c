/* attempt.c - retries of one ask, and the honest outcome of a write. */
#include "client/attempt.h"

enum { PAUSE_MS = 20, PAUSE_MAX_MS = 500 };

static uint64_t bit_of(const struct attempt *attempt, uint32_t send)
{
    bool tracked = send > attempt->settled && send - attempt->settled <= ATTEMPT_TRACKED_MAX;
    return tracked ? (uint64_t)1 << (send - attempt->settled - 1) : 0;
}

/* The sends that are not settled, as bits. */
static uint64_t sent_bits(const struct attempt *attempt)
{
    uint32_t sent = attempt->count - attempt->settled;
    return sent >= ATTEMPT_TRACKED_MAX ? ~(uint64_t)0 : ((uint64_t)1 << sent) - 1;
}

static void note_refused(struct attempt *attempt, uint32_t send)
{
    attempt->refused |= bit_of(attempt, send);
    if (attempt->count - attempt->settled <= ATTEMPT_TRACKED_MAX &&
        attempt->refused == sent_bits(attempt)) {
        attempt->settled = attempt->count;
        attempt->refused = 0;
    }
}

bool attempt_is_open(const struct attempt *attempt)
{
    if (!attempt->is_write)
        return false;
    return attempt->lasting || attempt->count - attempt->settled > ATTEMPT_TRACKED_MAX ||
           attempt->refused != sent_bits(attempt);
}

static void fail(struct attempt *attempt, enum err error, enum err_outcome outcome)
{
    attempt->state = ATTEMPT_FAILED;
    attempt->error = error;
    attempt->outcome = outcome;
}

/* The last words: what a server said last says more than "no answer". */
static void give_up(struct attempt *attempt)
{
    bool open = attempt_is_open(attempt);
    enum err error = attempt->known ? attempt->error : ERR_TIMEOUT;
    fail(attempt, open ? ERR_OPEN : error, open ? ERR_OUTCOME_OPEN : ERR_OUTCOME_NONE);
}

static uint64_t pause_ms(struct attempt *attempt, uint64_t asked_ms, uint32_t chance)
{
    uint32_t doublings = attempt->pauses < 5 ? attempt->pauses : 5;
    uint64_t own = (uint64_t)PAUSE_MS << doublings;
    if (own > PAUSE_MAX_MS)
        own = PAUSE_MAX_MS;
    attempt->pauses++;
    uint64_t pause = asked_ms > 0 ? asked_ms : own;
    return pause + chance % (pause / 4 + 1);
}

void attempt_begin(struct attempt *attempt, bool is_write, uint64_t now_ms, uint64_t timeout_ms)
{
    *attempt = (struct attempt){
        .state = ATTEMPT_READY,
        .is_write = is_write,
        .started_ms = now_ms,
        .deadline_ms = now_ms + timeout_ms,
    };
}

void attempt_doubt(struct attempt *attempt)
{
    attempt->lasting = true;
}

void attempt_sent(struct attempt *attempt, uint64_t now_ms, uint64_t patience_ms)
{
    attempt->state = ATTEMPT_SENT;
    attempt->count++;
    attempt->other_node = attempt->same_node = false;
    attempt->due_ms = now_ms + patience_ms;
}

void attempt_answered(struct attempt *attempt)
{
    attempt->state = ATTEMPT_DONE;
    attempt->error = ERR_NONE;
}

/* A refusal that no retry can change. For a write with a send that is still out it
 * settles nothing, unless it is final for the txid. */
static void refuse(struct attempt *attempt, const struct attempt_refusal *refusal)
{
    if (!attempt->is_write || refusal->outcome == ERR_OUTCOME_FINAL) {
        fail(attempt, refusal->error, refusal->outcome);
        return;
    }
    bool open = attempt_is_open(attempt);
    fail(attempt, refusal->error, open ? ERR_OUTCOME_OPEN : ERR_OUTCOME_NONE);
}

void attempt_refused(struct attempt *attempt, uint32_t send, const struct attempt_refusal *refusal,
                     uint64_t now_ms, uint32_t chance)
{
    if (attempt->state == ATTEMPT_DONE || attempt->state == ATTEMPT_FAILED)
        return;
    if (refusal->outcome == ERR_OUTCOME_OPEN)
        attempt->lasting = true;
    else
        note_refused(attempt, send);
    attempt->error = refusal->error;
    attempt->known = true;
    if (!refusal->retryable) {
        refuse(attempt, refusal);
        return;
    }
    if (send != attempt->count || attempt->state != ATTEMPT_SENT)
        return; /* of an earlier send: the present one goes on */
    attempt->state = ATTEMPT_PAUSED;
    attempt->same_node = refusal->error == ERR_QUOTA; /* a turn of its own waits there */
    attempt->other_node = refusal->error != ERR_BUSY && refusal->error != ERR_QUOTA;
    attempt->due_ms =
        now_ms + (attempt->same_node ? refusal->retry_after_ms
                                     : pause_ms(attempt, refusal->retry_after_ms, chance));
}

void attempt_lost(struct attempt *attempt)
{
    if (attempt->state != ATTEMPT_SENT)
        return;
    attempt->state = ATTEMPT_READY;
    attempt->other_node = true;
}

void attempt_tick(struct attempt *attempt, uint64_t now_ms)
{
    if (attempt->state == ATTEMPT_DONE || attempt->state == ATTEMPT_FAILED)
        return;
    if (now_ms >= attempt->deadline_ms) {
        give_up(attempt);
    } else if (attempt->state == ATTEMPT_SENT && now_ms >= attempt->due_ms) {
        attempt->state = ATTEMPT_READY;
        attempt->other_node = true;
        attempt->known = false; /* older news than this silence */
    } else if (attempt->state == ATTEMPT_PAUSED && now_ms >= attempt->due_ms) {
        attempt->state = ATTEMPT_READY;
    }
}

void attempt_cancel(struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_DONE || attempt->state == ATTEMPT_FAILED)
        return;
    bool open = attempt_is_open(attempt);
    fail(attempt, open ? ERR_OPEN : ERR_CLOSED, open ? ERR_OUTCOME_OPEN : ERR_OUTCOME_NONE);
}
