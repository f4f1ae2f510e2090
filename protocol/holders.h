/* holders.h - PURE: who has registered the first change that is still needed, so that the log is
 * not cut past it.
 *
 * They are replicated state like settings (docs/decisions/0035): an entry sets or removes one, in
 * the order of the log. A hold has an end in log time, or one that died would fill the disk for
 * ever; each set moves it. What a hold keeps is decided in storage/retention.h.
 * The body of such an entry, and of the ask that brings it, is a msgpack map {name, from, for_s};
 * a name alone removes. */
#ifndef PROTOCOL_HOLDERS_H
#define PROTOCOL_HOLDERS_H

#include "common/bytes.h"
#include "common/err.h"

#include <stdint.h>

enum {
    HOLDERS_MAX = 32, /* the state is copied with every commit: few, and small */
    HOLDER_NAME_MAX = 32,
    HOLDER_S_MAX = 30 * 86400,
    HOLDERS_BODY_MAX = 256,
    HOLDERS_SAVED_MAX = HOLDERS_MAX * (HOLDER_NAME_MAX + 16),
};

struct holder {
    char name[HOLDER_NAME_MAX]; /* filled up with zeros */
    uint64_t from;              /* the first change it needs */
    uint64_t until;             /* log time at which it needs nothing any more, unless renewed */
};

/* In the order of their names; what is not used is zero. */
struct holders {
    struct holder at[HOLDERS_MAX];
    uint64_t count;
};

/* Where the log stands when one is changed. */
struct holders_log {
    uint64_t ts, first_id, last_id;
};

/* The name, which has no NUL where it is as long as it may be. */
struct span holder_name(const struct holder *holder);

/* Does what the body says, or nothing. A full table makes room where a hold has ended.
 * ERR_BAD_REQUEST: not such a map.  ERR_LIMIT: too long a time, or too many.  ERR_TRUNCATED,
 * ERR_AHEAD: `from` is cut, or behind the next change.  ERR_NOT_FOUND: nothing to remove. */
MUST_USE enum err holders_change(struct holders *holders, struct span body,
                                 const struct holders_log *log);

/* What holders_change says about a body alone: no table and no log is looked at. `detail` lends a
 * constant sentence on the error. */
MUST_USE enum err holders_check(struct span body, const char **detail);

/* A constant sentence about an error of holders_change that the body alone does not show; NULL:
 * there is none. */
const char *holders_advice(enum err err);

/* The first change that a hold which has not ended at `ts` needs; 0: none. */
uint64_t holders_floor(const struct holders *holders, uint64_t ts);

/* Changes below `first_id` are gone: so is who needed them. */
void holders_cut(struct holders *holders, uint64_t first_id);

/* As bytes: between our processes, and on disk. ERR_BAD_MESSAGE: not these bytes. */
size_t holders_save(const struct holders *holders, uint8_t out[HOLDERS_SAVED_MAX]);
MUST_USE enum err holders_load(struct span saved, struct holders *holders);

/* Appends them for a client: a msgpack array of maps {name, from, until}. */
void holders_encode(const struct holders *holders, struct bytes *out);

/* Appends the body of an ask. */
void holders_encode_body(struct span name, uint64_t from, uint64_t for_s, struct bytes *out);

#endif
