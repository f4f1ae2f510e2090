/* retention.h - PURE: what may be cut off the log's beginning, and the record that says so.
 *
 * The leader's storage decides from facts that differ between nodes (its clock, the bytes on its
 * disk, how far the others are); the decision is an entry, and what it does is the same
 * everywhere (docs/decisions/0017). Files are not known here: see remover.h. */
#ifndef STORAGE_RETENTION_H
#define STORAGE_RETENTION_H

#include "common/bytes.h"
#include "common/err.h"
#include "common/hash.h"
#include "protocol/settings.h"

/* The body of an ENTRY_CUT. */
struct retention_cut {
    uint64_t first_id;       /* changes below are gone for every reader */
    uint64_t keep_index;     /* log entries from here on stay, for servers that lack them */
    uint64_t settings_index; /* decided by the settings, holders and rules of this entry; void
                                under others */
    uint8_t hash[HASH_SIZE]; /* change hash at first_id - 1 */
};

enum { RETENTION_CUT_SIZE = 24 + HASH_SIZE };

void retention_encode(const struct retention_cut *cut, struct bytes *out);
/* ERR_BAD_MESSAGE: not these bytes. */
MUST_USE enum err retention_decode(struct span body, struct retention_cut *cut);

/* One file that is whole and sealed, oldest first. */
struct retention_part {
    uint64_t last_index, next_id, bytes;
};

struct retention_facts {
    const struct settings *settings;
    uint64_t first_id, last_id; /* kept now; the newest change */
    uint64_t hold_id;           /* the first change that a registered holder needs; 0: none */
    uint64_t rule_id;           /* the first change that the rule of a tag keeps; 0: none */
    uint64_t keep_index;        /* of the last cut */
    uint64_t young_id;          /* first change that is younger than min_age_s; counts if set */
    uint64_t last_index;        /* of the log, as consensus has it */
    uint64_t live_index;        /* all servers that answer have the log up to here */
    uint64_t down_index;        /* all that do not have, as far as is known */
    const struct retention_part *parts;
    uint32_t part_count;
    uint64_t bytes; /* of the whole log on this disk */
};

/* Fills first_id and keep_index as the settings would have them. */
void retention_wish(const struct retention_facts *facts, struct retention_cut *cut);

/* False: it is not worth an entry; it would free no file, and hide less than an eighth of what
 * stays. */
bool retention_is_worth(const struct retention_facts *facts, const struct retention_cut *cut);

#endif
