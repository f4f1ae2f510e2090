/* cutter.h - what this node knows when it is asked whether the log may be cut: ids, times and
 * bytes, from the shelf. The decision itself is retention.h's. */
#ifndef STORAGE_CUTTER_H
#define STORAGE_CUTTER_H

#include "protocol/link.h"
#include "protocol/message.h"
#include "storage/apply.h"
#include "storage/retention.h"
#include "storage/shelf.h"
#include "storage/tagfloor.h"

/* Fills the body of the cut that is due; leaves it empty if none is. `floors` is kept by the caller
 * from ask to ask, zeroed at first. ERR_CORRUPT, ERR_IO: some of the log cannot be read, and is
 * kept by every rule but that of bytes: there may be a body all the same. */
MUST_USE enum err cutter_decide(struct shelf *shelf, struct tagfloor *floors,
                                const struct apply_mark *at, const struct message_may_cut *ask,
                                struct bytes *body);

/* Answers MAY_CUT. Returns the error of the decision, which is told in the log. */
enum err cutter_answer(struct shelf *shelf, struct tagfloor *floors, const struct apply_mark *at,
                       const struct message *ask, struct link *link, uint32_t neighbour);

#endif
