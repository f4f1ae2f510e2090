/* mend.h - gives back the intact lines of a dump that was cut off or damaged.
 *
 * The change hash of a line proves it where the line before is there. A line whose forerunner is
 * missing is given back too, and counted: its hash can be proven by nobody. */
#ifndef CMD_CHANGEAGENT_MEND_H
#define CMD_CHANGEAGENT_MEND_H

#include <stdbool.h>

/* Does the file look like lines of a dump, at its begin or anywhere near it? */
bool mend_is_dump(const char *path);

/* Intact lines to stdout, the report to stderr. Gives the exit code: 0 nothing is missing, 113
 * something is, 8 it cannot be read or written. */
int mend_dump(const char *path);

#endif
