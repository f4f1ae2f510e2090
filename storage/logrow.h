/* logrow.h - the files of the log, taken one after the other as far as they make one
 * log: no hole, hashes that follow, records that are whole.
 *
 * Only recovery calls this. What damage means for the node is decided there. */
#ifndef STORAGE_LOGROW_H
#define STORAGE_LOGROW_H

#include "storage/inquiry.h"

/* Removes every file behind the one that the ballot names: nothing in it was ever acknowledged.
 * Blames a named file, or its WAL, that is missing. */
MUST_USE enum err logrow_trim(struct inquiry *inquiry);

/* Opens the files, oldest first; ends at the first that does not fit, with blame.
 * inquiry->keep says how many did. ERR_IO, ERR_VERSION. */
MUST_USE enum err logrow_take(struct inquiry *inquiry);

/* Reads every record of the files that are not sealed; cuts the log before the first damaged one,
 * with blame. */
MUST_USE enum err logrow_check_writers(struct inquiry *inquiry);

/* The term of the entry at `index` if it lies in an open segment, else 0. */
MUST_USE enum err logrow_term_at(struct recovery *recovery, uint64_t index, uint64_t *term);

/* Makes a new file at the end of the row; `name` becomes its name. */
MUST_USE enum err logrow_add_new(struct recovery *recovery, uint32_t number,
                                 char name[SEGMENT_NAME_MAX]);

#endif
