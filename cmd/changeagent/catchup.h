/* catchup.h - how far a node is that lacks much. */
#ifndef CMD_CHANGEAGENT_CATCHUP_H
#define CMD_CHANGEAGENT_CATCHUP_H

#include "cmd/changeagent/args.h"

/* Shows a bar on a terminal until the node has all, or until --block is over. Exit code. */
int catchup_node(struct ca *ca, const struct args *args, int slot);

#endif
