#include "storage/retention.h"

enum { WORTH = 8 };

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Both must allow it, every holder, and the rule of every tag; what is not set has no say, and if
 * neither of both is, nothing goes. */
static uint64_t by_rules(const struct retention_facts *facts)
{
    const struct settings *settings = facts->settings;
    uint64_t end = facts->last_id + 1, first = end;
    if (settings->min_records == 0 && settings->min_age_s == 0)
        return facts->first_id;
    if (settings->min_records > 0)
        first = end > settings->min_records ? end - settings->min_records : 1;
    if (settings->min_age_s > 0)
        first = lower(first, facts->young_id);
    if (facts->rule_id > 0)
        first = lower(first, facts->rule_id);
    return facts->hold_id > 0 ? lower(first, facts->hold_id) : first;
}

static bool is_too_large(const struct retention_facts *facts)
{
    return facts->settings->max_bytes > 0 && facts->bytes > facts->settings->max_bytes;
}

/* The oldest files go until the rest fits, whoever needs them: a full disk helps nobody. The
 * one that is written stays. */
static uint64_t by_bytes(const struct retention_facts *facts)
{
    uint64_t bytes = facts->bytes, first = facts->first_id;
    if (!is_too_large(facts))
        return first;
    for (uint32_t i = 0; i < facts->part_count && bytes > facts->settings->max_bytes; i++) {
        first = higher(first, facts->parts[i].next_id);
        bytes -= lower(bytes, facts->parts[i].bytes);
    }
    return first;
}

/* A server that lacks more than the limit is brought up by a snapshot. One that is down waits for
 * its log only while the disk has room for it. */
static uint64_t keep_for_servers(const struct retention_facts *facts)
{
    uint64_t limit = facts->settings->peer_records;
    uint64_t oldest = facts->last_index > limit ? facts->last_index - limit : 0;
    uint64_t keep = higher(facts->live_index, oldest);
    return is_too_large(facts) ? keep : lower(keep, higher(facts->down_index, oldest));
}

/* Would the file go with this cut, and did it not with the last one? */
static bool frees(const struct retention_facts *facts, const struct retention_cut *cut)
{
    for (uint32_t i = 0; i < facts->part_count; i++) {
        const struct retention_part *part = &facts->parts[i];
        bool goes = part->next_id <= cut->first_id && part->last_index < cut->keep_index;
        bool went = part->next_id <= facts->first_id && part->last_index < facts->keep_index;
        if (goes && !went)
            return true;
    }
    return false;
}

void retention_wish(const struct retention_facts *facts, struct retention_cut *cut)
{
    uint64_t first = higher(facts->first_id, higher(by_rules(facts), by_bytes(facts)));
    cut->first_id = lower(first, facts->last_id + 1);
    cut->keep_index = higher(facts->keep_index, keep_for_servers(facts));
}

bool retention_is_worth(const struct retention_facts *facts, const struct retention_cut *cut)
{
    uint64_t hides = cut->first_id - facts->first_id;
    uint64_t stays = facts->last_id + 1 - cut->first_id;
    return frees(facts, cut) || (hides > 0 && hides >= stays / WORTH);
}

void retention_encode(const struct retention_cut *cut, struct bytes *out)
{
    uint8_t body[RETENTION_CUT_SIZE];
    save_u64(body, cut->first_id);
    save_u64(body + 8, cut->keep_index);
    save_u64(body + 16, cut->settings_index);
    memcpy(body + 24, cut->hash, HASH_SIZE);
    bytes_append(out, body, sizeof body);
}

enum err retention_decode(struct span body, struct retention_cut *cut)
{
    if (body.size != RETENTION_CUT_SIZE)
        return ERR_BAD_MESSAGE;
    cut->first_id = load_u64(body.data);
    cut->keep_index = load_u64(body.data + 8);
    cut->settings_index = load_u64(body.data + 16);
    memcpy(cut->hash, body.data + 24, HASH_SIZE);
    return ERR_NONE;
}
