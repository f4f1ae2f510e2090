/* mend.h - gives back the intact changes of a dump that was cut off or damaged.
 *
 * The change hash proves a change where the one before is there. A change whose forerunner is
 * missing is given back too, and counted: its hash can be proven by nobody. */
#ifndef CMD_CHANGEAGENT_MEND_H
#define CMD_CHANGEAGENT_MEND_H

#include "protocol/form.h"

/* The form of the dump that the file looks like, at its begin or anywhere near it; NULL: it is
 * none. */
const struct form *mend_form(const char *path);

/* Intact changes of a file of one form to stdout, in the other or the same; the report to stderr.
 * Gives the exit code: 0 nothing is missing, 113 something is, 8 it cannot be read or written. */
int mend_dump(const char *path, const struct form *from, const struct form *to);

#endif
