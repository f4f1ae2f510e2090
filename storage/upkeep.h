/* upkeep.h - what keeper does when nobody wants anything: seals, removes what was cut, reads all of
 * it again, mends.
 *
 * Each call is one short step. */
#ifndef STORAGE_UPKEEP_H
#define STORAGE_UPKEEP_H

#include "protocol/link.h"
#include "storage/late.h"
#include "storage/mender.h"
#include "storage/scrub.h"
#include "storage/sealer.h"

struct upkeep {
    struct sealer sealer;
    struct scrub scrub;
    struct mender mender;
};

void upkeep_close(struct upkeep *upkeep);

/* Does what is most due. ERR_IO also: what is damaged can be judged by a start only. */
MUST_USE enum err upkeep_work(struct upkeep *upkeep, struct shelf *shelf, struct late *late,
                              uint64_t now_ms, bool *worked);

/* A whole segment waits for what is written to be durable, or a file that was cut does. */
bool upkeep_wants_checkpoint(struct shelf *shelf, const struct late *late, uint64_t now_ms);

/* A reader met damage: everything is looked at, now. */
void upkeep_hurry(struct upkeep *upkeep, const char *event, uint64_t where);

/* A file is about to go. */
void upkeep_forget(struct upkeep *upkeep, const char *path);

/* Takes what another server gave, and answers what is still wanted. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err upkeep_mend(struct upkeep *upkeep, struct shelf *shelf, uint64_t now_ms,
                              const struct message *message, struct link *link, uint32_t neighbour);

#endif
