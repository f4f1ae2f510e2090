/* match.h - which change ids fit a filter: found part by part, by the lists of its tags, without
 * reading a change. Bounded: a search that would take too long says how far it came. */
#ifndef STORAGE_MATCH_H
#define STORAGE_MATCH_H

#include "protocol/filter.h"
#include "storage/shelf.h"

enum {
    MATCH_TERMS_MAX = 3 * TEXTS_MAX,
    MATCH_PARTS_MAX = 512,     /* indexes asked by one read, unless it wants less */
    MATCH_STEPS_MAX = 1 << 21, /* looks into lists by one read */
};

/* Zeroed but for shelf and filter is open. */
struct match {
    struct shelf *shelf;
    struct filter filter;
    struct shelf_part *part; /* whose lists are here; NULL: none */
    uint64_t first, next;    /* its ids */
    struct lookup_list lists[MATCH_TERMS_MAX];
    uint32_t list_count;
    uint32_t parts_max;    /* 0: MATCH_PARTS_MAX */
    uint32_t parts, steps; /* used up */
    bool stopped;          /* a bound was reached: ids beyond `reached` were not looked at */
    uint64_t reached;
};

void match_close(struct match *match);

/* The lowest match above `id`, up to `upto`, or the highest one below `id`, down to `downto`;
 * 0: there is none, or match->stopped is set. */
MUST_USE enum err match_next(struct match *match, uint64_t id, uint64_t upto, uint64_t *found);
MUST_USE enum err match_previous(struct match *match, uint64_t id, uint64_t downto,
                                 uint64_t *found);

/* Appends those of the ids from..upto, all of them in the part, that fit: rising, as offsets
 * (uint32_t) from its first id. With match->stopped none beyond `reached` was looked at. */
MUST_USE enum err match_gather(struct match *match, struct shelf_part *part, uint64_t from,
                               uint64_t upto, struct bytes *offsets);

/* Before another question: the bounds count anew. */
void match_again(struct match *match);

#endif
