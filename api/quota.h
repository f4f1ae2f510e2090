/* quota.h - PURE: how much of each tag this node has let in, and whether more may come.
 *
 * A token bucket for each bound of each rule (protocol/rules.h): it holds what may come in one
 * second, is filled evenly, and lets a put in whole while anything is left, so that no put is too
 * large for ever; the next one waits until what was taken too much is made up for. Who has to wait
 * is told a turn of its own, one behind the other, and whoever comes new waits behind them. Each
 * node counts for itself, as brokers of other systems do: who asks all of three gets three times as
 * much. */
#ifndef API_QUOTA_H
#define API_QUOTA_H

#include "protocol/change.h"
#include "protocol/rules.h"

enum { QUOTA_WAIT_MIN_MS = 50, QUOTA_WAIT_MAX_MS = 30000, QUOTA_KNOWN = 1024 };

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
    bool bounded;                /* some rule bounds something */
    uint64_t known[QUOTA_KNOWN]; /* what was let in lately, and has not come again */
    char detail[160];
};

/* The rules are these now: where they are other ones than before, all buckets are full. */
void quota_follow(struct quota *quota, const struct rules *rules, uint64_t now_ms);

/* Takes a body that change_body_check accepted; `again`: its asker says that it has waited already.
 * True: it may come, and was counted. False: nothing was counted; quota->detail says which bound it
 * is, and `wait_ms` when to ask again. */
bool quota_admit(struct quota *quota, struct span body, bool again, uint64_t now_ms,
                 uint64_t *wait_ms);

/* What was counted did not come in after all. */
void quota_refund(struct quota *quota, struct span body);

/* A put that was let in may come once more without being counted: its answer may have been lost.
 * True, once, if quota_note was told of it; `print` tells the put and its body from others. */
bool quota_knows(struct quota *quota, uint64_t print);
void quota_note(struct quota *quota, uint64_t print);

#endif
