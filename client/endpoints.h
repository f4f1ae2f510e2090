/* endpoints.h - PURE: which node to ask.
 *
 * An endpoint is usable after it has answered a hello, and until it leaves an
 * ask unanswered; then a hello must find it again. An endpoint of another
 * cluster is never used: a txid means nothing there. */
#ifndef CLIENT_ENDPOINTS_H
#define CLIENT_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

enum { ENDPOINTS_MAX = 64, ENDPOINTS_HELLO_MS = 500 };

enum endpoint_state { ENDPOINT_UNKNOWN, ENDPOINT_READY, ENDPOINT_FOREIGN };

struct endpoint {
    enum endpoint_state state;
    uint64_t hello_due_ms; /* while unknown: when to say hello (again) */
    uint32_t silences;     /* how often it left something unanswered */
};

struct endpoints {
    struct endpoint at[ENDPOINTS_MAX];
    uint32_t count, current;
};

void endpoints_begin(struct endpoints *endpoints, uint32_t count, uint32_t first);

/* The next slot that should get a hello now, from `from` on; `count` if there is none.
 * Saying it is noted with endpoints_hello_sent. */
uint32_t endpoints_hello_due(const struct endpoints *endpoints, uint32_t from, uint64_t now_ms);
void endpoints_hello_sent(struct endpoints *endpoints, uint32_t slot, uint64_t now_ms);

void endpoints_ready(struct endpoints *endpoints, uint32_t slot);
void endpoints_foreign(struct endpoints *endpoints, uint32_t slot);

/* It left an ask unanswered, or its connection is gone: out until its next hello. */
void endpoints_silent(struct endpoints *endpoints, uint32_t slot, uint64_t now_ms);

/* A usable slot; false if there is none. `spread` takes turns; else the current one stays
 * until it is avoided or gone. `avoid` (or count) is taken only if nothing else is there. */
bool endpoints_choose(struct endpoints *endpoints, bool spread, uint32_t avoid, uint32_t *slot);

/* The usable slot behind this one, itself only if it is alone; false if there is none. */
bool endpoints_next(const struct endpoints *endpoints, uint32_t slot, uint32_t *next);

#endif
