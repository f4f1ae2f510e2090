/* prove.h - holds dumps to what they claim: checksums, order, and the chain of change hashes. */
#ifndef CMD_CHANGEAGENT_PROVE_H
#define CMD_CHANGEAGENT_PROVE_H

#include "cmd/changeagent/archivedir.h"

/* A line a file on stdout, `ok` or `BAD` with the place, then `sound:` or `damaged:`. The exit
 * code: 0, 113 (damaged), or 8 (a file cannot be read). */
int prove_dump(const char *path);
int prove_archive(const struct archivedir *archive);

#endif
