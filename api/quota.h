/* quota.h - PURE: how much of each tag this node has let in, and whether more may come.
 *
 * A token bucket for each bound of each rule (protocol/rules.h): it holds what may come in one
 * second, is filled evenly, and lets a put in whole while anything is left, so that no put is too
 * large for ever; the next one waits until what was taken too much is made up for. Who has to wait
 * is told a turn of its own, one behind the other, so that they do not come back all at once. Each
 * node counts for itself, as brokers of other systems do: who asks all of three gets three times as
 * much. */
#ifndef API_QUOTA_H
#define API_QUOTA_H

#include "protocol/change.h"
#include "protocol/rules.h"

enum { QUOTA_WAIT_MIN_MS = 50, QUOTA_WAIT_MAX_MS = 5000 };

/* In thousandths of a change, and of a byte. */
struct quota_bucket {
    int64_t changes, bytes;
    uint64_t at_ms;   /* when it was filled last */
    uint64_t turn_us; /* who was refused last is told to come at this time; the next one behind */
};

/* Zeroed: no bounds. */
struct quota {
    struct rules rules; /* which the buckets follow */
    struct quota_bucket buckets[RULES_MAX];
    bool bounded; /* some rule bounds something */
    char detail[160];
};

/* The rules are these now: where they are other ones than before, all buckets are full. */
void quota_follow(struct quota *quota, const struct rules *rules, uint64_t now_ms);

/* Takes a body that change_body_check accepted. True: it may come, and was counted. False: nothing
 * was counted; quota->detail says which bound it is, and `wait_ms` when to ask again. */
bool quota_admit(struct quota *quota, struct span body, uint64_t now_ms, uint64_t *wait_ms);

#endif
