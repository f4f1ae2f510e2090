/* follow.h - PURE: what of the stream may be delivered, and what must be asked for.
 *
 * One number carries everything: all matching changes up to `position` are
 * delivered. A change of the stream whose predecessor on its topic lies above it
 * proves a gap, and `list` heals it; while it does, the stream is left unread in
 * its socket, and what it then repeats is ignored. With several topics a lost
 * change of one cannot be seen from another, so there the stream only says that
 * something is new and `list` delivers. No clock, no sockets. */
#ifndef CLIENT_FOLLOW_H
#define CLIENT_FOLLOW_H

#include "common/bytes.h"

enum { FOLLOW_TOPICS_MAX = 64, FOLLOW_SILENCE_MS = 2000, FOLLOW_CONTACT_MS = 5000 };

enum follow_state {
    FOLLOW_HEALING, /* ask for a page, deliver it, again until caught up; the stream waits */
    FOLLOW_LIVE,    /* deliver from the stream */
};

enum follow_verdict {
    FOLLOW_NOTHING, /* seen before, or no news */
    FOLLOW_DELIVER, /* the next one in order */
    FOLLOW_HEAL,    /* something is missing: now healing */
};

struct follow {
    enum follow_state state;
    uint32_t topics;
    uint64_t joined; /* bit per topic: its first progress has come */
    uint64_t position;
    uint64_t wanted;      /* healing ends at or above it */
    uint64_t join_due_ms; /* when it should have joined; 0: not live yet on this node */
    uint64_t heard_ms;    /* when the node was last heard, or given the chance to be */
    uint64_t contact_ms;  /* how long that node had not heard from a leader then */
    uint64_t gaps;        /* proven by the stream */
};

/* At the start and after each move to another node: topics are joined anew, and
 * one list bridges the time in between. */
void follow_begin(struct follow *follow, uint32_t topics, uint64_t position, uint64_t now_ms);
void follow_moved(struct follow *follow, uint64_t now_ms);

/* From the stream, in the order it came; only while live. */
enum follow_verdict follow_event(struct follow *follow, uint64_t id, uint64_t prev,
                                 uint64_t now_ms);
enum follow_verdict follow_progress(struct follow *follow, uint32_t topic, uint64_t prev,
                                    uint64_t now_ms);
void follow_heard(struct follow *follow, uint64_t contact_ms, uint64_t now_ms); /* topic h */

/* A change of a page: deliver it? */
enum follow_verdict follow_listed(struct follow *follow, uint64_t id);

/* The page is delivered. True: live now. False: ask for the next one. */
bool follow_page_done(struct follow *follow, uint64_t scanned_to, bool at_end, uint64_t now_ms);

/* True if this node should be left: not joined, not heard, or far from any leader. */
bool follow_is_silent(const struct follow *follow, uint64_t now_ms);
bool follow_is_joined(const struct follow *follow);

#endif
