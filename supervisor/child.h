/* child.h - one child process: spawned, heard through a pipe, signalled, reaped.
 *
 * The only place that starts a process. A child gets stdin from /dev/null, our
 * stdout and stderr, descriptor 3 to write lines to, descriptor 4 that ends with
 * the supervisor, and nothing else. Why it is started is not known here. */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include "common/err.h"

#include <stdint.h>
#include <sys/types.h>

enum { CHILD_READY_FD = 3, CHILD_PARENT_FD = 4, CHILD_LINE_MAX = 512 };

struct child {
    pid_t pid; /* 0: no process */
    int pidfd, pipe_fd;
    char line[CHILD_LINE_MAX];
    uint32_t line_size;
};

typedef void child_line(void *owner, struct child *child, const char *line);

/* `parent_fd`: a read end whose write end only the supervisor holds.
 * ERR_SYSTEM: no process came up; the log says why. */
MUST_USE enum err child_spawn(struct child *child, char *const argv[], int parent_fd);

/* Runs a program to its end with our stdout and stderr; for --check-config. ERR_SYSTEM. */
MUST_USE enum err child_run(char *const argv[], int *exit_code);

/* Hands every whole line to `call`, at most a bounded share. Returns how many bytes there were. */
uint32_t child_read(struct child *child, child_line *call, void *owner);

/* By pidfd: never another process that got the number. */
void child_signal(const struct child *child, int signal);

/* Reaps one process that has ended, ours or an orphan. False: none has. `code` is the exit
 * code or 128 + signal. */
bool child_reap(pid_t *pid, int *code);

/* Forgets a process that was reaped, and closes its pipe. */
void child_close(struct child *child);

#endif
