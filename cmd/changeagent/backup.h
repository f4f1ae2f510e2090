/* backup.h - a snapshot of one node, written as a directory of files. */
#ifndef CMD_CHANGEAGENT_BACKUP_H
#define CMD_CHANGEAGENT_BACKUP_H

#include "cmd/changeagent/args.h"
#include "client/operate.h"

/* Makes the directory; an existing one is refused. Returns the exit code. */
int backup_node(struct ca *ca, const struct args *args, int slot, const char *directory);

#endif
