/* count.c - how many changes match: asked for piece by piece, and summed up. */
#include "client/client.h"

static enum err take_estimate(void *into, const struct message *answer)
{
    struct message_estimate_is *is = into;
    *is = answer->estimate_is;
    return ERR_NONE;
}

static enum ca_code ask_one(struct ca *ca, const struct ca_query *query, bool exact,
                            struct message_estimate_is *is)
{
    struct ask *ask = client_ask_open(ca, MESSAGE_ESTIMATE);
    if (ask == NULL)
        return client_no_memory(ca);
    struct message_estimate *estimate = &ask->message.estimate;
    estimate->since = query->since;
    estimate->until = query->until;
    client_fill_tags(&estimate->tags, query->tags, query->tag_count);
    client_fill_tags(&estimate->all_tags, query->all_tags, query->all_count);
    client_fill_tags(&estimate->no_tags, query->no_tags, query->no_count);
    estimate->since_time = query->since_time;
    estimate->until_time = query->until_time;
    estimate->exact = exact;
    estimate->min_id = ca->seen;
    estimate->consistency = client_consistency(ca, &estimate->max_lag_ms);
    return client_wait_for(ca, ask, take_estimate, is);
}

/* All of the range; `query` goes on with it, and ends at the head of the first answer. */
static enum ca_code sum_up(struct ca *ca, struct ca_query query, bool exact, struct ca_count *count)
{
    struct message_estimate_is is = {0};
    *count = (struct ca_count){.exact = true, .last_id = query.until};
    for (bool first = true; !is.at_end; first = false) {
        enum ca_code code = ask_one(ca, &query, exact, &is);
        if (code != CA_OK)
            return code;
        if (!is.at_end && is.scanned_to <= query.since)
            return client_fail(ca, CA_REFUSED, ERR_BAD_MESSAGE, "a count that does not go on");
        count->count += is.count;
        count->bytes += is.bytes;
        count->exact = count->exact && is.exact;
        if (first) {
            count->first_id = is.first_id;
            count->last_id = is.last_id;
            query.until = query.until > 0 && query.until < is.last_id ? query.until : is.last_id;
        }
        query.since = is.scanned_to;
    }
    return CA_OK;
}

/* What pages are made of has no meaning here. */
static bool is_plain(const struct ca_query *query)
{
    return query->cursor == NULL && query->before == NULL && !query->now && query->limit == 0 &&
           query->bytes == 0 && query->block_ms == 0 && query->at_time == 0 && !query->last &&
           !query->reverse && !query->headers_only && !query->latest;
}

enum ca_code ca_count(struct ca *ca, const struct ca_query *query, struct ca_count *count)
{
    *count = (struct ca_count){0};
    if (!is_plain(query))
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST,
                           "a count takes tags, since, until, since_time and until_time only");
    if (!client_query_fits(query))
        return client_fail(ca, CA_USAGE, ERR_BAD_REQUEST, "tags: at most 64 of 1 to 256 bytes");
    enum ca_code code = sum_up(ca, *query, false, count);
    if (code != CA_OK || count->exact || count->count > CA_COUNT_EXACT_MAX)
        return code;
    struct ca_query again = *query;
    struct ca_count estimate = *count;
    again.until = query->until > 0 && query->until < count->last_id ? query->until : count->last_id;
    code = sum_up(ca, again, true, count);
    count->last_id = estimate.last_id;
    return code;
}
