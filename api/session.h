/* session.h - who waits for which write, and what is proposed again.
 *
 * A lost proposal has an owner: the body is kept from the ask until the outcome
 * or a deadline (ARCHITECTURE section 4). Pure: the time comes from the caller,
 * no socket is known; a waiter's route is opaque bytes. */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "protocol/effect.h"
#include "protocol/entry.h"
#include "protocol/message.h"
#include "protocol/route.h"

enum {
    SESSION_KEEP_MS = 5000,
    SESSION_BYTES_MAX = 32 << 20, /* I28: beyond, E_BUSY */
    SESSION_WRITES_MAX = 65536,
    SESSION_WAITERS_MAX = 8, /* of one txid */
};

struct session_waiter {
    struct door_route route;
    uint64_t request, body_hash;
};

struct session_write {
    uint8_t txid[TXID_SIZE];
    struct bytes record; /* as proposed */
    uint64_t since_ms;
    bool counted;    /* against a quota (quota.h) */
    uint32_t handed; /* copies given to consensus that may still reach a log */
    struct session_waiter waiters[SESSION_WAITERS_MAX];
    uint32_t waiter_count;
    struct session_write *older, *newer, *chain;
};

struct session {
    struct session_write *oldest, *newest, **buckets;
    uint32_t count;
    size_t bytes;
};

void session_open(struct session *session);
void session_close(struct session *session);

/* Notes a write and its waiter. A txid that is already waited for gains a waiter and
 * `*write` is NULL: nothing is to be proposed.
 * ERR_BUSY: too much waits. */
MUST_USE enum err session_add(struct session *session, const struct entry *entry,
                              const struct session_waiter *waiter, uint64_t now_ms,
                              struct session_write **write);

/* Lends; NULL: nobody waits for it. */
struct session_write *session_find(struct session *session, const uint8_t txid[TXID_SIZE]);

void session_remove(struct session *session, struct session_write *write);

/* The oldest write, if it has waited for SESSION_KEEP_MS; else NULL. */
struct session_write *session_expired(struct session *session, uint64_t now_ms);

#endif
