/* actions.h - a verb whose first word says what is to be done: list, set NAME, remove NAME. */
#ifndef CMD_CHANGEAGENT_ACTIONS_H
#define CMD_CHANGEAGENT_ACTIONS_H

#include "cmd/changeagent/args.h"

typedef int action_run(struct ca *ca, const struct args *args);

struct actions {
    action_run *list, *set, *remove;
    int (*usage)(const char *what); /* tells on stderr what would be right; gives the exit code */
};

/* Opens a handle and does it. Returns the exit code. */
int actions_run(const struct actions *actions, const struct args *args);

#endif
