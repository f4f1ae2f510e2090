/* program.h - what is done by another program of the house, which lies beside this one. */
#ifndef CMD_CHANGEAGENT_PROGRAM_H
#define CMD_CHANGEAGENT_PROGRAM_H

/* Becomes that program; `argv` without its name, ended by NULL. Returns only where that failed,
 * told on stderr: the exit code. */
int program_become(const char *name, const char *const argv[]);

#endif
