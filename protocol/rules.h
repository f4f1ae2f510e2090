/* rules.h - PURE: what holds for the changes of one tag, or of all tags below a path: how long they
 * are kept at least, and how much of them one node takes in a second.
 *
 * They are replicated state like settings and holders (docs/decisions/0043): an entry sets, changes
 * or removes one, in the order of the log. What a rule keeps is decided in storage/retention.h,
 * what it lets in at api/quota.h. The body of such an entry, and of the ask that brings it, is a
 * msgpack map {tag, keep_s, changes_s, bytes_s}: what is named is set, the rest stays, and a tag
 * alone removes. */
#ifndef PROTOCOL_RULES_H
#define PROTOCOL_RULES_H

#include "common/bytes.h"
#include "common/err.h"

#include <stdint.h>

enum {
    RULES_MAX = 16, /* the state is copied with every commit: few, and small */
    RULE_TAG_MAX = 64,
    RULES_BODY_MAX = 256,
    RULES_SAVED_MAX = RULES_MAX * (RULE_TAG_MAX + 24),
};

#define RULE_KEEP_S_MAX UINT64_C(3153600000) /* a hundred years */
#define RULE_RATE_MAX   (UINT64_C(1) << 40)
#define RULE_UNCHANGED  UINT64_MAX

/* 0: the rule does not say. */
struct rule {
    char tag[RULE_TAG_MAX]; /* filled up with zeros; "PATH/" and a star: all tags below */
    uint64_t keep_s;        /* seconds of log time that its changes are kept at least */
    uint64_t changes_s;     /* of its changes, and of their bytes, a node takes so many a second */
    uint64_t bytes_s;
};

/* In the order of their tags; what is not used is zero. */
struct rules {
    struct rule at[RULES_MAX];
    uint64_t count;
};

/* The tag, which has no NUL where it is as long as it may be. */
struct span rule_tag(const struct rule *rule);

/* Does what the body says, or nothing. A rule that says nothing any more goes.
 * ERR_BAD_REQUEST: not such a map.  ERR_LIMIT: a value too large, or too many rules.
 * ERR_NOT_FOUND: nothing to remove. */
MUST_USE enum err rules_change(struct rules *rules, struct span body);

/* What rules_change says about a body alone. `detail` lends a constant sentence on the error. */
MUST_USE enum err rules_check(struct span body, const char **detail);

/* A constant sentence about an error of rules_change that the body alone does not show; NULL:
 * there is none. */
const char *rules_advice(enum err err);

/* As bytes: between our processes, and on disk. ERR_BAD_MESSAGE: not these bytes. */
size_t rules_save(const struct rules *rules, uint8_t out[RULES_SAVED_MAX]);
MUST_USE enum err rules_load(struct span saved, struct rules *rules);

/* Appends them for a client: a msgpack array of maps {tag, keep_s, changes_s, bytes_s}. */
void rules_encode(const struct rules *rules, struct bytes *out);

/* Appends the body of an ask; what is RULE_UNCHANGED is not named. */
void rules_encode_body(struct span tag, uint64_t keep_s, uint64_t changes_s, uint64_t bytes_s,
                       struct bytes *out);

#endif
