/* filter.c - tag expressions. */
#include "protocol/filter.h"

bool filter_is_empty(const struct filter *filter)
{
    return filter->any->count + filter->all->count + filter->none->count == 0;
}

static bool is_term(struct span term)
{
    return term.size > 0 && term.size <= FILTER_TAG_MAX && memchr(term.data, 0, term.size) == NULL;
}

enum err filter_check(const struct filter *filter, const char **detail)
{
    const struct texts *lists[] = {filter->any, filter->all, filter->none};
    for (size_t list = 0; list < COUNT_OF(lists); list++)
        for (uint32_t i = 0; i < lists[list]->count; i++)
            if (!is_term(lists[list]->at[i])) {
                *detail = "tags, all_tags, no_tags: tags of 1 to 256 bytes without NUL; PATH/* for "
                          "a prefix";
                return ERR_BAD_REQUEST;
            }
    return ERR_NONE;
}

bool filter_is_prefix(struct span term, struct span *prefix)
{
    if (term.size < 2 || memcmp(term.data + term.size - 2, "/*", 2) != 0)
        return false;
    *prefix = SPAN(term.data, term.size - 1);
    return true;
}

bool filter_fits(struct span term, struct span tag)
{
    struct span prefix;
    if (!filter_is_prefix(term, &prefix))
        return span_equal(term, tag);
    return tag.size >= prefix.size && memcmp(tag.data, prefix.data, prefix.size) == 0;
}

static bool has(const struct texts *tags, struct span term)
{
    for (uint32_t i = 0; i < tags->count; i++)
        if (filter_fits(term, tags->at[i]))
            return true;
    return false;
}

bool filter_matches(const struct filter *filter, const struct texts *tags)
{
    bool any = filter->any->count == 0;
    for (uint32_t i = 0; i < filter->any->count && !any; i++)
        any = has(tags, filter->any->at[i]);
    for (uint32_t i = 0; i < filter->all->count; i++)
        if (!has(tags, filter->all->at[i]))
            return false;
    for (uint32_t i = 0; i < filter->none->count; i++)
        if (has(tags, filter->none->at[i]))
            return false;
    return any;
}
