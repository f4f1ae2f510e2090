/* doubt.h - a state that was found damaged must not be believed by the next start: a note beside
 * it.
 *
 * It goes with the file (state_remove). */
#ifndef STORAGE_DOUBT_H
#define STORAGE_DOUBT_H

#include "common/err.h"

#define DOUBT_SUFFIX ".doubted"

/* Notes it durably. ERR_IO, ERR_NOSPACE. */
MUST_USE enum err doubt_state(const char *path);
bool doubt_is_there(const char *path);

#endif
