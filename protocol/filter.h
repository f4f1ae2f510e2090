/* filter.h - PURE: which changes a reader wants, by their tags.
 *
 * A term is a tag, or a prefix: `coke/` and a star stands for every tag that begins
 * with `coke/`. A change matches if it has any of `any` (or `any` is empty), all of
 * `all`, and none of `none`. How matches are found in an index is not known here. */
#ifndef PROTOCOL_FILTER_H
#define PROTOCOL_FILTER_H

#include "common/err.h"
#include "protocol/message.h"

enum { FILTER_TAG_MAX = 256 };

/* The lists are lent. */
struct filter {
    const struct texts *any, *all, *none;
};

/* True if everything matches. */
bool filter_is_empty(const struct filter *filter);

/* ERR_BAD_REQUEST: a term that no tag can fit; `detail` lends a sentence. */
MUST_USE enum err filter_check(const struct filter *filter, const char **detail);

/* True if the term is a prefix: `prefix` is then what a tag must begin with, the slash included. */
bool filter_is_prefix(struct span term, struct span *prefix);

bool filter_fits(struct span term, struct span tag);
bool filter_matches(const struct filter *filter, const struct texts *tags);

#endif
