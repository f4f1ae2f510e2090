/* place.h - is this the directory it was, or a copy of it? (I18)
 *
 * A copy of files has other inode numbers and times of birth than the original, whatever its
 * content. Those of identity/place itself and of the ballot are noted in identity/place. What is
 * cloned below the file system (a snapshot of a disk, of a virtual machine) looks the same:
 * that is for the other servers to notice (consensus/claims.h). */
#ifndef SUPERVISOR_PLACE_H
#define SUPERVISOR_PLACE_H

#include "common/err.h"

/* Compares with what was noted. A copy is made another incarnation: storage finds the witness of
 * the old one invalid, and does not vote. Told in the log. ERR_SYSTEM: the log says what. */
MUST_USE enum err place_check(const char *data);

/* Notes where everything is now; storage has made its files. A failure is logged: the next start
 * then compares with what was noted before. */
void place_note(const char *data);

#endif
