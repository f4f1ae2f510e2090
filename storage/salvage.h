/* salvage.h - the offline tool that gives back every intact change of a damaged node, or of one
 * file.
 *
 * It reads, and changes nothing. Nothing may run on the directory. What is a dump already is
 * salvaged by the command line itself. */
#ifndef STORAGE_SALVAGE_H
#define STORAGE_SALVAGE_H

#include "protocol/form.h"

#include <stdio.h>

/* Every intact change below a directory, or of one file, as a dump to `out`; the report to stderr.
 * Gives the exit code: see below. */
int salvage_path(const char *path, const struct form *form, FILE *out);

/* `changeagent-storage salvage DIR|FILE [FORM]`: a dump to stdout, the report to stderr.
 * Gives the exit code: 0 nothing is missing, 113 something is, 112 stdout takes no more or nothing
 * could be read, 100 there is no such file. */
int salvage_main(int argc, char **argv);

#endif
