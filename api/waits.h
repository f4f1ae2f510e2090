/* waits.h - reading asks that cannot be answered at once: they wait for an id to
 * be applied, for a page from storage, or for the first match.
 *
 * Pure: a table. The shell moves a wait from state to state. */
#ifndef API_WAITS_H
#define API_WAITS_H

#include "api/request.h"
#include "protocol/effect.h"
#include "protocol/route.h"

enum { WAITS_MAX = 4096, WAITS_ID_MS = 2000 };

enum wait_state {
    WAIT_ID,    /* until `ask.wait_for`, and what the read index says, is applied here */
    WAIT_PAGE,  /* storage was asked */
    WAIT_MATCH, /* long poll: until a change matches */
};

struct wait {
    enum wait_state state;
    struct door_route route;
    uint64_t request;
    enum message_type verb; /* GET, LIST; HEAD waits for an id only; PUT for the hash of its
                               outcome; STATUS for counters */
    struct request_read ask;
    bool wants_index, index_known;
    uint64_t index_ticket, read_index; /* READ_INDEX: asked, told */
    uint64_t ticket, deadline_ms, poll_until_ms;
    struct effect outcome;         /* PUT */
    struct bytes texts;            /* owned: of ask.read */
    bool has_counted, has_tallied; /* STATUS */
};

struct waits {
    struct wait *slots[WAITS_MAX];
    uint32_t count, high;
    uint64_t sequence;
};

void waits_close(struct waits *waits);

/* A new wait with a ticket of its own; `ask` (may be NULL) is copied with its tags.
 * ERR_BUSY: too many wait. */
MUST_USE enum err waits_add(struct waits *waits, const struct door_route *route, uint64_t request,
                            enum message_type verb, const struct request_read *ask,
                            struct wait **wait);
void waits_remove(struct waits *waits, struct wait *wait);

/* NULL: that ticket is not waited for any more. */
struct wait *waits_by_ticket(struct waits *waits, uint64_t ticket);

/* True if somebody waits for the first match. */
bool waits_poll(const struct waits *waits);

/* True if a change of this effect is one of those asked for, or may be: the effect came without its
 * changes. */
bool waits_matches(const struct wait *wait, const struct effect *effect);

#endif
