#include "api/quota.h"

#include "protocol/filter.h"

#include <stdio.h>

enum { UNIT = 1000 }; /* of a bucket: what one a second brings in a millisecond is 1 */

/* What a body brings to each rule. */
struct load {
    uint64_t changes[RULES_MAX], bytes[RULES_MAX];
};

static bool is_bound(const struct rule *rule)
{
    return rule->changes_s != 0 || rule->bytes_s != 0;
}

static bool concerns(const struct rule *rule, const struct texts *tags)
{
    for (uint32_t i = 0; i < tags->count; i++)
        if (filter_fits(rule_tag(rule), tags->at[i]))
            return true;
    return false;
}

static void weigh(const struct rules *rules, struct span body, struct load *load)
{
    struct change_walk walk;
    struct change change;
    memset(load, 0, sizeof *load);
    change_walk_begin(&walk, body);
    for (size_t before = walk.rest.size; change_walk_next(&walk, &change); before = walk.rest.size)
        for (uint64_t slot = 0; slot < rules->count; slot++) {
            const struct rule *rule = &rules->at[slot];
            if (!is_bound(rule) || !concerns(rule, &change.tags))
                continue;
            load->changes[slot]++;
            load->bytes[slot] += before - walk.rest.size;
        }
}

static int64_t filled(int64_t level, uint64_t rate, uint64_t elapsed_ms)
{
    int64_t full = (int64_t)rate * UNIT;
    if (rate == 0 || elapsed_ms > (uint64_t)(full - level) / rate)
        return full;
    return level + (int64_t)(rate * elapsed_ms);
}

static void fill(struct quota_bucket *bucket, const struct rule *rule, uint64_t now_ms)
{
    uint64_t elapsed_ms = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
    bucket->changes = filled(bucket->changes, rule->changes_s, elapsed_ms);
    bucket->bytes = filled(bucket->bytes, rule->bytes_s, elapsed_ms);
    bucket->at_ms = now_ms;
}

/* Until something is left again; 0: something is, or there is no bound. */
static uint64_t wait_of(int64_t level, uint64_t rate)
{
    return rate == 0 || level > 0 ? 0 : (uint64_t)-level / rate + 1;
}

/* A turn of its own: behind that of who was refused before, by the time that what that one brings
 * takes to be filled. */
static uint64_t take_turn(struct quota_bucket *bucket, uint64_t wait_ms, uint64_t brings,
                          uint64_t rate, uint64_t now_ms)
{
    uint64_t soonest_us = (now_ms + wait_ms) * 1000;
    if (bucket->turn_us < soonest_us)
        bucket->turn_us = soonest_us;
    wait_ms = bucket->turn_us / 1000 - now_ms;
    bucket->turn_us += brings * 1000000 / rate;
    if (bucket->turn_us > (now_ms + QUOTA_WAIT_MAX_MS) * 1000)
        bucket->turn_us = (now_ms + QUOTA_WAIT_MAX_MS) * 1000;
    return wait_ms < QUOTA_WAIT_MIN_MS   ? QUOTA_WAIT_MIN_MS
           : wait_ms > QUOTA_WAIT_MAX_MS ? QUOTA_WAIT_MAX_MS
                                         : wait_ms;
}

static void say(struct quota *quota, const struct rule *rule, uint64_t rate, const char *what)
{
    struct span tag = rule_tag(rule);
    snprintf(quota->detail, sizeof quota->detail,
             "the rule of tag %.*s: this node takes %llu %s a second; send again after "
             "retry_after_ms",
             (int)tag.size, (const char *)tag.data, (unsigned long long)rate, what);
}

/* Nobody who has waited is passed by; but who does not come in a second has gone. */
static bool must_wait_behind(const struct quota_bucket *bucket, const struct rule *rule,
                             uint64_t now_ms)
{
    bool is_full = bucket->changes == (int64_t)rule->changes_s * UNIT &&
                   bucket->bytes == (int64_t)rule->bytes_s * UNIT;
    return bucket->turn_us > now_ms * 1000 && !is_full;
}

/* True: the rule has nothing against it. */
static bool allows(struct quota *quota, uint64_t slot, const struct load *load, bool again,
                   uint64_t now_ms, uint64_t *wait_ms)
{
    const struct rule *rule = &quota->rules.at[slot];
    struct quota_bucket *bucket = &quota->buckets[slot];
    fill(bucket, rule, now_ms);
    uint64_t by_changes = wait_of(bucket->changes, rule->changes_s);
    uint64_t by_bytes = wait_of(bucket->bytes, rule->bytes_s);
    if (by_changes == 0 && by_bytes == 0 && (again || !must_wait_behind(bucket, rule, now_ms)))
        return true;
    if (rule->bytes_s == 0 || (rule->changes_s != 0 && by_changes >= by_bytes)) {
        say(quota, rule, rule->changes_s, "changes");
        *wait_ms = take_turn(bucket, by_changes, load->changes[slot], rule->changes_s, now_ms);
    } else {
        say(quota, rule, rule->bytes_s, "bytes");
        *wait_ms = take_turn(bucket, by_bytes, load->bytes[slot], rule->bytes_s, now_ms);
    }
    return false;
}

void quota_follow(struct quota *quota, const struct rules *rules, uint64_t now_ms)
{
    if (memcmp(&quota->rules, rules, sizeof *rules) == 0)
        return;
    *quota = (struct quota){.rules = *rules};
    for (uint64_t slot = 0; slot < rules->count; slot++) {
        quota->buckets[slot] =
            (struct quota_bucket){.changes = (int64_t)rules->at[slot].changes_s * UNIT,
                                  .bytes = (int64_t)rules->at[slot].bytes_s * UNIT,
                                  .at_ms = now_ms};
        quota->bounded = quota->bounded || is_bound(&rules->at[slot]);
    }
}

bool quota_admit(struct quota *quota, struct span body, bool again, uint64_t now_ms,
                 uint64_t *wait_ms)
{
    struct load load;
    if (!quota->bounded)
        return true;
    weigh(&quota->rules, body, &load);
    for (uint64_t slot = 0; slot < quota->rules.count; slot++)
        if (load.changes[slot] > 0 && !allows(quota, slot, &load, again, now_ms, wait_ms))
            return false;
    for (uint64_t slot = 0; slot < quota->rules.count; slot++) {
        quota->buckets[slot].changes -= (int64_t)load.changes[slot] * UNIT;
        quota->buckets[slot].bytes -= (int64_t)load.bytes[slot] * UNIT;
    }
    return true;
}

static int64_t given_back(int64_t level, uint64_t rate, uint64_t brings)
{
    int64_t full = (int64_t)rate * UNIT;
    level += (int64_t)brings * UNIT;
    return level < full ? level : full;
}

void quota_refund(struct quota *quota, struct span body)
{
    struct load load;
    if (!quota->bounded)
        return;
    weigh(&quota->rules, body, &load);
    for (uint64_t slot = 0; slot < quota->rules.count; slot++) {
        const struct rule *rule = &quota->rules.at[slot];
        struct quota_bucket *bucket = &quota->buckets[slot];
        bucket->changes = given_back(bucket->changes, rule->changes_s, load.changes[slot]);
        bucket->bytes = given_back(bucket->bytes, rule->bytes_s, load.bytes[slot]);
    }
}

bool quota_knows(struct quota *quota, uint64_t print)
{
    uint64_t *known = &quota->known[print % QUOTA_KNOWN];
    bool knows = *known == print && print != 0;
    if (knows)
        *known = 0;
    return knows;
}

void quota_note(struct quota *quota, uint64_t print)
{
    quota->known[print % QUOTA_KNOWN] = print;
}
